//! The Ansible module `etcd_member`: a member of a cluster as desired state.
//!
//! [`next`](plan::next) is pure: from the cluster as it is to the one step to take, or the reason not to take it.

/// Taking the steps.
mod apply;
/// The calls, and what etcd refuses.
mod calls;
/// The module against real clusters.
#[cfg(test)]
mod live_tests;
/// The options, and wishes made of them.
mod params;
/// From what is to what is wished for.
mod plan;
/// The plan against clusters of all kinds.
#[cfg(test)]
mod plan_tests;
/// etcd's refusals, told apart.
mod refusal;
/// The result.
mod report;
/// The option table and documentation.
mod spec;

pub use params::Params;

use crate::apply::{Work, leaderless};
use crate::params::Desired;
use ansible_protocol::{Context, ErrorKind, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::connection::Session;
use etcd_ops::view::ClusterView;
use etcd_ops::{block_on, hex, leader};

/// The module.
pub struct EtcdMember;

impl Module for EtcdMember {
    type Params = Params;
    const SPEC: ModuleSpec = spec::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let desired = params.desired()?;
        block_on(async { run(&Session::new(&params.connection)?, &desired, context).await })
    }
}

async fn run(session: &Session, desired: &Desired, context: &Context) -> Result<Outcome, Failure> {
    let led = Box::pin(leader::find(session)).await.map_err(|failure| unknown(failure, desired))?;
    is_meant(&led.view, desired)?;
    let before = led.view.clone();
    // All that would be refused on the way is refused before anything is done.
    let (steps, after) = plan::predict(&before, desired)?;
    if led.client.is_none() {
        return Err(leaderless(&before));
    }
    if context.check_mode {
        let actions: Vec<&str> = steps.iter().filter_map(|step| step.word()).collect();
        return Ok(report::outcome(&before, &after, desired, &actions));
    }
    let mut work = Work::new(session, desired);
    match Box::pin(work.converge(led)).await {
        Ok(after) => Ok(report::outcome(&before, &after, desired, &work.actions)),
        Err(failure) => Err(half_done(failure, &work.actions)),
    }
}

/// Where nobody tells who the members are, nothing can be done, nor is it known that nothing is to be done.
fn unknown(failure: Failure, desired: &Desired) -> Failure {
    let mut failure =
        failure.context(format!("nothing was done about {}, for the members are unknown", desired.label()));
    if failure.kind == ErrorKind::NoLeader {
        failure.msg.push_str("; bring its members back first, then run it again");
    }
    failure
}

fn is_meant(view: &ClusterView, desired: &Desired) -> Result<(), Failure> {
    match desired.cluster_id {
        Some(id) if id != view.id => {
            let msg = format!(
                "{} is of cluster {}, not of {}: nothing was done; correct endpoints or cluster_id",
                view.endpoint,
                hex(view.id),
                hex(id)
            );
            Err(Failure::new(ErrorKind::Conflict, msg))
        }
        _ => Ok(()),
    }
}

/// A failure in the middle says what was done before it: the next run goes on from there.
fn half_done(failure: Failure, actions: &[&str]) -> Failure {
    if actions.is_empty() { failure } else { failure.with("changed", true).with("actions", actions) }
}
