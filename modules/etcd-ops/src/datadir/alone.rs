//! The mark of data that is about to go on alone, for as long as it is not known to serve so.
//!
//! It lies in the `member` directory, so that it goes wherever the data goes. etcd looks at what is beside `member` and in
//! `member/snap` and `member/wal`, and never at what else is in `member`.

use crate::files::sync_dir;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

fn mark(data_dir: &Path) -> PathBuf {
    data_dir.join("member/alone")
}

/// Whether a member's data may have become that of a lone member. A mark that cannot be looked at must not pass for none.
#[must_use]
pub fn is_marked_alone(data_dir: &Path) -> bool {
    let found = std::fs::symlink_metadata(mark(data_dir));
    !found.is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

/// Marks the data, so that a power cut does not lose the mark.
///
/// # Errors
///
/// Returns the error of writing it, such as that there is no data.
pub fn mark_alone(data_dir: &Path) -> io::Result<()> {
    let path = mark(data_dir);
    // The directory is etcd's: what it put there is not followed anywhere, and is a mark as well.
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file.sync_all()?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    sync_dir(&data_dir.join("member"))
}

/// Takes the mark away, where there is one.
///
/// # Errors
///
/// Returns the error of removing it.
pub fn unmark_alone(data_dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(mark(data_dir)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    sync_dir(&data_dir.join("member"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_there_until_it_is_taken_away() {
        let data = tempfile::tempdir().unwrap();
        assert!(mark_alone(data.path()).is_err());
        std::fs::create_dir(data.path().join("member")).unwrap();
        for _ in 0..2 {
            assert!(!is_marked_alone(data.path()));
            mark_alone(data.path()).unwrap();
            mark_alone(data.path()).unwrap();
            assert!(is_marked_alone(data.path()));
            unmark_alone(data.path()).unwrap();
            unmark_alone(data.path()).unwrap();
        }
        // Whatever lies there is a mark.
        std::os::unix::fs::symlink("/nonexistent", data.path().join("member/alone")).unwrap();
        assert!(is_marked_alone(data.path()));
        mark_alone(data.path()).unwrap();
        assert!(!Path::new("/nonexistent").exists());
    }
}
