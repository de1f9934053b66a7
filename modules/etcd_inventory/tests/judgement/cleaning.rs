use super::{HOSTS, at_first, fresh, holder, judged, refused, run, settle, three};
use serde_json::{Value, json};

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
    let mut guarded = three();
    for host in HOSTS {
        guarded["hosts"][host]["etcd_clean"] = json!(true);
    }
    guarded["hosts"][HOSTS[1]]["etcd_safeguard"] = json!(true);
    let observed: Vec<(&str, Value)> =
        HOSTS.iter().enumerate().map(|(index, host)| (*host, holder(index, true))).collect();
    refused(judged(guarded, &observed), &["etcd_clean is true and so is etcd_safeguard"]);
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
