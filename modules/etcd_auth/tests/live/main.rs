//! The module against real etcd servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod state;
mod trouble;

use ansible_protocol::{Context, Failure, Module, read_arguments};
use etcd_auth::EtcdAuth;
use etcd_testbed::{Cluster, Options, Version};
use serde_json::{Value, json};

/// The module as Ansible calls it: through the option table, on all members, and with the output masked.
fn call(cluster: &Cluster, options: &Value) -> Result<Value, Failure> {
    let mut given = json!({ "endpoints": cluster.endpoints(), "timeout": 30, "_ansible_diff": true });
    if cluster.endpoints()[0].starts_with("https") {
        given["ca_cert"] = json!(cluster.pki().ca_cert());
        given["client_cert"] = json!(cluster.pki().client().cert);
        given["client_key"] = json!(cluster.pki().client().key);
    }
    given.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let (arguments, masker) = read_arguments(&EtcdAuth::SPEC, given.as_object().unwrap().clone());
    let arguments = arguments?;
    let params = serde_json::from_value(arguments.options.into()).unwrap();
    let context = Context { diff: true, ..arguments.context };
    match EtcdAuth::run(params, &context) {
        Ok(outcome) => {
            let object = outcome.into_object(true);
            let mut masked = object.clone();
            masker.mask_object(&mut masked);
            assert_eq!(object, masked, "a secret is in the result");
            Ok(object.into())
        }
        Err(failure) => {
            let text = format!("{} {:?} {:?}", failure.msg, failure.details, failure.warnings);
            assert_eq!(masker.mask(&text), text, "a secret is in the failure");
            Err(failure)
        }
    }
}

/// The module's result when it goes well.
#[track_caller]
fn ok(cluster: &Cluster, options: &Value) -> Value {
    call(cluster, options).unwrap_or_else(|failure| panic!("{:?}: {failure}", failure.kind))
}

/// What the module did.
fn actions(result: &Value) -> Vec<&str> {
    result["actions"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// Runs in check mode, for real, and again: what was predicted happens, and only once.
#[track_caller]
fn converge(cluster: &Cluster, options: &Value) -> Value {
    let before = revisions(cluster);
    let mut checked = options.clone();
    checked["_ansible_check_mode"] = true.into();
    let predicted = ok(cluster, &checked);
    assert_eq!(revisions(cluster), before, "check mode wrote");
    let done = ok(cluster, options);
    assert_eq!(predicted["auth"], done["auth"]);
    assert_eq!(predicted["diff"], done["diff"]);
    assert_eq!(predicted["actions"], done["actions"]);
    assert_eq!(done["changed"], json!(!actions(&done).is_empty()));
    let after = revisions(cluster);
    let again = ok(cluster, options);
    assert_eq!((&again["changed"], actions(&again)), (&json!(false), vec![]));
    assert_eq!(again["auth"], done["auth"]);
    assert_eq!(again["diff"][0]["before"], again["diff"][0]["after"]);
    assert_eq!(revisions(cluster), after, "a run without changes wrote");
    done
}

/// The revisions of keys and of authentication on the first running member.
fn revisions(cluster: &Cluster) -> (Option<u64>, Option<u64>) {
    let member = cluster.members().iter().find(|member| member.pid().is_some()).unwrap();
    let metric = |name| member.metric(name).map(|value| value as u64);
    let auth = metric("etcd_debugging_auth_revision");
    assert!(auth.is_some(), "the metric of the revision is gone");
    (metric("etcd_debugging_mvcc_current_revision"), auth)
}

fn single(version: Version) -> Cluster {
    Cluster::start(version, 1, Options::tls())
}

fn can_log_in(cluster: &Cluster, user: &str, password: &str) -> bool {
    cluster.etcdctl_as(Some(&format!("{user}:{password}")), &["get", "/nothing"]).map_or_else(
        |error| {
            assert!(error.contains("permission denied") || error.contains("authentication failed"), "{error}");
            error.contains("permission denied")
        },
        |_| true,
    )
}
