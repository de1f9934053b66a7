//! The Ansible module `etcd_snapshot`: snapshots of a cluster, saved, kept for a while, and verified.
//!
//! A file has a snapshot's name only once it is complete, durable and found whole ([`part`], [`save`]). Which member it
//! comes from ([`choose`]) and which older ones go ([`series`]) are pure decisions.

/// Which member a snapshot is taken from.
mod choose;
/// Targets, directories, room.
mod disk;
/// The options, checked.
mod params;
/// A file on its way to its name.
mod part;
/// From a member into a file.
mod save;
/// Names of files, and which are no longer wanted.
mod series;
/// The member that was chosen.
mod source;
/// The option table and documentation.
mod spec;

pub use params::Params;

use crate::params::State;
use ansible_protocol::{Context, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::block_on;
use etcd_ops::snapshot;
use serde_json::json;

/// The module.
pub struct EtcdSnapshot;

impl Module for EtcdSnapshot {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        match params.state {
            State::Saved => block_on(save::save(&params, context)),
            State::Verified => verify(&params),
        }
    }
}

fn verify(params: &Params) -> Result<Outcome, Failure> {
    let path = params.file();
    let found = snapshot::verify(path, params.without_hash)?;
    let mut outcome = Outcome::new(false).with(
        "snapshot",
        json!({
            "path": path,
            "size": found.size,
            "sha256": found.sha256,
            "revision": found.contents.revision,
            "total_keys": found.contents.total_keys,
            "cluster_version": found.contents.cluster_version,
            "sealed": found.sealed,
        }),
    );
    if !found.sealed {
        let name = path.display();
        outcome.warn(format!("{name} has no SHA-256: its structure is in order, but changed values cannot be found"));
    }
    Ok(outcome)
}
