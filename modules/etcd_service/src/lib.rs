//! The Ansible module `etcd_service`: the systemd unit of a member, with etcd's meaning of done.
//!
//! Started means that the member serves, not that a port is open. A restart happens only when there is something to
//! pick up, only while every other voter serves, and only after leadership has been moved away.

/// One start without the other members.
mod alone;
/// Guards, leadership and waiting, against real clusters.
#[cfg(test)]
mod live_tests;
/// What the tasks before this one would have written.
mod predicted;
/// Restarting one member while the cluster goes on.
mod restart;
/// The option table and documentation.
mod spec;
/// Stopping a member, also one that is in no cluster any more.
mod stop;
/// Waiting until the member serves, and saying why it does not.
mod wait;

use ansible_protocol::{Context, Diff, ErrorKind, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::block_on;
use etcd_ops::connection::{Connection, Session};
use etcd_ops::datadir::{self, DataDir};
use etcd_ops::running::{self, Files};
use etcd_ops::systemd::{self, Unit, systemctl};
use serde::Deserialize;
use std::path::PathBuf;

/// The module.
pub struct EtcdService;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum State {
    Started,
    Restarted,
    Stopped,
    Alone,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RestartWhen {
    Needed,
    Always,
}

/// What the unit shall be.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    connection: Connection,
    name: String,
    binary: String,
    /// The host, as messages call it.
    host: String,
    state: State,
    restart_when: RestartWhen,
    enabled: bool,
    data_dir: PathBuf,
    wal_dir: Option<PathBuf>,
    config_file: PathBuf,
    ca_file: PathBuf,
    runtime_dir: PathBuf,
    force: bool,
    kill: bool,
    predicted: Vec<predicted::Written>,
}

/// The unit as it is, and what is to be done to it.
struct Plan {
    unit: Unit,
    pending: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Enable,
    Disable,
    Start,
    Restart,
    Stop,
    Reset,
    Alone,
    Unmark,
}

impl Step {
    fn verb(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Reset => "reset",
            Self::Alone => "alone",
            Self::Unmark => "unmark",
        }
    }
}

impl Module for EtcdService {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let mut unit = systemd::show(&params.name)?;
        if context.check_mode && params.predicted.iter().any(predicted::Written::stops) {
            unit.active_state = "inactive".into();
            unit.main_pid = 0;
        }
        // What systemd has in mind may be older than the unit's file, and a unit that was masked may have one by now.
        if !context.check_mode && (unit.need_daemon_reload || unit.load_state != "loaded") {
            systemctl(&["daemon-reload"])?;
            unit = systemd::show(&params.name)?;
        }
        converge(&params, unit, context)
    }
}

/// From the unit as it is to the one that is wanted.
fn converge(params: &Params, unit: Unit, context: &Context) -> Result<Outcome, Failure> {
    if params.state == State::Alone {
        return alone::run(params, &unit, context);
    }
    let plan = plan(params, unit, context);
    let mut outcome = Outcome::new(!plan.steps.is_empty());
    outcome.diff.extend(difference(&plan));
    let outcome = outcome
        .with("actions", plan.steps.iter().map(|step| step.verb()).collect::<Vec<_>>())
        .with("restart_needed", if plan.has(Step::Restart) { vec![] } else { plan.pending.clone() });
    // A process may outlive its unit's file.
    let only_to_stop = params.state == State::Stopped && !plan.steps.is_empty();
    if plan.unit.load_state != "loaded" && !only_to_stop {
        return missing_unit(params, &plan, context, outcome);
    }
    block_on(carry_out(params, &plan, context, outcome))
}

impl Plan {
    fn has(&self, step: Step) -> bool {
        self.steps.contains(&step)
    }
}

