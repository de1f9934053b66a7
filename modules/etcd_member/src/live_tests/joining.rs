use super::*;
use test_case::test_case;

#[test_case(Version::V3_4)]
#[test_case(Version::V3_5)]
#[test_case(Version::V3_6)]
#[test_case(Version::V3_7)]
fn members_join_one_after_the_other_while_clients_write(version: Version) {
    let mut cluster = start(version, 1);
    for name in ["etcd-2", "etcd-3"] {
        let member = cluster.spare(name);
        let foreseen = predicted(&cluster, &wish("announced", &member));
        let announced = write_while(&cluster.endpoints(), &cluster, || {
            let announced = ok(&cluster, &wish("announced", &member));
            for value in ["actions", "changed", "diff", "initial_cluster", "cluster_id"] {
                assert_eq!(foreseen[value], announced[value], "{value}");
            }
            announced
        });
        assert_eq!(announced["actions"], json!(["announced"]));
        assert_eq!(
            (&announced["member"]["started"], &announced["member"]["is_learner"]),
            (&json!(false), &json!(true))
        );
        let all: Vec<String> = cluster.members().iter().chain([&member]).map(Member::initial_cluster).collect();
        assert_eq!(announced["initial_cluster"], all.join(","));
        idempotent(&cluster, &wish("announced", &member));
        assert_eq!(predicted(&cluster, &wish("present", &member))["actions"], json!(["promoted"]));
        prepare(&member, &announced);
        let present = write_while(&cluster.endpoints(), &cluster, || {
            member.spawn();
            ok(&cluster, &wish("present", &member))
        });
        assert_eq!(present["actions"], json!(["promoted"]));
        assert_eq!((&present["member"]["name"], &present["member"]["is_learner"]), (&json!(name), &json!(false)));
        assert_eq!(present["member"]["id"], announced["member"]["id"]);
        member.wait_healthy();
        idempotent(&cluster, &wish("present", &member));
        idempotent(&cluster, &wish("announced", &member));
        cluster.adopt(member);
    }
    let view = view(&cluster);
    assert!(
        view.members.len() == 3 && view.members.iter().all(|member| member.is_voter() && member.health.is_healthy())
    );
    // Each of them counts: any one may be missing.
    for missing in 0..3 {
        cluster.member(missing).stop();
        let _ = cluster.leader();
        cluster.etcdctl(&["put", "still", "writable"]);
        cluster.member(missing).start();
    }
}

#[test_case(Version::V3_4)]
#[test_case(Version::V3_7)]
fn one_call_waits_until_the_member_has_started(version: Version) {
    let cluster = start(version, 1);
    let member = cluster.spare("etcd-2");
    let result = std::thread::scope(|scope| {
        let call = scope.spawn(|| ok(&cluster, &wish("present", &member)));
        wait_for("the announcement", || view(&cluster).members.len() == 2);
        let all = [cluster.member(0), &member].map(Member::initial_cluster).join(",");
        prepare(&member, &json!({ "initial_cluster": all }));
        member.start();
        call.join().unwrap()
    });
    assert_eq!(result["actions"], json!(["announced", "promoted"]));
    idempotent(&cluster, &wish("present", &member));
}

#[test_case(Version::V3_4)]
#[test_case(Version::V3_5)]
#[test_case(Version::V3_6)]
#[test_case(Version::V3_7)]
fn a_learner_that_never_starts_is_taken_out_and_the_next_run_goes_on(version: Version) {
    let cluster = start(version, 1);
    let member = cluster.spare("etcd-2");
    let before = fixed(&cluster);
    let hurried = json!({ "state": "present", "name": "etcd-2", "peer_urls": [member.peer_url()], "timeout": 4 });
    for announced_before in [false, true] {
        if announced_before {
            ok(&cluster, &wish("announced", &member));
        }
        let failure = call(&cluster, &hurried).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Timeout, "{failure}");
        assert!(failure.msg.contains("has not started within"), "{failure}");
        assert!(failure.msg.contains("it has been taken out of the member list again"), "{failure}");
        let actions: &[&str] = if announced_before { &["removed"] } else { &["announced", "removed"] };
        assert_eq!(failure.details["actions"], json!(actions));
        assert_eq!(fixed(&cluster), before);
    }
    prepare(&member, &ok(&cluster, &wish("announced", &member)));
    member.spawn();
    assert_eq!(ok(&cluster, &wish("present", &member))["actions"], json!(["promoted"]));
}

