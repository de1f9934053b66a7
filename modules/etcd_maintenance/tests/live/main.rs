//! The module against real etcd servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use ansible_protocol::{ErrorKind, Failure, Module, Outcome, read_arguments};
use etcd_maintenance::EtcdMaintenance;
use etcd_testbed::{Cluster, Member, Options, Version};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;

const QUOTA: u64 = 2 << 20;

/// The module as Ansible calls it, on all members of the cluster.
fn call(cluster: &Cluster, options: &Value) -> Result<Outcome, Failure> {
    let mut given = json!({
        "endpoints": cluster.endpoints(), "ca_cert": cluster.pki().ca_cert(), "client_cert": cluster.pki().client().cert,
        "client_key": cluster.pki().client().key, "login_user": "root", "login_password": "Secret.1", "quota": QUOTA,
    });
    given.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let arguments = read_arguments(&EtcdMaintenance::SPEC, given.as_object().cloned().unwrap()).0?;
    let params = serde_json::from_value(Value::Object(arguments.options)).unwrap();
    EtcdMaintenance::run(params, &arguments.context)
}

fn recover() -> Value {
    json!({ "compact": true, "defragment": true, "disarm": ["NOSPACE"] })
}

fn small(version: Version) -> Cluster {
    let config = vec![("quota-backend-bytes", QUOTA.to_string())];
    Cluster::start(version, 3, Options { config, ..Options::auth("Secret.1") })
}

/// Writes until there is no room; each time to the same key, or to new ones.
fn fill(cluster: &Cluster, new: bool) {
    let value = "x".repeat(100_000);
    let full = (0..200).any(|number| {
        let key = if new { format!("large-{number}") } else { "large".into() };
        cluster.etcdctl_as(Some("root:Secret.1"), &["put", &key, &value]).is_err()
    });
    assert!(full, "the quota is never reached");
}

fn alarms(cluster: &Cluster) -> String {
    cluster.etcdctl(&["alarm", "list"]).trim().to_owned()
}

#[test]
fn a_full_cluster_takes_writes_again() {
    for version in Version::ALL {
        let cluster = small(version);
        fill(&cluster, false);
        assert!(alarms(&cluster).contains("NOSPACE"));
        let mut checked = recover();
        checked["_ansible_check_mode"] = true.into();
        let foretold = call(&cluster, &checked).unwrap();
        assert!(alarms(&cluster).contains("NOSPACE"), "check mode changed something");
        let done = call(&cluster, &recover()).unwrap();
        assert_eq!((foretold.changed, &foretold.values["actions"]), (done.changed, &done.values["actions"]));
        assert_eq!(done.values["actions"], json!(["compacted", "defragmented", "disarmed"]), "{version:?}");
        let members = done.values["members"].as_array().unwrap();
        // Of a database as small as this one, a member that has yet to free its pages is not waited for.
        assert!((1..=3).contains(&members.len()), "{members:?}");
        assert!(members.iter().all(|member| member["after"].as_u64() < member["before"].as_u64()), "{members:?}");
        assert_eq!(alarms(&cluster), "");
        cluster.etcdctl(&["put", "again", "yes"]);
        assert_eq!(cluster.etcdctl(&["get", "large", "--print-value-only"]).trim().len(), 100_000);
    }
}

#[test]
fn an_alarm_that_would_be_back_is_left() {
    for version in Version::ALL {
        let cluster = small(version);
        fill(&cluster, true);
        let restart_all = |quota: u64| {
            for member in cluster.members() {
                member.configure("quota-backend-bytes", &quota.to_string());
                member.stop();
                member.spawn();
                member.wait_up();
            }
        };
        restart_all(1 << 20);
        // Whatever is configured has not been picked up.
        let disarm = json!({ "disarm": ["NOSPACE"], "quota": 8u64 << 30 });
        for checked in [false, true] {
            let mut options = disarm.clone();
            options["_ansible_check_mode"] = checked.into();
            let failure = call(&cluster, &options).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Conflict);
            for part in ["and 1048576 allowed", "raise etcd_quota_backend_bytes and have it picked up"] {
                assert!(failure.msg.contains(part), "{version:?} {failure}");
            }
        }
        assert!(alarms(&cluster).contains("NOSPACE"));
        restart_all(64 << 20);
        // With room, there is nothing else to do than to end it; and then nothing at all.
        assert_eq!(call(&cluster, &disarm).unwrap().values["actions"], json!(["disarmed"]), "{version:?}");
        assert!(!call(&cluster, &disarm).unwrap().changed);
        cluster.etcdctl(&["put", "again", "yes"]);
    }
}

#[test]
fn nobody_is_defragmented_while_a_member_is_down() {
    let cluster = small(Version::V3_7);
    cluster.etcdctl(&["put", "a", "b"]);
    let files = || cluster.members().iter().filter(|member| member.pid().is_some()).map(database).collect::<Vec<_>>();
    cluster.member(cluster.follower()).kill();
    let before = files();
    let options = json!({ "defragment": true, "unused_above": 0, "timeout": 15 });
    let failure = call(&cluster, &options).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::QuorumRisk, "{failure}");
    assert!(
        failure.msg.contains("would be silent meanwhile") && failure.msg.contains("bring all members back"),
        "{failure}"
    );
    assert_eq!(files(), before);
}

/// The file of its database, by inode: another one takes its place where it is defragmented.
fn database(member: &Member) -> u64 {
    std::fs::metadata(member.data_dir().join("member/snap/db")).unwrap().ino()
}
