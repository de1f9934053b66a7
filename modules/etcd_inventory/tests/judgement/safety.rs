use super::{HOSTS, at_first, fresh, holder, judged, live, refused, run, settle, three, warned};
use proptest::prelude::*;
use serde_json::{Value, json};

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
fn nothing_is_made_under_a_mount_point() {
    let mut bare = fresh();
    bare["data"]["unmounted"] = json!("/data");
    let observed = [(HOSTS[0], fresh()), (HOSTS[1], bare), (HOSTS[2], fresh())];
    refused(judged(three(), &observed), &["/data of 10.0.0.2 is to be mounted and is not", "mount /data"]);
    assert_eq!(warned(three(), &observed).warnings.len(), 1);
}

#[test]
fn what_is_unsafe_to_start_only_warns_where_nothing_is_started() {
    let unreadable = json!({ "version": "3.6.14", "data": { "state": "unreadable", "reason": "x" } });
    let outcome = warned(three(), &[(HOSTS[0], unreadable)]);
    assert_eq!(outcome.warnings.len(), 1);
    assert_eq!(outcome.values["safe_to_start"], false);
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
fn what_was_to_go_on_alone_is_not_started() {
    let mut alone = holder(0, true);
    alone["data"]["alone"] = json!(true);
    let observed = |other: Value| [(HOSTS[0], alone.clone()), (HOSTS[1], other.clone()), (HOSTS[2], holder(2, true))];
    refused(
        judged(three(), &observed(holder(1, true))),
        &["10.0.0.1 of cluster etcd was to go on alone", "-e etcd_recover_from=10.0.0.1", "name 10.0.0.2 or 10.0.0.3"],
    );
    let mut leads = holder(1, true);
    leads["cluster"] = live([true; 3]);
    refused(judged(three(), &observed(leads)), &["was to go on alone", "those hold that serve: ./etcd-recover.yml"]);
    // What serves is in no doubt, nor is what it was before.
    settle(&mut alone);
    let mut others = [1, 2].map(|index| holder(index, true));
    others.iter_mut().for_each(settle);
    let [one, other] = others;
    judged(three(), &[(HOSTS[0], alone), (HOSTS[1], one), (HOSTS[2], other)]).unwrap();
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
fn what_a_host_says_must_make_sense() {
    refused(
        judged(three(), &[(HOSTS[0], json!({ "data": 7, "cluster": {} }))]),
        &["what 10.0.0.1 says of itself makes no sense"],
    );
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
