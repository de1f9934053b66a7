use super::{healthy, member, observe};
use etcd_ops::datadir;
use etcd_testbed::{Cluster, Options, Pki, Version, wait_for};
use serde_json::{Value, json};
use std::process::Command;

const ALL: [&str; 3] = ["etcd-1", "etcd-2", "etcd-3"];

#[test]
fn three_members_serve_and_hold_the_same() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        cluster.etcdctl(&["put", "key", "value"]);
        let facts = observe(&cluster, 1, &json!({ "hash": true }));
        assert_eq!((&facts["cluster_error"], healthy(&facts)), (&Value::Null, ALL.to_vec()), "{facts:#}");
        let running = member(&facts, "etcd-1")["status"]["version"].as_str().unwrap();
        assert!(running.starts_with(&format!("{}.", version.series())), "{running}");
        assert_eq!(facts["version"], running, "the executable is that of the process");
        let live = &facts["cluster"];
        assert_eq!(live["auth"], "off");
        assert_eq!(live["leader"], member(&facts, cluster.member(cluster.leader()).name())["id"]);
        for name in ALL {
            let member = member(&facts, name);
            let number = |name: &str| member["status"][name].as_u64().unwrap();
            assert!(number("db_size") >= number("db_size_in_use") && number("db_size_in_use") > 0, "{member:#}");
            assert_eq!((&member["started"], &member["is_learner"]), (&json!(true), &json!(false)));
        }
        assert_eq!(live["local_member"], *member(&facts, "etcd-2"));
        assert_eq!(live["local_member"]["id"], facts["data"]["member_id"]);
        assert_eq!(live["id"], facts["data"]["cluster_id"]);
        assert_eq!((&facts["data"]["had_leader"], &facts["data"]["alone"]), (&json!(true), &json!(false)));

        assert_eq!(live["hashes"]["revision"], 2, "one key was written");
        let hashes: Vec<&Value> = live["hashes"]["members"].as_object().unwrap().values().collect();
        assert_eq!(hashes.len(), 3);
        assert!(hashes.iter().all(|hash| hash.is_u64() && *hash == hashes[0]), "{hashes:?}");
        let ids = ALL.map(|name| member(&facts, name)["id"].as_str().unwrap());
        assert!(ids.iter().all(|id| live["hashes"]["revisions"][id] == 2), "{live:#}");
        cluster.etcdctl(&["put", "key", "other"]);
        let later = observe(&cluster, 1, &json!({ "hash": true }));
        assert_ne!(later["cluster"]["hashes"]["members"], live["hashes"]["members"], "it hashes no keys");
        assert_eq!(later["cluster"]["hashes"]["revisions"][ids[0]], 3);
        etcd_ops::datadir::mark_alone(&cluster.member(1).data_dir()).unwrap();
        assert_eq!(observe(&cluster, 1, &json!({}))["data"]["alone"], true);
    }
}

#[test]
fn what_a_cluster_holds_is_told_as_of_a_revision() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("secret"));
        cluster.etcdctl(&["put", "one", "1"]);
        let login = json!({ "login_user": "root", "login_password": "secret", "contents_at": 2 });
        cluster.etcdctl(&["put", "two", "2"]);
        let facts = observe(&cluster, 0, &login);
        let contents = json!({ "revision": 2, "keys": 1, "users": ["root"], "roles": ["root"] });
        assert_eq!(facts["cluster"]["contents"], contents, "{facts:#}");
        // Whoever asks a day later may ask for what is gone, and learns all the rest.
        cluster.etcdctl(&["compact", "3"]);
        let facts = observe(&cluster, 0, &login);
        let contents = json!({ "revision": 2, "keys": null, "users": ["root"], "roles": ["root"] });
        assert_eq!(facts["cluster"]["contents"], contents, "{facts:#}");
    }
}

#[test]
fn authentication_is_told_with_and_without_a_login() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        let login = json!({ "login_user": "root", "login_password": "secret", "hash": true });
        let facts = observe(&cluster, 0, &login);
        assert_eq!(facts["cluster"]["auth"], "on", "{facts:#}");
        assert_eq!(healthy(&facts), ALL);
        assert_eq!(facts["cluster"]["hashes"]["members"].as_object().unwrap().len(), 3);
        for login in [json!({}), json!({ "login_user": "root", "login_password": "wrong" })] {
            let facts = observe(&cluster, 0, &login);
            let known = facts["cluster"]["auth"] == "on";
            assert!(known || facts["cluster_error"]["kind"] == "auth", "{version:?}: {facts:#}");
            assert_eq!(facts["data"]["state"], "member");
        }
    }
}

