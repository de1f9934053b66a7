//! Where a restore takes place: a directory beside its target, `.NAME.quorum-restore-PID-COUNT`, that nobody else can
//! look into. In it, `new` becomes the data directory.
//!
//! Whoever is going to put that in its place holds a lock on the directory, and the tool one on a file in it, for it may
//! outlive a run that is killed. A directory of which nobody holds either was left behind, and is removed by the next run.

use etcd_ops::storage::{RESTORE_MARK, restores_beside};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What the tool holds a lock on.
const TOOL: &str = "tool";

/// The directory. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Stage {
    path: PathBuf,
    lock: File,
}

impl Stage {
    /// Makes an empty one.
    pub(crate) fn create(home: &Path, name: &str) -> io::Result<Self> {
        for count in 0_u32.. {
            let path = home.join(format!(".{name}{RESTORE_MARK}{}-{count}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                // Left by another process of the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let stage = Self { lock: File::open(&path)?, path };
            match stage.lock.try_lock() {
                // Another run took it for a leftover before it was locked.
                Err(TryLockError::WouldBlock) => {}
                Ok(()) if !stage.path.exists() => {}
                // Where files cannot be locked, leftovers cannot be told and stay.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(stage),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// What becomes the target.
    pub(crate) fn new_dir(&self) -> PathBuf {
        self.path.join("new")
    }

    /// A lock for the tool to hold, which says that it works here, but not that anything is going to be put in its place.
    pub(crate) fn tool_lock(&self) -> io::Result<Stdio> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path.join(TOOL))?;
        match file.try_lock() {
            // Where files cannot be locked, leftovers cannot be told and stay.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(file.into()),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed now, the next run removes.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed runs left behind.
pub(crate) fn sweep(home: &Path, name: &str) {
    for path in restores_beside(home, name) {
        let is_free = |file: &File| file.try_lock().is_ok();
        let tool = File::open(path.join(TOOL));
        if File::open(&path).is_ok_and(|dir| is_free(&dir)) && tool.map_or(true, |tool| is_free(&tool)) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// Whom a data directory belonged to that a killed run had moved aside.
pub(crate) fn former_owner(home: &Path, name: &str) -> Option<(u32, u32)> {
    let mut new = restores_beside(home, name).into_iter().filter_map(|path| path.join("new").symlink_metadata().ok());
    new.next().map(|new| (new.uid(), new.gid()))
}

/// Gives the tree its owner and the permissions that etcd wants, and makes it durable; the directory itself comes last.
pub(crate) fn settle(path: &Path, owner: Option<(u32, u32)>, mode: u32) -> io::Result<()> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let is_dir = file.metadata()?.is_dir();
    if is_dir {
        for entry in std::fs::read_dir(path)? {
            settle(&entry?.path(), owner, 0o700)?;
        }
    }
    if let Some((user, group)) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(Permissions::from_mode(if is_dir { mode } else { 0o600 }))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_nobody_works_in_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let stage = Stage::create(home.path(), "etcd").unwrap();
        for name in [".etcd.quorum-restore-1-0", ".etcd-2.quorum-restore-1-0", "etcd"] {
            std::fs::create_dir_all(home.path().join(name).join("new/member")).unwrap();
        }
        assert!(former_owner(home.path(), "etcd").is_some());
        sweep(home.path(), "etcd");
        assert_eq!(former_owner(home.path(), "etcd"), None);
        let own = stage.path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut wanted = vec![".etcd-2.quorum-restore-1-0".to_owned(), own, "etcd".to_owned()];
        wanted.sort();
        assert_eq!(names(home.path()), wanted);
        drop(stage);
        assert_eq!(names(home.path()), [".etcd-2.quorum-restore-1-0", "etcd"]);
    }

    #[test]
    fn a_tree_is_settled_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("new");
        std::fs::create_dir_all(new.join("member/snap")).unwrap();
        std::fs::write(new.join("member/snap/db"), "x").unwrap();
        settle(&new, None, 0o750).unwrap();
        let mode = |path: &str| new.join(path).metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode(""), mode("member"), mode("member/snap/db")), (0o750, 0o700, 0o600));
        std::os::unix::fs::symlink(dir.path(), new.join("link")).unwrap();
        assert!(settle(&new, None, 0o700).is_err());
    }
}
