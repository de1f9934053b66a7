use super::{me, run};
use ansible_protocol::ErrorKind;
use serde_json::{Value, json};
use test_case::test_case;

/// The configuration of the role, for one member of three.
pub(crate) fn sound() -> Value {
    json!({
        "name": "etcd-1",
        "data-dir": "/data/etcd",
        "listen-peer-urls": "https://10.10.10.10:2380",
        "listen-client-urls": ["https://10.10.10.10:2379", "https://127.0.0.1:2379"],
        "initial-advertise-peer-urls": "https://10.10.10.10:2380",
        "advertise-client-urls": "https://10.10.10.10:2379",
        "initial-cluster": "etcd-1=https://10.10.10.10:2380,etcd-2=https://10.10.10.11:2380,etcd-3=https://10.10.10.12:2380",
        "initial-cluster-token": "etcd",
        "initial-cluster-state": "new",
        "heartbeat-interval": "100",
        "election-timeout": "1000",
        "quota-backend-bytes": 8_589_934_592_i64,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "24h",
        "client-transport-security": { "cert-file": "/c", "key-file": "/k", "trusted-ca-file": "/ca" },
        "peer-transport-security": { "cert-file": "/c", "key-file": "/k", "trusted-ca-file": "/ca", "client-cert-auth": true },
    })
}

/// The sound configuration with other values, in check mode, so that no file matters.
fn with(version: &str, changes: Value) -> Result<Vec<String>, String> {
    let mut config = sound();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    let (owner, group) = me();
    let file = "/tmp/etcd.conf";
    let options = json!({
        "config": config, "config_file": file, "version": version, "owner": owner, "group": group,
        "_ansible_check_mode": true,
    });
    run(options).map(|outcome| outcome.warnings).map_err(|failure| {
        assert_eq!(failure.kind, ErrorKind::InvalidOption);
        failure.msg.strip_prefix("nothing was written: ").unwrap().to_owned()
    })
}

#[test]
fn the_role_s_configuration_is_fine_for_every_version() {
    for version in ["3.4.23", "3.5.16", "3.5.35", "3.6.16", "3.7.3"] {
        assert_eq!(with(version, json!({})), Ok(vec![]));
    }
}

#[test_case(json!({ "name": "etcd-4" }), "initial-cluster does not have this member, etcd-4: it has etcd-1, etcd-2, etcd-3"; "own name")]
#[test_case(json!({ "initial-cluster": "etcd-1=https://10.10.10.10:2380,etcd-2=https://10.10.10.11:2380,etcd-2=https://10.10.10.12:2380" }), "initial-cluster has the name etcd-2 twice: give each member its own name"; "a name twice")]
#[test_case(json!({ "initial-cluster": "etcd-1=https://10.10.10.10:2380,etcd-2=https://10.10.10.10:2380" }), "initial-cluster has https://10.10.10.10:2380 twice"; "a url twice")]
#[test_case(json!({ "initial-cluster": "etcd-1=https://10.10.10.10:2380,etcd-2" }), "initial-cluster has etcd-2 without URL; it wants name=URL,name=URL"; "no url")]
#[test_case(json!({ "initial-advertise-peer-urls": "https://10.10.10.19:2380" }), "initial-advertise-peer-urls is https://10.10.10.19:2380, but initial-cluster has https://10.10.10.10:2380 for etcd-1"; "other peer url")]
#[test_case(json!({ "election-timeout": "400" }), "election-timeout is 400 ms, but must be five times the heartbeat-interval (100 ms) or more: 500"; "election too short")]
#[test_case(json!({ "election-timeout": 60000 }), "election-timeout is 60000 ms, but etcd takes 50000 at most"; "election too long")]
#[test_case(json!({ "heartbeat-interval": 0 }), "heartbeat-interval must be more than 0 ms"; "no heartbeat")]
#[test_case(json!({ "listen-client-urls": "https://10.10.10.10:2379,http://127.0.0.1:2379" }), "listen-client-urls mixes https://10.10.10.10:2379 and http://127.0.0.1:2379: use https for all of them"; "mixed schemes")]
#[test_case(json!({ "advertise-client-urls": "http://10.10.10.10:2379" }), "advertise-client-urls has http://10.10.10.10:2379, but client-transport-security has a cert-file: use https"; "plain although tls")]
#[test_case(json!({ "client-transport-security": {} }), "listen-client-urls has https://10.10.10.10:2379, but client-transport-security has no cert-file and key-file; advertise-client-urls has https://10.10.10.10:2379, but client-transport-security has no cert-file and key-file"; "tls without files")]
#[test_case(json!({ "client-transport-security": { "cert-file": "/c" } }), "client-transport-security.cert-file needs key-file as well"; "certificate without key")]
#[test_case(json!({ "wal-dir": "/data/etcd/" }), "wal-dir is the data-dir (/data/etcd): name another, or leave it out"; "one directory for both")]
#[test_case(json!({ "data-dir": "data" }), "data-dir must be an absolute path: etcd would look from wherever it is started"; "relative directory")]
#[test_case(json!({ "listen-peer-urls": "https://etcd-1:2380" }), "listen-peer-urls needs an address, for etcd refuses to listen on the name etcd-1"; "listen on a name")]
#[test_case(json!({ "listen-peer-urls": "https://10.10.10.10" }), "listen-peer-urls is wrong: https://10.10.10.10 has no port"; "no port")]
#[test_case(json!({ "quota-backend-bytes": -1 }), "quota-backend-bytes is -1, which takes every limit off the database"; "negative quota")]
#[test_case(json!({ "auto-compaction-retention": "soon" }), "auto-compaction-retention is soon, but mode periodic wants a time such as 24h"; "retention")]
#[test_case(json!({ "auto-compaction-mode": "revision" }), "auto-compaction-retention is 24h, but mode revision wants a number of revisions"; "retention for revisions")]
#[test_case(json!({ "initial-cluster-state": "exist" }), "initial-cluster-state must be one of new, existing, got \"exist\", did you mean existing?"; "state")]
#[test_case(json!({ "discovery-srv": "example.org" }), "initial-cluster and discovery-srv exclude each other"; "two ways to find members")]
#[test_case(json!({ "force-new-cluster": "yes" }), "force-new-cluster in the file would cut this member off its cluster at every start; restore a snapshot instead"; "force new cluster")]
fn refuses(changes: Value, message: &str) {
    assert_eq!(with("3.6.16", changes), Err(message.to_owned()));
}

