//! The module against real etcd servers, and on hosts where little or nothing is.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

/// What a cluster is said to be like, well or ill.
mod cluster;
/// What a host is said to have.
mod host;
/// Who is said to use a cluster.
mod usage;

use ansible_protocol::{Module, read_arguments};
use etcd_info::EtcdInfo;
use etcd_testbed::{Cluster, Member};
use serde_json::{Value, json};

/// The facts, as Ansible gets them. A call never changes anything, says so, and never fails.
#[track_caller]
fn facts(options: &Value) -> Value {
    let (arguments, _) = read_arguments(&EtcdInfo::SPEC, options.as_object().unwrap().clone());
    let arguments = arguments.unwrap();
    let params = serde_json::from_value(arguments.options.into()).unwrap();
    let outcome = EtcdInfo::run(params, &arguments.context).unwrap_or_else(|failure| panic!("it failed: {failure}"));
    assert!(!outcome.changed && outcome.diff.is_empty() && outcome.warnings.is_empty());
    outcome.values["etcd"].clone()
}

/// The options for a member's host, as the role gives them: its own endpoint first.
fn options(cluster: &Cluster, member: usize) -> Value {
    let mut endpoints = cluster.endpoints();
    endpoints.rotate_left(member);
    let mut options = json!({
        "unit": "quorum-etcd-testbed",
        "endpoints": endpoints,
        "data_dir": cluster.member(member).data_dir(),
        "binary": cluster.member(member).version().executable("etcd"),
        "timeout": 30,
        "dial_timeout": 2,
    });
    if cluster.endpoints()[0].starts_with("https") {
        options["ca_cert"] = json!(cluster.pki().ca_cert());
        options["cert_file"] = json!(cluster.pki().server().cert);
        options["client_cert"] = json!(cluster.pki().client().cert);
        options["client_key"] = json!(cluster.pki().client().key);
    }
    options
}

/// The facts of a member's host with some options changed. Whatever is asked, the cluster is not written to.
#[track_caller]
fn observe(cluster: &Cluster, member: usize, changes: &Value) -> Value {
    let mut options = options(cluster, member);
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let before = revisions(cluster);
    let facts = facts(&options);
    assert_eq!(revisions(cluster), before, "it wrote");
    facts
}

/// The newest revisions of keys and of authentication that a member has.
fn revisions(cluster: &Cluster) -> (u64, u64) {
    let revision = |member: &Member| {
        let metric = |name| member.metric(name).map(|value| value as u64);
        member.pid()?;
        Some((metric("etcd_debugging_mvcc_current_revision")?, metric("etcd_debugging_auth_revision")?))
    };
    cluster.members().iter().filter_map(revision).max().expect("the metrics of the revisions")
}

/// The member of that name.
#[track_caller]
fn member<'a>(facts: &'a Value, name: &str) -> &'a Value {
    let members = facts["cluster"]["members"].as_array().unwrap_or_else(|| panic!("{facts:#}"));
    members.iter().find(|member| member["name"] == name).unwrap()
}

/// Who is healthy.
fn healthy(facts: &Value) -> Vec<&str> {
    let members = facts["cluster"]["members"].as_array().unwrap();
    members.iter().filter(|member| member["healthy"] == true).filter_map(|member| member["name"].as_str()).collect()
}
