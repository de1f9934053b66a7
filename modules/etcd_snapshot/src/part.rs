//! A snapshot on its way: a file beside its target under another name, `.NAME.quorum-PID-COUNT.part`, that takes the
//! target's name once it is complete and on disk.
//!
//! The process that writes it holds a lock on it, which the kernel drops with the process, however that ends. So one
//! that nobody holds was left by a run that was killed, and is removed by the next.

use etcd_ops::files::{parent, sync_dir};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const MARK: &str = ".quorum-";
const END: &str = ".part";

/// The file. Dropped, it is removed.
#[derive(Debug)]
pub struct Part {
    /// The open file.
    pub file: File,
    path: PathBuf,
}

impl Part {
    /// Makes an empty one in the directory, readable and writable by its owner alone.
    ///
    /// # Errors
    ///
    /// The error of making the file.
    pub fn create(dir: &Path, name: &str) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!(".{name}{MARK}{}-{count}{END}", std::process::id()));
            let file = match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                // Left by another process of the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            let part = Self { file, path };
            match part.file.try_lock() {
                // Another run took it for a leftover before it was locked.
                Err(TryLockError::WouldBlock) => continue,
                Ok(()) if part.file.metadata()?.nlink() == 0 => continue,
                // Where files cannot be locked, leftovers cannot be told and stay.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(part),
            }
        }
    }

    /// Gives it its mode and makes it durable.
    ///
    /// # Errors
    ///
    /// The error of either.
    pub fn complete(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))?;
        self.file.sync_all()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the place of whatever has that name.
    ///
    /// # Errors
    ///
    /// The error of the rename; what had the name then still has it.
    pub fn replace(&self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, target)?;
        sync_dir(parent(target))
    }

    /// Takes that name if nothing has it; false when something does.
    pub(crate) fn place(&self, target: &Path) -> io::Result<bool> {
        match std::fs::hard_link(&self.path, target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            // Some file systems have no links.
            Err(_) if !target.try_exists()? => std::fs::rename(&self.path, target)?,
            Err(error) => return Err(error),
        }
        sync_dir(parent(target))?;
        Ok(true)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Under its own name there is nothing any more once it has replaced its target; what cannot be removed now,
        // the next run removes.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes what killed runs left in the directory.
pub fn sweep(dir: &Path) {
    // Whatever cannot be listed or removed is in nobody's way.
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_part)) {
        let Ok(file) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_part(name: &str) -> bool {
    let ids = name.strip_suffix(END).and_then(|name| name.strip_prefix('.')?.rsplit_once(MARK));
    let ids = ids.and_then(|(_, ids)| ids.split_once('-'));
    ids.is_some_and(|(pid, count)| pid.parse::<u32>().is_ok() && count.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use test_case::test_case;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test_case(".etcd-main.quorum-12-3.part", true)]
    #[test_case(".a.b.quorum-1-0.part", true)]
    #[test_case("etcd-main.quorum-12-3.part", false; "not hidden")]
    #[test_case(".etcd-main.quorum-12.part", false)]
    #[test_case(".etcd-main.part", false)]
    #[test_case(".etcd-main.quorum-12-3.db", false)]
    fn knows_its_names(name: &str, wanted: bool) {
        assert_eq!(is_part(name), wanted);
    }

    #[test]
    fn takes_its_place_only_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.db");
        drop(Part::create(dir.path(), "a.db").unwrap());
        assert!(names(dir.path()).is_empty());
        let mut part = Part::create(dir.path(), "a.db").unwrap();
        part.file.write_all(b"one").unwrap();
        part.complete(0o640).unwrap();
        assert!(part.place(&target).unwrap());
        drop(part);
        assert_eq!(std::fs::metadata(&target).unwrap().mode() & 0o7777, 0o640);
        let part = Part::create(dir.path(), "a.db").unwrap();
        assert!(!part.place(&target).unwrap(), "it was there");
        assert_eq!(std::fs::read(&target).unwrap(), b"one");
        part.replace(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
        assert_eq!(names(dir.path()), ["a.db"]);
    }

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let part = Part::create(dir.path(), "a.db").unwrap();
        let used = part.path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::write(dir.path().join(".a.db.quorum-1-0.part"), "left").unwrap();
        std::fs::write(dir.path().join(".a.db.part"), "somebody else's").unwrap();
        sweep(dir.path());
        let mut wanted = vec![".a.db.part".to_owned(), used];
        wanted.sort();
        assert_eq!(names(dir.path()), wanted);
    }
}
