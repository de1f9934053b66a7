//! The testbed itself.

use etcd_testbed::{Cluster, Options, Version};
use std::path::Path;
use test_case::test_case;

#[test]
fn every_version_starts_serves_and_leaves_nothing_behind() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("secret"));
        cluster.etcdctl(&["put", "key", "value"]);
        assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
        assert!(cluster.etcdctl_as(None, &["get", "key"]).is_err());
        let (pid, directory) = (cluster.member(0).pid().unwrap(), cluster.directory().to_owned());
        drop(cluster);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!directory.exists());
    }
}

#[test_case(false; "plain")]
#[test_case(true; "tls")]
fn members_stop_and_come_back(tls: bool) {
    let cluster = Cluster::start(Version::V3_6, 3, Options { tls, ..Options::default() });
    let leader = cluster.leader();
    cluster.member(leader).kill();
    assert!(cluster.member(leader).pid().is_none());
    // What a follower hands to a leader that is gone is lost.
    assert_ne!(cluster.leader(), leader);
    cluster.etcdctl(&["put", "key", "value"]);
    cluster.member(leader).start();
    cluster.member(cluster.follower()).restart();
    assert!(cluster.member(leader).log().contains("etcd"));
}

#[test]
fn a_spare_joins() {
    let mut cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let spare = cluster.spare("etcd-2");
    cluster.etcdctl(&["member", "add", "etcd-2", "--peer-urls", &spare.peer_url()]);
    let founder = cluster.member(0).initial_cluster();
    spare.configure("initial-cluster", &format!("{founder},{}", spare.initial_cluster()));
    spare.configure("initial-cluster-state", "existing");
    spare.start();
    cluster.adopt(spare);
    assert_eq!(cluster.endpoints().len(), 2);
}

#[test]
fn a_server_ends_with_a_test_that_panics() {
    let (sender, pids) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let cluster = Cluster::start(Version::V3_6, 1, Options::default());
        sender.send(cluster.member(0).pid().unwrap()).unwrap();
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    assert!(!Path::new(&format!("/proc/{}", pids.recv().unwrap())).exists());
}
