//! Waiting until the member serves, and saying why it does not.

use crate::{Params, own_id};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::connection::Session;
use etcd_ops::startup;
use etcd_ops::systemd::{self, Unit};
use etcd_ops::view::{self, ClusterView, Health};
use std::time::Duration;
use tokio::time::Instant;

/// How often the member is asked. Each question waits for its answer.
const POLL: Duration = Duration::from_millis(50);

/// How much of the unit's log is read.
const LINES: usize = 200;

/// Waits until the member behind the session's first endpoint serves. After a restart, `replaced` is the run of the unit
/// that has to be over: until systemd counts another one as active, whatever answers may still be the old process.
/// `state` tells how the unit is; one that has failed is not waited for.
///
/// # Errors
///
/// Kind `io` as soon as the unit has failed, with etcd's own words; `timeout` or the member's own trouble when the
/// deadline has passed.
pub(crate) async fn until_serving(
    params: &Params,
    session: &Session,
    replaced: Option<&str>,
    state: &impl Fn() -> Result<Unit, Failure>,
) -> Result<(ClusterView, u64), Failure> {
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut session = session.clone();
    let mut seen = None;
    loop {
        poll.tick().await;
        let trouble = match attempt(params, &session, replaced, state).await {
            Ok(found) => return Ok(found),
            // An attempt that the deadline cut short says less than the one before.
            Err(failure) if Instant::now() >= session.deadline() => seen.take().unwrap_or(failure),
            // The password does not get right by waiting.
            Err(failure) if failure.kind == ErrorKind::Auth => return Err(failure),
            Err(failure) => failure,
        };
        let state = state()?;
        if state.active_state == "failed" || state.sub_state == "auto-restart" || state.result_failed() {
            return Err(failed(params, &state));
        }
        if Instant::now() >= session.deadline() {
            return Err(too_late(params, &state.active_state, trouble));
        }
        if view::wants_new_login(&trouble.msg) {
            session = session.afresh();
        }
        seen = Some(trouble);
    }
}

async fn attempt(
    params: &Params,
    session: &Session,
    replaced: Option<&str>,
    state: &impl Fn() -> Result<Unit, Failure>,
) -> Result<(ClusterView, u64), Failure> {
    if let Some(replaced) = replaced {
        let unit = state()?;
        if !unit.is_active() || unit.invocation_id == replaced {
            let msg = format!("{} has not restarted yet, it is {}", params.name, unit.active_state);
            return Err(Failure::new(ErrorKind::Timeout, msg));
        }
    }
    let endpoint = session.endpoints().first().map(String::as_str).unwrap_or_default();
    let view = ClusterView::observe(session).await?;
    let id = match own_id(params) {
        Some(id) => id,
        None => view::status(&session.connect(endpoint).await?).await?.0,
    };
    match view.member(id).map(|member| &member.health) {
        Some(Health::Healthy) => Ok((view, id)),
        Some(Health::Unhealthy(kind, reason)) => Err(Failure::new(*kind, reason.clone())),
        Some(Health::Unstarted) => {
            Err(Failure::new(ErrorKind::NoLeader, format!("{endpoint} has not announced itself yet")))
        }
        None => {
            Err(Failure::new(ErrorKind::Conflict, format!("the member on {endpoint} is not in its cluster's list")))
        }
    }
}

fn too_late(params: &Params, state: &str, trouble: Failure) -> Failure {
    let Params { name, .. } = params;
    let lines = systemd::journal(name, LINES);
    let cause = format!("{}{}", trouble.msg, said(&lines, &params.host));
    let msg = format!("{name} is {state} but the member does not serve in time: {cause}");
    let kind = if trouble.kind == ErrorKind::Unreachable { ErrorKind::Timeout } else { trouble.kind };
    Failure::new(kind, msg).with("damaged", startup::is_damaged(&lines))
}

fn failed(params: &Params, unit: &Unit) -> Failure {
    let (name, state) = (&params.name, &unit.active_state);
    let lines = systemd::journal_of_run(name, &unit.invocation_id, LINES);
    let said = said(&lines, &params.host);
    let msg = format!("{name} does not stay up (systemd: {state}){said}; see journalctl -u {name}");
    Failure::new(ErrorKind::Io, msg).with("damaged", startup::is_damaged(&lines))
}

/// Why, as far as the unit's log tells: the known reason, or else the last error in etcd's own words.
fn said(lines: &[String], host: &str) -> String {
    if let Some(reason) = startup::explain(lines, host) {
        return format!("; {reason}");
    }
    let last = |marks: &'static [&'static str]| {
        lines.iter().rev().find(move |line| marks.iter().any(|mark| line.contains(mark)))
    };
    // etcd's last words say more than what systemd says of them.
    let fatal = last(&["\"level\":\"fatal\"", "\"level\":\"panic\"", "panic:"]);
    let grave = || last(&["\"level\":\"error\"", "Failed", "error verifying"]);
    let Some(line) = fatal.or_else(grave).or_else(|| lines.last()) else { return String::new() };
    let said = serde_json::from_str::<serde_json::Value>(line).ok().map(|entry| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("msg"), text("error"))
    });
    format!("; its log says: {}", said.as_ref().unwrap_or(line).trim_end_matches([':', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    const REMOVED: &str =
        r#"{"level":"warn","msg":"server error","error":"the member has been permanently removed from the cluster"}"#;
    const ODD: &str = r#"{"level":"fatal","msg":"discovery failed","error":"something new"}"#;

    #[test_case(&[ODD, REMOVED, ODD], "; it has been removed from its cluster and its data is of no use any more: "; "a known reason")]
    #[test_case(&[ODD, "{}"], "; its log says: discovery failed: something new"; "one that is not known")]
    #[test_case(&["started"], "; its log says: started"; "no trouble")]
    #[test_case(&[], ""; "no journal")]
    fn the_log_is_explained_or_else_quoted(lines: &[&str], wanted: &str) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let said = said(&lines, "10.0.0.1");
        assert!(said.starts_with(wanted) && said.is_empty() == wanted.is_empty(), "{said}");
    }
}
