use super::*;
use crate::inventory;
use crate::options;
use serde_json::{Value, json};
use test_case::test_case;

pub(super) fn request(action: Action, cluster: Option<&str>, targets: &[&str]) -> Request {
    Request {
        action,
        inventories: Vec::new(),
        cluster: cluster.map(ToOwned::to_owned),
        yes: false,
        check: false,
        targets: targets.iter().map(ToString::to_string).collect(),
        options: options::read(action, Vec::new()),
    }
}

/// One cluster `etcd` of four, and a host that is not etcd's.
fn one() -> Value {
    json!({
        "_meta": { "hostvars": {
            "10.10.10.10": { "etcd_seq": 1 },
            "10.10.10.11": { "etcd_seq": "2", "etcd_port": 3379 },
            "db-3": { "etcd_seq": 3, "ansible_host": "192.168.0.3", "etcd_address": "fd00::3" },
            "db-4": { "etcd_seq": 4, "ansible_host": { "__ansible_unsafe": "10.10.10.13" }, "etcd_learner": true },
            "web": { "ansible_host": "10.10.10.80" },
        }},
        "all": { "children": ["ungrouped", "etcd", "web"] },
        "etcd": { "hosts": ["10.10.10.10", "10.10.10.11", "db-3", "db-4"] },
        "web": { "hosts": ["web"] },
    })
}

/// Clusters `alpha` and `beta`.
fn two() -> Value {
    json!({
        "_meta": { "hostvars": {
            "10.0.0.1": { "etcd_cluster": "alpha", "etcd_seq": 1 },
            "10.0.0.2": { "etcd_cluster": "alpha", "etcd_seq": 2 },
            "10.0.1.1": { "etcd_cluster": "beta", "etcd_seq": 1 },
            "10.0.1.2": { "etcd_cluster": "beta", "etcd_seq": 7 },
        }},
        "all": { "children": ["ungrouped", "etcd"] },
        "etcd": { "children": ["alpha", "beta"] },
        "alpha": { "hosts": ["10.0.0.1", "10.0.0.2"] },
        "beta": { "hosts": ["10.0.1.1", "10.0.1.2"] },
    })
}

fn lines(json: &Value, request: &Request) -> Vec<String> {
    let plan = plan(request, &inventory::read(json)).unwrap();
    let name = |playbook| if playbook == Playbook::Etcd { "etcd.yml" } else { "etcd-rm.yml" };
    plan.runs.iter().map(|run| format!("{} {}", name(run.playbook), run.words.join(" "))).collect()
}

#[track_caller]
fn refused(json: &Value, request: &Request, parts: &[&str]) {
    let problems = plan(request, &inventory::read(json)).unwrap_err();
    assert_eq!(problems.len(), parts.len(), "{problems:#?}");
    for part in parts {
        assert!(problems.iter().any(|problem| problem.contains(part)), "nothing of {part:?} in {problems:#?}");
    }
}

