//! Units that go with the files: timers, which are enabled once their files are there and disabled before those go.

use crate::params::WantedFile;
use crate::plan::Step;
use ansible_protocol::Failure;
use etcd_ops::systemd;
use std::path::Path;

/// Where systemd looks for units that belong to the host.
const UNITS: &str = "/etc/systemd/system";

/// What is to be done with units.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// A word of systemctl, and the unit; systemd as a whole where there is none.
    pub(crate) actions: Vec<(&'static str, Option<String>)>,
}

/// How systemctl is called.
type Systemctl = fn(&[&str]) -> Result<String, Failure>;

/// How a unit is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    enabled: bool,
    /// A timer that is active waits for its time.
    active: bool,
    /// Its file is another one than systemd has read, as a run leaves it that is killed before it says so.
    stale: bool,
}

/// Asks systemd how the unit is.
pub(crate) fn show(name: &str) -> Result<Shown, Failure> {
    let unit = systemd::show(name)?;
    Ok(Shown { enabled: unit.is_enabled(), active: unit.is_active(), stale: unit.need_daemon_reload })
}

/// Plans it. What is not asked for is not looked at.
///
/// # Errors
///
/// When systemd cannot be asked.
pub(crate) fn plan(
    units: &[String],
    files: &[WantedFile],
    steps: &[Step],
    show: fn(&str) -> Result<Shown, Failure>,
) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    if units.is_empty() {
        return Ok(plan);
    }
    let is_unit = |path: &Path| path.parent() == Some(Path::new(UNITS));
    let mut changed: Vec<&Path> = steps.iter().map(Step::path).filter(|path| is_unit(path)).collect();
    for file in files.iter().filter(|file| is_unit(&file.path) && file.present.is_some()) {
        if let Some(name) = file.path.file_name().and_then(|name| name.to_str())
            && !changed.contains(&file.path.as_path())
            && show(name)?.stale
        {
            changed.push(&file.path);
        }
    }
    let is_to_go = |unit: &&String| files.iter().any(|file| file.present.is_none() && file.path.ends_with(unit));
    for unit in units.iter().filter(is_to_go) {
        let Shown { enabled, active, .. } = show(unit)?;
        if enabled || active {
            plan.actions.push(("disable", Some(unit.clone())));
        }
    }
    if !changed.is_empty() {
        plan.actions.push(("daemon-reload", None));
    }
    for unit in units.iter().filter(|unit| !is_to_go(unit)) {
        let Shown { enabled, active, .. } = show(unit)?;
        if !enabled {
            plan.actions.push(("enable", Some(unit.clone())));
        }
        if !active || changed.iter().any(|path| path.ends_with(unit)) {
            plan.actions.push((if active { "restart" } else { "start" }, Some(unit.clone())));
        }
    }
    Ok(plan)
}

impl Plan {
    /// What comes before the files.
    ///
    /// # Errors
    ///
    /// Kind `io`, with what systemctl said.
    pub(crate) fn before(&self, systemctl: Systemctl) -> Result<(), Failure> {
        self.call(systemctl, true)
    }

    /// What comes after the files.
    ///
    /// # Errors
    ///
    /// Kind `io`, with what systemctl said.
    pub(crate) fn after(&self, systemctl: Systemctl) -> Result<(), Failure> {
        self.call(systemctl, false)
    }

    fn call(&self, systemctl: Systemctl, before: bool) -> Result<(), Failure> {
        for (word, unit) in self.actions.iter().filter(|(word, _)| (*word == "disable") == before) {
            let now: &[&str] = if before { &["--now"] } else { &[] };
            let words: Vec<&str> = [*word].iter().chain(now).copied().chain(unit.as_deref()).collect();
            systemctl(&words)?;
            if let (true, Some(timer)) = (before, unit) {
                // Nor is what the timer started, and failed, to be seen any more.
                systemctl(&["reset-failed", &timer.replace(".timer", ".*")])?;
            }
        }
        Ok(())
    }

