//! The directory that a drill takes place in. There is one in a directory of snapshots, whoever works in it holds a lock
//! on it, and what is in it when the lock was free was left by a drill that was killed.

use ansible_protocol::{ErrorKind, Failure};
use etcd_snapshot::disk;
use nix::fcntl::OFlag;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

const NAME: &str = ".quorum-drill";

/// The directory, empty when it is made. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// As long as it is open, it is locked.
    lock: File,
}

impl Scratch {
    /// Makes it in the directory of snapshots; only its owner, if not whoever runs this, can look into it.
    ///
    /// # Errors
    ///
    /// Kind `conflict` when another drill works in it, `io` when it cannot be made or emptied.
    pub(super) fn create(dir: &Path, owner: Option<(u32, u32)>) -> Result<Self, Failure> {
        disk::make_dir(dir, 0o700)?;
        let path = dir.join(NAME);
        let failed = |error: io::Error| Failure::io(format_args!("prepare {} for the drill", path.display()), error);
        loop {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(failed)?,
            }
            let flags = OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY;
            let lock = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path) {
                // Another drill has just removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock.map_err(failed)?,
            };
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let msg = format!("another drill is under way in {}: wait for it", path.display());
                    return Err(Failure::new(ErrorKind::Conflict, msg));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Ok(()) => {}
            }
            let locked = lock.metadata().map_err(failed)?;
            if path.symlink_metadata().is_ok_and(|there| there.ino() == locked.ino()) {
                let scratch = Self { path: path.clone(), lock };
                scratch.prepare(owner).map_err(failed)?;
                return Ok(scratch);
            }
        }
    }

    fn prepare(&self, owner: Option<(u32, u32)>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        self.lock.set_permissions(Permissions::from_mode(0o700))?;
        owner.map_or(Ok(()), |(user, group)| fchown(&self.lock, Some(user), Some(group)))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, with all that is in it.
    ///
    /// # Errors
    ///
    /// Kind `io`: what cannot be removed holds all of the cluster's data.
    pub(super) fn remove(self) -> Result<(), Failure> {
        std::fs::remove_dir_all(&self.path)
            .map_err(|error| Failure::io(format_args!("clean up {} after the drill", self.path.display()), error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now, the next drill removes.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_and_it_begins_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        std::fs::create_dir_all(path.join("data/member")).unwrap();
        std::fs::write(path.join("log"), "left").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let scratch = Scratch::create(dir.path(), None).unwrap();
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o700);
        let failure = Scratch::create(dir.path(), None).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Conflict);
        scratch.remove().unwrap();
        assert!(!path.exists());
        drop(Scratch::create(dir.path(), None).unwrap());
        assert!(!path.exists());
        std::os::unix::fs::symlink("/etc", &path).unwrap();
        assert!(Scratch::create(dir.path(), None).is_err(), "a link was followed");
    }
}
