//! The snapshots in the directory.

use crate::config::Config;
use crate::take::Taken;
use crate::{object, path_value, status};
use ansible_protocol::{ErrorKind, Failure, order};
use etcd_ops::clock;
use etcd_ops::snapshot::{self, Snapshot};
use etcd_snapshot::disk;
use etcd_snapshot::series::{Entry, Series};
use jiff::Timestamp;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How far clocks may differ, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// Verifies the file as it lies on the disk, not as it is in memory.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn verify(path: &Path) -> Result<Snapshot, Failure> {
    if let Ok(file) = File::open(path) {
        // Where that cannot be had, what is in memory is verified.
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
    snapshot::verify(path, false)
}

/// Deletes what is no longer wanted in a directory that holds the snapshot, which is known to be whole there. What
/// cannot be deleted is only told.
pub(crate) fn rotate(config: &Config, dir: &Path, taken: &Taken<'_>, warnings: &mut Vec<String>) {
    let entries = disk::entries(dir, &taken.series).unwrap_or_else(|failure| {
        warnings.push(failure.msg);
        Vec::new()
    });
    for old in config.retention.expired(&entries, taken.name, clock::now()) {
        let path = dir.join(old);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warnings.push(format!("cannot delete the old snapshot {}: {error}", path.display()));
            }
            _ => {}
        }
    }
}

/// A snapshot, and the first digits of the id of the cluster that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    cluster_id: String,
    entry: Entry,
}

/// The snapshots of all clusters with the name, newest first. Those from a clock that ran ahead come last.
fn entries(config: &Config) -> Result<Vec<Stored>, Failure> {
    let start = format!("{}-{}-", config.prefix, config.cluster);
    let names: Vec<String> = match std::fs::read_dir(&config.dir) {
        Ok(listing) => listing.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Failure::io(format_args!("list {}", config.dir.display()), error)),
    };
    let ids: BTreeSet<&str> = names.iter().filter_map(|name| cluster_id(name.strip_prefix(&start)?)).collect();
    let mut found = Vec::new();
    for id in ids {
        let series = Series::new(&config.prefix, &format!("{}-{id}", config.cluster));
        let entries = disk::entries(&config.dir, &series)?;
        found.extend(entries.into_iter().map(|entry| Stored { cluster_id: id.to_owned(), entry }));
    }
    let now = clock::now();
    order::sort_by(&mut found, |a, b| (is_ahead(a, now), &b.entry).cmp(&(is_ahead(b, now), &a.entry)));
    Ok(found)
}

/// The digits that a name goes on with.
fn cluster_id(rest: &str) -> Option<&str> {
    let (id, _) = rest.split_once('-')?;
    let is_digit = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    (id.len() == 8 && id.bytes().all(is_digit)).then_some(id)
}

fn is_ahead(stored: &Stored, now: Timestamp) -> bool {
    stored.entry.taken.as_second() > now.as_second().saturating_add(DAY)
}

/// A snapshot that is whole.
pub(crate) struct Whole {
    pub(crate) path: PathBuf,
    pub(crate) taken_at: Timestamp,
    pub(crate) snapshot: Snapshot,
    /// The first digits of the id of the cluster that it is of.
    cluster_id: String,
}

/// What is found where the newest one that is whole is looked for.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) newest: Option<Whole>,
    /// What is wrong with those that are newer.
    pub(crate) damaged: Vec<String>,
    /// Those whose names have a time to come.
    ahead: Vec<String>,
    /// The newest ones of other clusters with that name, unverified.
    others: Vec<Value>,
}

/// Looks for the newest snapshot that is whole.
///
/// # Errors
///
/// When the directory cannot be read.
pub(crate) fn find(config: &Config) -> Result<Found, Failure> {
    let (mut found, now) = (Found::default(), clock::now());
    let entries = entries(config)?;
    let path = |stored: &Stored| config.dir.join(&stored.entry.name);
    for stored in &entries {
        match verify(&path(stored)) {
            Ok(snapshot) => {
                let (taken_at, cluster_id) = (stored.entry.taken, stored.cluster_id.clone());
                found.newest = Some(Whole { path: path(stored), taken_at, snapshot, cluster_id });
                break;
            }
            Err(failure) => found.damaged.push(failure.msg),
        }
    }
    let ahead = entries.iter().filter(|stored| is_ahead(stored, now));
    found.ahead = ahead.map(|stored| path(stored).to_string_lossy().into_owned()).collect();
    let mut seen = vec![found.newest.as_ref().map_or("", |newest| newest.cluster_id.as_str())];
    for stored in &entries {
        if !seen.contains(&stored.cluster_id.as_str()) {
            seen.push(&stored.cluster_id);
            found.others.push(object(vec![
                ("cluster_id", stored.cluster_id.as_str().into()),
                ("path", path_value(&path(stored))),
                ("taken_at", stored.entry.taken.to_string().into()),
            ]));
        }
    }
    Ok(found)
}

/// The newest snapshot that is whole, and all that speaks against it: what is wrong with newer ones, those from a clock
/// that ran ahead, those of other clusters with that name, and the last backup that this host knows of.
///
/// # Errors
///
/// When the directory cannot be read; and beside the rest, when there is none.
pub(crate) fn newest(config: &Config) -> Result<(Value, Option<Failure>), Failure> {
    let Found { newest, damaged, ahead, others } = find(config)?;
    let mut value = object(vec![("path", Value::Null)]);
    let mut missing = None;
    if let Some(Whole { path, taken_at, snapshot, cluster_id }) = newest {
        value = object(vec![
            ("path", path_value(&path)),
            ("size", snapshot.size.into()),
            ("sha256", snapshot.sha256.into()),
            ("revision", snapshot.contents.revision.into()),
            ("taken_at", taken_at.to_string().into()),
            ("cluster_id", cluster_id.into()),
        ]);
    } else {
        let mut msg = format!("{} holds no snapshot of cluster {} that is whole", config.dir.display(), config.cluster);
        if !damaged.is_empty() {
            msg = format!("{msg}: {}", damaged.join("; "));
        }
        missing = Some(Failure::new(ErrorKind::Conflict, msg));
    }
    value["damaged"] = damaged.into();
    value["ahead"] = ahead.into();
    value["others"] = others.into();
    value["last"] = status::read(config)["last"].clone();
    Ok((value, missing))
}

#[cfg(test)]
mod tests {
    use super::cluster_id;
    use test_case::test_case;

    #[test_case("0a1b2c3d-20260102T030405Z-7.db", Some("0a1b2c3d"))]
    #[test_case("2-0a1b2c3d-20260102T030405Z-7.db", None; "another cluster")]
    #[test_case("0A1B2C3D-20260102T030405Z-7.db", None; "written otherwise")]
    #[test_case("0a1b2c3d4-20260102T030405Z-7.db", None; "longer")]
    #[test_case("20260102T030405Z-7.db", None; "without")]
    fn reads_ids(rest: &str, wanted: Option<&str>) {
        assert_eq!(cluster_id(rest), wanted);
    }
}
