use super::{login, plain, run, session};
use ansible_protocol::ErrorKind;
use etcd_ops::client::AuthState;
use etcd_ops::guard;
use etcd_ops::rpc::maintenance::{Alarm, CORRUPT};
use etcd_ops::view::{ClusterView, Health};
use etcd_testbed::{Cluster, Options, Version};

fn observe(cluster: &Cluster) -> ClusterView {
    let session = session(cluster);
    run(async { ClusterView::observe(&session).await }).unwrap()
}

#[test]
fn all_members_serve() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let view = observe(&cluster);
        assert_eq!(view.auth, Some(AuthState::Off));
        let names: Vec<&str> = view.members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["etcd-1", "etcd-2", "etcd-3"]);
        for member in &view.members {
            assert_eq!(member.health, Health::Healthy, "{version:?}");
            let status = member.status.as_ref().unwrap();
            assert!(status.version.starts_with(version.series()) && status.db_size > 0 && status.raft_index > 0);
            assert!(guard::may_restart(&view, member.id).is_ok());
        }
        let leader = view.member(view.leader.unwrap()).unwrap();
        assert_eq!(leader.name, cluster.member(cluster.leader()).name());
        assert_ne!(guard::successor(&view, leader.id).unwrap(), leader.id);
    }
}

#[test]
fn one_member_is_down_the_first_one_too() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    cluster.member(0).kill();
    let _ = cluster.leader();
    let view = observe(&cluster);
    let Health::Unhealthy(kind, reason) = &view.members[0].health else { panic!("{:?}", view.members[0]) };
    assert_eq!(*kind, ErrorKind::Unreachable);
    assert_eq!(plain(reason), "https://HOST does not answer: Connection refused (os error 111)");
    assert!(view.members[1..].iter().all(|member| member.health.is_healthy()), "{view:?}");
    let refusal = guard::may_restart(&view, view.members[1].id).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::QuorumRisk);
    assert!(guard::may_restart(&view, view.members[0].id).is_ok());
}

#[test]
fn without_quorum_nobody_is_healthy_but_all_are_named() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        cluster.member(0).kill();
        cluster.member(1).kill();
        etcd_testbed::wait_for("the loss of the leader", || {
            cluster.member(2).metric("etcd_server_has_leader") == Some(0.0)
        });
        let view = observe(&cluster);
        assert_eq!((view.members.len(), view.leader), (3, None), "{version:?}");
        assert_eq!(view.endpoint, cluster.endpoints()[2]);
        let Health::Unhealthy(kind, reason) = &view.members[2].health else { panic!("{:?}", view.members[2]) };
        assert_eq!((*kind, plain(reason).as_str()), (ErrorKind::NoLeader, "https://HOST has no leader"));
    }
}

#[test]
fn a_member_that_hangs_is_found_out_in_time() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    let follower = cluster.follower();
    cluster.member(follower).freeze();
    let view = observe(&cluster);
    let Health::Unhealthy(kind, reason) = &view.members[follower].health else { panic!("{:?}", view.members) };
    assert!(matches!(kind, ErrorKind::Unreachable | ErrorKind::Timeout), "{kind:?} {reason}");
    cluster.member(follower).thaw();
}

#[test]
fn a_learner_that_never_started_is_unstarted() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let spare = cluster.spare("etcd-2");
    cluster.etcdctl(&["member", "add", "etcd-2", "--learner", "--peer-urls", &spare.peer_url()]);
    let view = observe(&cluster);
    let learner = view.members.iter().find(|member| member.is_learner).unwrap();
    assert_eq!(learner.health, Health::Unstarted);
    assert!(learner.label().starts_with(&spare.peer_url()));
    let founder = cluster.member(0).initial_cluster();
    spare.configure("initial-cluster", &format!("{founder},{}", spare.initial_cluster()));
    spare.configure("initial-cluster-state", "existing");
    spare.spawn();
    etcd_testbed::wait_for("the learner to serve", || {
        observe(&cluster).members.iter().any(|member| member.is_learner && member.health.is_healthy())
    });
}

/// Raises the alarm of data that differs, which etcdctl cannot; naming this member, or nobody.
fn raise_corrupt(cluster: &Cluster, member_id: u64) {
    let raise = Alarm { action: 1, member_id, alarm: CORRUPT };
    let session = session(cluster);
    let endpoint = cluster.endpoints()[0].clone();
    run(async { session.connect(&endpoint).await?.call("raise an alarm", &raise).await }).unwrap();
}

#[test]
fn under_the_alarm_of_corruption_each_member_is_judged_by_what_it_does() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        let before = observe(&cluster);
        let odd = before.members[2].id;
        raise_corrupt(&cluster, odd);
        let all_know =
            || observe(&cluster).members.iter().all(|member| !member.status.as_ref().unwrap().errors.is_empty());
        etcd_testbed::wait_for("the alarm at all members", all_know);
        let view = observe(&cluster);
        let values = view.to_value();
        for (index, member) in view.members.iter().enumerate() {
            assert_eq!(member.health, Health::Healthy, "{version:?}");
            assert_eq!(view.is_corrupt(member.id), index == 2, "{version:?}");
            assert_eq!(values["members"][index]["corrupt"], index == 2, "{version:?}");
        }
        let wanted = serde_json::json!([{ "kind": "CORRUPT", "member_id": etcd_ops::hex(odd) }]);
        assert_eq!(values["alarms"], wanted, "{version:?}");
        assert_ne!(guard::successor(&view, view.members[0].id), Some(odd), "{version:?}");
        assert!(guard::may_restart(&view, odd).is_err());
        // The alarm does not hide who is really down, nor does it name whoever tells it.
        cluster.member(1).kill();
        let view = observe(&cluster);
        assert!(matches!(view.members[1].health, Health::Unhealthy(ErrorKind::Unreachable, _)), "{version:?}");
        cluster.member(0).kill();
        etcd_testbed::wait_for("the loss of the leader", || {
            cluster.member(2).metric("etcd_server_has_leader") == Some(0.0)
        });
        let view = observe(&cluster);
        assert!(matches!(view.members[2].health, Health::Unhealthy(ErrorKind::NoLeader, _)), "{version:?}");
        assert!(view.is_corrupt(odd), "{version:?}");
    }
}

#[test]
fn an_alarm_that_names_nobody_is_told_as_such() {
    let cluster = Cluster::start(Version::V3_7, 1, Options::tls());
    raise_corrupt(&cluster, 0);
    let view = observe(&cluster);
    assert_eq!(view.to_value()["alarms"], serde_json::json!([{ "kind": "CORRUPT", "member_id": null }]));
    assert!(!view.is_corrupt(view.members[0].id) && view.corruption().unwrap().ends_with("which names no member"));
}

#[test]
fn a_login_that_is_refused_is_not_hidden_by_a_member_that_is_down() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::auth("secret"));
        cluster.member(2).kill();
        let look = |password| {
            let session = session(&cluster).with_login(login("root", password));
            run(async { ClusterView::observe(&session).await })
        };
        match look("wrong") {
            Err(failure) => assert_eq!(failure.kind, ErrorKind::Auth, "{version:?} {failure}"),
            // 3.4 tells all of this to anybody.
            Ok(view) => {
                let up = view.members.iter().filter(|member| member.health == Health::Healthy).count();
                assert_eq!((version, up), (Version::V3_4, 2), "{view:?}");
            }
        }
        assert_eq!(look("secret").unwrap().members.len(), 3, "{version:?}");
    }
}
