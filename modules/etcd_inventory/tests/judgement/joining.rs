use super::{HOSTS, at_first, fresh, holder, judged, live, refused, run, settle, three};
use ansible_protocol::{Failure, Outcome};
use serde_json::{Value, json};

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
