//! The program `etcd-backup`: systemd's timers start it on all members of a cluster at the same time, and one of them
//! takes a snapshot.
//!
//! The members agree through etcd itself, on keys that begin with [`PREFIX`]:
//!
//! * `claim`: who takes it now; it goes with a lease, so it ends with whoever claimed;
//! * `last`: the last backup that was taken, verified and copied;
//! * `failed`: who could not take it, and why.
//!
//! The leader claims first. The others wait until the record of this run is there; they claim when the leader's claim
//! is over without one, or when it does not claim. Whose turn it is ([`turn`]) is a pure decision. What every member
//! knows afterwards is in a status file and in metrics ([`status`]).
//!
//! With `--drill` it takes none, but proves that the newest one on this host can be restored ([`drill`]).

/// What a member sees of the cluster while it waits for its turn.
mod cluster;
/// The command line.
mod command;
/// The file that the program is called with.
mod config;
/// To a directory that is mounted.
mod copy;
/// The restore drill.
mod drill;
/// What the members write into the cluster, and read there.
mod keys;
/// To another host.
mod remote;
/// One run.
mod run;
/// What is known after a run, as JSON and as metrics.
mod status;
/// The snapshots in the directory.
mod stored;
/// From this member into the directory, and on to where copies go.
mod take;
/// Whose turn it is.
mod turn;

use ansible_protocol::Object;
use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The program's name, on which the multi-call executable dispatches.
pub const NAME: &str = "etcd-backup";

/// What the keys begin with.
pub const PREFIX: &str = "/quorum.etcd/backup/";

/// What was found, in a failure.
const FOUND: &str = "found";

/// The JSON object of these entries.
fn object(entries: Vec<(&str, Value)>) -> Value {
    let mut object = Object::new();
    for (name, value) in entries {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// A path as JSON has it.
fn path_value(path: &Path) -> Value {
    path.to_string_lossy().into()
}

/// Runs the program with the words that follow its name on the command line.
#[must_use]
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let (path, what) = match command::parse(words) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = config::Config::read(&path).and_then(|config| match what {
        command::What::Take => run::take(&config),
        command::What::Drill => drill::drill(&config),
        command::What::Newest => stored::newest(&config).and_then(|(found, missing)| {
            // What is known beside it is of use where there is none, too.
            missing.map_or(Ok(found.to_string()), |failure| Err(failure.with(FOUND, found)))
        }),
    });
    // Nothing can be done about a journal that is gone.
    match done {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if let Some(found) = failure.details.get(FOUND) {
                let _ = writeln!(std::io::stdout(), "{found}");
            }
            let _ = writeln!(std::io::stderr(), "{NAME}: {failure}");
            ExitCode::FAILURE
        }
    }
}
