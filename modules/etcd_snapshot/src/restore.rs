//! `restored`: from a file into a member's data directory.
//!
//! All is made and checked in a directory beside its target, and only then takes the target's place: what is there is
//! moved aside, whole and by renaming, and the new directory is renamed into its place. So there is the old one, or
//! none, or the new one. A log in a directory of its own comes last: etcd that is started without it begins it anew
//! over the restored database, while a log without a database would lead it to an empty one (both seen).

/// What is noted on the host.
mod noted;
/// Where it goes, and how it gets there.
mod place;
/// Where it is made.
mod stage;
/// What makes it.
mod tool;
/// What is asked for.
mod wanted;

use crate::params::Params;
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Outcome};
use etcd_ops::datadir::{self, DataDir};
use etcd_ops::membership::parse_id;
use etcd_ops::snapshot::{self, Contents, Damage, SavedMember, Snapshot};
use etcd_ops::storage::{self, Asked, Guard, Plan, Seen, State, Step};
use etcd_ops::version::Version;
use etcd_ops::{clock, hex};
use place::Target;
use serde_json::{Value, json};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;
use tool::Tool;
use wanted::Wanted;

pub(crate) fn restore(params: &Params, context: &Context) -> Result<Outcome, Failure> {
    let begin = Instant::now();
    // An earlier task may only have said that it would install the package that brings the user.
    let wanted = Wanted::read(params, context.check_mode && !params.rehearsal)?;
    let path = params.file();
    let (snapshot, comes) = match context.check_mode.then(|| foretold(params)).flatten() {
        Some(snapshot) if !path.exists() => (snapshot, true),
        _ => (snapshot::verify(path, params.without_hash)?, false),
    };
    let seen = Seen::observe(&wanted.data_dir, wanted.wal_dir.as_deref())?;
    let target = Target::of(&seen);
    let mut outcome = outcome(path, &snapshot, &wanted);
    if is_there(&wanted, &seen)? {
        check_origin(params, &wanted, &seen, &snapshot)?;
        match storage::refuse_restore_at_work(&seen) {
            Err(failure) if context.check_mode => outcome.warn(format!("{}; a real run would be refused", failure.msg)),
            answer => answer?,
        }
        if !context.check_mode {
            target.sweep();
        }
        // Not yet started, it is at the revision that it begins with; one that runs is not read.
        if let Some(restored) = outcome.values.get_mut("restored") {
            restored["revision"] = json!(target.revision());
        }
        return Ok(outcome);
    }
    check_token(&wanted, &snapshot, path)?;
    let tool = Tool::of(params)?;
    check_version(&tool, &snapshot, path)?;
    target.check_room(snapshot.size, comes.then_some(path))?;
    let time = params.aside_time.clone().unwrap_or_else(|| clock::compact(clock::now()));
    if clock::read_compact(&time).is_none() {
        let msg = format!("aside_time must be a time in UTC, as 20260102T030405Z, got {time}; nothing was changed");
        return Err(Failure::invalid_option(msg));
    }
    let plan = aside(&seen, &time)?;
    let bump = tool.bump(&wanted);
    if bump < wanted.bump {
        outcome.warn(format!(
            "{} cannot raise revisions: clients that have seen later ones than {} have to be restarted",
            tool.path.display(),
            snapshot.contents.revision
        ));
    }
    let mut restored = json!({
        "revision": snapshot.contents.revision.saturating_add_unsigned(bump),
        "bumped_by": bump,
        "marked_compacted": bump > 0,
        "aside": plan.moved_to,
        "wal_aside": plan.wal_moved_to,
        "tool": tool.path,
        "tool_version": tool.version.map(|version| version.to_string()),
    });
    match Guard::take(&seen) {
        Err(_) if context.check_mode && params.predicted.iter().any(stops) => {}
        Err(failure) if context.check_mode => outcome.warn(format!("{}; a real run would be refused", failure.msg)),
        Err(failure) => return Err(failure),
        Ok(_) if context.check_mode => {}
        // Held until all is done: etcd waits for it before it opens the old database.
        Ok(_guard) => {
            noted::check(params.note.as_deref(), &wanted)?;
            if now(&seen) != seen.identity {
                let data_dir = wanted.data_dir.display();
                let msg = format!("{data_dir} has changed meanwhile, as another run does it: run it again");
                return Err(Failure::new(ErrorKind::Conflict, msg));
            }
            let made = target.make(&wanted, &tool, path, snapshot.sealed)?;
            // Whoever undoes this restore says so there first, and looks for a place like this one's after that.
            noted::check(params.note.as_deref(), &wanted)?;
            storage::apply(&plan.steps)?;
            made.put(&target).and_then(|()| check(&wanted, &seen)).map_err(|error| failed(&wanted, &plan, &error))?;
            restored["revision"] = made.revision.into();
            restored["duration_seconds"] = ((begin.elapsed().as_secs_f64() * 1000.0).round() / 1000.0).into();
        }
    }
    if let (Some(Value::Object(all)), Value::Object(more)) = (outcome.values.get_mut("restored"), restored) {
        all.extend(more);
    }
    let before = if seen.identity == DataDir::Absent { String::new() } else { format!("{}\n", seen.identity) };
    let after = format!("data of {}\n", wanted.identity());
    outcome.diff.push(Diff::of(wanted.data_dir.to_string_lossy(), before, after));
    outcome.changed = true;
    Ok(outcome)
}

