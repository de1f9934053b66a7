//! The Ansible module `etcd_data`: a member's data directory as a thing that can be removed or moved aside, but only
//! when that is proved harmless.
//!
//! The work is [`etcd_ops::storage`]'s.

/// The option table and documentation.
mod spec;

use ansible_protocol::{Context, Diff, ErrorKind, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::datadir::DataDir;
use etcd_ops::membership::parse_id;
use etcd_ops::storage::{self, Asked, Former, Guard, Plan, Seen, State};
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
    state: Become,
    aside_time: Option<String>,
    member_id: Option<String>,
    cluster_id: Option<String>,
    unit: String,
    force: bool,
    /// What was foretold of the unit.
    predicted: Vec<Value>,
}

/// What shall become of it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Become {
    Absent,
    Aside,
    Back,
}

impl Module for EtcdData {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let member_id = id("member_id", params.member_id.as_deref())?;
        let cluster_id = id("cluster_id", params.cluster_id.as_deref())?;
        let seen = Seen::observe(&params.data_dir, params.wal_dir.as_deref())?;
        let now = clock::compact(clock::now());
        let planned = |seen: &Seen| {
            let asked = |state| Asked { state, member_id, cluster_id, force: params.force };
            match params.state {
                Become::Absent => storage::plan(&asked(State::Absent), seen, &now),
                Become::Aside => storage::plan(&asked(State::Aside), seen, &now),
                Become::Back => {
                    let time = params.aside_time.clone().unwrap_or_default();
                    storage::back(&Former { member_id, time }, seen, &now)
                }
            }
        };
        let plan = planned(&seen)?;
        let mut outcome = outcome(params.state, &seen, &plan);
        let foretell = |outcome: &mut Outcome, failure: &Failure| {
            outcome.warn(format!("{}; a real run would be refused", failure.msg));
        };
        if plan.steps.is_empty() {
            // It would be replaced yet.
            match storage::refuse_restore_at_work(&seen) {
                Err(failure) if context.check_mode => foretell(&mut outcome, &failure),
                answer => answer?,
            }
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
            Ok(_guard) => {
                if planned(&Seen::observe(&params.data_dir, params.wal_dir.as_deref())?)?.steps != plan.steps {
                    let data_dir = seen.data.path.display();
                    let msg = format!("{data_dir} has changed meanwhile, as another run does it: run it again");
                    return Err(Failure::new(ErrorKind::Conflict, msg));
                }
                storage::apply(&plan.steps)?;
            }
            Err(failure) if context.check_mode => foretell(&mut outcome, &failure),
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

fn outcome(state: Become, seen: &Seen, plan: &Plan) -> Outcome {
    let identity = match &seen.identity {
        DataDir::Member(identity) => Some(identity),
        DataDir::Absent | DataDir::Unreadable { .. } => None,
    };
    let state = match (plan.has_data, state) {
        (_, Become::Back) => "back",
        (false, _) => "absent",
        (true, Become::Absent) => "removed",
        (true, Become::Aside) => "aside",
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
            DataDir::Member(identity) => format!("the data of {identity}\n"),
            unreadable @ DataDir::Unreadable { .. } => format!("{unreadable}\n"),
            DataDir::Absent if plan.has_data => "a member directory without anything in it\n".into(),
            DataDir::Absent => "an empty directory, or what an interrupted removal left\n".into(),
        };
        let after = match state {
            "aside" => "moved aside\n",
            "back" => "the data that was moved aside\n",
            _ => "",
        };
        outcome.diff.push(Diff::of(seen.data.path.to_string_lossy(), before, after));
    }
    outcome.warnings.clone_from(&plan.warnings);
    outcome
}
