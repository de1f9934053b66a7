use super::{HOSTS, fresh, holder, judged, live, refused, three, warned};
use serde_json::{Value, json};

#[test]
fn all_fresh_hosts_found_a_cluster() {
    let outcome = judged(three(), &HOSTS.map(|host| (host, fresh()))).unwrap();
    let situation = &outcome.values["situations"][HOSTS[0]];
    assert_eq!((&situation["founds"], &situation["initial_cluster_state"]), (&json!(true), &json!("new")));
    assert_eq!((&situation["joins"], &situation["settled"]), (&Value::Null, &json!(false)));
    assert_eq!(outcome.values["join_waves"], json!([]));
}

#[test]
fn a_fresh_host_beside_a_running_cluster_is_given_both_commands() {
    let mut inventory = three();
    inventory["groups"]["etcd"] = json!([HOSTS[0], HOSTS[1], HOSTS[2], "10.0.0.4"]);
    inventory["hosts"]["10.0.0.4"] = json!({ "etcd_seq": 4 });
    inventory["play_hosts"] = json!([HOSTS[0], "10.0.0.4"]);
    let mut up = holder(0, true);
    up["cluster"] = live([true; 3]);
    refused(
        judged(inventory, &[(HOSTS[0], up), ("10.0.0.4", fresh())]),
        &["./etcd.yml -l 10.0.0.4 -e etcd_init=existing", "./etcd-rm.yml"],
    );
}

#[test]
fn a_lost_data_directory_is_not_filled_anew() {
    let mut up = holder(0, true);
    up["cluster"] = live([true; 3]);
    let observed = [(HOSTS[0], up), (HOSTS[1], holder(1, true)), (HOSTS[2], fresh())];
    refused(judged(three(), &observed), &["its data is lost", "./etcd-rm.yml -l 10.0.0.3"]);
}

#[test]
fn a_founding_member_that_never_started_is_started() {
    let mut up = holder(0, true);
    up["cluster"] = live([true, true, false]);
    let observed = [(HOSTS[0], up), (HOSTS[1], holder(1, true)), (HOSTS[2], fresh())];
    let outcome = judged(three(), &observed).unwrap();
    assert_eq!(outcome.values["situations"][HOSTS[2]]["initial_cluster_state"], "new");
    assert_eq!(outcome.values["situations"][HOSTS[0]]["initial_cluster_state"], "existing");
}

#[test]
fn a_bootstrap_cut_short_goes_on_and_a_cluster_in_use_does_not() {
    let observed = |had_leader| [(HOSTS[0], holder(0, had_leader)), (HOSTS[1], fresh()), (HOSTS[2], fresh())];
    assert!(judged(three(), &observed(false)).is_ok());
    refused(judged(three(), &observed(true)), &["has been in use and is down", "./etcd.yml -l 10.0.0.1"]);
}

#[test]
fn a_cluster_is_founded_by_all_its_hosts_or_not_at_all() {
    let mut inventory = three();
    inventory["play_hosts"] = json!([HOSTS[0]]);
    refused(judged(inventory, &[(HOSTS[0], fresh())]), &["without 10.0.0.2, 10.0.0.3", "left out by -l"]);
}

#[test]
fn data_of_another_cluster_is_named_and_left_alone() {
    let mut foreign = holder(1, true);
    foreign["data"]["cluster_id"] = json!("abc");
    let observed = [(HOSTS[0], holder(0, true)), (HOSTS[1], foreign), (HOSTS[2], holder(2, true))];
    refused(
        judged(three(), &observed),
        &["/data/etcd of 10.0.0.2 holds a member of another cluster (abc", "left alone"],
    );
}

#[test]
fn data_of_a_removed_member_is_named() {
    let mut up = holder(0, true);
    up["cluster"] = live([true; 3]);
    let mut removed = holder(2, true);
    removed["data"]["member_id"] = json!("dead");
    let observed = [(HOSTS[0], up), (HOSTS[1], holder(1, true)), (HOSTS[2], removed)];
    refused(judged(three(), &observed), &["belongs to member dead, which was removed"]);
}

#[test]
fn a_foreign_process_on_the_port_is_noticed() {
    let mut taken = fresh();
    taken["answering"] = json!(["https://10.0.0.1:2379"]);
    let observed = [(HOSTS[0], taken), (HOSTS[1], fresh()), (HOSTS[2], fresh())];
    refused(judged(three(), &observed), &["something already answers on https://10.0.0.1:2379 (10.0.0.1)"]);
}

#[test]
fn a_configuration_that_is_only_written_never_founds_beside_data_that_was_in_use() {
    for (had_leader, state) in [(true, "existing"), (false, "new")] {
        let outcome = warned(three(), &[(HOSTS[0], holder(0, had_leader)), (HOSTS[1], fresh())]);
        assert_eq!(outcome.values["situations"][HOSTS[1]]["initial_cluster_state"], state);
    }
}
