//! The calls that change a membership. What etcd refuses is told apart from what fails.

use crate::refusal::Refusal;
use ansible_protocol::Failure;
use etcd_ops::client::MemberClient;
use etcd_ops::rpc::Call;
use etcd_ops::rpc::cluster::{MemberAdd, MemberPromote, MemberRemove, MemberUpdate};

/// Done, or refused.
pub(crate) type Answer = Result<Result<(), Refusal>, Failure>;

pub(crate) async fn add(client: &MemberClient, what: &str, urls: &[String], is_learner: bool) -> Answer {
    ask(client, what, &MemberAdd { peer_urls: urls.to_vec(), is_learner }).await
}

pub(crate) async fn update(client: &MemberClient, what: &str, id: u64, urls: &[String]) -> Answer {
    ask(client, what, &MemberUpdate { id, peer_urls: urls.to_vec() }).await
}

pub(crate) async fn promote(client: &MemberClient, what: &str, id: u64) -> Answer {
    ask(client, what, &MemberPromote { id }).await
}

pub(crate) async fn remove(client: &MemberClient, what: &str, id: u64) -> Answer {
    ask(client, what, &MemberRemove { id }).await
}

async fn ask(client: &MemberClient, what: &str, request: &impl Call) -> Answer {
    let Err(status) = Box::pin(client.ask(what, request)).await? else { return Ok(Ok(())) };
    match Refusal::of(status.message()) {
        Some(refusal) => Ok(Err(refusal)),
        None => Err(client.refused(what, &status)),
    }
}