#[test]
fn a_learner_stays_one_on_request_and_is_promoted_on_another() {
    let cluster = start(Version::V3_6, 1);
    let member = cluster.spare("etcd-2");
    prepare(&member, &ok(&cluster, &wish("announced", &member)));
    member.spawn();
    let mut learner = wish("present", &member);
    learner["learner"] = true.into();
    let present = ok(&cluster, &learner);
    assert_eq!((&present["changed"], &present["member"]["is_learner"]), (&json!(false), &json!(true)));
    assert_eq!((&present["member"]["started"], &present["warnings"]), (&json!(true), &Value::Null));
    wait_for("the learner to serve", || view(&cluster).members.iter().all(|member| member.health.is_healthy()));
    assert_eq!(converge(&cluster, &wish("present", &member))["actions"], json!(["promoted"]));
    let voter = ok(&cluster, &learner);
    assert!(voter["warnings"][0].as_str().unwrap().contains("votes already"), "{voter}");
}

/// A learner whose process stands still has started, but is no voter that would be of use.
#[test]
fn a_learner_that_stands_still_is_not_promoted() {
    let cluster = start(Version::V3_6, 1);
    let member = cluster.spare("etcd-2");
    prepare(&member, &ok(&cluster, &wish("announced", &member)));
    member.spawn();
    let mut learner = wish("present", &member);
    learner["learner"] = true.into();
    ok(&cluster, &learner);
    member.freeze();
    let mut hurried = wish("present", &member);
    hurried["timeout"] = 8.into();
    let before = fixed(&cluster);
    let failure = call(&cluster, &hurried).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Timeout, "{failure}");
    assert!(failure.msg.contains("is down") && failure.msg.contains("it stays a learner"), "{failure}");
    assert_eq!(fixed(&cluster), before);
    member.thaw();
    assert_eq!(ok(&cluster, &wish("present", &member))["actions"], json!(["promoted"]));
}

#[test_case(Version::V3_4)]
#[test_case(Version::V3_5)]
#[test_case(Version::V3_6)]
#[test_case(Version::V3_7)]
fn a_dead_member_is_replaced_at_the_same_address(version: Version) {
    let cluster = start(version, 3);
    let dead = cluster.follower();
    let member = cluster.member(dead);
    member.kill();
    std::fs::remove_dir_all(member.data_dir()).unwrap();
    let others: Vec<String> =
        (0..3).filter(|index| *index != dead).map(|index| cluster.member(index).client_url()).collect();
    let foreseen = predicted(&cluster, &wish("absent", member));
    let old = write_while(&others, &cluster, || {
        let gone = ok(&cluster, &wish("absent", member));
        assert_eq!((&gone["actions"], &foreseen["actions"]), (&json!(["removed"]), &json!(["removed"])));
        prepare(member, &ok(&cluster, &wish("announced", member)));
        member.spawn();
        ok(&cluster, &wish("present", member));
        gone["member"]["id"].clone()
    });
    member.wait_healthy();
    let view = view(&cluster);
    let new = view.members.iter().find(|found| found.name == member.name()).unwrap();
    assert!(new.is_voter() && json!(etcd_ops::hex(new.id)) != old, "{view:?}");
    assert_eq!(view.members.len(), 3);
}