#[test_case(json!({ "initial-cluster": "etcd-1=https://a.example:2380", "initial-advertise-peer-urls": "https://10.10.10.10:2380" }); "a name that may be that address")]
#[test_case(json!({ "initial-cluster": "etcd-1=https://10.10.10.10:2380,etcd-1=https://10.10.20.10:2380", "initial-advertise-peer-urls": "https://10.10.20.10:2380,https://10.10.10.10:2380" }); "two urls for one member")]
#[test_case(json!({ "initial-cluster": { "etcd-1": "https://10.10.10.10:2380" } }); "members as a mapping")]
#[test_case(json!({ "listen-metrics-urls": "http://127.0.0.1:2381" }); "plain metrics beside tls")]
fn accepts(changes: Value) {
    assert_eq!(with("3.6.16", changes), Ok(vec![]));
}

#[test]
fn everything_wrong_is_in_one_message_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut config = sound();
    config["quota-backend-byte"] = json!(1);
    config["election-timeout"] = json!("soon");
    config["wal-dir"] = json!("/data/etcd");
    let (owner, group) = me();
    let failure = run(json!({
        "config": config, "config_file": path("etcd.conf"), "version": "3.6.16", "owner": owner, "group": "no-such-group",
        "files": [
            { "path": path("a"), "content": "x", "mode": 416, "owner": owner, "group": group },
            { "path": "relative", "content": "x", "owner": owner, "group": group },
            { "path": path("missing/b"), "content": "x", "owner": owner, "group": group },
        ],
    }));
    let failure = failure.unwrap_err();
    let here = directory.path().display();
    let wanted = format!(
        "nothing was written: election-timeout must be a whole number, got \"soon\"; \
         quota-backend-byte is unknown to etcd 3.6.16, which would ignore it, did you mean quota-backend-bytes?; \
         wal-dir is the data-dir (/data/etcd): name another, or leave it out; \
         {here}/a: mode must be octal and in quotes, as '0640', got the number 416; \
         relative must be an absolute path without ..; \
         there is no group no-such-group on this host; create it, or install the package that does; \
         there is no directory {here}/missing for {here}/missing/b; add it to the directories"
    );
    assert_eq!(failure.msg, wanted);
    assert_eq!(failure.kind, ErrorKind::InvalidOption);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_the_version_has_dropped_is_named_or_translated() {
    let changes = json!({ "experimental-initial-corrupt-check": true, "enable-v2": false });
    let message = "experimental-initial-corrupt-check was removed in etcd 3.7: write feature-gates: InitialCorruptCheck=true, \
                   or set translate: true; enable-v2 was removed in etcd 3.6: the v2 API is gone";
    assert_eq!(with("3.7.3", changes), Err(message.to_owned()));
}

#[test]
fn too_old_a_version_is_gated_and_a_newer_one_mentioned() {
    let options = |version: &str| json!({ "config": {}, "version": version, "_ansible_check_mode": true });
    assert_eq!(run(options("3.3.27")).unwrap_err().kind, ErrorKind::VersionGate);
    let warnings = run(options("3.9.0")).unwrap().warnings;
    assert!(warnings[0].starts_with("etcd 3.9.0 is newer than this module"), "{warnings:?}");
}

#[test]
fn a_flag_that_breaks_gateway_clients_is_a_warning() {
    let tls = json!({ "cert-file": "/c", "key-file": "/k", "trusted-ca-file": "/ca", "client-cert-auth": true });
    let warnings = with("3.6.16", json!({ "client-transport-security": tls })).unwrap();
    assert!(warnings[0].starts_with("client-transport-security.client-cert-auth makes every gateway request fail"));
}
