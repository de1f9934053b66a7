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
        block_on(run(&params, &desired, context))
    }
}

async fn run(params: &Params, desired: &Desired, context: &Context) -> Result<Outcome, Failure> {
    let session = Session::new(&params.connection)?;
    let mut client = observe::find(&session).await?;
    let before = observe::observe(&mut client, params, desired).await?;
    let steps = plan::plan(&before, desired).map_err(|problems| params::invalid(&problems))?;
    let changed = steps.iter().any(Step::changes);
    let mut actions: Vec<String> = steps.iter().filter(|step| step.changes()).map(Step::to_string).collect();
    let after = if context.check_mode || !changed {
        steps.iter().fold(before.clone(), Current::after)
    } else {
        actions.clear();
        let applied = apply::apply(&mut client, desired, &steps, session.deadline(), &mut actions).await;
        applied.map_err(|failure| half_done(failure, &actions))?;
        observe::read(&client, desired.enabled).await?
    };
    let mut outcome = Outcome::new(changed).with("auth", after.to_value()).with("actions", &actions);
    outcome.diff.push(Diff::of("authentication", yaml(&before), yaml(&after)));
    if let Some(warning) = unchecked(&before, desired) {
        outcome.warn(warning);
    }
    Ok(outcome)
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
