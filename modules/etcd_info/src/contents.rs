//! What a cluster holds: how many keys there are as of a revision, and its users and roles.

use ansible_protocol::{Failure, order};
use etcd_ops::connection::Session;
use etcd_ops::rpc::auth::{RoleList, UserList};
use etcd_ops::rpc::keys::Range;
use etcd_ops::view::ClusterView;
use serde_json::{Value, json};

/// Asks the leader; null while there is none. Where the revision has been compacted, nobody can count its keys any more, and that is
/// no trouble of the cluster's.
pub(crate) async fn contents(session: &Session, view: &ClusterView, revision: i64) -> Result<Value, Failure> {
    let Some(leader) = view.leader else { return Ok(Value::Null) };
    let url = view.member(leader).and_then(|member| member.client_urls.first()).unwrap_or(&view.endpoint);
    let client = session.connect(url).await?;
    let all = Range { key: vec![0], range_end: vec![0], revision, count_only: true, ..Range::default() };
    let keys = match client.call("count the keys", &all).await {
        Ok(answer) => Some(answer.count),
        Err(failure) if failure.msg.contains("compacted") => None,
        Err(failure) => return Err(failure),
    };
    let mut users = client.call("list the users", &UserList {}).await?.names;
    let mut roles = client.call("list the roles", &RoleList {}).await?.names;
    order::sort(&mut users);
    order::sort(&mut roles);
    Ok(json!({ "revision": revision, "keys": keys, "users": users, "roles": roles }))
}
