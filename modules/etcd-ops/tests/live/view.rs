use super::{plain, run, session};
use ansible_protocol::ErrorKind;
use etcd_ops::client::AuthState;
use etcd_ops::guard;
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
