//! The Ansible module `etcd_data`: a member's data directory as a thing that can be removed or moved aside, but only
//! when that is proved harmless.
//!
//! What there is is looked at ([`observe`]), who uses it is asked ([`users`]), what to do is decided ([`plan`], pure),
//! and done step by step ([`apply`]), so that a run that is interrupted at any point can be repeated.

/// Doing what was planned.
mod apply;
/// What is on the disk.
mod observe;
/// What is to be done, or why it is not.
mod plan;
/// The option table and documentation.
mod spec;
#[cfg(test)]
mod tests;
/// Who uses the data.
mod users;

use crate::observe::Seen;
use crate::plan::{Asked, Plan, State};
use crate::users::Guard;
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::datadir::DataDir;
use etcd_ops::membership::parse_id;
use etcd_ops::{clock, hex, systemd};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The module.
pub struct EtcdData;

/// Which data, and what shall become of it.
#[derive(Debug, Deserialize)]
pub struct Params {
    data_dir: PathBuf,
    wal_dir: Option<PathBuf>,
    state: State,
    member_id: Option<String>,
    cluster_id: Option<String>,
    unit: String,
    force: bool,
    /// What was foretold of the unit.
    predicted: Vec<Value>,
}

impl Module for EtcdData {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let asked = Asked {
            state: params.state,
            member_id: id("member_id", params.member_id.as_deref())?,
            cluster_id: id("cluster_id", params.cluster_id.as_deref())?,
            force: params.force,
        };
        let seen = Seen::observe(&params.data_dir, params.wal_dir.as_deref())?;
        let now = clock::compact(clock::now());
        let plan = plan::plan(&asked, &seen, &now)?;
        let mut outcome = outcome(&asked, &seen, &plan);
        if plan.steps.is_empty() {
            return Ok(outcome);
        }
        let stops =
            |told: &Value| told["actions"].as_array().is_some_and(|actions| actions.iter().any(|word| word == "stop"));
        if context.check_mode && params.predicted.iter().any(stops) {
            return Ok(outcome);
        }
        match unused(&params, &seen) {
            Ok(_) if context.check_mode => {}
            // Held until all is done: etcd waits for it before it opens its database.
            Ok(_guard) => apply::apply(&plan.steps)?,
            Err(failure) if context.check_mode => outcome.warn(format!("{}; a real run would be refused", failure.msg)),
            Err(failure) => return Err(failure),
        }
        Ok(outcome)
    }
}

/// An id as etcdctl prints it.
fn id(option: &str, text: Option<&str>) -> Result<Option<u64>, Failure> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    parse_id(text).map(Some).ok_or_else(|| {
        let msg = format!("{option} must be an id in hexadecimal, as 8e9e05c52164694d, got \"{text}\"");
        Failure::invalid_option(msg)
    })
}

/// The proof that nobody uses the data.
fn unused(params: &Params, seen: &Seen) -> Result<Guard, Failure> {
    let data_dir = seen.data.path.display();
    // Without systemd there is no unit that could run; the processes are asked in any case.
    if let Ok(unit) = systemd::show(&params.unit)
        && unit.is_running()
    {
        let name = &unit.name;
        let msg =
            format!("{data_dir} is left alone: {name} is {}; stop it first: systemctl stop {name}", unit.active_state);
        return Err(Failure::new(ErrorKind::Conflict, msg));
    }
    Guard::take(seen)
}

fn outcome(asked: &Asked, seen: &Seen, plan: &Plan) -> Outcome {
    let identity = match &seen.identity {
        DataDir::Member(identity) => Some(identity),
        DataDir::Absent | DataDir::Unreadable { .. } => None,
    };
    let state = match (plan.has_data, asked.state) {
        (false, _) => "absent",
        (true, State::Absent) => "removed",
        (true, State::Aside) => "aside",
    };
    let mut outcome = Outcome::new(!plan.steps.is_empty()).with(
        "data",
        json!({
            "state": state,
            "member_id": identity.map(|identity| hex(identity.member_id)),
            "cluster_id": identity.map(|identity| hex(identity.cluster_id)),
            "moved_to": plan.moved_to,
            "wal_moved_to": plan.wal_moved_to,
        }),
    );
    if !plan.steps.is_empty() {
        let before = match &seen.identity {
            DataDir::Member(identity) => {
                format!("the data of member {} of cluster {}\n", hex(identity.member_id), hex(identity.cluster_id))
            }
            DataDir::Unreadable { reason } => format!("data of which cannot be told whose it is: {reason}\n"),
            DataDir::Absent if plan.has_data => "a member directory without anything in it\n".into(),
            DataDir::Absent => "an empty directory, or what an interrupted removal left\n".into(),
        };
        let after = if state == "aside" { "moved aside\n" } else { "" };
        outcome.diff.push(Diff::of(seen.data.path.to_string_lossy(), before, after));
    }
    outcome.warnings.clone_from(&plan.warnings);
    outcome
}