#[test]
fn a_member_that_is_down_is_named_with_the_reason_on_its_own_host_too() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        cluster.member(0).kill();
        let _ = cluster.leader();
        for host in [0, 2] {
            let facts = observe(&cluster, host, &json!({ "hash": true }));
            assert_eq!(healthy(&facts), ["etcd-2", "etcd-3"], "{version:?}: {facts:#}");
            let down = member(&facts, "etcd-1");
            let wanted = format!("{} does not answer: Connection refused (os error 111)", cluster.endpoints()[0]);
            assert_eq!(down["error"], json!({ "kind": "unreachable", "reason": wanted }));
            assert_eq!((&down["started"], &down["status"]), (&json!(true), &Value::Null));
            assert_eq!(facts["cluster"]["hashes"]["members"].as_object().unwrap().len(), 2);
            assert_eq!(facts["cluster"]["local_member"], *member(&facts, ALL[host]));
            assert!(facts["version"].is_string(), "an executable is there though nothing runs");
        }
    }
}

#[test]
fn without_quorum_every_member_is_named_with_its_own_trouble() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        cluster.member(0).kill();
        cluster.member(1).kill();
        wait_for("the loss of the leader", || cluster.member(2).metric("etcd_server_has_leader") == Some(0.0));
        let facts = observe(&cluster, 2, &json!({ "hash": true }));
        assert_eq!((&facts["cluster_error"], &facts["cluster"]["leader"]), (&Value::Null, &Value::Null), "{facts:#}");
        assert_eq!(healthy(&facts), Vec::<&str>::new());
        let kinds = ALL.map(|name| member(&facts, name)["error"]["kind"].as_str().unwrap());
        assert_eq!(kinds, ["unreachable", "unreachable", "no_leader"], "{version:?}");
        assert_eq!(facts["cluster"]["hashes"]["members"], json!({}));
    }
}

#[test]
fn members_that_hang_do_not_keep_it() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    cluster.member(0).freeze();
    cluster.member(1).freeze();
    wait_for("the loss of the leader", || cluster.member(2).metric("etcd_server_has_leader") == Some(0.0));
    // Had it no end of its own, neither had this test.
    let facts = observe(&cluster, 0, &json!({ "timeout": 15, "dial_timeout": 1 }));
    assert_eq!(healthy(&facts), Vec::<&str>::new());
    assert_eq!(member(&facts, "etcd-3")["error"]["kind"], "no_leader", "{facts:#}");
    let hanging = member(&facts, "etcd-1")["error"]["kind"].as_str().unwrap();
    assert!(["unreachable", "timeout"].contains(&hanging), "{facts:#}");
    cluster.members().iter().for_each(etcd_testbed::Member::thaw);
}

#[test]
fn a_cluster_that_is_down_is_no_failure() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    cluster.members().iter().for_each(etcd_testbed::Member::kill);
    let mut options = super::options(&cluster, 0);
    options["hash"] = json!(true);
    let facts = super::facts(&options);
    assert_eq!((&facts["cluster"], &facts["cluster_error"]["kind"]), (&Value::Null, &json!("unreachable")));
    let reason = facts["cluster_error"]["reason"].as_str().unwrap();
    assert!(cluster.endpoints().iter().all(|endpoint| reason.contains(endpoint)), "{reason}");
    assert_eq!((&facts["data"]["state"], &facts["data"]["had_leader"]), (&json!("member"), &json!(true)));
}

#[test]
fn an_authority_that_did_not_issue_the_certificates_is_the_reason() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let foreign = Pki::create(&cluster.directory().join("foreign"), "foreign");
    let facts = observe(&cluster, 0, &json!({ "ca_cert": foreign.ca_cert() }));
    assert_eq!((&facts["cluster"], &facts["cluster_error"]["kind"]), (&Value::Null, &json!("tls")), "{facts:#}");
    assert!(facts["cluster_error"]["reason"].as_str().unwrap().contains("ca_cert"), "{facts:#}");
    assert_eq!(facts["data"]["state"], "member");
}

