//! What is on the disk.

use crate::params::Wanted;
use ansible_protocol::order;
use etcd_ops::mounts::is_mount_point;
use nix::fcntl::OFlag;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The id of a user or group that does not exist yet; no real one has it. Only in check mode.
pub(crate) const NOT_YET: u32 = u32::MAX;
/// A temporary file of a running process is not older than this.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// Owner and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

impl Attributes {
    fn of(metadata: &Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }
}

/// What there is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    Missing,
    /// A directory, or a trustworthy link to one.
    Directory(Attributes),
    /// A regular file.
    File(Attributes, Vec<u8>),
    /// Something that is in the way; says what: `is a symbolic link to /x`.
    Other(String),
}

/// What there is at every path that matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// The wanted paths and all directories above them.
    pub(crate) seen: BTreeMap<PathBuf, Seen>,
    /// Temporary files of runs that were killed.
    pub(crate) leftovers: Vec<PathBuf>,
    /// What the directories hold that shall not be there any more.
    pub(crate) holds: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// Those of them that are mount points.
    pub(crate) mount_points: BTreeSet<PathBuf>,
}

impl Disk {
    /// Looks at the wanted paths.
    pub(crate) fn observe(wanted: &Wanted) -> Self {
        let mut disk = Self::default();
        for directory in &wanted.directories {
            disk.look(&directory.path, directory.attributes.is_some());
            if directory.attributes.is_none() {
                disk.look_inside(&directory.path);
            }
            disk.look_above(&directory.path);
        }
        for file in wanted.all_files() {
            disk.look(&file.path, false);
            disk.look_above(&file.path);
            disk.leftovers.extend(leftovers(&file.path));
        }
        disk
    }

    pub(crate) fn at(&self, path: &Path) -> &Seen {
        self.seen.get(path).unwrap_or(&Seen::Missing)
    }

    fn look(&mut self, path: &Path, follow: bool) {
        let seen = look(path, follow).unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Seen::Missing,
            // Below a file there is nothing; whether that matters shows when something is to be there.
            io::ErrorKind::NotADirectory => Seen::Missing,
            _ => Seen::Other(format!("cannot be read: {error}")),
        });
        self.seen.insert(path.to_owned(), seen);
    }

    /// What cannot be listed or told apart is found out when it is removed: that removes empty directories only.
    fn look_inside(&mut self, path: &Path) {
        if let (Seen::Directory(_), Ok(entries)) = (self.at(path), std::fs::read_dir(path)) {
            self.holds.insert(path.to_owned(), order::set(entries.flatten().map(|entry| entry.path())));
        }
        if is_mount_point(path).is_ok_and(|mounted| mounted) {
            self.mount_points.insert(path.to_owned());
        }
    }

    fn look_above(&mut self, path: &Path) {
        for above in path.ancestors().skip(1) {
            if self.seen.contains_key(above) {
                break;
            }
            let seen = match std::fs::metadata(above) {
                Ok(metadata) if metadata.is_dir() => Seen::Directory(Attributes::of(&metadata)),
                Ok(_) => Seen::Other("is not a directory".into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound && !above.is_symlink() => Seen::Missing,
                Err(error) => Seen::Other(format!("cannot be read: {error}")),
            };
            self.seen.insert(above.to_owned(), seen);
        }
    }
}

/// A link is only followed to a directory, and only if whoever made it could have made the directory as well.
fn look(path: &Path, follow: bool) -> io::Result<Seen> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        let target = std::fs::read_link(path)?;
        let behind = std::fs::metadata(path).ok().filter(|_| follow && trusted(&metadata));
        return Ok(match behind {
            Some(behind) if behind.is_dir() => Seen::Directory(Attributes::of(&behind)),
            _ => Seen::Other(format!("is a symbolic link to {}", target.display())),
        });
    }
    if metadata.is_dir() {
        return Ok(Seen::Directory(Attributes::of(&metadata)));
    }
    if !metadata.is_file() {
        return Ok(Seen::Other("is neither a file nor a directory".into()));
    }
    let mut content = Vec::new();
    let mut file = open(path)?;
    file.read_to_end(&mut content)?;
    Ok(Seen::File(Attributes::of(&file.metadata()?), content))
}

fn trusted(link: &Metadata) -> bool {
    link.uid() == 0 || link.uid() == nix::unistd::geteuid().as_raw()
}

/// Opens a file, not what a link in its place points to, and without waiting for anything.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// What killed runs left beside the file: `.{name}.quorum-{pid}-{count}.tmp` of processes that are gone.
fn leftovers(path: &Path) -> Vec<PathBuf> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return Vec::new() };
    let prefix = format!(".{}.quorum-", name.to_string_lossy());
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".tmp"));
            let pid = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists() || is_old(&entry.path()))
        })
        .map(|entry| entry.path())
        .collect();
    order::sort(&mut found);
    found
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > STALE_AFTER))
}
