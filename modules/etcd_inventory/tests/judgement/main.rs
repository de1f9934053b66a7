//! The module's judgement, through its public interface: inventories and observations in, results or refusals out.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails fails its test")]

/// Clusters that are replaced, or removed by tag.
mod cleaning;
/// Hosts without data, beside those with and beside running clusters.
mod founding;
/// Hosts that join a running cluster.
mod joining;
/// What the inventory alone says, and what is wrong with it.
mod naming;
/// What the hosts say of themselves; and whatever they say, no second cluster.
mod safety;

use ansible_protocol::{Context, Failure, Module, Outcome};
use etcd_inventory::EtcdInventory;
use etcd_ops::datadir::{founding_cluster_id, founding_member_id};
use serde_json::{Value, json};

fn run(arguments: Value) -> Result<Outcome, Failure> {
    let (read, _) = ansible_protocol::read_arguments(&EtcdInventory::SPEC, arguments.as_object().cloned().unwrap());
    let params = serde_json::from_value(read?.options.into()).unwrap();
    EtcdInventory::run(params, &Context::default())
}

const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

fn inventory(hosts: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = hosts.iter().map(|(name, _)| *name).collect();
    let variables: serde_json::Map<String, Value> =
        hosts.iter().map(|(name, variables)| ((*name).to_owned(), variables.clone())).collect();
    json!({ "groups": { "etcd": names }, "hosts": variables, "play_hosts": names })
}

fn three() -> Value {
    inventory(&[
        (HOSTS[0], json!({"etcd_seq": 1})),
        (HOSTS[1], json!({"etcd_seq": 2})),
        (HOSTS[2], json!({"etcd_seq": 3})),
    ])
}

fn member_id(index: usize) -> u64 {
    founding_member_id(&[format!("https://{}:2380", HOSTS[index])], "etcd")
}

fn cluster_id() -> String {
    format!("{:x}", founding_cluster_id(&[member_id(0), member_id(1), member_id(2)]))
}

fn fresh() -> Value {
    json!({ "version": "3.6.14", "data": { "state": "absent" }, "cluster": null, "cluster_error": {}, "answering": [] })
}

fn holder(index: usize, had_leader: bool) -> Value {
    json!({ "version": "3.6.14", "cluster": null, "cluster_error": {}, "answering": [],
            "data": { "state": "member", "member_id": format!("{:x}", member_id(index)), "cluster_id": cluster_id(), "had_leader": had_leader } })
}

fn live(started: [bool; 3]) -> Value {
    let members: Vec<Value> = (0..3)
        .map(|index| {
            json!({ "id": format!("{:x}", member_id(index)), "name": format!("etcd-{}", index + 1),
                    "peer_urls": [format!("https://{}:2380", HOSTS[index])], "started": started[index] })
        })
        .collect();
    json!({ "id": cluster_id(), "leader": format!("{:x}", member_id(0)), "members": members })
}

/// What a member looks like that serves as it is configured.
fn settle(seen: &mut Value) {
    seen["serving"] = json!(true);
    seen["unit"] = json!({ "active_state": "active", "unit_file_state": "enabled", "need_daemon_reload": false });
    seen["pending"] = json!([]);
}

/// What `etcd_info` says when it has not looked at the cluster.
fn at_first(mut seen: Value) -> Value {
    seen["cluster"] = Value::Null;
    seen["cluster_error"] = Value::Null;
    seen["answering"] = json!([]);
    seen
}

/// The calls of a run that starts members: naming, judging by what the hosts say of themselves, and where that is not
/// enough, by what they say of their cluster.
fn judged(inventory: Value, observed: &[(&str, Value)]) -> Result<Outcome, Failure> {
    let clusters = run(inventory)?.values["clusters"].clone();
    let judge = |look: fn(Value) -> Value| {
        let observed: serde_json::Map<String, Value> =
            observed.iter().map(|(host, value)| ((*host).to_owned(), look(value.clone()))).collect();
        run(json!({ "clusters": clusters, "observed": observed, "starts": true }))
    };
    let first = judge(at_first)?;
    if first.values["safe_to_start"] == true {
        return Ok(first);
    }
    assert!(first.warnings.is_empty(), "said twice: {:?}", first.warnings);
    let second = judge(|seen| seen)?;
    assert_eq!(second.values["safe_to_start"], true);
    Ok(second)
}

/// The calls of a run that starts none.
fn warned(inventory: Value, observed: &[(&str, Value)]) -> Outcome {
    let clusters = run(inventory).unwrap().values["clusters"].clone();
    let observed: serde_json::Map<String, Value> =
        observed.iter().map(|(host, value)| ((*host).to_owned(), at_first(value.clone()))).collect();
    run(json!({ "clusters": clusters, "observed": observed })).unwrap()
}

fn refused(result: Result<Outcome, Failure>, parts: &[&str]) {
    let msg = result.expect_err("it must be refused").msg;
    for part in parts {
        assert!(msg.contains(part), "{part:?} is not in: {msg}");
    }
    assert!(msg.ends_with("Nothing was changed on any host."), "{msg}");
}
