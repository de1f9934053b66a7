//! The convenience scripts `etcd-add` and `etcd-rm`: arguments that are really checked, a warning that says what is
//! about to happen, and then Ansible's own playbooks.
//!
//! Arguments and inventory make a plan or a list of problems; that part is pure. Only then is anything run.

/// Addresses as people write them.
mod address;
/// The playbooks and Ansible's programs: where they are, and how they are called.
mod installation;
/// Ctrl-C.
mod interrupts;
/// Clusters and members, as the inventory has them.
mod inventory;
/// What the user passes on to ansible-playbook.
mod options;
/// What is to be run, or why not.
mod plan;
/// What the user is told before and afterwards.
mod report;
/// The command line.
mod request;
/// Doing it: the countdown, the playbooks, the exit code.
mod run;
/// The hosts that the arguments mean.
mod target;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// The scripts' names, on which the multi-call executable dispatches.
pub const SCRIPTS: &[&str] = &["etcd-add", "etcd-rm"];

/// The exit code when nothing was run because of the arguments, the inventory, or what is missing.
const REFUSED: u8 = 2;
/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Runs the script of this name with the words that follow it on the command line.
#[must_use]
pub fn main(name: &str, words: impl Iterator<Item = OsString>) -> ExitCode {
    let request = match request::parse(name, words) {
        Ok(request) => request,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(REFUSED));
        }
    };
    match run::run(&request) {
        Ok(code) => ExitCode::from(code),
        Err(problems) => {
            complain(&report::refusal(request.action, &problems));
            ExitCode::from(REFUSED)
        }
    }
}

/// Writes to standard output. Nothing can be done where nobody reads it any more.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