/// The file as an earlier task has verified it elsewhere, and would have copied it here.
fn foretold(params: &Params) -> Option<Snapshot> {
    let told = params.predicted.iter().map(|told| &told["snapshot"]).find(|told| told.is_object())?;
    let contents = Contents {
        revision: told["revision"].as_i64()?,
        total_keys: told["total_keys"].as_u64()?,
        cluster_version: told["cluster_version"].as_str().map(str::to_owned),
        members: told["members"].as_array().into_iter().flatten().filter_map(foretold_member).collect(),
        ..Contents::default()
    };
    let sealed = told["sealed"].as_bool()?;
    Some(Snapshot { size: told["size"].as_u64()?, sha256: told["sha256"].as_str()?.to_owned(), contents, sealed })
}

fn foretold_member(told: &Value) -> Option<SavedMember> {
    Some(SavedMember { id: parse_id(told["id"].as_str()?)?, ..SavedMember::default() })
}

/// Whether that is the result of a task that would stop the member.
fn stops(told: &Value) -> bool {
    told["actions"].as_array().is_some_and(|actions| actions.iter().any(|word| word == "stop"))
}

/// The result when there is nothing to do.
fn outcome(path: &Path, snapshot: &Snapshot, wanted: &Wanted) -> Outcome {
    let mut outcome = Outcome::new(false).with(
        "restored",
        json!({
            "data_dir": wanted.data_dir,
            "wal_dir": wanted.wal_dir,
            "member_id": hex(wanted.member_id),
            "cluster_id": hex(wanted.cluster_id),
            "revision": null,
            "bumped_by": null,
            "marked_compacted": null,
            "aside": null,
            "wal_aside": null,
            "tool": null,
            "tool_version": null,
            "duration_seconds": null,
        }),
    );
    crate::describe(path, snapshot, &mut outcome);
    outcome
}

