//! What is noted on the host of the restore that this run belongs to.

use super::wanted::Wanted;
use ansible_protocol::{ErrorKind, Failure};
use serde_json::Value;
use std::path::Path;

/// Refuses when the note does not say, or no longer, that this restore is under way: a run that was cut off may go on after
/// another one has undone what it had begun.
pub(crate) fn check(note: Option<&Path>, wanted: &Wanted) -> Result<(), Failure> {
    let Some(path) = note else { return Ok(()) };
    let name = path.display();
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let found: Result<Value, String> =
        read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    let what = match found {
        Ok(noted) if noted["phase"] == "restoring" && noted["token"] == wanted.token => return Ok(()),
        Ok(noted) => format!("says {} of {}", noted["phase"], noted["token"]),
        Err(cause) => format!("cannot be read ({cause})"),
    };
    let msg = format!(
        "{} is left alone: {name} {what}, and not that the restore {} is under way, so another run has undone or finished it; \
         nothing was changed; to restore all the same, run ./etcd-restore.yml again",
        wanted.data_dir.display(),
        wanted.token
    );
    Err(Failure::new(ErrorKind::Conflict, msg))
}
