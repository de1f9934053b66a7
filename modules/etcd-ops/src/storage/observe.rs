//! What is on the disk.

use crate::datadir::{self, DataDir};
use crate::files::parent;
use crate::mounts::is_mount_point;
use ansible_protocol::{ErrorKind, Failure};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A directory that etcd was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where it really is.
    pub path: PathBuf,
    /// Whether it is there at all.
    pub exists: bool,
    /// Whether it has to stay: a mount point, or behind a symbolic link.
    pub fixed: bool,
    /// The names in it.
    pub names: BTreeSet<String>,
    /// The names beside it.
    pub beside: BTreeSet<String>,
}

/// What there is.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The data directory.
    pub data: Place,
    /// Where the log is, when it is not inside the `member` directory.
    pub wal: Option<Place>,
    /// Whose data it is.
    pub identity: DataDir,
}

impl Seen {
    /// Looks at the directories.
    ///
    /// # Errors
    ///
    /// Refuses paths that no member can have its data in, and data that reaches beyond its directory: a symbolic link
    /// or a mount point inside of it.
    pub fn observe(data_dir: &Path, wal_dir: Option<&Path>) -> Result<Self, Failure> {
        let data = Place::observe("data_dir", data_dir)?;
        let member = data.path.join("member");
        let wal = wal_dir.map(|path| Place::observe("wal_dir", path)).transpose()?;
        let wal = wal.filter(|wal| !wal.path.starts_with(&member));
        if let Some(wal) = wal.as_ref().filter(|wal| data.path.starts_with(&wal.path)) {
            let msg = format!("data_dir {} must not lie in wal_dir {}", data.path.display(), wal.path.display());
            return Err(Failure::invalid_option(msg));
        }
        if data.names.contains("member") {
            refuse_ways_out(&member)?;
        }
        let log = wal.as_ref().map(|wal| wal.path.as_path());
        let identity = match (datadir::observe(&data.path, log), log) {
            (DataDir::Absent, Some(log)) if !data.names.contains("member") => datadir::observe_log(log),
            (identity, _) => identity,
        };
        Ok(Self { data, wal, identity })
    }
}

impl Place {
    fn observe(option: &str, given: &Path) -> Result<Self, Failure> {
        let given: PathBuf = given.components().collect();
        let parts = given.components().any(|part| part == Component::ParentDir);
        if !given.is_absolute() || parts || given.parent().is_none() {
            let msg = format!("{option} must be an absolute path without .. and not /, got {}", given.display());
            return Err(Failure::invalid_option(msg));
        }
        let failed = |error: io::Error| Failure::io(format_args!("look at {option} {}", given.display()), error);
        let found = match std::fs::symlink_metadata(&given) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let beside = names(parent(&given)).unwrap_or_default();
                return Ok(Self { path: given, beside, ..Self::default() });
            }
            found => found.map_err(failed)?,
        };
        let refused = |what: &str| {
            let msg = format!("{option} {} {what}: nothing was touched; name the directory itself", given.display());
            Err(Failure::new(ErrorKind::Conflict, msg))
        };
        // Whoever made the link could have made the directory as well.
        if found.is_symlink() && found.uid() != 0 && found.uid() != nix::unistd::geteuid().as_raw() {
            return refused("is a symbolic link that does not belong to root");
        }
        let path = match given.canonicalize() {
            Err(error) if found.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                return refused("is a symbolic link that leads nowhere");
            }
            path => path.map_err(failed)?,
        };
        if !path.is_dir() {
            return refused("is not a directory");
        }
        if path.parent().is_none() {
            return refused("is a symbolic link to /");
        }
        let names = names(&path).map_err(failed)?;
        let beside = self::names(parent(&path)).map_err(failed)?;
        let fixed = found.is_symlink() || is_mount_point(&path).map_err(failed)?;
        Ok(Self { path, exists: true, fixed, names, beside })
    }
}

fn names(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory)? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// What is deleted or moved has to be one tree on one file system.
fn refuse_ways_out(directory: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("look at {}", directory.display()), error);
    let refused = |what: &str| {
        let msg = format!("{} {what}: nothing was touched; put that right by hand first", directory.display());
        Err(Failure::new(ErrorKind::Conflict, msg))
    };
    if directory.is_symlink() {
        return refused("is a symbolic link");
    }
    if !directory.is_dir() {
        return refused("is not a directory");
    }
    if is_mount_point(directory).map_err(failed)? {
        return refused("is a mount point inside of the data");
    }
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            refuse_ways_out(&entry.path())?;
        }
    }
    Ok(())
}
