//! The module's judgement, through its public interface: inventories and observations in, results or refusals out.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails fails its test")]

use ansible_protocol::{Context, Failure, Module, Outcome};
use etcd_inventory::EtcdInventory;
use etcd_ops::datadir::{founding_cluster_id, founding_member_id};
use proptest::prelude::*;
use serde_json::{Value, json};

fn run(arguments: Value) -> Result<Outcome, Failure> {
    let (read, _) = ansible_protocol::read_arguments(&EtcdInventory::SPEC, arguments.as_object().cloned().unwrap());
    let params = serde_json::from_value(read?.options.into()).unwrap();
    EtcdInventory::run(params, &Context::default())
}

const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

fn inventory(hosts: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = hosts.iter().map(|(name, _)| *name).collect();
    let variables: serde_json::Map<String, Value> =
        hosts.iter().map(|(name, variables)| ((*name).to_owned(), variables.clone())).collect();
    json!({ "groups": { "etcd": names }, "hosts": variables, "play_hosts": names })
}

fn three() -> Value {
    inventory(&[
        (HOSTS[0], json!({"etcd_seq": 1})),
        (HOSTS[1], json!({"etcd_seq": 2})),
        (HOSTS[2], json!({"etcd_seq": 3})),
    ])
}

fn member_id(index: usize) -> u64 {
    founding_member_id(&[format!("https://{}:2380", HOSTS[index])], "etcd")
}

fn cluster_id() -> String {
    format!("{:x}", founding_cluster_id(&[member_id(0), member_id(1), member_id(2)]))
}

fn fresh() -> Value {
    json!({ "version": "3.6.14", "data": { "state": "absent" }, "cluster": null, "cluster_error": {}, "answering": [] })
}

fn holder(index: usize, had_leader: bool) -> Value {
    json!({ "version": "3.6.14", "cluster": null, "cluster_error": {}, "answering": [],
            "data": { "state": "member", "member_id": format!("{:x}", member_id(index)), "cluster_id": cluster_id(), "had_leader": had_leader } })
}

fn live(started: [bool; 3]) -> Value {
    let members: Vec<Value> = (0..3)
        .map(|index| {
            json!({ "id": format!("{:x}", member_id(index)), "name": format!("etcd-{}", index + 1),
                    "peer_urls": [format!("https://{}:2380", HOSTS[index])], "started": started[index] })
        })
        .collect();
    json!({ "id": cluster_id(), "leader": format!("{:x}", member_id(0)), "members": members })
}

/// What a member looks like that serves as it is configured.
fn settle(seen: &mut Value) {
    seen["serving"] = json!(true);
    seen["unit"] = json!({ "active_state": "active", "unit_file_state": "enabled", "need_daemon_reload": false });
    seen["pending"] = json!([]);
}

/// What `etcd_info` says when it has not looked at the cluster.
fn at_first(mut seen: Value) -> Value {
    seen["cluster"] = Value::Null;
    seen["cluster_error"] = Value::Null;
    seen["answering"] = json!([]);
    seen
}

/// The calls of a run that starts members: naming, judging by what the hosts say of themselves, and where that is not
/// enough, by what they say of their cluster.
fn judged(inventory: Value, observed: &[(&str, Value)]) -> Result<Outcome, Failure> {
    let clusters = run(inventory)?.values["clusters"].clone();
    let judge = |look: fn(Value) -> Value| {
        let observed: serde_json::Map<String, Value> =
            observed.iter().map(|(host, value)| ((*host).to_owned(), look(value.clone()))).collect();
        run(json!({ "clusters": clusters, "observed": observed, "starts": true }))
    };
    let first = judge(at_first)?;
    if first.values["safe_to_start"] == true {
        return Ok(first);
    }
    assert!(first.warnings.is_empty(), "said twice: {:?}", first.warnings);
    let second = judge(|seen| seen)?;
    assert_eq!(second.values["safe_to_start"], true);
    Ok(second)
}

/// The calls of a run that starts none.
fn warned(inventory: Value, observed: &[(&str, Value)]) -> Outcome {
    let clusters = run(inventory).unwrap().values["clusters"].clone();
    let observed: serde_json::Map<String, Value> =
        observed.iter().map(|(host, value)| ((*host).to_owned(), at_first(value.clone()))).collect();
    run(json!({ "clusters": clusters, "observed": observed })).unwrap()
}

