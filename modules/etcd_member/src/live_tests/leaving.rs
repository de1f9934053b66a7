use super::*;
use test_case::test_case;

#[test_case(Version::V3_4)]
#[test_case(Version::V3_5)]
#[test_case(Version::V3_6)]
#[test_case(Version::V3_7)]
fn the_leader_leaves_while_clients_write(version: Version) {
    let cluster = start(version, 3);
    let leader = cluster.leader();
    let member = cluster.member(leader);
    let others: Vec<String> =
        (0..3).filter(|index| *index != leader).map(|index| cluster.member(index).client_url()).collect();
    // Asked of nobody but the one that leaves.
    let mut absent = wish("absent", member);
    absent["endpoints"] = json!([member.client_url()]);
    let id = view(&cluster).leader.unwrap();
    let foreseen = predicted(&cluster, &absent);
    write_while(&others, &cluster, || {
        let gone = ok(&cluster, &absent);
        for value in ["actions", "diff", "initial_cluster"] {
            assert_eq!(foreseen[value], gone[value]);
        }
        assert_eq!(gone["actions"], json!(["leadership_moved", "removed"]));
        assert_eq!(
            (&gone["member"]["name"], &gone["member"]["id"]),
            (&json!(member.name()), &json!(etcd_ops::hex(id)))
        );
        assert_eq!(gone["members"].as_array().unwrap().len(), 2);
    });
    // It ends by itself, for good.
    assert!(member.wait_exit().is_some());
    absent["endpoints"] = json!(others);
    idempotent(&cluster, &absent);
    assert_eq!(ok(&cluster, &absent)["member"], Value::Null);
    assert!(!names(&cluster).contains(&member.name().to_owned()));
}

#[test_case(Version::V3_4)]
#[test_case(Version::V3_5)]
#[test_case(Version::V3_6)]
#[test_case(Version::V3_7)]
fn down_to_one_member(version: Version) {
    let cluster = start(version, 3);
    // First one that is stopped, by its URL and with all endpoints given; then one that serves, by its id.
    let stopped = cluster.follower();
    cluster.member(stopped).stop();
    let absent = json!({ "state": "absent", "peer_urls": [cluster.member(stopped).peer_url()], "endpoints": cluster.endpoints() });
    assert_eq!(converge(&cluster, &absent)["actions"], json!(["removed"]));
    let view = view(&cluster);
    let follower = view.members.iter().find(|member| Some(member.id) != view.leader).unwrap();
    let absent = json!({ "state": "absent", "id": format!("0x{:X}", follower.id), "endpoints": cluster.endpoints() });
    assert_eq!(ok(&cluster, &absent)["actions"], json!(["removed"]));
    let gone = cluster.members().iter().find(|member| *member.name() == follower.name).unwrap();
    assert!(gone.wait_exit().is_some());
    idempotent(&cluster, &absent);
    let last = cluster.member(cluster.leader());
    let refusal = ["it is the only voter", "./etcd-rm.yml"];
    refused(&cluster, &wish("absent", last), ErrorKind::QuorumRisk, &refusal);
    let mut forced = wish("absent", last);
    forced["force"] = true.into();
    refused(&cluster, &forced, ErrorKind::QuorumRisk, &refusal);
    cluster.etcdctl(&["put", "key", "value"]);
}

#[test]
fn a_learner_leaves_whether_it_started_or_not() {
    for version in Version::ALL {
        let cluster = start(version, 1);
        let member = cluster.spare("etcd-2");
        let absent = json!({ "state": "absent", "peer_urls": [member.peer_url()] });
        idempotent(&cluster, &absent);
        let announced = ok(&cluster, &wish("announced", &member));
        assert_eq!(converge(&cluster, &absent)["actions"], json!(["removed"]));
        prepare(&member, &ok(&cluster, &wish("announced", &member)));
        assert_eq!(announced["initial_cluster"], ok(&cluster, &wish("announced", &member))["initial_cluster"]);
        member.spawn();
        wait_for("the learner to start", || names(&cluster).contains(&"etcd-2".to_owned()));
        assert_eq!(converge(&cluster, &wish("absent", &member))["actions"], json!(["removed"]));
    }
}

