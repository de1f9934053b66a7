use super::writing::options;
use super::{run, run_thrice};
use ansible_protocol::ErrorKind;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The options that lay `config` over what is there.
fn merging(directory: &Path, config: Value) -> Value {
    let (owner, group) = super::me();
    json!({
        "config": config, "config_file": directory.join("etc/etcd.conf"), "owner": owner, "group": group,
        "version": "3.6.16", "merge": true,
    })
}

#[test]
fn only_what_is_given_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("etc/etcd.conf");
    let mut whole = options(directory.path(), "x");
    whole["config"]["initial-cluster"] = json!("etcd-1=http://localhost:2380");
    whole["config"]["initial-advertise-peer-urls"] = json!("http://localhost:2380");
    whole["config"]["auto-compaction-retention"] = json!("24h");
    whole["config"]["grpc-keepalive-timeout"] = json!("5s");
    run(whole).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let members = "etcd-1=http://localhost:2380,etcd-2=http://localhost:2390";
    let outcome = run_thrice(&merging(directory.path(), json!({ "initial-cluster": members })));
    assert_eq!(outcome.values["config"]["changed_keys"], json!(["initial-cluster"]));
    assert_eq!(outcome.values["config"]["restart_keys"], json!([]));
    let wanted = before.replace("etcd-1=http://localhost:2380", members);
    assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
}

#[test]
fn what_says_the_same_already_keeps_its_words() {
    let directory = tempfile::tempdir().unwrap();
    run(options(directory.path(), "x")).unwrap();
    let path = directory.path().join("etc/etcd.conf");
    let by_hand = "# mine\nname:   'etcd-1'\n\"quota-backend-bytes\": 1_000 # little\n";
    fs::write(&path, by_hand).unwrap();
    let outcome = run(merging(directory.path(), json!({ "quota-backend-bytes": "1000", "log-level": null })));
    assert!(!outcome.unwrap().changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), by_hand);
}

#[test]
fn the_whole_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    run(options(directory.path(), "x")).unwrap();
    let path = directory.path().join("etc/etcd.conf");
    let by_hand = "name: etcd-1\nquota-backend-byte: 1000\nheartbeat-interval: 100\n";
    fs::write(&path, by_hand).unwrap();
    let given = json!({ "initial-cluster": "etcd-2=http://localhost:2380", "election-timeout": 200 });
    let failure = run(merging(directory.path(), given)).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidOption);
    for part in ["did you mean quota-backend-bytes?", "does not have this member, etcd-1", "election-timeout is 200 ms"]
    {
        assert!(failure.msg.contains(part), "{part}: {failure}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), by_hand);
}

#[test]
fn without_a_configuration_there_is_nothing_to_merge_into() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("etc")).unwrap();
    let path = directory.path().join("etc/etcd.conf");
    let merging = || run(merging(directory.path(), json!({ "name": "etcd-1" }))).unwrap_err();
    let here = path.display();
    let wanted =
        format!("nothing was written: there is no {here} to merge config into; write it whole first, without merge");
    let failure = merging();
    assert_eq!((failure.msg, failure.kind), (wanted, ErrorKind::Io));
    assert!(!path.exists());
    fs::write(&path, "- a list\n").unwrap();
    let wanted = format!(
        "nothing was written: {here} cannot be merged into, for it is not a mapping of keys to values; write it whole, \
         without merge"
    );
    assert_eq!(merging().msg, wanted);
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let failure = merging().msg;
    assert!(failure.contains("cannot be read to merge config into it"), "{failure}");
    assert_eq!(fs::read(&path).unwrap(), [0xff, 0xfe]);
}
