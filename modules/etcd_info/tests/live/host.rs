use super::{facts, facts as facts_of, observe};
use etcd_testbed::{Cluster, Leaf, Options, Version};
use serde_json::{Value, json};
use std::fs;

fn absent_data() -> Value {
    json!({ "state": "absent", "left_wal": false, "unmounted": null })
}

#[test]
fn a_host_where_nothing_is_yet() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    let mut options = json!({ "unit": "quorum-etcd-testbed", "endpoints": "https://127.0.0.1:1" });
    for name in ["ca_cert", "ca_file", "cert_file", "data_dir", "config_file", "runtime_dir", "binary"] {
        options[name] = json!(absent.join(name));
    }
    let facts = facts(&options);
    for name in ["version", "binary", "certificate", "cluster"] {
        assert_eq!(facts[name], Value::Null, "{name}");
    }
    assert_eq!((&facts["data"], &facts["pending"]), (&absent_data(), &json!([])));
    assert_eq!(facts["cluster_error"]["kind"], "tls");
    let reason = facts["cluster_error"]["reason"].as_str().unwrap();
    assert!(reason.contains(absent.join("ca_cert").to_str().unwrap()), "{reason}");
    assert_eq!(facts["restore"], Value::Null);
    for (text, wanted) in [("{\"phase\": \"restored\"}", json!({ "phase": "restored" })), ("torn", Value::Null)] {
        options["restore_file"] = json!(directory.path().join("restore.json"));
        fs::write(directory.path().join("restore.json"), text).unwrap();
        let noted = &facts_of(&options)["restore"];
        assert!(
            *noted == wanted || noted["error"].as_str().is_some_and(|error| error.contains("restore.json")),
            "{noted}"
        );
    }
    // Where there is systemd, it knows no such unit.
    let state = facts["unit"]["load_state"].as_str().unwrap();
    assert_eq!(state == "unknown", facts["unit"]["error"].is_string(), "{facts:#}");
    assert!(["unknown", "not-found"].contains(&state), "{facts:#}");
}

#[test]
fn a_fresh_host_finds_out_what_already_runs_there() {
    let cluster = Cluster::start(Version::V3_6, 2, Options::tls());
    let fresh = cluster.directory().join("fresh");
    fs::create_dir(&fresh).unwrap();
    let dead = cluster.spare("dead");
    let probe = [cluster.member(1).peer_url(), dead.client_url(), cluster.member(0).client_url()];
    let facts = observe(&cluster, 0, &json!({ "data_dir": fresh, "probe": probe }));
    assert_eq!(facts["data"], absent_data());
    assert_eq!(facts["answering"], json!([probe[0], probe[2]]), "in the order given");
    assert_eq!(facts["cluster"]["local_member"], Value::Null);
    assert_eq!(fs::read_dir(&fresh).unwrap().count(), 0, "it made something");
    // A member with data has no need to ask.
    assert_eq!(observe(&cluster, 0, &json!({ "probe": probe }))["answering"], json!([]));
}

#[test]
fn data_of_another_cluster_is_recognised() {
    let (cluster, other) =
        (Cluster::start(Version::V3_6, 1, Options::tls()), Cluster::start(Version::V3_6, 1, Options::tls()));
    let facts = observe(&cluster, 0, &json!({ "data_dir": other.member(0).data_dir() }));
    assert_eq!(facts["data"]["state"], "member");
    assert_ne!(facts["data"]["cluster_id"], facts["cluster"]["id"]);
    assert_eq!(facts["cluster"].get("local_member"), Some(&Value::Null), "{facts:#}");
}

#[test]
fn data_that_cannot_be_read_is_told_with_the_reason() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let directory = cluster.directory().join("odd");
    let wal = directory.join("member/wal");
    fs::create_dir_all(&wal).unwrap();
    fs::write(directory.join("member/notes.txt"), "mine").unwrap();
    let facts = observe(&cluster, 0, &json!({ "data_dir": directory }));
    assert_eq!(facts["data"]["state"], "unreadable", "{facts:#}");
    assert!(facts["data"]["reason"].as_str().unwrap().contains(wal.to_str().unwrap()), "{facts:#}");
    assert_eq!(facts["cluster"]["members"][0]["healthy"], true, "the cluster is told all the same");
    // A file where the directory should be.
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    let facts = observe(&cluster, 0, &json!({ "data_dir": directory }));
    assert_eq!(facts["data"]["state"], "unreadable", "{facts:#}");
}

#[test]
fn a_certificate_tells_how_long_it_lasts() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let of = |files: &etcd_testbed::CertFiles| {
        observe(&cluster, 0, &json!({ "cert_file": files.cert }))["certificate"].clone()
    };
    let good = of(&cluster.pki().server());
    assert!(good["remaining_days"].as_i64().unwrap() > 0, "{good:#}");
    assert!(good["issuer"].as_str().unwrap().contains("testbed"), "{good:#}");
    let old = of(&cluster.pki().issue("old", &Leaf { expired: true, ..Leaf::default() }));
    assert!(old["remaining_days"].as_i64().unwrap() < 0, "{old:#}");
    assert_eq!(old["not_after"], "2001-01-01T00:00:00Z");
    assert_eq!(old["subject_alt_names"].as_array().unwrap().len(), 2, "{old:#}");
    let none = observe(&cluster, 0, &json!({ "cert_file": cluster.member(0).config_file() }));
    assert!(none["certificate"]["error"].is_string(), "{none:#}");
}

#[test]
fn an_executable_that_is_no_etcd_has_no_version() {
    let facts = facts(&json!({ "binary": "/bin/true", "endpoints": "http://127.0.0.1:1", "data_dir": "/nonexistent" }));
    assert_eq!((&facts["binary"], &facts["version"]), (&json!("/bin/true"), &Value::Null));
}

#[test]
fn a_log_that_is_left_beside_data_that_is_gone_is_told() {
    let wal = tempfile::tempdir().unwrap();
    let wal = wal.path().join("wal");
    let config = vec![("wal-dir", format!("{wal:?}"))];
    let cluster = Cluster::start(Version::V3_6, 1, Options { config, ..Options::tls() });
    let look = || {
        let mut options = super::options(&cluster, 0);
        options.as_object_mut().unwrap().extend([
            ("wal_dir".to_owned(), json!(wal)),
            ("log".to_owned(), json!(true)),
            ("cluster".to_owned(), json!(false)),
        ]);
        facts_of(&options)["data"].clone()
    };
    let whole = look();
    assert_eq!(
        (&whole["state"], &whole["left_wal"], &whole["unmounted"]),
        (&json!("member"), &Value::Null, &Value::Null)
    );
    cluster.member(0).stop();
    let log = look()["log"].clone();
    assert!(log["applied"].as_u64() > Some(0) && log["commit"].as_u64() >= log["applied"].as_u64(), "{log:#}");
    assert!(log["index"].as_u64() >= log["commit"].as_u64() && log["term"].as_u64() > Some(1), "{log:#}");
    // A database that cannot be read has applied nobody knows what.
    let db = cluster.member(0).data_dir().join("member/snap/db");
    fs::write(&db, vec![0; 65536]).unwrap();
    assert_eq!((&look()["log"]["applied"], &look()["log"]["commit"]), (&Value::Null, &log["commit"]));
    fs::remove_dir_all(cluster.member(0).data_dir()).unwrap();
    let left = json!({ "state": "absent", "left_wal": true, "unmounted": null });
    assert_eq!(look(), left);
}
