//! An etcd that runs beside the unit, for as long as this process looks after it.
//!
//! It runs as the owner of its data, and ends with this process, whatever ends that. What it is given must not listen where
//! anybody would look for a member: [`free_ports`] of loopback are for that.

use crate::programs;
use ansible_protocol::{ErrorKind, Failure};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long etcd may take to end once it is told to.
const ENDING: Duration = Duration::from_secs(10);
/// What marks the line that says why etcd gives up: as JSON, as older versions write, and before etcd is there at all.
const FATAL: &[&str] = &["\"level\":\"fatal\"", "\"level\":\"panic\"", "panic:", " C | ", "setpriv:"];
/// What marks a line that may say it where no other does.
const ERROR: &[&str] = &["\"level\":\"error\"", " E | "];

/// The process. Dropped, it is killed.
#[derive(Debug)]
pub struct Beside {
    child: Child,
    log: File,
    status: Option<ExitStatus>,
}

impl Beside {
    /// Runs an executable in a directory, which it enters before it becomes the user and the group `owner`, to whom the way
    /// there may be closed. It has no environment, for variables could mean options to it. Its log is in memory.
    ///
    /// # Errors
    ///
    /// Kind `io` when there is no setpriv on this host, or it cannot be run.
    pub fn start<S: AsRef<std::ffi::OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
        directory: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, Failure> {
        let setpriv = programs::find("setpriv").ok_or_else(|| {
            let msg = "there is no setpriv on this host, without which etcd would outlive a run that is killed: install util-linux";
            Failure::new(ErrorKind::Io, msg)
        })?;
        let mut command = Command::new(setpriv);
        command.current_dir(directory).env_clear().arg("--pdeathsig=KILL");
        if let Some((user, group)) = owner {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        }
        command.arg("--").arg(program).args(arguments);
        let failed = |error: io::Error| Failure::io(format_args!("run {}", program.display()), error);
        let log = memfd_create(c"etcd", MFdFlags::MFD_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let log = File::from(log);
        let output = || log.try_clone().map_err(failed);
        let child = command.stdin(Stdio::null()).stdout(output()?).stderr(output()?).spawn().map_err(|error| {
            Failure::io(format_args!("run setpriv, of util-linux, in {}", directory.display()), error)
        })?;
        Ok(Self { child, log, status: None })
    }

    /// How it has ended; none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            self.status = Some(status);
        }
        self.status
    }

    /// Whether its log has this somewhere.
    #[must_use]
    pub fn said(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// Why it gives up, in its own words; without such a line, the last thing that it said.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        complaint(&self.text())
    }

    fn text(&self) -> String {
        let size = self.log.metadata().map_or(0, |metadata| metadata.len());
        let mut log = vec![0; usize::try_from(size).unwrap_or(0)];
        // It only grows, and without it nothing is said.
        let _ = self.log.read_exact_at(&mut log, 0);
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Ends it as systemd would: a signal to end, and, when it is dropped, another one if it does not.
    pub fn stop(&mut self) {
        // Its number may be somebody else's once it has ended.
        if self.ended().is_none()
            && let Ok(pid) = i32::try_from(self.child.id())
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let until = Instant::now() + ENDING;
        while self.ended().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // One that has ended already is neither killed nor waited for a second time.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn complaint(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let has = |marks: &'static [&str]| move |line: &&&str| marks.iter().any(|mark| line.contains(mark));
    // What follows a panic is its trace.
    let line = lines.iter().find(has(FATAL)).or_else(|| lines.iter().rfind(has(ERROR))).or(lines.last())?;
    Some(sentence(line))
}

/// What a line of the log says, which may be JSON.
fn sentence(line: &str) -> String {
    let said: Value = serde_json::from_str(line).unwrap_or_default();
    let word = |name: &str| said[name].as_str().unwrap_or_default();
    match (word("msg"), word("error")) {
        ("", _) => line.chars().take(400).collect(),
        (msg, "") => msg.to_owned(),
        (msg, error) => format!("{msg}: {error}"),
    }
}

/// Two ports of loopback that nobody listens on at this moment, for clients and peers.
///
/// # Errors
///
/// When the system has none to give.
pub fn free_ports() -> io::Result<(u16, u16)> {
    let one = TcpListener::bind(("127.0.0.1", 0))?;
    let other = TcpListener::bind(("127.0.0.1", 0))?;
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_testbed::wait_for;
    use std::path::PathBuf;
    use test_case::test_case;

    #[test_case("", None; "nothing")]
    #[test_case("hello\n\n", Some("hello"); "what it said last")]
    #[test_case(
        "{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"fatal\",\"msg\":\"no start\",\"error\":\"b\"}\ngoroutine 1\n",
        Some("no start: b"); "what ended it, before its trace"
    )]
    #[test_case("{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"info\",\"msg\":\"b\"}\n", Some("a"); "an error")]
    #[test_case("2026-11-21 C | etcdmain: x\nmore", Some("2026-11-21 C | etcdmain: x"); "as 3.4 writes")]
    fn the_reason_is_found(log: &str, wanted: Option<&str>) {
        assert_eq!(complaint(log).as_deref(), wanted);
    }

    fn beside(script: &str) -> Beside {
        let shell = programs::find("sh").unwrap_or_else(|| PathBuf::from("/bin/sh"));
        Beside::start(&shell, ["-c", script], &std::env::temp_dir(), None).unwrap()
    }

    #[test]
    fn what_it_says_is_kept_and_how_it_ended() {
        let mut beside = beside("echo \"{\\\"level\\\":\\\"fatal\\\",\\\"msg\\\":\\\"over: $HOME\\\"}\"; exit 3");
        wait_for("its end", || beside.ended().is_some());
        assert_eq!(beside.ended().unwrap().code(), Some(3));
        // Nothing of this process's environment is there.
        assert_eq!(beside.complaint().as_deref(), Some("over: "));
        assert!(beside.said("over") && !beside.said("else"));
    }

    #[test]
    fn it_ends_when_told_to() {
        let mut beside = beside("trap 'echo ended; exit 0' TERM; echo up; while :; do sleep 0.01; done");
        wait_for("its first word", || beside.said("up"));
        assert_eq!(beside.ended(), None);
        beside.stop();
        assert!(beside.ended().unwrap().success() && beside.said("ended"));
    }
}
