//! The writer against real servers: what it does not lose, and that it notices a loss.

#![expect(clippy::unwrap_used, reason = "a test that cannot have its servers is to fail")]

use etcd_testbed::{CertFiles, Cluster, Options, Version, wait_for};
use etcd_trial::endpoint::Access;
use etcd_trial::report::Report;
use etcd_trial::writer::{self, Plan};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;

const PREFIX: &str = "/writer/";

fn access(cluster: &Cluster, password: &str) -> Access {
    let CertFiles { cert, key } = cluster.pki().client();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    Access {
        authority: Some(read(&cluster.pki().ca_cert())),
        identity: Some((read(&cert), read(&key))),
        login: Some(("root".into(), password.into())),
    }
}

/// Runs a writer while `meanwhile` happens to the cluster; `lines` says how many lines its log has.
fn write_while(cluster: &Cluster, meanwhile: impl FnOnce(&dyn Fn() -> usize)) -> (Report, String) {
    let log = cluster.directory().join("writer.log");
    let plan = Plan {
        endpoints: cluster.endpoints(),
        access: access(cluster, "secret"),
        prefix: PREFIX.into(),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(10),
    };
    let (stop, stopped) = watch::channel(false);
    let mut file = fs::File::create(&log).unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(writer::run(&plan, &mut file, stopped)).unwrap()
    });
    let read = || fs::read_to_string(&log).unwrap();
    let acknowledged = || read().matches(" acknowledged").count();
    wait_for("the first writes", || acknowledged() > 10);
    meanwhile(&acknowledged);
    stop.send(true).unwrap();
    (thread.join().unwrap(), read())
}

#[test]
fn writes_go_on_when_the_leader_is_killed_and_none_is_lost() {
    let cluster = Cluster::start(Version::V3_6, 3, Options::auth("secret"));
    let (report, log) = write_while(&cluster, |acknowledged| {
        cluster.member(cluster.leader()).kill();
        let before = acknowledged();
        wait_for("writes after the leader's end", || acknowledged() > before + 20);
    });
    assert_eq!(report.lost, Vec::<String>::new());
    assert_eq!(report.acknowledged, log.matches(" acknowledged").count());
    assert!(report.retried > 0, "nobody noticed that a member was gone: {report:?}");
    // An election takes a while, and an honest writer says so.
    assert!(report.longest_gap_ms > 50, "{report:?}");
}

#[test]
fn a_lost_write_is_noticed() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::auth("secret"));
    let lost = format!("{PREFIX}{:010}", 3);
    let (report, _) = write_while(&cluster, |_| drop(cluster.etcdctl(&["del", &lost])));
    assert_eq!(report.lost, [lost]);
}