    /// For the result.
    pub(crate) fn told(&self) -> Vec<String> {
        self.actions
            .iter()
            .map(|(word, unit)| format!("{word} {}", unit.as_deref().unwrap_or_default()).trim_end().to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Attributes;
    use crate::params::Present;
    use test_case::test_case;

    const TIMER: &str = "etcd-backup.timer";

    fn written(name: &str) -> Step {
        let attributes = Attributes { uid: 0, gid: 0, mode: 0o644 };
        Step::WriteFile { path: name.into(), content: Vec::new(), attributes, keep_previous: false }
    }

    fn shown(enabled: bool, active: bool, stale: bool) -> Shown {
        Shown { enabled, active, stale }
    }

    fn planned(gone: bool, files: &[&str], show: fn(&str) -> Result<Shown, Failure>) -> Vec<String> {
        let steps: Vec<Step> = files.iter().map(|name| written(name)).collect();
        plan(&[TIMER.into()], &if gone { absent() } else { Vec::new() }, &steps, show).unwrap().told()
    }

    fn absent() -> Vec<WantedFile> {
        let path = format!("{UNITS}/{TIMER}").into();
        vec![WantedFile { path, present: None, sensitive: false, backup: false }]
    }

    #[test_case(&["/etc/systemd/system/etcd-backup.timer"], |_| Ok(shown(false, false, false)), &["daemon-reload", "enable etcd-backup.timer", "start etcd-backup.timer"]; "new")]
    #[test_case(&["/etc/systemd/system/etcd-backup.timer"], |_| Ok(shown(true, true, false)), &["daemon-reload", "restart etcd-backup.timer"]; "another schedule")]
    #[test_case(&["/etc/systemd/system/etcd-backup.service"], |_| Ok(shown(true, true, false)), &["daemon-reload"]; "another program")]
    #[test_case(&["/etc/etcd/backup.json"], |_| Ok(shown(true, true, false)), &[]; "another configuration")]
    #[test_case(&[], |_| Ok(shown(true, false, false)), &["start etcd-backup.timer"]; "stopped by hand")]
    fn timers_are_enabled_and_wait(files: &[&str], show: fn(&str) -> Result<Shown, Failure>, wanted: &[&str]) {
        assert_eq!(planned(false, files, show), wanted);
    }

    /// The run before was killed after it had written the files.
    #[test]
    fn systemd_reads_again_what_was_written_and_not_told_it() {
        let attributes = Attributes { uid: 0, gid: 0, mode: 0o644 };
        let files = ["etcd-backup.service", TIMER].map(|name| WantedFile {
            path: format!("{UNITS}/{name}").into(),
            present: Some(Present { content: Vec::new(), attributes }),
            sensitive: false,
            backup: false,
        });
        let plan = |show| plan(&[TIMER.into()], &files, &[], show).unwrap().told();
        assert_eq!(plan(|name| Ok(shown(true, true, name == TIMER))), ["daemon-reload", "restart etcd-backup.timer"]);
        assert_eq!(plan(|name| Ok(shown(true, true, name != TIMER))), ["daemon-reload"]);
        assert!(plan(|_| Ok(shown(true, true, false))).is_empty());
    }

    #[test]
    fn they_go_before_their_files() {
        let files = ["/etc/systemd/system/etcd-backup.timer"];
        assert_eq!(
            planned(true, &files, |_| Ok(shown(true, true, false))),
            ["disable etcd-backup.timer", "daemon-reload"]
        );
        assert!(planned(true, &[], |_| Ok(shown(false, false, false))).is_empty());
        assert_eq!(plan(&[], &[], &[written(files[0])], |_| panic!("nobody asked")).unwrap(), Plan::default());
        let plan = plan(&[TIMER.into()], &absent(), &[], |_| Ok(shown(true, true, false))).unwrap();
        plan.before(|words| {
            let wanted: [&[&str]; 2] = [&["disable", "--now", TIMER], &["reset-failed", "etcd-backup.*"]];
            assert!(wanted.contains(&words), "{words:?}");
            Ok(String::new())
        })
        .unwrap();
        plan.after(|_| panic!("nothing is left to do")).unwrap();
    }
}
