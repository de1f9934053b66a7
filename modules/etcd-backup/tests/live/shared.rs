use super::Site;
use etcd_testbed::{Options, Version};
use serde_json::json;

/// On every version, with authentication and without: one takes it, all know; the next run of the same slot takes
/// nothing, and one of another slot does.
#[test]
fn one_takes_it_and_all_know() {
    for version in Version::ALL {
        let options = if version >= Version::V3_6 { Options::auth("S3cret!") } else { Options::tls() };
        let site = Site::start(version, 3, options);
        site.cluster.etcdctl(&["put", "key", "value"]);
        site.configure_all(&json!({}));
        let leader = site.cluster.leader();
        for done in site.run_all(&[0, 1, 2]) {
            done.ok();
        }
        let mut wanted = vec![0; 3];
        wanted[leader] = 1;
        assert_eq!(site.counts(), wanted, "{version:?}");
        let name = site.cluster.member(leader).name();
        let path = site.snapshots(leader).remove(0);
        for member in 0..3 {
            let status = site.status(member);
            let last = &status["last"];
            assert_eq!((&last["member"], &last["path"]), (&json!(name), &json!(path)), "{version:?}");
            assert_eq!(status["last_run_success"], true);
            let size = std::fs::metadata(&path).unwrap().len();
            assert!((site.metric(member, "size_bytes") - size as f64).abs() < 0.5);
            assert!(site.metric(member, "verified") > 0.5 && site.metric(member, "last_run_success") > 0.5);
            let age = site.metric(member, "last_attempt_timestamp_seconds")
                - site.metric(member, "last_success_timestamp_seconds");
            assert!(age.abs() < 30.0);
            assert!(site.metric(member, "revision") >= 2.0);
        }
        // Neither at once nor one after the other.
        for done in site.run_all(&[0, 1, 2]) {
            assert!(done.ok().starts_with(&format!("not this member's turn: {name} took ")), "{}", done.out);
        }
        assert_eq!(site.counts(), wanted);
        site.configure_all(&json!({ "window": 1 }));
        site.after_the_window(0);
        for done in site.run_all(&[0, 1, 2]) {
            done.ok();
        }
        wanted[site.cluster.leader()] += 1;
        assert_eq!(site.counts(), wanted);
        assert!(site.cluster.etcdctl(&["get", "--prefix", "--keys-only", "/quorum.etcd/"]).contains("backup/last"));
    }
}

/// Ten slots one after the other, with members that begin now and then: never two, never none.
#[test]
fn one_for_each_slot() {
    let site = Site::start(Version::V3_6, 3, Options::tls());
    site.configure_all(&json!({ "window": 2, "keep": 100 }));
    for slot in 1..=10_u64 {
        let mut children = Vec::new();
        for member in 0..3 {
            children.push(site.spawn((member + slot as usize) % 3));
            std::thread::sleep(std::time::Duration::from_millis(slot * 37 % 200));
        }
        for child in children {
            super::wait(child).ok();
        }
        assert_eq!(site.counts().iter().sum::<usize>() as u64, slot);
        site.after_the_window(0);
    }
}

#[test]
fn where_the_leader_s_host_does_not_run_it_another_one_takes_it() {
    let site = Site::start(Version::V3_7, 3, Options::tls());
    site.configure_all(&json!({}));
    let leader = site.cluster.leader();
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    for done in site.run_all(&others) {
        done.ok();
    }
    let counts = site.counts();
    assert_eq!((counts[leader], counts.iter().sum::<usize>()), (0, 1));
    // When it runs after all, it is done.
    site.run(leader, &[]).ok();
    assert_eq!(site.counts(), counts);
}

#[test]
fn a_learner_never_takes_it() {
    let mut site = Site::start(Version::V3_6, 1, Options::tls());
    site.add_learner();
    site.configure_all(&json!({ "grace": 2 }));
    let wanted = "no member has taken a snapshot, and etcd-2 cannot (it is a learner and may lag behind): is etcd-backup.timer enabled on the others?";
    assert!(site.run(1, &[]).failed().contains(wanted));
    assert_eq!(site.counts(), [0, 0]);
    for done in site.run_all(&[0, 1]) {
        done.ok();
    }
    assert_eq!(site.counts(), [1, 0]);
    assert_eq!(site.status(1)["last"]["member"], "etcd-1");
}
