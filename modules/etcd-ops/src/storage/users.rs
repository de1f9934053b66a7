//! Who uses the data.

use super::observe::Seen;
use super::work::refuse_restore_at_work;
use ansible_protocol::{ErrorKind, Failure, order};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The proof that nobody uses the data or is about to replace it, and that no etcd starts to as long as this lives: the lock on the database
/// that etcd takes as well.
pub struct Guard {
    _database: Option<Flock<File>>,
}

impl Guard {
    /// Looks for users and takes the lock.
    ///
    /// # Errors
    ///
    /// Kind `conflict`, naming the processes where they can be told.
    pub fn take(seen: &Seen) -> Result<Self, Failure> {
        refuse_restore_at_work(seen)?;
        let data_dir = seen.data.path.display();
        let member = seen.data.path.join("member");
        let wal = seen.wal.as_ref().map(|wal| wal.path.clone());
        let files = order::set([Some(member.clone()), wal].into_iter().flatten().flat_map(files));
        let users = processes_with(&files);
        let refused = |who: &str| {
            let msg = format!("{data_dir} is left alone: {who}; stop that first, and run it again");
            Err(Failure::new(ErrorKind::Conflict, msg))
        };
        if !users.is_empty() {
            return refused(&format!("it is in use by {}", users.join(", ")));
        }
        match lock(&member.join("snap/db")) {
            Ok(database) => Ok(Self { _database: database }),
            // A process that cannot be seen from here, as one of another container.
            Err(error) if error.raw_os_error() == Some(Errno::EWOULDBLOCK as i32) => {
                refused("a process that cannot be seen from here holds the lock on its database")
            }
            Err(error) => Err(Failure::io(format_args!("lock the database in {data_dir}"), error)),
        }
    }
}

/// The lock on a file; none where there is no such file.
fn lock(path: &Path) -> io::Result<Option<Flock<File>>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file?,
    };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map(Some).map_err(|(_, errno)| errno.into())
}

/// Device and number of every file below the directory; what cannot be looked at has none.
fn files(directory: PathBuf) -> Vec<(u64, u64)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(files(entry.path())),
            Ok(metadata) => found.push((metadata.dev(), metadata.ino())),
            Err(_) => {}
        }
    }
    found
}

/// What a process is called.
fn name(process: &Path) -> Option<String> {
    let name = std::fs::read_to_string(process.join("comm")).ok()?.trim().to_owned();
    // Modules are run from a file that is called by its digest, of which the kernel keeps the beginning.
    let is_module = name.len() == 15 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    Some(words.split('\0').nth(1).filter(|word| is_module && !word.is_empty()).map_or(name, ToOwned::to_owned))
}

/// The processes that have one of the files open, as `etcd (process 42)`. Only root sees those of others.
pub(super) fn processes_with(files: &BTreeSet<(u64, u64)>) -> Vec<String> {
    if files.is_empty() {
        return Vec::new();
    }
    let has_one_open = |process: &Path| {
        let Ok(open) = std::fs::read_dir(process.join("fd")) else { return false };
        open.flatten().any(|file| {
            std::fs::metadata(file.path()).is_ok_and(|metadata| files.contains(&(metadata.dev(), metadata.ino())))
        })
    };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let processes = entries.flatten().filter_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let process = entry.path();
        let name = name(&process)?;
        has_one_open(&process).then(|| format!("{name} (process {id})"))
    });
    processes.collect()
}