/// How often anybody has logged in anywhere since the members started.
fn logins(cluster: &Cluster) -> f64 {
    let counter =
        r#"grpc_server_started_total{grpc_method="Authenticate",grpc_service="etcdserverpb.Auth",grpc_type="unary"}"#;
    cluster.members().iter().filter_map(|member| member.metric(counter)).sum()
}

#[test]
fn a_host_that_looks_at_itself_logs_in_nowhere_and_at_its_cluster_once() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        let login = json!({ "login_user": "root", "login_password": "secret" });
        let look = |closely: bool| {
            let mut options = login.clone();
            options["cluster"] = json!(closely);
            let before = logins(&cluster);
            (observe(&cluster, 1, &options), logins(&cluster) - before)
        };
        let (facts, times) = look(false);
        assert_eq!(
            (&facts["serving"], &facts["cluster"], &facts["cluster_error"]),
            (&json!(true), &Value::Null, &Value::Null)
        );
        assert!(times < 0.5, "{version:?}: {times}");
        let (closely, times) = look(true);
        assert_eq!((healthy(&closely), &closely["serving"]), (ALL.to_vec(), &json!(true)));
        assert_eq!(closely["version"], facts["version"]);
        assert!(times < 1.5, "{version:?}: {times}");
        assert!(version != Version::V3_6 || times > 0.5, "nothing counts the logins");

        cluster.member(0).kill();
        cluster.member(2).kill();
        assert_eq!(look(false).0["serving"], false, "{version:?}");
    }
}

#[test]
fn a_member_with_an_alarm_does_not_count_as_serving() {
    let config = vec![("quota-backend-bytes", "1000000".to_owned())];
    let cluster = Cluster::start(Version::V3_6, 3, Options { config, ..Options::tls() });
    let serving = || observe(&cluster, 0, &json!({ "cluster": false }))["serving"] == true;
    assert!(serving());
    let value = "x".repeat(100_000);
    wait_for("the database to be full", || cluster.etcdctl_as(None, &["put", "key", &value]).is_err());
    assert!(!serving());
}

/// One that lost its newest revisions is equal to the others at its own.
#[test]
fn a_member_that_is_behind_is_told_by_its_revision() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        cluster.etcdctl(&["put", "key", "value"]);
        let (leader, behind) = (cluster.leader(), cluster.follower());
        cluster.member(behind).stop();
        let old = cluster.directory().join("old");
        let copy = |from: &std::path::Path, to: &std::path::Path| {
            assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
        };
        copy(&cluster.member(behind).data_dir().join("member/snap/db"), &old);
        cluster.member(behind).start();
        cluster.etcdctl(&["put", "key", "other"]);
        wait_for("the write", || cluster.member(behind).metric("etcd_debugging_mvcc_current_revision") == Some(3.0));
        cluster.member(behind).stop();
        // A database that says it has applied what it has not.
        let db = cluster.member(behind).data_dir().join("member/snap/db");
        let applied = datadir::applied(&db).unwrap();
        copy(&old, &db);
        let before = datadir::applied(&db).unwrap();
        let mut bytes = std::fs::read(&db).unwrap();
        let (name, was) = (b"consistent_index", before.to_be_bytes());
        let needle: Vec<u8> = name.iter().chain(&was).copied().collect();
        let places: Vec<usize> =
            (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(&needle)).collect();
        assert!(!places.is_empty(), "{version:?}");
        for at in places {
            bytes[at + name.len()..at + needle.len()].copy_from_slice(&applied.to_be_bytes());
        }
        std::fs::write(&db, bytes).unwrap();
        cluster.member(behind).start();
        let facts = observe(&cluster, leader, &json!({ "hash": true }));
        let hashes = &facts["cluster"]["hashes"];
        let of = |index: usize| member(&facts, cluster.member(index).name())["id"].as_str().unwrap().to_owned();
        assert_eq!(hashes["members"][of(leader)], hashes["members"][of(behind)], "{version:?}");
        assert_eq!(
            (&hashes["revisions"][of(leader)], &hashes["revisions"][of(behind)]),
            (&json!(3), &json!(2)),
            "{version:?}"
        );
    }
}