/// Whether a restore like this one has been here already.
fn is_there(wanted: &Wanted, seen: &Seen) -> Result<bool, Failure> {
    match &seen.identity {
        DataDir::Member(identity) if wanted.is(identity) && seen.data.names.contains("member") => {
            if identity.by_etcd {
                let msg = format!(
                    "{} holds data of {identity} already, which etcd has begun by itself and not from a snapshot: give \
                     another initial_cluster_token, to all members the same; nothing was changed",
                    wanted.data_dir.display()
                );
                return Err(Failure::new(ErrorKind::Conflict, msg));
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Refuses where that member's data comes from another snapshot, or its revisions were raised otherwise: the members of a
/// cluster must all come from the same one, with the same revisions. Once a restored member has been started its term is
/// above the first, and it has gone on from there.
fn check_origin(params: &Params, wanted: &Wanted, seen: &Seen, snapshot: &Snapshot) -> Result<(), Failure> {
    let wal = seen.wal.as_ref().map(|wal| wal.path.as_path());
    let started = datadir::log_end(&wanted.data_dir, wal).is_none_or(|end| end.term > 1);
    let database = wanted.data_dir.join("member/snap/db");
    let revision = File::open(&database).map_err(Damage::from).and_then(|file| snapshot::read_revision(&file));
    let saved = snapshot.contents.revision;
    // The tool may be gone by now, and most can.
    let bump = || Tool::of(params).map_or(wanted.bump, |tool| tool.bump(wanted));
    let fits = match &revision {
        Ok(revision) if started => *revision >= saved,
        Ok(revision) => *revision == saved.saturating_add_unsigned(bump()),
        // Whoever writes to it meanwhile may tear it.
        Err(_) => started,
    };
    if fits {
        return Ok(());
    }
    let found = revision.map_or_else(|damage| damage.to_string(), |revision| format!("it is at revision {revision}"));
    let raised = if wanted.bump > 0 { format!(" and raised by {}", wanted.bump) } else { String::new() };
    let msg = format!(
        "{} holds a restored {} already, but not from {}, which is of revision {saved}{raised}: {found}; name the snapshot \
         it was restored from and the same bump_revision, or give another initial_cluster_token, to all members the same; \
         nothing was changed",
        wanted.data_dir.display(),
        wanted.identity(),
        params.file().display()
    );
    Err(Failure::new(ErrorKind::Conflict, msg))
}

/// What is restored is another cluster, and nobody must take it for the one that was saved.
fn check_token(wanted: &Wanted, snapshot: &Snapshot, path: &Path) -> Result<(), Failure> {
    let saved = |id: &&u64| snapshot.contents.members.iter().any(|member| member.id == **id);
    let Some(member) = wanted.member_ids.iter().find(saved) else {
        return Ok(());
    };
    let msg = format!(
        "the cluster saved in {} has a member {} already, which initial_cluster with this initial_cluster_token would \
         make again: give another token, to all members the same, so that its members and those of the restored cluster \
         cannot be mistaken for each other; nothing was changed",
        path.display(),
        hex(*member)
    );
    Err(Failure::new(ErrorKind::Conflict, msg))
}

/// etcd does not start from the data of a newer version.
fn check_version(tool: &Tool, snapshot: &Snapshot, path: &Path) -> Result<(), Failure> {
    let cluster: Option<Version> = snapshot.contents.cluster_version.as_ref().and_then(|version| version.parse().ok());
    match (cluster, tool.version) {
        (Some(cluster), Some(version)) if cluster.series() > version.series() => {
            let (major, minor) = cluster.series();
            let msg = format!(
                "{} is of a cluster of etcd {major}.{minor}, and {} of {version}, which may not read it: install etcd \
                 {major}.{minor}, or name its etcdutl with tool; nothing was changed",
                path.display(),
                tool.path.display()
            );
            Err(Failure::new(ErrorKind::VersionGate, msg))
        }
        _ => Ok(()),
    }
}

/// How what is there gets out of the way. Its directories stay where they stay or are made anew, as they were.
fn aside(seen: &Seen, time: &str) -> Result<Plan, Failure> {
    // Nothing is lost, so it does not matter whose it is.
    let asked = Asked { state: State::Aside, member_id: None, cluster_id: None, force: true };
    let mut plan = storage::plan(&asked, seen, time)?;
    plan.steps.retain(|step| !matches!(step, Step::RemoveEmpty(_)));
    Ok(plan)
}

/// Once the old data was moved, nothing more can be wrong but the disk.
fn failed(wanted: &Wanted, plan: &Plan, error: &io::Error) -> Failure {
    let data_dir = wanted.data_dir.display();
    let before = plan.moved_to.as_ref().map(|path| format!("; what was there is in {}", path.display()));
    let before = before.unwrap_or_default();
    Failure::io(format_args!("put the restored data into {data_dir}"), format_args!("{error}{before}; run it again"))
        .with("changed", plan.moved_to.is_some() || plan.wal_moved_to.is_some())
}

/// Whose data is there now.
fn now(seen: &Seen) -> DataDir {
    let wal = seen.wal.as_ref().map(|wal| wal.path.as_path());
    match datadir::observe(&seen.data.path, wal) {
        // A log without a database.
        DataDir::Absent if seen.identity != DataDir::Absent => wal.map_or(DataDir::Absent, datadir::observe_log),
        found => found,
    }
}

/// What was put there is what was asked for.
fn check(wanted: &Wanted, seen: &Seen) -> io::Result<()> {
    match now(seen) {
        DataDir::Member(identity) if wanted.is(&identity) => Ok(()),
        found => Err(io::Error::other(format!("there is {found} now"))),
    }
}