#[test_case(&["10.10.10.11"], &["etcd-rm.yml -l 10.10.10.11"] ; "by the name")]
#[test_case(&["db-4", "10.10.10.11"], &["etcd-rm.yml -l 10.10.10.11,db-4"] ; "a host's name, in the order of the cluster")]
#[test_case(&["192.168.0.3"], &["etcd-rm.yml -l db-3"] ; "by ansible host")]
#[test_case(&["[FD00:0::3]"], &["etcd-rm.yml -l db-3"] ; "by etcd address in another spelling")]
#[test_case(&["10.10.10.13"], &["etcd-rm.yml -l db-4"] ; "by an address from a service")]
#[test_case(&[], &["etcd-rm.yml "] ; "all")]
#[test_case(&["10.10.10.14"], &[r#"etcd-rm.yml -l etcd -e {"etcd_rm_members":["10.10.10.14"]}"#] ; "gone")]
#[test_case(&["FD00::0:9", "db-3", "10.10.10.14"],
    &[r#"etcd-rm.yml -l etcd -e {"etcd_rm_members":["fd00::9","10.10.10.14"]}"#, "etcd-rm.yml -l db-3"] ; "both")]
fn removing(targets: &[&str], wanted: &[&str]) {
    assert_eq!(lines(&one(), &request(Action::Remove, None, targets)), wanted);
}

#[test]
fn adding_joins_and_passes_on_what_follows() {
    let mut given = request(Action::Add, None, &["10.10.10.11", "fd00::3"]);
    given.check = true;
    given.options = options::read(Action::Add, vec!["-v".into()]);
    let wanted = "etcd.yml -l 10.10.10.11,db-3 -e etcd_init=existing --check --diff -v";
    assert_eq!(lines(&one(), &given), [wanted]);
}

#[test]
fn several_clusters_are_told_apart() {
    let one_of_each = request(Action::Remove, None, &["10.0.1.1", "10.0.0.2"]);
    assert_eq!(lines(&two(), &one_of_each), ["etcd-rm.yml -l 10.0.0.2,10.0.1.1"]);
    assert_eq!(lines(&two(), &request(Action::Remove, Some("beta"), &[])), ["etcd-rm.yml -l beta"]);
    let gone = request(Action::Remove, Some("beta"), &["10.0.1.3"]);
    assert_eq!(lines(&two(), &gone), [r#"etcd-rm.yml -l beta -e {"etcd_rm_members":["10.0.1.3"]}"#]);
    refused(&two(), &request(Action::Remove, None, &[]), &["several clusters, alpha, beta: say which"]);
    refused(&two(), &request(Action::Remove, None, &["10.0.1.3"]), &["of which it was a member with --cluster"]);
    refused(&two(), &request(Action::Remove, Some("beat"), &[]), &["no cluster beat, did you mean beta?"]);
    refused(
        &two(),
        &request(Action::Remove, Some("beta"), &["10.0.0.1"]),
        &["10.0.0.1 is in cluster alpha, not in beta"],
    );
    let new = request(Action::Add, None, &["10.0.1.3"]);
    refused(
        &two(),
        &new,
        &["write 10.0.1.3: { etcd_seq: 3 } in the group alpha, or 10.0.1.3: { etcd_seq: 8 } in the group beta"],
    );
}

#[test]
fn every_problem_is_in_one_message() {
    let targets = [
        "10.10.10",
        "10.10.10.256",
        "10.10.10.0x1",
        "db4",
        "10.10.10.80",
        "10.10.10.14",
        "10.10.10.15",
        "127.0.0.1",
        "10.10.10.13",
        "db-4",
    ];
    let parts = [
        "10.10.10 is no full IPv4 address",
        "10.10.10.256 is no full IPv4 address",
        "10.10.10.0x1 is no full IPv4 address",
        "\"db4\" is no address, and no host of the inventory has that name (the nearest is db-",
        "web is in the inventory, but in no etcd cluster: write web: { etcd_seq: 5 } in the group etcd",
        "10.10.10.14 is not in the inventory (the nearest is 10.10.10.1",
        "write 10.10.10.15: { etcd_seq: 7 } in the group etcd",
        "127.0.0.1 is no address that a member can have",
        "db-4 is host db-4, which is given twice",
    ];
    refused(&one(), &request(Action::Add, None, &targets), &parts);
}

#[test]
fn what_is_left_of_a_removed_member_is_named() {
    refused(&one(), &request(Action::Remove, None, &["web"]), &["web is in the inventory, but in no etcd cluster"]);
    let by_address = request(Action::Remove, None, &["10.10.10.80"]);
    refused(&one(), &by_address, &[r#"run etcd-rm.yml -l etcd -e '{"etcd_rm_members": ["10.10.10.80"]}'"#]);
}

#[test]
fn there_must_be_somebody_to_join() {
    let all = ["10.10.10.10", "10.10.10.11", "db-3", "db-4"];
    refused(&one(), &request(Action::Add, None, &all), &["all members of cluster etcd are given"]);
}

#[test]
fn with_the_whole_cluster_nobody_is_left_to_take_a_member_out_of() {
    let all = ["10.10.10.10", "10.10.10.11", "db-3", "db-4", "10.10.10.14"];
    refused(
        &one(),
        &request(Action::Remove, None, &all),
        &["with them goes the whole cluster etcd: leave 10.10.10.14 out"],
    );
}

#[test]
fn an_address_that_may_be_a_hosts_after_all_is_not_taken_for_gone() {
    let mut json = one();
    json["_meta"]["hostvars"]["db-4"]["ansible_host"] = json!("{{ address_of_4 }}");
    refused(&json, &request(Action::Remove, None, &["10.10.10.13"]), &["the address of db-4 is unknown"]);
    assert_eq!(lines(&json, &request(Action::Remove, None, &["db-4"])), ["etcd-rm.yml -l db-4"]);
}

#[test]
fn a_host_that_two_members_share_is_not_guessed() {
    let mut json = one();
    json["_meta"]["hostvars"]["db-4"]["ansible_host"] = json!("192.168.0.3");
    refused(
        &json,
        &request(Action::Remove, None, &["192.168.0.3"]),
        &["192.168.0.3 is the address of db-3 and of db-4"],
    );
    json["_meta"]["hostvars"]["db-4"]["ansible_host"] = json!("10.10.10.11");
    assert_eq!(lines(&json, &request(Action::Remove, None, &["10.10.10.11"])), ["etcd-rm.yml -l 10.10.10.11"]);
}

#[test_case(json!({ "etcd_cluster": "{{ x }}" }), "etcd_cluster of 10.0.0.1 is the template {{ x }}" ; "a template")]
#[test_case(json!({ "etcd_cluster": "beta" }), "10.0.0.1 is in the group alpha but has etcd_cluster beta" ; "in the wrong group")]
#[test_case(json!({ "etcd_cluster": "alpha" }), "10.0.0.1 has no etcd_seq: write 10.0.0.1: { etcd_seq: 3 }" ; "without number")]
fn clusters_that_are_not_clear_are_refused(variables: Value, part: &str) {
    let mut json = two();
    json["_meta"]["hostvars"]["10.0.0.1"] = variables;
    let refusal = plan(&request(Action::Add, None, &["10.0.0.1"]), &inventory::read(&json)).unwrap_err();
    let whole = plan(&request(Action::Add, None, &["10.0.0.2"]), &inventory::read(&json));
    assert!(refusal.iter().any(|problem| problem.contains(part)), "{refusal:?}");
    assert_eq!(whole.is_ok(), part.contains("etcd_seq"), "{whole:?}");
}

#[test]
fn a_group_that_the_playbooks_do_not_look_at_is_named() {
    let mut json = two();
    json["alpha"]["hosts"] = json!(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    json["etcd"] = json!({ "children": ["beta"], "hosts": ["10.0.0.1", "10.0.0.2"] });
    json["_meta"]["hostvars"]["10.0.0.3"] = json!({ "etcd_cluster": "alpha" });
    refused(
        &json,
        &request(Action::Remove, None, &["10.0.0.1"]),
        &["10.0.0.3 is in the group alpha but not in the group etcd"],
    );
}

#[test_case(json!({ "_meta": { "hostvars": {} }, "all": { "children": ["ungrouped"] } }) ; "empty")]
#[test_case(json!({ "_meta": { "hostvars": { "a": {} } }, "web": { "hosts": ["a"] } }) ; "without etcd")]
fn an_inventory_without_etcd_is_refused(json: Value) {
    refused(
        &json,
        &request(Action::Remove, None, &[]),
        &["no hosts in a group named etcd: give the inventory with -i"],
    );
}

#[test]
fn a_name_that_is_a_pattern_is_refused() {
    let mut json = one();
    json["etcd"]["hosts"] = json!(["10.10.10.10", "db*"]);
    refused(&json, &request(Action::Remove, None, &["db*"]), &["would mean something else to ansible-playbook -l"]);
}
