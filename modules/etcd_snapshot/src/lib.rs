//! The Ansible module `etcd_snapshot`: snapshots of a cluster, saved, kept for a while, verified, and restored.
//!
//! A file has a snapshot's name only once it is complete, durable and found whole ([`part`], [`save`]). Which member it
//! comes from ([`choose`]) and which older ones go ([`series`]) are pure decisions. A data directory has its name only
//! once all of it is restored ([`restore`]).

/// Which member a snapshot is taken from.
mod choose;
/// Targets, directories, room.
pub mod disk;
/// The options, checked.
mod params;
/// A file on its way to its name.
pub mod part;
/// From a file into a data directory.
mod restore;
/// From a member into a file.
mod save;
/// Names of files, and which are no longer wanted.
pub mod series;
/// The member that was chosen.
mod source;
/// The option table and documentation.
mod spec;

pub use params::Params;

use crate::params::State;
use ansible_protocol::{Context, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::snapshot::{self, SavedMember, Snapshot};
use etcd_ops::{block_on, hex};
use serde_json::{Value, json};
use std::path::Path;

/// The module.
pub struct EtcdSnapshot;

impl Module for EtcdSnapshot {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        match params.state {
            State::Saved => block_on(save::save(&params, context)),
            State::Verified => verify(&params),
            State::Restored => restore::restore(&params, context),
        }
    }
}

fn verify(params: &Params) -> Result<Outcome, Failure> {
    let path = params.file();
    let found = snapshot::verify(path, params.without_hash)?;
    let mut outcome = Outcome::new(false);
    describe(path, &found, &mut outcome);
    Ok(outcome)
}

fn member(member: &SavedMember) -> Value {
    json!({ "id": hex(member.id), "name": member.name, "peer_urls": member.peer_urls })
}

/// A file that was found whole, in the result.
fn describe(path: &Path, found: &Snapshot, outcome: &mut Outcome) {
    let snapshot = json!({
        "path": path,
        "size": found.size,
        "sha256": found.sha256,
        "revision": found.contents.revision,
        "total_keys": found.contents.total_keys,
        "cluster_version": found.contents.cluster_version,
        "auth": found.contents.auth,
        "users": found.contents.users,
        "roles": found.contents.roles,
        "alarms": found.contents.alarms,
        "members": found.contents.members.iter().map(member).collect::<Vec<Value>>(),
        "sealed": found.sealed,
    });
    outcome.values.insert("snapshot".into(), snapshot);
    if !found.sealed {
        let name = path.display();
        outcome.warn(format!("{name} has no SHA-256: its structure is in order, but changed values cannot be found"));
    }
}
