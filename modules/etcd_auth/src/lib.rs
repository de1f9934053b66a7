//! The Ansible module `etcd_auth`: a cluster's authentication, users, roles and permissions as desired state.
//!
//! [`plan`](plan::plan) is pure: from what is and what is wished for to steps, or to everything wrong with the wishes.

/// Taking the steps.
mod apply;
/// What is, what is wished for, and what a step makes of it.
mod model;
/// Looking at a cluster, as whoever may.
mod observe;
/// The options, and wishes made of them.
mod params;
/// From what is to what is wished for.
mod plan;
/// Keys and what may be done with them.
mod range;
/// The option table and documentation.
mod spec;
#[cfg(test)]
mod tests;

pub use params::Params;

use crate::model::{Credential, Current, Desired, Step, Wish};
use ansible_protocol::{Context, Diff, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::block_on;
use etcd_ops::connection::Session;

/// The module.
pub struct EtcdAuth;

impl Module for EtcdAuth {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let desired = params.desired()?;
        if context.check_mode && params.predicted_new {
            return predict(&Current::default(), &desired);
        }
        block_on(run(&params, &desired, context))
    }
}

async fn run(params: &Params, desired: &Desired, context: &Context) -> Result<Outcome, Failure> {
    let session = Session::new(&params.connection)?;
    let mut client = observe::find(&session).await?;
    let before = observe::observe(&mut client, params, desired).await?;
    if context.check_mode {
        return predict(&before, desired);
    }
    let steps = plan::plan(&before, desired).map_err(|problems| params::invalid(&problems))?;
    if !steps.iter().any(Step::changes) {
        return predict(&before, desired);
    }
    let mut actions = Vec::new();
    let applied = apply::apply(&mut client, desired, &steps, session.deadline(), &mut actions).await;
    applied.map_err(|failure| half_done(failure, &actions))?;
    let after = observe::read(&client, desired.enabled).await?;
    Ok(outcome(&before, &after, desired, &actions))
}

/// What the steps would make of what is.
fn predict(before: &Current, desired: &Desired) -> Result<Outcome, Failure> {
    let steps = plan::plan(before, desired).map_err(|problems| params::invalid(&problems))?;
    let actions: Vec<String> = steps.iter().filter(|step| step.changes()).map(Step::to_string).collect();
    let after = steps.iter().fold(before.clone(), Current::after);
    Ok(outcome(before, &after, desired, &actions))
}

fn outcome(before: &Current, after: &Current, desired: &Desired, actions: &[String]) -> Outcome {
    let mut outcome = Outcome::new(!actions.is_empty()).with("auth", after.to_value()).with("actions", actions);
    outcome.diff.push(Diff::of("authentication", yaml(before), yaml(after)));
    outcome.warnings.extend(unchecked(before, desired));
    outcome
}

/// A failure in the middle says what was done before it: the next run goes on from there.
fn half_done(failure: Failure, actions: &[String]) -> Failure {
    if actions.is_empty() {
        return failure;
    }
    let mut failure = failure.with("changed", true).with("actions", actions);
    failure.msg = format!("{}; before that it did {}; run it again to go on", failure.msg, actions.join(", "));
    failure
}

/// Passwords of existing users, while nobody can tell whether they are right.
fn unchecked(before: &Current, desired: &Desired) -> Option<String> {
    if before.enabled || desired.enabled {
        return None;
    }
    let unknown = |name: &String| before.users.get(name).is_some_and(|user| user.credential == Credential::Unknown);
    let asked = desired
        .users
        .iter()
        .filter(|(name, wish)| wish.as_ref().is_some_and(|wish| !matches!(wish.wish, Wish::Keep)) && unknown(name));
    let names: Vec<&str> = asked.map(|(name, _)| name.as_str()).collect();
    let msg = "etcd tells whether a password is right only while authentication is on: left as they are for";
    (!names.is_empty()).then(|| format!("{msg} {}", names.join(", ")))
}

fn yaml(state: &Current) -> String {
    serde_saphyr::to_string(&state.to_value()).unwrap_or_else(|error| format!("# {error}\n"))
}
