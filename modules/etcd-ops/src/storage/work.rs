//! Where a restore takes place: a directory beside its target, `.NAME.quorum-restore-PID-COUNT`. Whoever makes data in it
//! and is going to put it in its place holds the lock on it.

use super::observe::{Place, Seen};
use super::users::processes_with;
use crate::files::parent;
use ansible_protocol::{ErrorKind, Failure, order};
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What follows the target's name in theirs.
pub const RESTORE_MARK: &str = ".quorum-restore-";

impl Place {
    /// The directory on the target's file system to work in, and the name to go by there: its own, or `inside` where it
    /// has to stay and only what is in it moves.
    #[must_use]
    pub fn home(&self, inside: &str) -> (PathBuf, String) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if self.fixed { (self.path.clone(), inside.to_owned()) } else { (parent(&self.path).to_owned(), name) }
    }
}

/// The directories in which data of that name is made, or was.
#[must_use]
pub fn restores_beside(home: &Path, name: &str) -> Vec<PathBuf> {
    let start = format!(".{name}{RESTORE_MARK}");
    // What cannot be listed is in nobody's way.
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let paths = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&start)));
    paths.map(|entry| entry.path()).collect()
}

/// Refuses while a restore into these directories is at work, as that of a run that was cut off may be: it is going to
/// replace what is there now, whatever that is.
///
/// # Errors
///
/// Kind `conflict`, naming the processes where they can be told.
pub fn refuse_restore_at_work(seen: &Seen) -> Result<(), Failure> {
    let homes = [Some(seen.data.home("member")), seen.wal.as_ref().map(|wal| wal.home("wal"))];
    let places = homes.into_iter().flatten().flat_map(|(home, name)| restores_beside(&home, &name));
    // Where files cannot be locked, it cannot be told.
    let is_locked = |dir: &File| matches!(dir.try_lock(), Err(TryLockError::WouldBlock));
    let mut at_work =
        places.filter_map(|path| Some((File::open(&path).ok().filter(is_locked)?.metadata().ok()?, path)));
    let Some((metadata, path)) = at_work.next() else { return Ok(()) };
    let who = processes_with(&order::set([(metadata.dev(), metadata.ino())]));
    let who = if who.is_empty() { "a process that cannot be seen from here".to_owned() } else { who.join(", ") };
    let msg = format!(
        "{} is left alone: a restore into it is still at work in {}, as of a run that was cut off: {who}; wait until that \
         has ended, or end it, and run it again",
        seen.data.path.display(),
        path.display()
    );
    Err(Failure::new(ErrorKind::Conflict, msg))
}