fn refused(result: Result<Outcome, Failure>, parts: &[&str]) {
    let msg = result.expect_err("it must be refused").msg;
    for part in parts {
        assert!(msg.contains(part), "{part:?} is not in: {msg}");
    }
    assert!(msg.ends_with("Nothing was changed on any host."), "{msg}");
}

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

/// Three members of a running cluster, and two hosts that are not.
fn five(joins: Value) -> Value {
    let mut inventory = three();
    inventory["groups"]["etcd"] = json!([HOSTS[0], HOSTS[1], HOSTS[2], "10.0.0.4", "10.0.0.5"]);
    inventory["hosts"]["10.0.0.4"] = json!({ "etcd_seq": 4 });
    inventory["hosts"]["10.0.0.5"] = json!({ "etcd_seq": 5 });
    for (host, value) in joins.as_object().into_iter().flatten() {
        inventory["hosts"]["10.0.0.4"][host] = value.clone();
        inventory["hosts"]["10.0.0.5"][host] = value.clone();
    }
    inventory["play_hosts"] = json!(["10.0.0.4", "10.0.0.5"]);
    inventory
}

/// The judgement of a run on hosts that join, once with the look of a member outside of it and once without.
fn joined(inventory: Value, observed: &[(&str, Value)], live: Option<Value>) -> Result<Outcome, Failure> {
    let clusters = run(inventory)?.values["clusters"].clone();
    let observed: serde_json::Map<String, Value> =
        observed.iter().map(|(host, value)| ((*host).to_owned(), value.clone())).collect();
    let first: serde_json::Map<String, Value> =
        observed.iter().map(|(host, value)| (host.clone(), at_first(value.clone()))).collect();
    let asked = run(json!({ "clusters": clusters, "observed": first, "starts": true }))?.values["ask"].clone();
    assert!(HOSTS.iter().all(|host| asked.as_array().unwrap().contains(&json!(host))), "{asked}");
    let outside = live.map_or_else(
        || json!({}),
        |live| {
            let mut up = holder(0, true);
            up["cluster"] = live;
            json!({ HOSTS[0]: up })
        },
    );
    run(json!({ "clusters": clusters, "observed": observed, "outside": outside, "starts": true }))
}

#[test]
fn new_hosts_join_one_after_the_other_with_the_members_there_will_be() {
    let observed = [("10.0.0.4", fresh()), ("10.0.0.5", fresh())];
    let outcome = joined(five(json!({ "etcd_init": "existing" })), &observed, Some(live([true; 3]))).unwrap();
    assert_eq!(outcome.values["join_waves"], json!([["10.0.0.4"], ["10.0.0.5"]]));
    let three = "etcd-1=https://10.0.0.1:2380,etcd-2=https://10.0.0.2:2380,etcd-3=https://10.0.0.3:2380";
    let four = format!("{three},etcd-4=https://10.0.0.4:2380");
    let situations = &outcome.values["situations"];
    assert_eq!(situations["10.0.0.4"]["initial_cluster"], four);
    assert_eq!(situations["10.0.0.5"]["initial_cluster"], format!("{four},etcd-5=https://10.0.0.5:2380"));
    assert_eq!(outcome.values["neighbours"], neighbours());
}

#[test]
fn a_name_that_a_member_elsewhere_has_is_not_given_again() {
    let mut cluster = live([true; 3]);
    cluster["members"].as_array_mut().unwrap().push(json!({ "id": "4", "name": "etcd-4", "started": true,
                                                            "peer_urls": ["https://10.0.0.44:2380"] }));
    let observed = [("10.0.0.4", fresh()), ("10.0.0.5", fresh())];
    refused(
        joined(five(json!({ "etcd_init": "existing" })), &observed, Some(cluster)),
        &["etcd-4 (4) of cluster etcd is a member at https://10.0.0.44:2380", "etcd_rm_members\": [\"4\"]"],
    );
}

#[test]
fn without_a_running_cluster_nobody_joins() {
    let observed = [("10.0.0.4", fresh()), ("10.0.0.5", fresh())];
    refused(
        joined(five(json!({ "etcd_init": "existing" })), &observed, None),
        &["10.0.0.4, 10.0.0.5: etcd_init is existing, but no running cluster etcd can be reached"],
    );
}

