//! Doing it: the countdown, the playbooks, the exit code.

use crate::installation::{Installation, missing_inventories};
use crate::plan::{Plan, Playbook, Run, plan};
use crate::request::Request;
use crate::{INTERRUPTED, address, complain, inventory, report};
use nix::sys::signal::{SigSet, Signal};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
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
    let interrupts = Interrupts::watch().map_err(|error| vec![format!("cannot watch for Ctrl-C: {error}")])?;
    if !request.yes && !request.is_preview() {
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            if !count_down(&plan, &mut std::io::stderr(), &|second| interrupts.within(second)) {
                complain("\nStopped: nothing was run.");
                return Ok(INTERRUPTED);
            }
        } else if !plan.whole_clusters().is_empty() {
            return Err(vec![report::unattended(&plan)]);
        }
    }
    for (done, run) in plan.runs.iter().enumerate() {
        if interrupts.within(Duration::ZERO) {
            complain(if done == 0 { "Stopped: nothing was run." } else { "Stopped: the next command was not run." });
            return Ok(INTERRUPTED);
        }
        let status = interrupts.call(&mut installation.play(request, run));
        let code = code(status.map_err(|error| vec![format!("cannot run ansible-playbook: {error}")])?);
        if code != 0 {
            return Ok(code);
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
fn count_down(plan: &Plan, out: &mut dyn Write, stop: &dyn Fn(Duration) -> bool) -> bool {
    let seconds = if plan.whole_clusters().is_empty() { MEMBERS } else { WHOLE };
    // A terminal that has gone away is no reason to go on, and none to stop: Ctrl-C comes on its own way.
    let _ = write!(out, "{} in {seconds} seconds, Ctrl-C stops it:", report::warning(plan));
    for left in (1..=seconds).rev() {
        let _ = write!(out, " {left}").and_then(|()| out.flush());
        if stop(Duration::from_secs(1)) {
            return false;
        }
    }
    let _ = writeln!(out);
    true
}

/// The exit code of a program, as a shell has it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[expect(clippy::print_stdout, reason = "a command line tool")]
fn say(text: &str) {
    println!("{text}");
}

/// Ctrl-C, which must not end this process while a playbook is under way: that one decides how it ends.
struct Interrupts {
    signals: SigSet,
    arrived: Receiver<()>,
}

impl Interrupts {
    /// From here on, Ctrl-C does not end the process.
    fn watch() -> Result<Self, nix::Error> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        let (sender, arrived) = channel();
        std::thread::spawn(move || {
            while signals.wait().is_ok() {
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { signals, arrived })
    }

    /// Whether Ctrl-C came, or comes in this time.
    fn within(&self, time: Duration) -> bool {
        self.arrived.recv_timeout(time).is_ok()
    }

    /// Runs a program that can be interrupted, and waits for it.
    fn call(&self, command: &mut Command) -> std::io::Result<ExitStatus> {
        // A child begins with the signals blocked that are blocked here.
        self.signals.thread_unblock()?;
        let child = command.spawn();
        self.signals.thread_block()?;
        child?.wait()
    }
}
