//! The module against real etcd servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

/// What a power cut would leave.
mod durable;
/// What becomes of runs that do not come to their end.
mod interrupted;
/// Which older snapshots stay.
mod kept;
/// Data directories from snapshots.
mod restored;
/// What is saved, on every version of etcd.
mod saved;
/// Refusals.
mod trouble;

use ansible_protocol::{Failure, Module, read_arguments};
use etcd_snapshot::EtcdSnapshot;
use etcd_testbed::Cluster;
use serde_json::{Value, json};
use std::path::Path;

/// The module as Ansible calls it.
fn run(options: &Value) -> Result<Value, Failure> {
    let (arguments, _) = read_arguments(&EtcdSnapshot::SPEC, options.as_object().unwrap().clone());
    let arguments = arguments?;
    let params = serde_json::from_value(arguments.options.into()).unwrap();
    EtcdSnapshot::run(params, &arguments.context).map(|outcome| outcome.into_object(true).into())
}

/// The module on all members of the cluster.
fn call(cluster: &Cluster, options: &Value) -> Result<Value, Failure> {
    let mut given = json!({ "endpoints": cluster.endpoints(), "_ansible_diff": true });
    if cluster.endpoints()[0].starts_with("https") {
        given["ca_cert"] = json!(cluster.pki().ca_cert());
        given["client_cert"] = json!(cluster.pki().client().cert);
        given["client_key"] = json!(cluster.pki().client().key);
    }
    given.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    run(&given)
}

/// The module's result when it goes well.
#[track_caller]
fn ok(cluster: &Cluster, options: &Value) -> Value {
    call(cluster, options).unwrap_or_else(|failure| panic!("{:?}: {failure}", failure.kind))
}

fn verify(path: &Path) -> Result<Value, Failure> {
    run(&json!({ "state": "verified", "path": path }))
}

/// The names of all files in the directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
