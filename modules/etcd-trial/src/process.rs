//! Processes that can be killed together with all they have started.
//!
//! Ansible's workers start sessions of their own, and so do the connections it keeps open: no process group holds them
//! all. But all of them inherit the environment, so a mark in it finds them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Command, Stdio};

/// The environment variable that holds the mark.
const MARK: &str = "QUORUM_ETCD_TRIAL";

/// A mark that nobody else uses.
#[must_use]
pub fn mark(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{}-{}", std::process::id(), now.as_nanos())
}

/// A command whose processes can be killed by the mark.
#[must_use]
pub fn marked(program: &std::path::Path, mark: &str) -> Command {
    let mut command = Command::new(program);
    command.env(MARK, mark).stdin(Stdio::null());
    command
}

/// Kills all processes that bear the mark, until there are none. Returns how many there were.
#[must_use]
pub fn kill_marked(mark: &str) -> usize {
    let wanted = format!("{MARK}={mark}");
    let mut killed = std::collections::BTreeSet::new();
    loop {
        let found = bearers(&wanted);
        if found.is_empty() {
            return killed.len();
        }
        for pid in found {
            // One that has just ended is what we want.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            killed.insert(pid);
        }
    }
}

/// The processes with the variable. A dead one that nobody has waited for yet has no environment any more.
fn bearers(wanted: &str) -> Vec<i32> {
    let own = std::process::id();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| u32::try_from(*pid).is_ok_and(|pid| pid != own))
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    #[test]
    fn whoever_bears_the_mark_dies_also_in_another_session() {
        let (ours, other) = (mark("ours"), mark("other"));
        let mut bystander = marked(Path::new("/bin/sleep"), &other).arg("60").spawn().unwrap();
        let mut parent = marked(Path::new("/bin/sh"), &ours).args(["-c", "setsid sleep 60 & wait"]).spawn().unwrap();
        let start = Instant::now();
        while bearers(&format!("{MARK}={ours}")).len() < 2 {
            assert!(start.elapsed() < Duration::from_secs(20), "the processes do not start");
        }
        assert!(kill_marked(&ours) >= 2);
        assert!(!parent.wait().unwrap().success());
        assert_eq!(bystander.try_wait().unwrap(), None);
        assert_eq!(kill_marked(&other), 1);
        bystander.wait().unwrap();
    }
}
