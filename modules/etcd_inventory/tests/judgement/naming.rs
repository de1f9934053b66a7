use super::{HOSTS, holder, inventory, judged, refused, run, settle, three};
use serde_json::json;

#[test]
fn names_members_and_urls() {
    let outcome = run(three()).unwrap();
    assert_eq!(
        outcome.values["clusters"]["etcd"]["initial_cluster"],
        "etcd-1=https://10.0.0.1:2380,etcd-2=https://10.0.0.2:2380,etcd-3=https://10.0.0.3:2380"
    );
    assert_eq!(
        outcome.values["hosts"]["10.0.0.2"]["endpoints"],
        json!(["https://10.0.0.2:2379", "https://10.0.0.1:2379", "https://10.0.0.3:2379"])
    );
    assert!(outcome.warnings.is_empty());
}

#[test]
fn every_problem_is_in_one_message() {
    let result = run(json!({
        "groups": { "etcd": ["a", "10.0.0.2", "10.0.0.3", "10.0.0.4"] },
        "hosts": { "a": {"etcd_seq": 1}, "10.0.0.2": {}, "10.0.0.3": {"etcd_seq": "x", "etcd_init": "exsting"}, "10.0.0.4": {"etcd_seq": 1, "etcd_port": 99999},
                   "10.0.0.5": {"etcd_seq": 1, "etcd_cluster": "etcdd"} },
        "play_hosts": ["a", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"],
    }));
    refused(
        result,
        &[
            "a has no usable address",
            "etcd_seq is not set on 10.0.0.2",
            "etcd_seq of 10.0.0.3 is \"x\"",
            "did you mean existing?",
            "etcd_port of 10.0.0.4 is 99999",
            "the inventory has no group etcdd (did you mean etcd?)",
        ],
    );
}

#[test]
fn two_members_cannot_share_a_number_or_an_address() {
    let hosts =
        inventory(&[("10.0.0.1", json!({"etcd_seq": 1})), ("b", json!({"etcd_seq": "1", "etcd_address": "10.0.0.1"}))]);
    refused(
        run(hosts),
        &["etcd_seq 1 is given to 10.0.0.1 and b", "10.0.0.1 and b would both listen on https://10.0.0.1:2379"],
    );
}

#[test]
fn a_key_no_etcd_knows_is_found_before_any_host_is_touched() {
    let extra =
        json!({ "quota-backend-byte": 1, "peer-transport-security": { "cert": "x" }, "snapshot-count": "many" });
    let hosts = inventory(&[
        (HOSTS[0], json!({ "etcd_seq": 1, "etcd_config_extra": extra })),
        (HOSTS[1], json!({ "etcd_seq": 2 })),
    ]);
    refused(
        run(hosts),
        &[
            "etcd_config_extra of 10.0.0.1: quota-backend-byte is unknown",
            "did you mean quota-backend-bytes?",
            "peer-transport-security.cert is unknown",
            "snapshot-count",
        ],
    );
}

#[test]
fn what_is_to_be_a_list_is_checked_before_any_host_is_touched() {
    let hosts = inventory(&[
        (HOSTS[0], json!({ "etcd_seq": 1, "not_lists": ["etcd_users"] })),
        (HOSTS[1], json!({ "etcd_seq": 2 })),
    ]);
    refused(run(hosts), &["etcd_users of 10.0.0.1 is not a list", "Nothing was changed on any host"]);
}

#[test]
fn a_token_of_its_own_founds_another_cluster() {
    let with = |token: &str| {
        inventory(&[(HOSTS[0], json!({ "etcd_seq": 1, "etcd_config_extra": { "initial-cluster-token": token } }))])
    };
    assert_eq!(run(with("blue")).unwrap().values["clusters"]["etcd"]["token"], "blue");
}

#[test]
fn a_password_that_names_and_paths_contain_is_refused() {
    let with = |password: &str| {
        let mut inventory = three();
        inventory["passwords"] = json!([password]);
        run(inventory)
    };
    for common in ["etcd", "10.0.0.2", "/usr/bin", ""] {
        let msg = with(common).expect_err(common).msg;
        assert!(msg.contains("root password is empty, or so short or common"), "{msg}");
    }
    assert!(with("Etcd.Root").is_ok());
    // Also where a snapshot is, which a later task reads.
    let mut named = three();
    named["passwords"] = json!(["backups"]);
    named["file"] = json!({ "named": "/srv/backups/it.db", "hosts": HOSTS, "directory": "/" });
    assert!(run(named).unwrap_err().msg.contains("or so short or common"));
}

#[test]
fn an_even_cluster_and_the_default_password_are_warned_of() {
    let hosts =
        inventory(&[("10.0.0.1", json!({"etcd_seq": 1, "default_password": "True"})), ("::2", json!({"etcd_seq": 2}))]);
    let outcome = run(hosts).unwrap();
    assert_eq!(outcome.warnings.len(), 2);
    assert_eq!(outcome.values["hosts"]["::2"]["client_url"], "https://[::2]:2379");
}

#[test]
fn another_version_than_installed_is_no_upgrade() {
    let with = |version: &str| {
        let mut inventory = three();
        inventory["hosts"][HOSTS[0]]["etcd_version"] = json!(version);
        let mut seen = holder(0, true);
        settle(&mut seen);
        judged(inventory, &[(HOSTS[0], seen)])
    };
    refused(with("3.7"), &["10.0.0.1 has etcd 3.6.14, and etcd_version asks for 3.7"]);
    assert_eq!(with("3.6").unwrap().values["situations"][HOSTS[0]]["installs"], false);
}

#[test]
fn members_that_would_not_fit_together_are_refused() {
    for (variable, value) in [
        ("etcd_heartbeat_interval", json!(200)),
        ("etcd_election_timeout", json!(5000)),
        ("etcd_config_extra", json!({ "initial-cluster-token": "other" })),
    ] {
        let mut inventory = three();
        inventory["hosts"][HOSTS[1]][variable] = value;
        refused(run(inventory), &["in cluster etcd: all members need the same"]);
    }
}
