use super::*;
use crate::inventory;
use crate::plan::plan;
use crate::request;
use serde_json::json;
use test_case::test_case;

/// What is said of a command line, with a cluster of five: a learner among them, one that keeps its data, one that is
/// guarded.
fn planned(name: &str, words: &str) -> Plan {
    let listed = json!({
        "_meta": { "hostvars": {
            "10.0.0.1": { "etcd_seq": 1 },
            "10.0.0.2": { "etcd_seq": 2, "etcd_rm_data": "no", "etcd_rm_pkg": true, "etcd_data": "/srv/etcd" },
            "10.0.0.3": { "etcd_seq": 3, "etcd_safeguard": true, "etcd_port": 3379 },
            "10.0.0.4": { "etcd_seq": 4, "etcd_learner": true },
            "ten": { "etcd_seq": 10, "ansible_host": "fd00::a" },
        }},
        "etcd": { "hosts": ["ten", "10.0.0.4", "10.0.0.3", "10.0.0.2", "10.0.0.1"] },
    });
    let request = request::parse(name, words.split_whitespace().map(Into::into)).unwrap();
    plan(&request, &inventory::read(&listed)).unwrap()
}

#[test_case("10.0.0.1", "etcd-1 (10.0.0.1): etcd is stopped, its data (/data/etcd) and its configuration are deleted\n" ; "data")]
#[test_case("10.0.0.2", "etcd is stopped, its configuration is deleted, its data stays in /srv/etcd, and etcd's packages are removed" ; "packages")]
#[test_case("10.0.0.3", "Note: etcd_safeguard is on for 10.0.0.3" ; "guarded")]
#[test_case("10.0.0.3", "stay in the cluster: etcd-1 (10.0.0.1), etcd-2 (10.0.0.2), etcd-4 (10.0.0.4), etcd-10 (fd00::a, host ten)\n" ; "the others by number")]
#[test_case("10.0.0.4", "Then cluster etcd has 4 members: 3 make a quorum, it survives the loss of 1.\nWarning: 4 voters" ; "even")]
#[test_case("10.0.0.1", "Then cluster etcd has 4 members, 1 of them without a vote: 2 make a quorum, it survives the loss of 1.\nCommand" ; "learner")]
#[test_case("10.0.0.1 10.0.0.2 ten", "Cluster etcd: 3 of 5 members are removed." ; "several")]
#[test_case("10.0.0.1 10.0.0.2 10.0.0.3 ten", "1 member, 1 of them without a vote: without a voter it cannot go on." ; "no voter")]
#[test_case("10.0.0.9", "taken out of the member list, and its host is left alone: 10.0.0.9\n" ; "gone")]
#[test_case("", "The WHOLE cluster etcd is removed, all 5 members" ; "whole")]
fn before_removing(words: &str, part: &str) {
    let text = before(&planned("etcd-rm", words), &["a command".into()]);
    assert!(text.contains(part), "nothing of {part:?} in: {text}");
    assert_eq!(text.contains("Note:"), words.is_empty() || words.contains("10.0.0.3"), "{text}");
    assert_eq!(text.contains("WHOLE"), words.is_empty(), "{text}");
    assert!(text.ends_with("\nCommand:\n  a command"), "{text}");
}

#[test]
fn before_adding() {
    let text = before(&planned("etcd-add", "10.0.0.4 ten"), &["one".into(), "two".into()]);
    let wanted = "Cluster etcd: 2 members join the 3 in the inventory.
  etcd-4 (10.0.0.4): joins as a learner and stays one
  etcd-10 (fd00::a, host ten): joins
  beside etcd-1 (10.0.0.1), etcd-2 (10.0.0.2), etcd-3 (10.0.0.3)
Then cluster etcd has 5 members, 1 of them without a vote: 3 make a quorum, it survives the loss of 1.
Warning: 4 voters make cluster etcd survive no more than 3 would: use an odd number.
Commands, each after the success of the one before:
  one
  two";
    assert_eq!(text, wanted);
}

#[test_case(
    "etcd-add",
    "ten",
    "https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:3379,https://10.0.0.4:2379,https://[fd00::a]:2379"
)]
#[test_case("etcd-rm", "ten 10.0.0.1", "https://10.0.0.2:2379,https://10.0.0.3:3379,https://10.0.0.4:2379")]
#[test_case(
    "etcd-rm",
    "10.0.0.9",
    "https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:3379,https://10.0.0.4:2379,https://[fd00::a]:2379"
)]
#[test_case(
    "etcd-rm",
    "10.0.0.9 ten",
    "https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:3379,https://10.0.0.4:2379"
)]
fn afterwards_all_endpoints_are_listed(name: &str, words: &str, endpoints: &str) {
    let text = after(&planned(name, words), &|words| format!("refresh {}", words.join(" ")));
    assert!(text.contains(&format!("which are all of cluster etcd: {endpoints}")), "{text}");
    assert_eq!(text.matches("pg_conf").count(), 1, "{text}");
    assert_eq!(text.contains("take "), words.contains("ten") && name == "etcd-rm", "{text}");
    assert!(text.contains("refresh -t etcd_conf"), "{text}");
}

#[test]
fn after_a_whole_cluster_there_are_no_endpoints() {
    let text = after(&planned("etcd-rm", ""), &|_| panic!("nothing is left to be configured"));
    assert!(text.contains("- take 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, ten out of the inventory"), "{text}");
    assert!(text.contains("needs another one") && !text.contains("https://"), "{text}");
}

#[test]
fn problems_come_in_one_message() {
    assert_eq!(refusal(Action::Add, &["a is b".into()]), "etcd-add: a is b. Nothing was run.");
    let several = refusal(Action::Remove, &["a".into(), "b".into()]);
    assert_eq!(several, "etcd-rm: nothing was run, for 2 reasons:\n  - a\n  - b");
}
