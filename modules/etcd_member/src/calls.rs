//! The calls that change a membership. What etcd refuses is told apart from what fails.

use crate::refusal::Refusal;
use ansible_protocol::Failure;
use etcd_client::{Error, MemberAddOptions};
use etcd_ops::client::MemberClient;

/// Done, or refused.
pub(crate) type Answer = Result<Result<(), Refusal>, Failure>;

pub(crate) async fn add(client: &MemberClient, what: &str, urls: &[String], learner: bool) -> Answer {
    let options = learner.then(|| MemberAddOptions::new().with_is_learner());
    let call = async |client: etcd_client::Client| {
        settle(client.cluster_client().member_add(urls.to_vec(), options.clone()).await)
    };
    Box::pin(client.call(what, call)).await
}

pub(crate) async fn update(client: &MemberClient, what: &str, id: u64, urls: &[String]) -> Answer {
    Box::pin(client.call(what, async |client| settle(client.cluster_client().member_update(id, urls.to_vec()).await)))
        .await
}

pub(crate) async fn promote(client: &MemberClient, what: &str, id: u64) -> Answer {
    Box::pin(client.call(what, async |client| settle(client.cluster_client().member_promote(id).await))).await
}

pub(crate) async fn remove(client: &MemberClient, what: &str, id: u64) -> Answer {
    Box::pin(client.call(what, async |client| settle(client.cluster_client().member_remove(id).await))).await
}

fn settle<T>(answer: Result<T, Error>) -> Result<Result<(), Refusal>, Error> {
    match answer {
        Ok(_) => Ok(Ok(())),
        Err(Error::GRpcStatus(status)) => match Refusal::of(status.message()) {
            Some(refusal) => Ok(Err(refusal)),
            None => Err(Error::GRpcStatus(status)),
        },
        Err(error) => Err(error),
    }
}
