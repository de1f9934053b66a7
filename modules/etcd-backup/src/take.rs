//! From this member into the directory, and on to where copies go.

use crate::cluster::Mine;
use crate::config::{Config, Destination};
use crate::{copy, object, path_value, remote, stored};
use ansible_protocol::{Entry, ErrorKind, Failure};
use etcd_ops::snapshot::Snapshot;
use etcd_ops::{clock, hex};
use etcd_snapshot::EtcdSnapshot;
use etcd_snapshot::series::Series;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The module that takes snapshots.
const SNAPSHOT: Entry = Entry::of::<EtcdSnapshot>();

/// Names the failures of a disk that does not hold what was written to it.
pub(crate) const DAMAGED: &str = "damaged";

/// What it calls as the configuration does.
const SAME: &[&str] = &["endpoints", "ca_cert", "client_cert", "client_key", "login_user", "dir", "prefix"];

/// A snapshot that is in the directory and whole, and what its copies need to know.
pub(crate) struct Taken<'a> {
    pub(crate) series: Series,
    pub(crate) path: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: &'a str,
    /// When all copies must be done.
    pub(crate) until: Instant,
}

/// Takes it, verifies it as it lies on the disk, and copies it, all of it by then. Returns the record of it.
///
/// # Errors
///
/// Those of the module, and of the copies. What is in the directory by then, stays.
pub(crate) fn take(config: &Config, mine: &Mine, begun: Timestamp, until: Instant) -> Result<Value, Failure> {
    let connection = config.connection()?;
    let series = config.series(mine.cluster_id);
    let mut options = object(vec![
        ("login_password", connection.login_password.as_ref().map(ExposeSecret::expose_secret).into()),
        ("timeout", connection.timeout.into()),
        ("dial_timeout", connection.dial_timeout.into()),
        ("cluster_name", config.label(mine.cluster_id).into()),
        ("from", "first".into()),
    ]);
    for name in SAME {
        options[*name] = config.value(name);
    }
    let mut outcome = SNAPSHOT.run(options.as_object().cloned().unwrap_or_default())?;
    let snapshot = outcome.values.shift_remove("snapshot").unwrap_or_default();
    let path = PathBuf::from(snapshot["path"].as_str().unwrap_or_default());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let found = check(&path, &snapshot["sha256"])?;
    let taken = Taken { series, path: &path, name: &name, size: found.size, sha256: &found.sha256, until };
    let mut warnings = mine.warnings.clone();
    warnings.append(&mut outcome.warnings);
    // Only now: had it been damaged, an older one would be the last good one.
    stored::rotate(config, &config.dir, &taken, &mut warnings);
    let mut copies = Vec::new();
    for destination in &config.copy_to {
        let copied = match destination {
            Destination::Directory { path, anywhere } => copy::copy(config, &taken, path, *anywhere, &mut warnings),
            Destination::Host { host, path } => remote::copy(config, &taken, host, path, &mut warnings),
        };
        copies.push(
            copied.map_err(|failure| failure.context(format_args!("{} is taken, but not copied", path.display())))?,
        );
    }
    Ok(object(vec![
        ("cluster", config.cluster.as_str().into()),
        ("cluster_id", hex(mine.cluster_id).into()),
        ("member", config.member.as_str().into()),
        ("begun_at", begun.to_string().into()),
        ("taken_at", snapshot["taken_at"].clone()),
        ("finished_at", clock::now().to_string().into()),
        ("path", path_value(&path)),
        ("size", found.size.into()),
        ("sha256", found.sha256.into()),
        ("revision", found.contents.revision.into()),
        ("verified", true.into()),
        ("copies", copies.into()),
        ("warnings", warnings.into()),
    ]))
}

/// Verifies what lies on the disk. What is not what was written goes: it would pass for a snapshot.
fn check(path: &Path, sha256: &Value) -> Result<Snapshot, Failure> {
    let trouble = match stored::verify(path) {
        Ok(found) if *sha256 == found.sha256.as_str() => return Ok(found),
        Ok(found) => format!("{} is not what was written to it: its SHA-256 is {}", path.display(), found.sha256),
        Err(failure) => failure.msg,
    };
    let gone = match std::fs::remove_file(path) {
        Ok(()) => "it was deleted, and older ones are kept".to_owned(),
        Err(error) => format!("it cannot be deleted: {error}"),
    };
    let msg = format!("the snapshot was damaged on its way to the disk, {gone}: {trouble}; look at that disk");
    Err(Failure::new(ErrorKind::Io, msg).with(DAMAGED, true))
}
