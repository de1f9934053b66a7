use super::{observe, options, revisions};
use ansible_protocol::{ErrorKind, Module, read_arguments};
use etcd_client::{Client, Txn, TxnOp};
use etcd_info::EtcdInfo;
use etcd_testbed::{Cluster, Options, Version, wait_for};
use serde_json::{Value, json};

/// What is said of the cluster's usage, asked of one member's host as root where there is a root.
#[track_caller]
fn usage(cluster: &Cluster, member: usize, changes: &Value) -> Value {
    let mut options = json!({ "usage": true });
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let facts = observe(cluster, member, &options);
    assert_eq!(facts["cluster_error"], Value::Null, "{facts:#}");
    facts["cluster"]["usage"].clone()
}

/// Writes that many keys below the prefix.
fn fill(cluster: &Cluster, prefix: &str, count: usize) {
    let names: Vec<String> = (0..count).map(|number| format!("{prefix}{number:05}")).collect();
    etcd_ops::block_on(async {
        let mut client = Client::connect(cluster.endpoints(), None).await.unwrap();
        for names in names.chunks(100) {
            let puts: Vec<TxnOp> = names.iter().map(|name| TxnOp::put(name.as_str(), "value", None)).collect();
            client.txn(Txn::new().and_then(puts)).await.unwrap();
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn nobody_uses_a_fresh_cluster() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let leases = json!({ "count": 0, "sample": [] });
        let wanted = json!({ "leases": leases, "clients": [], "keys": 0, "complete": true, "revision": 1 });
        assert_eq!(usage(&cluster, 0, &json!({})), wanted, "{version:?}");
        let facts = observe(&cluster, 0, &json!({}));
        assert_eq!(facts["cluster"].get("usage"), None, "nobody asked");
    }
}

#[test]
fn leases_and_clients_are_named() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        let lease = cluster.etcdctl(&["lease", "grant", "600"]);
        let id = lease.split_whitespace().nth(1).unwrap();
        cluster.etcdctl(&["put", "/service/pg-main/leader", "pg-1", "--lease", id]);
        for key in ["/pg/pg-meta/initialize", "/pg/pg-meta/config", "/registry/pods/default/web", "/mine"] {
            cluster.etcdctl(&["put", key, "value"]);
        }
        let login = json!({ "login_user": "root", "login_password": "secret" });
        for member in 0..3 {
            let usage = usage(&cluster, member, &login);
            let clients =
                ["Kubernetes in /registry", "Patroni cluster pg-main in /service", "Patroni cluster pg-meta in /pg"];
            assert_eq!(usage["clients"], json!(clients), "{version:?}");
            assert_eq!((&usage["keys"], &usage["complete"]), (&json!(5), &json!(true)));
            assert_eq!((&usage["leases"]["count"], &usage["leases"]["sample"][0]["id"]), (&json!(1), &json!(id)));
            let left = usage["leases"]["sample"][0]["ttl"].as_i64().unwrap();
            assert!((1..=600).contains(&left), "{left}");
        }
        for _ in 0..6 {
            cluster.etcdctl(&["lease", "grant", "600"]);
        }
        let leases = &usage(&cluster, 0, &login)["leases"];
        assert_eq!((&leases["count"], leases["sample"].as_array().unwrap().len()), (&json!(7), 5));
    }
}

#[test]
fn whoever_may_not_read_everything_is_told_so() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::auth("secret"));
    cluster.etcdctl(&["user", "add", "guest:guest"]);
    let guest = json!({ "usage": true, "login_user": "guest", "login_password": "guest" });
    let facts = observe(&cluster, 0, &guest);
    assert_eq!(facts["cluster_error"]["kind"], "auth", "{facts:#}");
    assert!(facts["cluster_error"]["reason"].as_str().unwrap().contains("such as root"), "{facts:#}");
}

#[test]
fn many_keys_are_looked_through_page_by_page() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        fill(&cluster, "/first/", 2100);
        fill(&cluster, "/registry/pods/", 2100);
        cluster.etcdctl(&["put", "/service/pg-main/leader", "pg-1"]);
        let usage = usage(&cluster, 0, &json!({}));
        let wanted = ["Kubernetes in /registry", "Patroni cluster pg-main in /service"];
        assert_eq!(usage["clients"], json!(wanted), "{version:?}");
        assert_eq!((&usage["keys"], &usage["complete"]), (&json!(4201), &json!(true)));
    }
}

#[test]
fn without_a_leader_nothing_is_claimed() {
    let cluster = Cluster::start(Version::V3_6, 2, Options::default());
    cluster.member(0).kill();
    wait_for("the loss of the leader", || cluster.member(1).metric("etcd_server_has_leader") == Some(0.0));
    assert_eq!(usage(&cluster, 1, &json!({})), Value::Null);
}

#[test]
fn the_cluster_has_to_be_asked_for() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let mut options = options(&cluster, 0);
    (options["usage"], options["cluster"]) = (json!(true), json!(false));
    let before = revisions(&cluster);
    let arguments = read_arguments(&EtcdInfo::SPEC, options.as_object().unwrap().clone()).0.unwrap();
    let params = serde_json::from_value(arguments.options.into()).unwrap();
    let failure = EtcdInfo::run(params, &arguments.context).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidOption);
    assert_eq!(revisions(&cluster), before);
}
