//! The restore drill: the newest snapshot on this host is restored beside the others, served by an etcd of its own on
//! loopback, and what that answers is compared with what the snapshot says.
//!
//! The cluster is not asked anything, and nothing of it is touched.

/// What is expected against what is there.
mod compare;
/// What is known after a drill.
mod known;
/// The directory that it takes place in.
mod scratch;
/// The etcd that serves what was restored.
mod server;

use crate::config::Config;
use crate::stored::{self, Whole};
use crate::{object, path_value};
use ansible_protocol::{Entry, ErrorKind, Failure};
use compare::differences;
use etcd_ops::clock;
use etcd_ops::snapshot::Fingerprint;
use etcd_snapshot::EtcdSnapshot;
use nix::unistd::User;
use scratch::Scratch;
use serde_json::Value;
use server::Answer;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// The module that restores snapshots.
const SNAPSHOT: Entry = Entry::of::<EtcdSnapshot>();
/// The member's name, and the directory of its data.
const MEMBER: &str = "drill";
const DATA: &str = "data";

/// Holds a drill, and writes down what is known then. Returns what to say.
///
/// # Errors
///
/// When the newest snapshot here is damaged, cannot be restored, or is not what is served then. A directory without
/// snapshots is none: another member may have taken them all.
pub(crate) fn drill(config: &Config) -> Result<String, Failure> {
    let before = known::read(config);
    let begun = clock::now();
    let (said, last) = match attempt(config) {
        Ok((said, last)) => (Ok(said), last),
        Err(failure) => (Err(failure), None),
    };
    let written = known::write(config, &before, begun, &said, last.as_ref());
    let said = said?;
    written?;
    Ok(said)
}

/// What to say, and the record of the drill where there was one.
fn attempt(config: &Config) -> Result<(String, Option<Value>), Failure> {
    let found = stored::find(config)?;
    let damaged = found.damaged.join("; ");
    let Some(whole) = found.newest else {
        if !damaged.is_empty() {
            return Err(Failure::new(ErrorKind::Conflict, format!("no snapshot here can be restored: {damaged}")));
        }
        let said =
            format!("{} holds no snapshot of cluster {}: nothing to restore", config.dir.display(), config.cluster);
        return Ok((said, None));
    };
    let drilled = restore_and_compare(config, &whole)?;
    let said = told(config, &drilled);
    if damaged.is_empty() {
        return Ok((said, Some(drilled)));
    }
    Err(Failure::new(ErrorKind::Conflict, format!("{damaged}. The newest one that is whole is good: {said}")))
}

/// Restores, serves, compares and cleans up. Returns the record.
fn restore_and_compare(config: &Config, whole: &Whole) -> Result<Value, Failure> {
    let path = &whole.path;
    let name = path.display();
    let begin = Instant::now();
    let owner = owner(config)?;
    let expected = fingerprint(path)?;
    let scratch = Scratch::create(&config.dir, owner)?;
    let differ = |differences: &[String], what: &str| {
        let msg = format!("{what} differs from {name}: {}; do not rely on that snapshot", differences.join("; "));
        Failure::new(ErrorKind::Conflict, msg)
    };
    restore(config, path, scratch.path(), owner)?;
    let restored_seconds = seconds(begin);
    // Whoever cannot log in, has at least seen this.
    let made = differences(&expected, &fingerprint(&scratch.path().join(DATA).join("member/snap/db"))?);
    if !made.is_empty() {
        return Err(differ(&made, "what was restored"));
    }
    let answer = server::serve(config, scratch.path(), owner, expected.revision)?;
    let served_seconds = seconds(begin);
    let is_asked = match answer {
        Answer::All(answered) => {
            let differences = differences(&expected, &answered);
            if !differences.is_empty() {
                return Err(differ(&differences, "what etcd serves once it is restored"));
            }
            true
        }
        Answer::NoLogin => false,
    };
    scratch.remove()?;
    Ok(object(vec![
        ("member", config.member.as_str().into()),
        ("path", path_value(path)),
        ("taken_at", whole.taken_at.to_string().into()),
        ("finished_at", clock::now().to_string().into()),
        ("revision", expected.revision.into()),
        ("total_keys", expected.total_keys.into()),
        ("hash", expected.hash.into()),
        ("users", expected.access.users.len().into()),
        ("roles", expected.access.roles.len().into()),
        ("root_password_fits", is_asked.into()),
        ("restored_seconds", restored_seconds.into()),
        ("served_seconds", served_seconds.into()),
        ("seconds", seconds(begin).into()),
    ]))
}

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

fn fingerprint(path: &Path) -> Result<Fingerprint, Failure> {
    let failed = |cause: &dyn std::fmt::Display| Failure::io(format_args!("read {}", path.display()), cause);
    let file = File::open(path).map_err(|error| failed(&error))?;
    Fingerprint::read(&file).map_err(|damage| failed(&damage))
}

/// Whom the data is to belong to, and the server to run as.
fn owner(config: &Config) -> Result<Option<(u32, u32)>, Failure> {
    let Some(name) = &config.user else { return Ok(None) };
    let found = User::from_name(name).map_err(|error| Failure::io(format_args!("look up the user {name}"), error))?;
    let user = found.ok_or_else(|| {
        let msg = format!(
            "there is no user {name} on this host, as which etcd is to run: install etcd, or name another user"
        );
        Failure::invalid_option(msg)
    })?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}

fn restore(config: &Config, path: &Path, scratch: &Path, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    // Which one it listens on, is found out later: a member that is restored does not look at it again.
    let url = "http://127.0.0.1:2380";
    // Every cluster has an id of its own, this one as well.
    let token = format!("drill-{}-{}", clock::compact(clock::now()), std::process::id());
    let options = object(vec![
        ("state", "restored".into()),
        ("path", path_value(path)),
        ("data_dir", path_value(&scratch.join(DATA))),
        ("name", MEMBER.into()),
        ("initial_cluster", format!("{MEMBER}={url}").into()),
        ("initial_cluster_token", token.into()),
        // Revisions are compared.
        ("bump_revision", 0.into()),
        ("owner", owner.map(|(user, _)| user.to_string()).into()),
        ("group", owner.map(|(_, group)| group.to_string()).into()),
        ("tool", config.value("tool")),
        ("binary", config.value("etcd")),
    ]);
    SNAPSHOT.run(options.as_object().cloned().unwrap_or_default()).map(drop)
}

/// `etcd-1 restored /x/a.db in 1.2 s, and it is served as it was saved: 3 keys at revision 7, 1 user, 1 role`.
fn told(config: &Config, drilled: &Value) -> String {
    let many = |name: &str, noun: &str| {
        let count = drilled[name].as_u64().unwrap_or(0);
        format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
    };
    let mut said = format!(
        "{} restored {} in {} s, and it is served as it was saved: {} at revision {}, {}, {}",
        config.member,
        drilled["path"].as_str().unwrap_or_default(),
        drilled["seconds"],
        many("total_keys", "key"),
        drilled["revision"],
        many("users", "user"),
        many("roles", "role")
    );
    if drilled["hash"].is_null() {
        said.push_str("; their hash was not compared, as the snapshot is from the middle of a compaction");
    }
    if drilled["root_password_fits"] == false {
        said.push_str(
            "; root had another password when it was saved, or the one in password_file is wrong, so what is served was not \
             compared, only the restored database",
        );
    }
    said
}
