//! Doing it: the countdown, the playbooks, the exit code.

use crate::installation::{Installation, missing_inventories};
use crate::interrupts::Interrupts;
use crate::plan::{Plan, Playbook, Run, plan};
use crate::request::Request;
use crate::{INTERRUPTED, REFUSED, address, complain, inventory, report, say};
use nix::errno::Errno;
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::process::Stdio;
use std::time::Duration;

/// The seconds there are to stop the removal of a whole cluster.
const WHOLE: u32 = 5;
/// The seconds there are to stop a change of members.
const MEMBERS: u32 = 3;

/// Carries out the request. Returns the exit code.
///
/// # Errors
///
/// Returns all that is wrong with the arguments, the inventory or the installation. Nothing was run then.
pub(crate) fn run(request: &Request) -> Result<u8, Vec<String>> {
    let installation = Installation::find()?;
    let listed = list(&installation, request).map_err(|problems| [early_problems(request), problems].concat())?;
    let plan = plan(request, &inventory::read(&listed))?;
    let commands: Vec<String> = plan.runs.iter().map(|run| installation.shown(request, run)).collect();
    say(&report::before(&plan, &commands));
    let interrupts = Interrupts::watch().map_err(trouble("watch for Ctrl-C"))?;
    if !request.yes && !request.is_preview() {
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            let mut stop = |second| interrupts.within(second);
            if !count_down(&plan, &mut std::io::stderr(), &mut stop).map_err(trouble("count down"))? {
                complain("\nStopped: nothing was run.");
                return Ok(INTERRUPTED);
            }
        } else if !plan.whole_clusters().is_empty() {
            return Err(vec![report::unattended(&plan)]);
        }
    }
    for (done, run) in plan.runs.iter().enumerate() {
        let stopped = interrupts.within(Duration::ZERO);
        let code = stopped.and_then(|stopped| {
            if stopped { Ok(None) } else { interrupts.call(&installation.play(request, run)).map(Some) }
        });
        match code {
            Ok(Some(0)) => {}
            Ok(Some(code)) => return Ok(code),
            Ok(None) => {
                complain(if done == 0 {
                    "Stopped: nothing was run."
                } else {
                    "Stopped: the next command was not run."
                });
                return Ok(INTERRUPTED);
            }
            Err(error) if done == 0 => return Err(trouble("run ansible-playbook")(error)),
            Err(error) => {
                complain(&format!("{}: cannot run the next command: {error}", request.action.name()));
                return Ok(REFUSED);
            }
        }
    }
    if !request.is_preview() {
        let configure = |words: &[&str]| {
            let words = words.iter().map(ToString::to_string).collect();
            installation.shown(request, &Run { playbook: Playbook::Etcd, words })
        };
        say(&report::after(&plan, &configure));
    }
    Ok(0)
}

/// The message for what the system refuses.
fn trouble(what: &'static str) -> impl FnOnce(Errno) -> Vec<String> {
    move |error| vec![format!("cannot {what}: {error}")]
}

/// What is wrong whatever the inventory is.
fn early_problems(request: &Request) -> Vec<String> {
    let malformed = request.targets.iter().filter(|text| address::is_malformed(text));
    request.options.problems.iter().cloned().chain(malformed.map(|text| address::refusal(text))).collect()
}

/// The inventory, as `ansible-inventory` shows it. What it says itself goes to the terminal.
fn list(installation: &Installation, request: &Request) -> Result<Value, Vec<String>> {
    let missing = missing_inventories(request);
    if !missing.is_empty() {
        return Err(missing);
    }
    let output = installation.list(request).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| vec![format!("cannot run ansible-inventory: {error}")])?;
    if !output.status.success() {
        return Err(vec![format!("ansible-inventory cannot read the inventory ({}), see above", output.status)]);
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| vec![format!("ansible-inventory --list does not print JSON ({error}): is it Ansible's?")])
}

/// Counts down, unless `stop` says after one of the seconds that the user does not want it. Returns whether to go on.
fn count_down(
    plan: &Plan,
    out: &mut dyn Write,
    stop: &mut dyn FnMut(Duration) -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    let seconds = if plan.whole_clusters().is_empty() { MEMBERS } else { WHOLE };
    // A terminal that has gone away is no reason to go on, and none to stop: Ctrl-C comes on its own way.
    let _ = write!(out, "{} in {seconds} seconds, Ctrl-C stops it:", report::warning(plan));
    for left in (1..=seconds).rev() {
        let _ = write!(out, " {left}").and_then(|()| out.flush());
        if stop(Duration::from_secs(1))? {
            return Ok(false);
        }
    }
    let _ = writeln!(out);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;

    /// The countdown before removing these of two members, stopped in the given second. What is on the screen, how
    /// long it was waited, and whether it goes on.
    fn counted(hosts: &str, stopped_in: Option<u64>) -> (String, u64, bool) {
        let listed = serde_json::json!({ "etcd": { "hosts": ["10.10.10.10", "10.10.10.11"] } });
        let request = request::parse("etcd-rm", hosts.split_whitespace().map(Into::into)).unwrap();
        let plan = plan(&request, &inventory::read(&listed)).unwrap();
        let mut screen = Vec::new();
        let mut waited = 0;
        let goes_on = count_down(&plan, &mut screen, &mut |time| {
            waited += time.as_secs();
            Ok(stopped_in == Some(waited))
        });
        (String::from_utf8(screen).unwrap(), waited, goes_on.unwrap())
    }

    #[test]
    fn a_member_has_three_seconds_and_a_cluster_five() {
        let (screen, waited, goes_on) = counted("10.10.10.11", None);
        assert_eq!(screen, "Removing 10.10.10.11 in 3 seconds, Ctrl-C stops it: 3 2 1\n");
        assert_eq!((waited, goes_on), (3, true));
        let wanted = "REMOVING THE WHOLE CLUSTER etcd in 5 seconds, Ctrl-C stops it: 5 4 3 2 1\n";
        for whole in ["", "10.10.10.11 10.10.10.10"] {
            assert_eq!(counted(whole, None), (wanted.to_owned(), 5, true));
        }
        let (screen, waited, _) = counted("10.10.10.11 10.10.10.12", None);
        assert_eq!(screen, "Removing 10.10.10.11, 10.10.10.12 in 3 seconds, Ctrl-C stops it: 3 2 1\n");
        assert_eq!(waited, 3);
    }

    #[test]
    fn it_can_be_stopped_until_the_last_second() {
        for second in 1..=5 {
            let (screen, waited, goes_on) = counted("", Some(second));
            assert_eq!((waited, goes_on), (second, false));
            assert!(screen.ends_with(&(6 - second).to_string()), "{screen}");
        }
    }

    #[test]
    fn a_countdown_that_cannot_be_stopped_does_not_end_well() {
        let listed = serde_json::json!({ "etcd": { "hosts": ["10.10.10.10"] } });
        let request = request::parse("etcd-rm", std::iter::empty()).unwrap();
        let plan = plan(&request, &inventory::read(&listed)).unwrap();
        assert_eq!(count_down(&plan, &mut Vec::new(), &mut |_| Err(Errno::EBADF)), Err(Errno::EBADF));
    }
}
