use super::{run, session};
use etcd_ops::datadir::{self, DataDir, Identity};
use etcd_ops::view::ClusterView;
use etcd_testbed::{Cluster, Options, Version};

fn identity(cluster: &Cluster, member: usize) -> Identity {
    match datadir::observe(&cluster.member(member).data_dir(), None) {
        DataDir::Member(identity) => identity,
        other => panic!("{other:?}"),
    }
}

/// The ids that the founders' URLs lead to.
fn founding_ids(cluster: &Cluster) -> (Vec<u64>, u64) {
    let urls = cluster.members().iter().map(|member| vec![member.peer_url()]);
    let ids: Vec<u64> = urls.map(|urls| datadir::founding_member_id(&urls, "testbed")).collect();
    let cluster_id = datadir::founding_cluster_id(&ids);
    (ids, cluster_id)
}

#[test]
fn a_bootstrap_that_never_finished_is_recognised_and_one_that_did_too() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options { only: Some(1), ..Options::tls() });
        assert_eq!(datadir::observe(&cluster.member(1).data_dir(), None), DataDir::Absent);
        cluster.member(0).wait_up();
        cluster.member(0).kill();
        let (members, cluster_id) = founding_ids(&cluster);
        let wanted = Identity { member_id: members[0], cluster_id, had_leader: false, by_etcd: true };
        assert_eq!(identity(&cluster, 0), wanted, "{version:?}");
        // A second attempt that also stays alone changes nothing of that, whatever it logs.
        cluster.member(0).spawn();
        cluster.member(0).wait_up();
        cluster.member(0).kill();
        assert_eq!(identity(&cluster, 0), wanted, "{version:?}");

        cluster.members().iter().for_each(etcd_testbed::Member::spawn);
        cluster.wait_healthy();
        for (index, member_id) in members.iter().enumerate() {
            let wanted = Identity { member_id: *member_id, cluster_id, had_leader: true, by_etcd: true };
            assert_eq!(identity(&cluster, index), wanted, "{version:?}");
        }
        let session = session(&cluster);
        let view = run(async { ClusterView::observe(&session).await }).unwrap();
        assert_eq!(view.id, cluster_id);
        assert!(members.iter().all(|id| view.member(*id).is_some()));
    }
}

#[test]
fn a_member_that_joined_has_an_id_that_no_url_leads_to() {
    let mut cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let spare = cluster.spare("etcd-2");
    cluster.etcdctl(&["member", "add", "etcd-2", "--peer-urls", &spare.peer_url()]);
    spare.configure("initial-cluster", &format!("{},{}", cluster.member(0).initial_cluster(), spare.initial_cluster()));
    spare.configure("initial-cluster-state", "existing");
    spare.start();
    cluster.adopt(spare);
    let (founder, joined) = (identity(&cluster, 0), identity(&cluster, 1));
    assert_eq!(founder.cluster_id, joined.cluster_id);
    assert!(founder.had_leader && joined.had_leader);
    assert_ne!(joined.member_id, datadir::founding_member_id(&[cluster.member(1).peer_url()], "testbed"));
}

#[test]
fn a_separate_directory_for_the_log_is_read() {
    let wal = tempfile::tempdir().unwrap();
    let config = vec![("wal-dir", format!("{:?}", wal.path().join("wal")))];
    let cluster = Cluster::start(Version::V3_6, 1, Options { config, ..Options::tls() });
    let data_dir = cluster.member(0).data_dir();
    assert!(matches!(datadir::observe(&data_dir, Some(&wal.path().join("wal"))), DataDir::Member(_)));
    assert!(matches!(datadir::observe(&data_dir, None), DataDir::Unreadable { .. }));
}

#[test]
fn a_long_log_that_was_cut_is_still_read() {
    let config = vec![("snapshot-count", "10".into()), ("max-wals", "1".into())];
    let cluster = Cluster::start(Version::V3_5, 1, Options { config, ..Options::tls() });
    for number in 0..30 {
        cluster.etcdctl(&["put", &format!("key{number}"), "value"]);
    }
    assert!(identity(&cluster, 0).had_leader);
}

#[test]
fn a_start_that_failed_leaves_nothing_that_counts() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::tls());
        let spare = cluster.spare("etcd-2");
        let both = format!("{},{}", cluster.member(0).initial_cluster(), spare.initial_cluster());
        spare.configure("initial-cluster", &both);
        spare.configure("initial-cluster-state", "existing");
        spare.spawn();
        // Nobody has added it: "member count is unequal".
        assert!(!spare.wait_exit().unwrap().success());
        assert!(spare.data_dir().join("member/snap/db").exists(), "{version:?}");
        assert_eq!(datadir::observe(&spare.data_dir(), None), DataDir::Absent, "{version:?}");
    }
}

/// etcd writes down a commit with the next entry. Told to end, it writes down the last one, too; killed, it does not.
#[test]
fn what_was_killed_may_have_applied_more_than_its_log_says_is_committed() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::default());
        let member = cluster.member(cluster.follower());
        let end = || datadir::log_end(&member.data_dir(), None).unwrap();
        let written = || datadir::applied(&member.data_dir().join("member/snap/db")) >= Some(end().index);
        let killed_after = |number: usize| {
            if member.pid().is_none() {
                member.start();
            }
            cluster.etcdctl(&["put", &format!("key{number}"), "value"]);
            etcd_testbed::wait_for("the database to be written", written);
            member.kill();
            end()
        };
        // Now and then something else has the commit written down as well.
        let killed = (0..20).map(killed_after).find(|end| end.commit < end.applied);
        let killed = killed.unwrap_or_else(|| panic!("{version:?}: it never happens"));
        assert_eq!(killed.applied, Some(killed.index), "{version:?}");
        member.start();
        cluster.etcdctl(&["put", "last", "value"]);
        etcd_testbed::wait_for("the last write", || end().index > killed.index && written());
        member.stop();
        let ended = end();
        assert!(ended.commit >= ended.applied && ended.applied > killed.applied, "{version:?} {ended:?}");
    }
}