#[test_case(Version::V3_4)]
#[test_case(Version::V3_5)]
#[test_case(Version::V3_6)]
#[test_case(Version::V3_7)]
fn nobody_leaves_while_two_of_three_are_down(version: Version) {
    let cluster = Cluster::start(version, 3, Options::tls());
    let kept = cluster.leader();
    let down = cluster.member(cluster.follower());
    (0..3).filter(|index| *index != kept).for_each(|index| cluster.member(index).kill());
    wait_for("the loss of the leader", || cluster.member(kept).metric("etcd_server_has_leader") == Some(0.0));
    let mut forced = wish("absent", down);
    forced["force"] = true.into();
    refused(&cluster, &forced, ErrorKind::QuorumRisk, &["the cluster has no leader", "bring them back first"]);
    let stranger = cluster.spare("etcd-4");
    refused(&cluster, &wish("announced", &stranger), ErrorKind::QuorumRisk, &["etcd-4 does not join", "no leader"]);
    // Nor is it known that there is nothing to do.
    refused(
        &cluster,
        &wish("absent", &stranger),
        ErrorKind::NoLeader,
        &["may be out of date", "bring its members back"],
    );
}

/// Without a leader nobody can log in, and from 3.5.28 and 3.6.9 on a member tells its list only to whoever has.
#[test]
fn with_authentication_and_without_leader_nothing_is_done() {
    let cluster = start(Version::V3_6, 3);
    let kept = cluster.leader();
    (0..3).filter(|index| *index != kept).for_each(|index| cluster.member(index).kill());
    wait_for("the loss of the leader", || cluster.member(kept).metric("etcd_server_has_leader") == Some(0.0));
    let failure = call(&cluster, &wish("absent", &cluster.spare("etcd-4"))).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::NoLeader, "{failure}");
    let parts =
        ["nothing was done about etcd-4, for the members are unknown", "has no leader", "bring its members back"];
    assert!(parts.iter().all(|part| failure.msg.contains(part)), "{failure}");
}

#[test]
fn who_serves_stays_while_another_one_is_down() {
    for version in Version::ALL {
        let cluster = start(version, 3);
        let down = cluster.member(cluster.follower());
        down.kill();
        let leader = cluster.member(cluster.leader());
        for force in [false, true] {
            let mut absent = wish("absent", leader);
            absent["force"] = force.into();
            let parts = ["1 of 2 remaining voters would be below the quorum of 2", down.name(), "Connection refused"];
            refused(&cluster, &absent, ErrorKind::QuorumRisk, &parts);
        }
        assert!(leader.is_leader(), "a refusal moved leadership");
        let stranger = cluster.spare("etcd-4");
        refused(
            &cluster,
            &wish("announced", &stranger),
            ErrorKind::QuorumRisk,
            &["a member cannot be added", down.name()],
        );
    }
}

#[test]
fn with_two_of_five_down_one_leaves_only_by_force() {
    let cluster = start(Version::V3_6, 5);
    let leader = cluster.leader();
    let down: Vec<&Member> =
        (0..5).filter(|index| *index != leader).take(2).map(|index| cluster.member(index)).collect();
    down.iter().for_each(|member| member.kill());
    let mut absent = wish("absent", down[0]);
    refused(&cluster, &absent, ErrorKind::QuorumRisk, &[down[1].name(), "no reserve", "-e etcd_force=remove"]);
    absent["force"] = true.into();
    assert_eq!(converge(&cluster, &absent)["actions"], json!(["removed"]));
    // The other one is the last that is down.
    assert_eq!(converge(&cluster, &wish("absent", down[1]))["actions"], json!(["removed"]));
}

#[test]
fn another_cluster_is_left_alone() {
    let cluster = start(Version::V3_6, 1);
    let id = etcd_ops::hex(view(&cluster).id);
    let member = cluster.spare("etcd-2");
    for state in ["announced", "present", "absent"] {
        let mut other = wish(state, &member);
        other["cluster_id"] = "abcdef".into();
        refused(&cluster, &other, ErrorKind::Conflict, &[&format!("is of cluster {id}, not of abcdef")]);
    }
    let mut meant = wish("absent", &member);
    meant["cluster_id"] = id.into();
    idempotent(&cluster, &meant);
}

#[test]
fn wrong_options_are_all_named() {
    let cluster = start(Version::V3_6, 1);
    let wish = json!({ "name": "a,b", "peer_urls": ["https://10.0.0.1"], "id": "xyz", "cluster_id": "" });
    let parts = ["\"a,b\" is no name", "has no port", "id \"xyz\" is no id", "cluster_id \"\" is no id"];
    refused(&cluster, &wish, ErrorKind::InvalidOption, &parts);
    refused(&cluster, &json!({ "state": "absent" }), ErrorKind::InvalidOption, &["give name, peer_urls or id"]);
}
