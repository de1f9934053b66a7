//! `saved`: from a member into a file.

use crate::disk;
use crate::params::{Params, Place, Wanted};
use crate::part::{Part, sweep};
use crate::series::{Entry, Series};
use crate::source::Source;
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Outcome};
use etcd_ops::clock;
use etcd_ops::connection::Session;
use etcd_ops::files::{parent, sync_dir};
use etcd_ops::hex;
use etcd_ops::snapshot::{Contents, Damage, Patience, SEAL_LENGTH, Sink, Streamed, read_contents, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A member that serves does not stay silent so long in the middle of a snapshot.
const SILENCE: Duration = Duration::from_secs(30);

pub(crate) async fn save(params: &Params, context: &Context) -> Result<Outcome, Failure> {
    let wanted = params.wanted()?;
    match &wanted.place {
        Place::File(path) => disk::check_file(path)?,
        Place::Dir { dir, .. } => disk::check_dir(dir)?,
    }
    let session = Session::new(&params.connection)?;
    let source = Source::find(params, &session).await?;
    let target = Target::of(&wanted, &source);
    let before = target.names()?;
    if context.check_mode {
        return predict(&wanted, &source, &target, before);
    }
    let begin = Instant::now();
    let taken = clock::now();
    disk::make_dir(&target.dir, 0o700)?;
    sweep(&target.dir);
    let patience = Patience { deadline: session.deadline(), silence: SILENCE };
    let fetched = Fetched::fetch(&source, &target, wanted.mode, patience).await?;
    let name = fetched.place(&target, taken)?;
    let path = target.dir.join(&name);
    let mut snapshot = json!({
        "path": path,
        "size": fetched.streamed.size,
        "sha256": fetched.streamed.sha256,
        "revision": fetched.contents.revision,
        "total_keys": fetched.contents.total_keys,
        "cluster_version": fetched.contents.cluster_version,
    });
    extend(&mut snapshot, source.to_value());
    snapshot["taken_at"] = taken.to_string().into();
    snapshot["duration_seconds"] = ((begin.elapsed().as_secs_f64() * 1000.0).round() / 1000.0).into();
    let mut outcome = Outcome::new(true).with("snapshot", snapshot);
    source.doubts().into_iter().for_each(|doubt| outcome.warn(doubt));
    let expired = target.expired(&wanted, &name)?;
    let deleted = delete(&target.dir, expired, &mut outcome);
    report(&target, &before, &name, deleted, &mut outcome);
    Ok(outcome)
}

/// Where the file goes.
struct Target {
    dir: PathBuf,
    /// What the file is called, or what its name begins with.
    stem: String,
    /// None for a file with a given name.
    series: Option<Series>,
}

impl Target {
    fn of(wanted: &Wanted, source: &Source) -> Self {
        match &wanted.place {
            Place::File(path) => {
                let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                Self { dir: parent(path).to_owned(), stem, series: None }
            }
            Place::Dir { dir, prefix, cluster_name } => {
                let cluster = cluster_name.clone().unwrap_or_else(|| hex(source.cluster_id));
                let series = Some(Series::new(prefix, &cluster));
                Self { dir: dir.clone(), stem: format!("{prefix}-{cluster}"), series }
            }
        }
    }

    /// What is there that the run may change, newest first.
    fn names(&self) -> Result<Vec<String>, Failure> {
        match &self.series {
            Some(_) => Ok(self.entries()?.into_iter().map(|entry| entry.name).collect()),
            None => Ok(self.dir.join(&self.stem).exists().then(|| self.stem.clone()).into_iter().collect()),
        }
    }

    fn entries(&self) -> Result<Vec<Entry>, Failure> {
        self.series.as_ref().map_or_else(|| Ok(Vec::new()), |series| disk::entries(&self.dir, series))
    }

    /// What is no longer wanted once the file of that name is there.
    fn expired(&self, wanted: &Wanted, name: &str) -> Result<Vec<String>, Failure> {
        let mut entries = self.entries()?;
        let new = self.series.as_ref().and_then(|series| series.entry(name));
        entries.extend(new.filter(|new| !entries.contains(new)));
        Ok(wanted.retention.expired(&entries, name, clock::now()))
    }

    fn failure(&self, what: &str, error: &io::Error) -> Failure {
        let next = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room there, or save elsewhere",
            io::ErrorKind::ReadOnlyFilesystem => "; mount that file system for writing, or save elsewhere",
            io::ErrorKind::PermissionDenied => "; run as root (become: true)",
            _ => "",
        };
        let dir = self.dir.display();
        Failure::io(format_args!("{what} in {dir}"), format_args!("{error}{next}; nothing was saved"))
    }
}

/// A snapshot that is complete and on disk, but not yet under its name.
struct Fetched {
    part: Part,
    streamed: Streamed,
    contents: Contents,
}

