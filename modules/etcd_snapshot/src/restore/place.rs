//! Where a restored member goes, and how it gets there.

use super::stage::{Stage, former_owner, settle, sweep};
use super::tool::Tool;
use super::wanted::Wanted;
use crate::disk;
use ansible_protocol::Failure;
use etcd_ops::datadir::{self, DataDir};
use etcd_ops::files::{parent, repair, sync_dir};
use etcd_ops::snapshot::read_revision;
use etcd_ops::storage::{Place, Seen};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The first file of a log and the second one, which is made ahead.
const LOG: u64 = 2 * 64_000_000;
/// Other files, and what a database may grow by.
const MORE: u64 = 32 << 20;

/// Where it goes.
pub(crate) struct Target<'a> {
    data: &'a Place,
    log: Log<'a>,
}

/// Where the log goes.
enum Log<'a> {
    /// Into the `member` directory.
    Inside,
    /// Into the data directory, as this.
    Below(&'a Path),
    /// Elsewhere.
    Apart(&'a Place),
}

/// What was made, in the place where that was done.
pub(crate) struct Made {
    data: Stage,
    log: Option<Stage>,
    owner: Option<(u32, u32)>,
    pub(crate) revision: i64,
}

/// Permissions that are there, or else those that etcd wants.
fn mode(place: &Place) -> u32 {
    place.path.metadata().map_or(0o700, |metadata| metadata.mode() & 0o7777)
}

impl<'a> Target<'a> {
    pub(crate) fn of(seen: &'a Seen) -> Self {
        let log = seen.wal.as_ref().map_or(Log::Inside, |wal| match wal.path.strip_prefix(&seen.data.path) {
            Ok(below) if !wal.fixed => Log::Below(below),
            _ => Log::Apart(wal),
        });
        Self { data: &seen.data, log }
    }

    /// Where a log is made that goes elsewhere.
    fn home_of_log(&self) -> Option<(PathBuf, String)> {
        if let Log::Apart(wal) = self.log { Some(wal.home("wal")) } else { None }
    }

    /// The revision of the database that is there; none while it cannot be told.
    pub(crate) fn revision(&self) -> Option<i64> {
        File::open(self.data.path.join("member/snap/db")).ok().and_then(|db| read_revision(&db).ok())
    }

    /// Removes what killed runs left behind.
    pub(crate) fn sweep(&self) {
        for (home, name) in [Some(self.data.home("member")), self.home_of_log()].into_iter().flatten() {
            sweep(&home, &name);
        }
    }

    /// Refuses when there is no room for a database of that size and its log, and for the file where it is still to come.
    pub(crate) fn check_room(&self, database: u64, file: Option<&Path>) -> Result<(), Failure> {
        let (data, _) = self.data.home("member");
        let log = self.home_of_log().map_or_else(|| data.clone(), |(log, _)| log);
        let (what, file) = match file {
            Some(file) => ("the member's data with a copy of the snapshot", Some((parent(file).to_owned(), database))),
            None => ("the member's data", None),
        };
        let all: Vec<(PathBuf, u64)> = [(data, database + MORE), (log, LOG)].into_iter().chain(file).collect();
        let device = |dir: &Path| disk::nearest(dir).metadata().map(|metadata| metadata.dev()).ok();
        for (dir, _) in &all {
            let beside = all.iter().filter(|(other, _)| device(other) == device(dir));
            let size = beside.map(|(_, size)| size).sum();
            disk::check_room(dir, size, what, ", or restore elsewhere; nothing was changed")?;
        }
        Ok(())
    }

    /// Restores beside the target.
    pub(crate) fn make(&self, wanted: &Wanted, tool: &Tool, path: &Path, sealed: bool) -> Result<Made, Failure> {
        let data_dir = wanted.data_dir.display();
        let failed = |error: io::Error| {
            Failure::io(format_args!("restore beside {data_dir}"), format_args!("{error}; nothing was changed"))
        };
        let begin = |(home, name): (PathBuf, String)| {
            disk::make_dir(&home, 0o755)?;
            let stage = Stage::create(&home, &name).map_err(failed)?;
            sweep(&home, &name);
            Ok::<Stage, Failure>(stage)
        };
        let home = self.data.home("member");
        let owner = wanted.owner.or_else(|| self.data.path.metadata().ok().map(|found| (found.uid(), found.gid())));
        let owner = owner.or_else(|| former_owner(&home.0, &home.1));
        let data = begin(home)?;
        let log = self.home_of_log().map(begin).transpose()?;
        let new = data.new_dir();
        let wal = match self.log {
            Log::Below(below) => Some(new.join(below)),
            _ => log.as_ref().map(Stage::new_dir),
        };
        tool.restore(wanted, path, sealed, (&new, wal.as_deref()), data.tool_lock().map_err(failed)?)?;
        let tool = tool.path.display();
        match datadir::observe(&new, wal.as_deref()) {
            DataDir::Member(identity) if wanted.is(&identity) => {}
            found => {
                let wanted = wanted.identity();
                let what =
                    format!("{tool} made {found} of initial_cluster, not of {wanted}: write its URLs as etcd does");
                return Err(failed(io::Error::other(what)));
            }
        }
        let revision = File::open(new.join("member/snap/db")).map_err(failed)?;
        let revision = read_revision(&revision).map_err(|damage| {
            failed(io::Error::other(format!("the database that {tool} made is damaged: {damage}")))
        })?;
        settle(&new, owner, mode(self.data)).map_err(failed)?;
        if let (Log::Apart(place), Some(wal)) = (&self.log, &wal) {
            settle(wal, owner, mode(place)).map_err(failed)?;
            if place.path.exists() {
                repair(&place.path, wanted.owner, None).map_err(failed)?;
            }
        }
        Ok(Made { data, log, owner: wanted.owner, revision })
    }
}

impl Made {
    /// Puts it into its place, which is free.
    pub(crate) fn put(&self, target: &Target<'_>) -> io::Result<()> {
        let (new, path) = (self.data.new_dir(), &target.data.path);
        if path.exists() {
            repair(path, self.owner, None)?;
            std::fs::rename(new.join("member"), path.join("member"))?;
            sync_dir(path)?;
            if let Log::Below(below) = target.log {
                let first = below.iter().next().unwrap_or_default();
                put_log(&new.join(first), &path.join(first))?;
            }
        } else {
            std::fs::rename(&new, path)?;
            sync_dir(parent(path))?;
        }
        match (&target.log, &self.log) {
            (Log::Apart(wal), Some(log)) => put_log(&log.new_dir(), &wal.path),
            _ => Ok(()),
        }
    }
}

/// Renames a directory, or what is in it where there is one of its name already. Nothing else is replaced.
fn put_log(from: &Path, to: &Path) -> io::Result<()> {
    if !to.exists() {
        std::fs::rename(from, to)?;
        return sync_dir(parent(to));
    }
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        put_log(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}