#[test]
fn data_of_a_removed_member_is_in_nobodys_way_who_joins() {
    let mut stale = holder(0, true);
    stale["data"]["member_id"] = json!("dead");
    let observed = [("10.0.0.4", stale.clone()), ("10.0.0.5", fresh())];
    let outcome = joined(five(json!({ "etcd_init": "existing" })), &observed, Some(live([true; 3]))).unwrap();
    let joins = |host: &str| outcome.values["situations"][host]["joins"].clone();
    assert_eq!(joins("10.0.0.4"), json!({ "wave": 0, "starts": true, "stale": true }));
    assert_eq!(joins("10.0.0.5")["stale"], false);
    // What belongs to another cluster is left alone all the same.
    stale["data"]["cluster_id"] = json!("abc");
    refused(
        joined(five(json!({ "etcd_init": "existing" })), &[("10.0.0.4", stale)], Some(live([true; 3]))),
        &["/data/etcd of 10.0.0.4 holds a member of another cluster"],
    );
}

#[test]
fn a_learner_that_has_started_is_promoted_and_one_that_is_to_learn_is_not() {
    let mut cluster = live([true; 3]);
    cluster["members"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "id": "4", "name": "etcd-4", "started": true, "is_learner": true,
                                                            "peer_urls": ["https://10.0.0.4:2380"] }));
    let mut learner = holder(0, true);
    learner["data"]["member_id"] = json!("4");
    for (learns, waves) in [(false, json!([["10.0.0.4"]])), (true, json!([]))] {
        let mut inventory = five(json!({ "etcd_init": "existing", "etcd_learner": learns }));
        inventory["play_hosts"] = json!(["10.0.0.4"]);
        let outcome = joined(inventory, &[("10.0.0.4", learner.clone())], Some(cluster.clone())).unwrap();
        assert_eq!(outcome.values["join_waves"], waves);
        assert_eq!(outcome.values["situations"]["10.0.0.4"]["starts_late"], false);
        assert_eq!(outcome.values["neighbours"], neighbours());
    }
}

/// The members that joined hosts find there.
fn neighbours() -> Value {
    json!(HOSTS.map(|host| json!({ "host": host, "cluster": "etcd" })))
}

#[test]
fn a_run_cut_off_after_the_join_is_ended_by_the_next() {
    let mut cluster = live([true; 3]);
    cluster["members"].as_array_mut().unwrap().push(json!({ "id": "4", "name": "etcd-4", "started": true,
                                                            "peer_urls": ["https://10.0.0.4:2380"] }));
    let mut inventory = five(json!({ "etcd_init": "existing" }));
    inventory["play_hosts"] = json!(["10.0.0.4"]);
    let clusters = run(inventory).unwrap().values["clusters"].clone();
    let mut member = holder(0, true);
    member["data"]["member_id"] = json!("4");
    settle(&mut member);
    let first = json!({ "clusters": clusters, "observed": { "10.0.0.4": at_first(member.clone()) }, "starts": true });
    assert_eq!(run(first).unwrap().values["safe_to_start"], false);
    member["cluster"] = cluster;
    let outcome = run(json!({ "clusters": clusters, "observed": { "10.0.0.4": member }, "starts": true })).unwrap();
    assert_eq!(outcome.values["safe_to_start"], true);
    assert_eq!(outcome.values["join_waves"], json!([]));
    assert_eq!(outcome.values["neighbours"], neighbours());
}

#[test]
fn no_two_hosts_run_one_member() {
    let mut copy = holder(0, true);
    copy["data"]["member_id"] = live([true; 3])["members"][1]["id"].clone();
    refused(
        joined(five(json!({ "etcd_init": "existing" })), &[("10.0.0.4", copy)], Some(live([true; 3]))),
        &["/data/etcd of 10.0.0.4 holds the data of member", "which is that of 10.0.0.2", "mv /data/etcd"],
    );
    let mut twin = holder(1, true);
    twin["data"]["member_id"] = holder(0, true)["data"]["member_id"].clone();
    refused(
        judged(three(), &[(HOSTS[0], holder(0, true)), (HOSTS[1], twin), (HOSTS[2], holder(2, true))]),
        &["/data/etcd of 10.0.0.1 holds the data of member", "which is that of 10.0.0.2"],
    );
}

