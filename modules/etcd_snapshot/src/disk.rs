//! The host's side: the target before anything is written, directories, room, and the series in a directory.

use crate::series::{Entry, Series};
use ansible_protocol::{ErrorKind, Failure, order};
use etcd_ops::files::{parent, sync_dir};
use etcd_ops::snapshot::is_other_file;
use nix::sys::statvfs::statvfs;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Refuses to replace anything but a snapshot.
pub(crate) fn check_file(path: &Path) -> Result<(), Failure> {
    let name = path.display();
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if is_missing(&error) => return check_dir(parent(path)),
        metadata => metadata.map_err(|error| Failure::io(format_args!("look at {name}"), error))?,
    };
    let refuse = |what: &str| {
        Err(Failure::new(ErrorKind::Conflict, format!("cannot save to {name}: it {what}; nothing was saved")))
    };
    if metadata.is_dir() {
        return refuse("is a directory: give it as dir, or a file in it as path");
    }
    if metadata.is_symlink() {
        return refuse("is a symbolic link: give the path it points to");
    }
    if !metadata.is_file() || is_other_file(path).map_err(|error| Failure::io(format_args!("look at {name}"), error))? {
        return refuse("is there already and is no snapshot: choose another path, or remove it");
    }
    Ok(())
}

/// Whether nothing has that path, also because a file is where a directory would have to be.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Refuses a directory that is something else.
pub(crate) fn check_dir(dir: &Path) -> Result<(), Failure> {
    let missing = |path: &&Path| std::fs::metadata(path).is_err_and(|error| is_missing(&error));
    let Some(there) = dir.ancestors().find(|path| !missing(path)) else { return Ok(()) };
    match std::fs::metadata(there) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => {
            let msg =
                format!("cannot save into {}: {} is no directory; nothing was saved", dir.display(), there.display());
            Err(Failure::new(ErrorKind::Conflict, msg))
        }
        Err(error) => Err(Failure::io(format_args!("look at {}", there.display()), error)),
    }
}

/// Makes the directory where it is missing, with these permissions, and what is missing above it as usual.
///
/// # Errors
///
/// Kind `io`, with the directory that cannot be made.
pub fn make_dir(dir: &Path, mode: u32) -> Result<(), Failure> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|path| !path.exists()).collect();
    for path in missing.into_iter().rev() {
        let mode = if path == dir { mode } else { 0o755 };
        let made = DirBuilder::new().mode(mode).create(path).and_then(|()| sync_dir(parent(path)));
        match made {
            // Another run was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| Failure::io(format_args!("make the directory {}", path.display()), error))?,
        }
    }
    Ok(())
}

/// The directory, or the nearest one above it that is there.
pub(crate) fn nearest(dir: &Path) -> &Path {
    dir.ancestors().find(|path| path.exists()).unwrap_or(dir)
}

/// What is left free: etcd itself may write to the same file system, and ends when it cannot make the next file of its
/// log, which takes 64 MB.
const RESERVE: u64 = 256 << 20;

/// Refuses when the file system has no room for so many bytes, which `what` takes, and some to spare. The directory may
/// be missing.
///
/// # Errors
///
/// Kind `io`, with the bytes that it takes and those that are free.
pub fn check_room(dir: &Path, size: u64, what: &str, next: &str) -> Result<(), Failure> {
    let there = nearest(dir);
    let room = statvfs(there).map_err(|error| Failure::io(format_args!("look at {}", there.display()), error))?;
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    // A small file system is for this alone.
    let spare = RESERVE.min(room.blocks().saturating_mul(room.fragment_size()) / 20);
    // Some file systems do not tell.
    if room.blocks() == 0 || free >= size.saturating_add(spare) {
        return Ok(());
    }
    let dir = dir.display();
    let msg = format!(
        "there is no room in {dir}: {what} takes {size} bytes, {spare} are to stay free for etcd, and {free} are free; \
         make room{next}"
    );
    Err(Failure::new(ErrorKind::Io, msg))
}

/// The snapshots of the series that are in the directory, newest first. None in one that is missing.
///
/// # Errors
///
/// Kind `io` when the directory cannot be listed.
pub fn entries(dir: &Path, series: &Series) -> Result<Vec<Entry>, Failure> {
    let listing = match std::fs::read_dir(dir) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        listing => listing.map_err(|error| Failure::io(format_args!("list {}", dir.display()), error))?,
    };
    let files = listing.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut found: Vec<Entry> = files.filter_map(|entry| series.entry(entry.file_name().to_str()?)).collect();
    order::sort_by(&mut found, |a, b| b.cmp(a));
    Ok(found)
}