/// What is to be done. Pure but for the files that tell what a restart would pick up.
fn plan(params: &Params, unit: Unit, context: &Context) -> Plan {
    let files = Files {
        config_file: params.config_file.clone(),
        ca_file: params.ca_file.clone(),
        runtime_dir: params.runtime_dir.clone(),
    };
    let mut pending = running::pending(&files, &unit);
    if context.check_mode && unit.is_running() {
        let more: Vec<String> = params.predicted.iter().flat_map(|written| written.pending(&unit)).collect();
        pending.extend(more.into_iter().filter(|key| !pending.contains(key)).collect::<Vec<_>>());
    }
    let steps = match params.state {
        State::Stopped => stop::steps(params.enabled, params.force, &unit),
        _ => {
            let mut steps = steps(params.state, params.restart_when, params.enabled, &unit, !pending.is_empty());
            // Once it serves, its data is not in doubt any more.
            steps.extend(datadir::is_marked_alone(&params.data_dir).then_some(Step::Unmark));
            steps
        }
    };
    Plan { unit, pending, steps }
}

/// What makes the unit run.
fn steps(state: State, when: RestartWhen, enabled: bool, unit: &Unit, pending: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend((enabled && !unit.is_enabled()).then_some(Step::Enable));
    let restart = state == State::Restarted && (pending || when == RestartWhen::Always);
    if !unit.is_running() {
        steps.push(Step::Start);
    } else if restart {
        steps.push(Step::Restart);
    }
    steps
}

fn difference(plan: &Plan) -> Option<Diff> {
    if plan.steps.is_empty() {
        return None;
    }
    let running = |yes: bool| if yes { "running" } else { "stopped" };
    let enabled = |yes: bool| if yes { "enabled" } else { "disabled" };
    let now = (plan.unit.is_running(), plan.unit.is_enabled());
    let mut then = now;
    let mut remark = String::new();
    for step in &plan.steps {
        match step {
            Step::Enable => then.1 = true,
            Step::Disable => then.1 = false,
            Step::Start => then.0 = true,
            Step::Stop => then.0 = false,
            Step::Reset => remark = "no longer failed\n".into(),
            Step::Alone | Step::Unmark => {}
            Step::Restart if plan.pending.is_empty() => remark = "restarted\n".into(),
            Step::Restart => remark = format!("restarted for: {}\n", plan.pending.join(", ")),
        }
    }
    let text = |state: (bool, bool)| format!("{}, {}\n", running(state.0), enabled(state.1));
    Some(Diff::of(plan.unit.name.clone(), text(now), text(then) + &remark))
}

/// Without a unit there is nothing to start, unless this is the preview of a run that writes it first.
fn missing_unit(params: &Params, plan: &Plan, context: &Context, outcome: Outcome) -> Result<Outcome, Failure> {
    if params.state == State::Stopped {
        return Ok(Outcome::new(false).with("actions", Vec::<String>::new()));
    }
    if context.check_mode && plan.unit.load_state == "not-found" {
        return Ok(outcome);
    }
    let msg = format!(
        "the unit {} cannot be started: systemd says it is {}; write it with ./etcd.yml -t etcd_conf, or unmask it",
        plan.unit.name, plan.unit.load_state
    );
    Err(Failure::new(ErrorKind::Io, msg))
}

async fn carry_out(params: &Params, plan: &Plan, context: &Context, mut outcome: Outcome) -> Result<Outcome, Failure> {
    if params.state == State::Stopped {
        stop::carry_out(params, plan, context, &mut systemctl).await?;
        return Ok(outcome);
    }
    if context.check_mode {
        // A restart that would be refused is refused in the preview too.
        if plan.has(Step::Restart) {
            restart::guard(params, &Session::new(&params.connection)?).await?;
        }
        return Ok(outcome);
    }
    let session = Session::new(&params.connection)?;
    let guarded = if plan.has(Step::Restart) { Some(restart::guard(params, &session).await?) } else { None };
    if plan.has(Step::Enable) {
        systemctl(&["enable", "--quiet", &params.name])?;
    }
    if plan.has(Step::Start) {
        start(&params.name, &plan.unit)?;
    }
    if let Some(guarded) = guarded
        && let Some(warning) = restart::restart(&plan.unit, &session, guarded).await?
    {
        outcome.warn(warning);
    }
    let replaced = plan.has(Step::Restart).then_some(plan.unit.invocation_id.as_str());
    let (view, id) = wait::until_serving(params, &session, replaced, &|| systemd::show(&params.name)).await?;
    if plan.has(Step::Unmark) {
        datadir::unmark_alone(&params.data_dir)
            .map_err(|error| Failure::io(format!("unmark {}", params.data_dir.display()), error))?;
    }
    let member = view.member_value(id);
    Ok(outcome
        .with("member", member)
        .with("is_leader", view.leader == Some(id))
        .with("cluster_id", etcd_ops::hex(view.id)))
}