#[test]
fn a_cluster_takes_one_lasting_learner() {
    let inventory = five(json!({ "etcd_init": "existing", "etcd_learner": "yes" }));
    let observed = [("10.0.0.4", fresh()), ("10.0.0.5", fresh())];
    refused(
        joined(inventory, &observed, Some(live([true; 3]))),
        &["etcd_learner is true for 10.0.0.4 and 10.0.0.5", "one learner at a time"],
    );
}

#[test]
fn a_member_that_only_learns_is_settled_where_it_is_to_learn() {
    for learns in [false, true] {
        let mut inventory = three();
        inventory["hosts"][HOSTS[0]]["etcd_learner"] = json!(learns);
        let clusters = run(inventory).unwrap().values["clusters"].clone();
        let mut seen = at_first(holder(0, true));
        settle(&mut seen);
        seen["learner"] = json!(true);
        let outcome = run(json!({ "clusters": clusters, "observed": { HOSTS[0]: seen }, "starts": true })).unwrap();
        assert_eq!(outcome.values["safe_to_start"], learns);
    }
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
fn an_old_version_is_refused_and_a_new_one_warned_of() {
    let with = |version: &str| {
        HOSTS.map(|host| {
            let mut seen = fresh();
            seen["version"] = json!(version);
            (host, seen)
        })
    };
    refused(judged(three(), &with("3.3.25")), &["etcd 3.3.25 on 10.0.0.1 is too old"]);
    assert_eq!(judged(three(), &with("3.9.0")).unwrap().warnings.len(), 3);
}

#[test]
fn what_is_unsafe_to_start_only_warns_where_nothing_is_started() {
    let unreadable = json!({ "version": "3.6.14", "data": { "state": "unreadable", "reason": "x" } });
    let outcome = warned(three(), &[(HOSTS[0], unreadable)]);
    assert_eq!(outcome.warnings.len(), 1);
    assert_eq!(outcome.values["safe_to_start"], false);
}

#[test]
fn a_configuration_that_is_only_written_never_founds_beside_data_that_was_in_use() {
    for (had_leader, state) in [(true, "existing"), (false, "new")] {
        let outcome = warned(three(), &[(HOSTS[0], holder(0, had_leader)), (HOSTS[1], fresh())]);
        assert_eq!(outcome.values["situations"][HOSTS[1]]["initial_cluster_state"], state);
    }
}

#[test]
fn a_member_that_is_not_as_it_should_be_is_looked_at_closely() {
    type Harm = fn(&mut Value);
    let harms: [(&str, Harm); 6] = [
        ("serves as it should", |_| {}),
        ("does not serve", |seen| seen["serving"] = json!(false)),
        ("has something to pick up", |seen| seen["pending"] = json!(["log-level"])),
        ("is starting", |seen| seen["unit"]["active_state"] = json!("activating")),
        ("is not started at boot", |seen| seen["unit"]["unit_file_state"] = json!("disabled")),
        ("runs from an older unit", |seen| seen["unit"]["need_daemon_reload"] = json!(true)),
    ];
    let clusters = run(three()).unwrap().values["clusters"].clone();
    for (index, (what, harm)) in harms.into_iter().enumerate() {
        let mut observed = serde_json::Map::new();
        for (number, host) in HOSTS.iter().enumerate() {
            let mut seen = holder(number, true);
            settle(&mut seen);
            if number == 1 {
                harm(&mut seen);
            }
            observed.insert((*host).to_owned(), at_first(seen));
        }
        let outcome = run(json!({ "clusters": clusters, "observed": observed, "starts": true })).unwrap();
        assert_eq!(outcome.values["safe_to_start"], index == 0, "{what}");
        assert_eq!(outcome.values["situations"][HOSTS[1]]["settled"], index == 0, "{what}");
        assert_eq!(outcome.values["situations"][HOSTS[0]]["settled"], true, "{what}");
    }
}

#[test]
fn a_cluster_is_replaced_only_where_that_is_asked_for_and_not_guarded() {
    let with = |variables: Value, play: &[&str]| {
        let mut inventory = three();
        for host in HOSTS {
            inventory["hosts"][host].as_object_mut().unwrap().extend(variables.as_object().unwrap().clone());
        }
        inventory["play_hosts"] = json!(play);
        let clusters = run(inventory)?.values["clusters"].clone();
        let observed: serde_json::Map<String, Value> = play
            .iter()
            .enumerate()
            .map(|(index, host)| {
                let mut seen = at_first(holder(index, true));
                settle(&mut seen);
                ((*host).to_owned(), seen)
            })
            .collect();
        run(json!({ "clusters": clusters, "observed": observed, "starts": true }))
    };
    assert_eq!(with(json!({}), &HOSTS).unwrap().values["cleans"], false);
    let cleaned = with(json!({ "etcd_clean": "yes" }), &HOSTS).unwrap();
    assert_eq!((&cleaned.values["cleans"], &cleaned.values["safe_to_start"]), (&json!(true), &json!(false)));
    refused(with(json!({ "etcd_clean": true }), &HOSTS[..2]), &["10.0.0.3 is unreachable or left out by -l"]);
    refused(
        with(json!({ "etcd_clean": true, "etcd_safeguard": true }), &HOSTS),
        &["etcd_clean is true and so is etcd_safeguard", "on 10.0.0.1, 10.0.0.2, 10.0.0.3", "-e etcd_safeguard=false"],
    );
    refused(with(json!({ "etcd_clean": false }), &HOSTS), &["etcd_clean is false", "leave etcd_clean unset"]);
    // Where there is nothing, there is nothing to ask.
    let mut inventory = three();
    inventory["hosts"][HOSTS[0]]["etcd_clean"] = json!(true);
    refused(judged(inventory.clone(), &[]), &["etcd_clean is unset and true in cluster etcd", "as a whole"]);
    for host in HOSTS {
        inventory["hosts"][host]["etcd_clean"] = json!(true);
    }
    assert!(judged(inventory, &HOSTS.map(|host| (host, fresh()))).is_ok());
}

#[test]
fn one_cluster_is_not_replaced_while_another_one_of_the_run_is_kept() {
    for kept in [false, true] {
        let mut inventory = three();
        for host in HOSTS {
            inventory["hosts"][host]["etcd_clean"] = json!(true);
        }
        inventory["groups"]["beta"] = json!(["10.0.1.1"]);
        inventory["hosts"]["10.0.1.1"] = json!({ "etcd_cluster": "beta", "etcd_seq": 1 });
        inventory["play_hosts"].as_array_mut().unwrap().push(json!("10.0.1.1"));
        let clusters = run(inventory).unwrap().values["clusters"].clone();
        let mut observed: serde_json::Map<String, Value> =
            HOSTS.iter().enumerate().map(|(index, host)| ((*host).to_owned(), at_first(holder(index, true)))).collect();
        observed.insert("10.0.1.1".into(), at_first(if kept { holder(0, true) } else { fresh() }));
        let outcome = run(json!({ "clusters": clusters, "observed": observed, "starts": true }));
        if kept {
            refused(outcome, &["etcd_clean is true for cluster etcd", "not for beta", "./etcd.yml -l etcd"]);
        } else {
            assert_eq!(outcome.unwrap().values["cleans"], true);
        }
    }
}

#[test]
fn tags_that_remove_stand_alone() {
    for (tags, accepted) in [("etcd_clean", true), ("etcd_clean,etcd_purge", true), ("all,etcd_clean", false)] {
        let mut inventory = three();
        inventory["run_tags"] = tags.split(',').collect();
        let outcome = run(inventory);
        if accepted {
            assert!(outcome.is_ok(), "{tags}");
        } else {
            refused(outcome, &["etcd_clean removes what is there, and was given with all", "-e etcd_clean=true"]);
        }
    }
}

#[test]
fn who_serves_speaks_for_the_cluster() {
    let mut serving = holder(1, true);
    settle(&mut serving);
    let observed = [(HOSTS[0], holder(0, true)), (HOSTS[1], serving)];
    assert_eq!(warned(three(), &observed).values["speakers"], json!({ "etcd": HOSTS[1] }));
    // Where nobody serves and nobody is started, the first host says what is wrong; a run that starts members waits.
    assert_eq!(warned(three(), &observed[..1]).values["speakers"], json!({ "etcd": HOSTS[0] }));
    let fresh = HOSTS.map(|host| (host, fresh()));
    assert_eq!(judged(three(), &fresh).unwrap().values["speakers"], json!({}));
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
fn what_a_host_says_must_make_sense() {
    refused(
        judged(three(), &[(HOSTS[0], json!({ "data": 7, "cluster": {} }))]),
        &["what 10.0.0.1 says of itself makes no sense"],
    );
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

#[derive(Clone, Debug)]
struct Host {
    data: Option<bool>,
    in_play: bool,
    joins: bool,
}

fn host() -> impl Strategy<Value = Host> {
    (proptest::option::of(any::<bool>()), any::<bool>(), any::<bool>()).prop_map(|(data, in_play, joins)| Host {
        data,
        in_play,
        joins,
    })
}

proptest! {
    /// Whatever is found, no accepted run makes a second cluster: a fresh host founds only together with all of its
    /// cluster's hosts, none of which has ever had a leader, or as a founding member that the live cluster waits for.
    #[test]
    fn no_second_cluster(hosts in proptest::collection::vec(host(), 3), running in any::<bool>()) {
        let holders = hosts.iter().filter(|host| host.data == Some(true)).count();
        let is_live = running && holders >= 2;
        let started: Vec<bool> = hosts.iter().map(|host| host.data.is_some()).collect();
        let mut inventory = three();
        inventory["play_hosts"] = (0..3).filter(|i| hosts[*i].in_play).map(|i| HOSTS[i]).collect::<Vec<_>>().into();
        let mut observed = Vec::new();
        for (index, host) in hosts.iter().enumerate() {
            if host.joins {
                inventory["hosts"][HOSTS[index]]["etcd_init"] = json!("existing");
            }
            let mut seen = host.data.map_or_else(fresh, |had_leader| holder(index, had_leader));
            if is_live && host.data.is_some() {
                seen["cluster"] = live([started[0], started[1], started[2]]);
                settle(&mut seen);
            }
            if host.in_play {
                observed.push((HOSTS[index], seen));
            }
        }
        let Ok(outcome) = judged(inventory, &observed) else { return Ok(()) };
        for (index, host) in hosts.iter().enumerate().filter(|(_, host)| host.in_play && host.data.is_none()) {
            let seen_live = is_live && hosts.iter().any(|host| host.in_play && host.data.is_some());
            let situation = &outcome.values["situations"][HOSTS[index]];
            prop_assert_eq!(&situation["founds"], &json!(!host.joins));
            prop_assert_eq!(&situation["starts_late"], &json!(host.joins));
            if host.joins {
                prop_assert!(seen_live, "there is nobody to join");
                prop_assert_eq!(&situation["initial_cluster_state"], &json!("existing"));
            }
            if !seen_live {
                prop_assert!(hosts.iter().all(|host| host.in_play));
                prop_assert!(hosts.iter().all(|host| host.data != Some(true)));
            }
        }
    }

    /// Waves touch at most one member of a cluster each, followers before the leader, and nobody without need.
    #[test]
    fn waves_keep_to_one_member_of_each_cluster(needed in proptest::collection::vec(any::<bool>(), 3), leader in 0usize..3) {
        let restarts: serde_json::Map<String, Value> = (0..3)
            .map(|index| (HOSTS[index].to_owned(), json!({
                "restart_needed": if needed[index] { vec!["log-level"] } else { vec![] }, "is_leader": index == leader })))
            .collect();
        let clusters = run(three()).unwrap().values["clusters"].clone();
        let outcome = run(json!({ "clusters": clusters, "restarts": restarts })).unwrap();
        let waves = outcome.values["waves"].as_object().unwrap();
        let mut numbers: Vec<u64> = waves.values().map(|wave| wave.as_u64().unwrap()).collect();
        numbers.sort_unstable();
        prop_assert_eq!(&numbers, &(0..numbers.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(waves.len(), needed.iter().filter(|needed| **needed).count());
        if let Some(last) = waves.get(HOSTS[leader]) {
            prop_assert_eq!(last.as_u64(), numbers.last().copied());
        }
    }
}

#[test]
fn a_host_without_systemd_is_refused_before_anything_is_installed() {
    let mut odd = fresh();
    odd["unit"] = json!({ "load_state": "unknown", "error": "cannot run systemctl: No such file or directory" });
    let observed = [(HOSTS[0], fresh()), (HOSTS[1], odd), (HOSTS[2], fresh())];
    refused(judged(three(), &observed), &["10.0.0.2 cannot run a member", "cannot run systemctl"]);
}