impl Fetched {
    async fn fetch(source: &Source, target: &Target, mode: u32, patience: Patience) -> Result<Self, Failure> {
        let part = Part::create(&target.dir, &target.stem).map_err(|error| target.failure("make a file", &error))?;
        let mut sink = ToDisk { part: &part, target };
        let streamed = stream(&source.client, patience, &mut sink).await?;
        // While the disk takes what is in memory, that can be read.
        let (written, contents) = thread::scope(|scope| {
            let written = scope.spawn(|| part.complete(mode));
            let contents = read_contents(&part.file);
            (written.join(), contents)
        });
        let written = written.map_err(|_| Failure::new(ErrorKind::Internal, "writing the snapshot failed"))?;
        written.map_err(|error| target.failure("write the snapshot", &error))?;
        let contents = contents.map_err(|damage| damaged(source, target, damage))?;
        if contents.revision < source.revision {
            let msg = format!(
                "the snapshot of {} is of revision {}, but the member was at {} before: take it from another member",
                source.label(),
                contents.revision,
                source.revision
            );
            return Err(Failure::new(ErrorKind::Conflict, msg));
        }
        Ok(Self { part, streamed, contents })
    }

    /// Puts the file under its name, which nothing else has.
    fn place(&self, target: &Target, taken: Timestamp) -> Result<String, Failure> {
        let place = |name: &str| {
            let path = target.dir.join(name);
            let placed =
                if target.series.is_some() { self.part.place(&path) } else { self.part.replace(&path).map(|()| true) };
            placed.map_err(|error| target.failure("put the snapshot in its place", &error))
        };
        let Some(series) = &target.series else {
            place(&target.stem)?;
            return Ok(target.stem.clone());
        };
        // Another run may be as quick, and take the name.
        for _ in 0..10 {
            let time = Series::free_time(&target.entries()?, taken);
            let name = series.name(time, self.contents.revision);
            if place(&name)? {
                return Ok(name);
            }
        }
        let dir = target.dir.display();
        let msg =
            format!("other runs save into {dir} all the time, and no name is free; nothing was saved; run it again");
        Err(Failure::new(ErrorKind::Conflict, msg))
    }
}

/// The SHA-256 fits, so this is how the member's own database is.
fn damaged(source: &Source, target: &Target, damage: Damage) -> Failure {
    match damage {
        Damage::Io(error) => target.failure("read the snapshot", &error),
        Damage::Structure(what) => {
            let member = source.label();
            let msg = format!(
                "the database of {member} is damaged: {what}; nothing was saved; take the snapshot from another member \
                 (from: follower), and replace {member}"
            );
            Failure::new(ErrorKind::Conflict, msg)
        }
    }
}

fn check_room(dir: &Path, size: u64) -> Result<(), Failure> {
    disk::check_room(dir, size, "the snapshot", ", or save elsewhere; nothing was saved")
}

struct ToDisk<'a> {
    part: &'a Part,
    target: &'a Target,
}

impl Sink for ToDisk<'_> {
    fn expect(&mut self, size: u64) -> Result<(), Failure> {
        check_room(&self.target.dir, size)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        (&self.part.file).write_all(bytes).map_err(|error| self.target.failure("write the snapshot", &error))
    }
}

/// What would be saved, and deleted.
fn predict(wanted: &Wanted, source: &Source, target: &Target, before: Vec<String>) -> Result<Outcome, Failure> {
    let size = source.database + SEAL_LENGTH as u64;
    check_room(&target.dir, size)?;
    let now = clock::now();
    let name = target.series.as_ref().map_or_else(|| target.stem.clone(), |series| series.name(now, source.revision));
    let mut snapshot = json!({ "path": target.dir.join(&name), "size": size, "revision": source.revision });
    extend(&mut snapshot, source.to_value());
    snapshot["taken_at"] = now.to_string().into();
    let mut outcome = Outcome::new(true).with("snapshot", snapshot);
    let deleted = target.expired(wanted, &name)?;
    report(target, &before, &name, deleted, &mut outcome);
    Ok(outcome)
}

/// Deletes what is no longer wanted. The snapshot is saved by then, so what cannot be deleted is only told.
fn delete(dir: &Path, expired: Vec<String>, outcome: &mut Outcome) -> Vec<String> {
    let mut deleted = Vec::new();
    for name in expired {
        let path = dir.join(&name);
        match std::fs::remove_file(&path) {
            Ok(()) => deleted.push(name),
            // Another run was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => outcome.warn(format!("cannot delete the old snapshot {}: {error}", path.display())),
        }
    }
    if let Err(error) = sync_dir(dir) {
        outcome.warn(format!("cannot sync {}: {error}", dir.display()));
    }
    deleted
}

fn report(target: &Target, before: &[String], name: &str, deleted: Vec<String>, outcome: &mut Outcome) {
    let list = |names: Vec<&str>| names.iter().map(|name| format!("{name}\n")).collect::<String>();
    let old = || before.iter().map(String::as_str);
    let kept = old().filter(|old| *old != name && !deleted.iter().any(|deleted| deleted == old));
    let after = list(std::iter::once(name).chain(kept).collect());
    outcome.diff.push(Diff::of(target.dir.to_string_lossy(), list(old().collect()), after));
    let deleted: Vec<PathBuf> = deleted.iter().map(|name| target.dir.join(name)).collect();
    outcome.values.insert("deleted".into(), json!(deleted));
}

fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
