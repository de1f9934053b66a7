//! The host's systemd, through systemctl: its own D-Bus library would cost a third of the executable.

use crate::clock;
use ansible_protocol::{ErrorKind, Failure};
use serde::Serialize;
use std::collections::HashMap;
use std::process::Command;

/// What systemd knows of a unit.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Unit {
    /// The unit's full name, such as `etcd.service`.
    pub name: String,
    /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`; `unknown` where there is no systemd to ask.
    pub load_state: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active_state: String,
    /// `running`, `dead`, `start`, `auto-restart`, …
    pub sub_state: String,
    /// `enabled`, `disabled`, `static`, …; empty without a unit file.
    pub unit_file_state: String,
    /// The unit's file.
    pub fragment_path: String,
    /// Whether the file changed since systemd read it.
    pub need_daemon_reload: bool,
    /// The main process, 0 without one.
    pub main_pid: u32,
    /// Which of its runs this is, or was; another one after each start.
    #[serde(skip)]
    pub invocation_id: String,
    /// How the last run ended: `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`, …
    pub result: String,
    /// Microseconds since the Unix epoch at which the main process started; 0 without one.
    #[serde(skip)]
    pub started_at: u64,
    /// Why systemd could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Unit {
    /// A unit that systemd could not be asked about.
    #[must_use]
    pub fn unknown(name: &str, error: Failure) -> Self {
        Self { name: name.to_owned(), load_state: "unknown".into(), error: Some(error.msg), ..Self::default() }
    }

    /// Whether systemd was asked and has answered.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.error.is_none()
    }

    /// Whether its process runs and systemd counts it as up.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active_state == "active"
    }

    /// Whether there is a process, or one on its way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.main_pid != 0 || matches!(self.active_state.as_str(), "active" | "activating" | "reloading")
    }

    /// Whether it was up and has ended badly, whatever systemd will do next.
    #[must_use]
    pub fn result_failed(&self) -> bool {
        !matches!(self.result.as_str(), "" | "success") && !self.is_active()
    }

    /// Whether it starts at boot.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        matches!(self.unit_file_state.as_str(), "enabled" | "enabled-runtime" | "static" | "alias" | "generated")
    }
}

const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,NeedDaemonReload,MainPID,Result,InvocationID,ExecMainStartTimestamp";

/// Asks systemd for a unit. A unit that does not exist is no error: its `load_state` is `not-found`.
///
/// # Errors
///
/// Kind `io` when there is no systemd to ask.
pub fn show(unit: &str) -> Result<Unit, Failure> {
    let text = systemctl(&["show", unit, PROPERTIES, "--timestamp=us+utc"])
        .or_else(|_| systemctl(&["show", unit, PROPERTIES]))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Unit {
    let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let get = |name: &str| values.get(name).copied().unwrap_or_default().to_owned();
    Unit {
        name: get("Id"),
        load_state: get("LoadState"),
        active_state: get("ActiveState"),
        sub_state: get("SubState"),
        unit_file_state: get("UnitFileState"),
        fragment_path: get("FragmentPath"),
        need_daemon_reload: get("NeedDaemonReload") == "yes",
        main_pid: get("MainPID").parse().unwrap_or(0),
        invocation_id: get("InvocationID"),
        result: get("Result"),
        started_at: started_at(&get("ExecMainStartTimestamp")),
        error: None,
    }
}

/// `Sat 2026-11-21 01:04:47.123456 UTC` as microseconds since the Unix epoch; 0 when there is none.
fn started_at(text: &str) -> u64 {
    let stamp = text.split_once(' ').map_or("", |(_, rest)| rest).trim_end_matches(" UTC").trim();
    let (whole, fraction) = stamp.split_once('.').unwrap_or((stamp, "0"));
    let second = clock::read(whole, "0000-00-00 00:00:00").and_then(|time| u64::try_from(time.as_second()).ok());
    let part = format!("{fraction:0<6.6}").parse().ok();
    second.zip(part).map_or(0, |(second, part): (u64, u64)| second * 1_000_000 + part)
}

/// Runs systemctl with fixed arguments.
///
/// # Errors
///
/// Kind `io`, with what systemctl said.
pub fn systemctl(arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new("systemctl")
        .args(arguments)
        .args(["--no-pager", "--no-ask-password"])
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| Failure::io("run systemctl, which is needed to manage the member", error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace('\n', " ");
    let words: Vec<&str> = arguments.iter().filter(|word| !word.starts_with("--")).copied().collect();
    Err(Failure::new(ErrorKind::Io, format!("systemctl {} failed: {said}", words.join(" "))))
}

/// The last lines of the unit's log, newest last; empty when the journal cannot be read.
#[must_use]
pub fn journal(unit: &str, lines: usize) -> Vec<String> {
    journalctl(&["--unit", unit, "--lines", &lines.to_string()])
}

/// What the unit's processes have said last in one of its runs, by its invocation id, even where another run has begun. The
/// whole unit's where nothing of that run can be read.
#[must_use]
pub fn journal_of_run(unit: &str, invocation_id: &str, lines: usize) -> Vec<String> {
    if !invocation_id.is_empty() {
        // What was said last may be on its way still. Where the journal's disk hangs, it stays there.
        let _ = Command::new("timeout").args(["10", "journalctl", "--sync"]).output();
        let run = format!("_SYSTEMD_INVOCATION_ID={invocation_id}");
        let found = journalctl(&["--lines", &lines.to_string(), &run]);
        if !found.is_empty() {
            return found;
        }
    }
    journal(unit, lines)
}

fn journalctl(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("journalctl").args(["--output", "cat", "--no-pager", "--quiet"]).args(arguments).output();
    output.map_or_else(
        |_| Vec::new(),
        |output| String::from_utf8_lossy(&output.stdout).lines().map(ToOwned::to_owned).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systemctl_shows() {
        let unit = parse(
            "Id=etcd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
             FragmentPath=/etc/systemd/system/etcd.service\nNeedDaemonReload=no\nMainPID=42\n\
             ExecMainStartTimestamp=Sat 2026-11-21 01:04:47.000123 UTC\n",
        );
        assert!(unit.is_active() && unit.is_enabled() && !unit.need_daemon_reload);
        assert_eq!((unit.main_pid, unit.started_at), (42, 1_795_223_087_000_123));
    }

    #[test]
    fn an_absent_unit_is_not_running() {
        let unit =
            parse("Id=etcd.service\nLoadState=not-found\nActiveState=inactive\nMainPID=0\nExecMainStartTimestamp=\n");
        assert!(!unit.is_running() && !unit.is_enabled() && unit.started_at == 0);
    }
}