/// Right after a start etcd counts no peer as connected; that is waited for.
#[test_case(Version::V3_4)]
#[test_case(Version::V3_7)]
fn a_cluster_that_has_just_started_is_given_time(version: Version) {
    let cluster = start(version, 3);
    let follower = cluster.member(cluster.follower());
    follower.restart();
    let member = cluster.spare("etcd-4");
    assert_eq!(ok(&cluster, &wish("announced", &member))["actions"], json!(["announced"]));
}

/// An id is made of the URLs and the second: what leaves and joins again within one would get the one that is gone.
#[test]
fn what_has_just_left_may_join_again() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        let member = cluster.spare("etcd-2");
        for _ in 0..3 {
            ok(&cluster, &wish("announced", &member));
            ok(&cluster, &json!({ "state": "absent", "peer_urls": [member.peer_url()] }));
        }
        assert_eq!(ok(&cluster, &wish("announced", &member))["changed"], true);
    }
}

#[test]
fn runs_at_once_announce_one_member() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        let member = cluster.spare("etcd-2");
        let results = std::thread::scope(|scope| {
            let run = || scope.spawn(|| ok(&cluster, &wish("announced", &member)));
            [run(), run(), run()].map(|run| run.join().unwrap())
        });
        // Whoever got no answer cannot tell who did it.
        assert!(results.iter().any(|result| result["changed"] == true), "{results:?}");
        assert!(results.iter().all(|result| result["initial_cluster"] == results[0]["initial_cluster"]), "{results:?}");
        assert_eq!(view(&cluster).members.len(), 2);
    }
}

#[test]
fn of_two_members_at_once_one_is_told_to_wait() {
    let cluster = start(Version::V3_6, 1);
    let members = [cluster.spare("etcd-2"), cluster.spare("etcd-3")];
    let results = std::thread::scope(|scope| {
        let cluster = &cluster;
        let run = |member| scope.spawn(move || call(cluster, &wish("announced", member)));
        members.each_ref().map(run).map(|run| run.join().unwrap())
    });
    let failures: Vec<&Failure> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let [failure] = failures.as_slice() else { panic!("{results:?}") };
    assert_eq!(failure.kind, ErrorKind::Conflict, "{failure}");
    assert!(failure.msg.contains("etcd allows one learner at a time"), "{failure}");
    assert_eq!(view(&cluster).members.len(), 2);
}

#[test]
fn peer_urls_follow_the_wish() {
    for version in Version::ALL {
        let cluster = start(version, 3);
        let member = cluster.member(cluster.follower());
        let more = json!({ "state": "present", "name": member.name(), "peer_urls": [member.peer_url(), "https://127.0.0.1:19"] });
        assert_eq!(converge(&cluster, &more)["actions"], json!(["updated"]), "{version:?}");
        assert_eq!(converge(&cluster, &wish("present", member))["actions"], json!(["updated"]));
        // One that serves elsewhere may be another host's.
        let elsewhere = json!({ "state": "present", "name": member.name(), "peer_urls": ["https://127.0.0.1:19"] });
        refused(&cluster, &elsewhere, ErrorKind::Conflict, &["and not at https://127.0.0.1:19", "give its id"]);
        let id = view(&cluster).members.into_iter().find(|found| found.name == member.name()).unwrap().id;
        let mut certain = elsewhere.clone();
        certain["id"] = etcd_ops::hex(id).into();
        assert_eq!(converge(&cluster, &certain)["actions"], json!(["updated"]));
    }
}

#[test]
fn a_learner_is_not_made_a_voter_by_new_urls() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        let member = cluster.spare("etcd-2");
        ok(&cluster, &wish("announced", &member));
        let more =
            json!({ "state": "announced", "name": "etcd-2", "peer_urls": [member.peer_url(), "https://127.0.0.1:19"] });
        if version == Version::V3_4 {
            refused(&cluster, &more, ErrorKind::VersionGate, &["it is a learner, and etcd 3.4."]);
        } else {
            assert_eq!(converge(&cluster, &more)["member"]["is_learner"], true, "{version:?}");
        }
    }
}