/// Starts without waiting: the first members of a new cluster are only up once the others are.
fn start(name: &str, unit: &Unit) -> Result<(), Failure> {
    if has_failed_before(unit) {
        systemctl(&["reset-failed", name])?;
    }
    systemctl(&["start", "--no-block", name]).map(drop)
}

/// Whether systemd still says of the unit how an earlier run has ended, which until it starts would pass for this one's end:
/// also of one that was stopped after its process had been killed, and so is no more than inactive.
fn has_failed_before(unit: &Unit) -> bool {
    unit.active_state == "failed" || unit.result_failed()
}

/// The id of the member whose data the host holds.
fn own_id(params: &Params) -> Option<u64> {
    match datadir::observe(&params.data_dir, params.wal_dir.as_deref()) {
        DataDir::Member(identity) => Some(identity.member_id),
        DataDir::Absent | DataDir::Unreadable { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(active: bool, enabled: bool) -> Unit {
        Unit {
            active_state: if active { "active" } else { "inactive" }.into(),
            unit_file_state: if enabled { "enabled" } else { "disabled" }.into(),
            main_pid: u32::from(active),
            ..Unit::default()
        }
    }

    #[test]
    fn how_an_earlier_run_has_ended_does_not_count() {
        let ended = |active_state: &str, result: &str| {
            has_failed_before(&Unit { active_state: active_state.into(), result: result.into(), ..Unit::default() })
        };
        assert!(ended("failed", "exit-code") && ended("inactive", "signal") && ended("activating", "exit-code"));
        assert!(!ended("inactive", "success") && !ended("inactive", "") && !ended("active", "success"));
    }

    fn after(unit: &Unit, steps: &[Step]) -> Unit {
        let mut state = (unit.is_running(), unit.is_enabled());
        for step in steps {
            match step {
                Step::Enable => state.1 = true,
                Step::Disable => state.1 = false,
                Step::Start | Step::Restart => state.0 = true,
                Step::Stop => state.0 = false,
                Step::Reset | Step::Alone | Step::Unmark => {}
            }
        }
        self::unit(state.0, state.1)
    }

    proptest! {
        /// Doing the steps reaches the state, and then there is nothing more to do.
        #[test]
        fn steps_reach_the_state(active: bool, enabled: bool, want_enabled: bool, pending: bool, pick in 0..3usize) {
            let state = [State::Started, State::Restarted, State::Stopped][pick];
            let before = unit(active, enabled);
            let steps = |unit: &Unit, pending| match state {
                State::Stopped => stop::steps(want_enabled, false, unit),
                _ => steps(state, RestartWhen::Needed, want_enabled, unit, pending),
            };
            let planned = steps(&before, pending && active);
            let after = after(&before, &planned);
            prop_assert_eq!(after.is_running(), state != State::Stopped);
            prop_assert_eq!(steps(&after, false), vec![]);
            // Nothing running is ever restarted by `started`, or without need.
            if state == State::Started || !pending {
                prop_assert!(!planned.contains(&Step::Restart));
            }
        }
    }

    #[test]
    fn the_difference_says_what_a_restart_is_for() {
        let plan = Plan { unit: unit(true, true), pending: vec!["log-level".into()], steps: vec![Step::Restart] };
        let diff = difference(&plan).unwrap();
        assert_eq!(
            (diff.before.as_str(), diff.after.as_str()),
            ("running, enabled\n", "running, enabled\nrestarted for: log-level\n")
        );
    }

    #[test]
    fn own_id_is_unknown_without_data() {
        let params = serde_json::json!({
            "endpoints": [], "timeout": 1, "dial_timeout": 1, "name": "x", "binary": "etcd", "host": "x", "state": "started", "restart_when": "needed",
            "enabled": true, "data_dir": "/nonexistent", "wal_dir": null, "config_file": "/x", "ca_file": "/x", "runtime_dir": "/x",
            "force": false, "kill": false, "predicted": [],
        });
        assert_eq!(own_id(&serde_json::from_value(params).unwrap()), None);
    }
}
