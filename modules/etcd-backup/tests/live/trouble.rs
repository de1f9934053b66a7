use super::Site;
use etcd_testbed::{Options, Version, wait_for};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn a_leader_that_cannot_write_leaves_it_to_the_next() {
    for version in [Version::V3_5, Version::V3_6, Version::V3_7] {
        let site = Site::start(version, 3, Options::tls());
        site.configure_all(&json!({}));
        let leader = site.cluster.leader();
        fs::write(site.dir(leader), "a file where the directory should be").unwrap();
        let done = site.run_all(&[0, 1, 2]);
        for (member, done) in done.iter().enumerate() {
            if member == leader {
                assert!(done.failed().contains("backups is no directory; nothing was saved"), "{}", done.error);
            } else {
                done.ok();
            }
        }
        assert_eq!(site.counts().iter().sum::<usize>(), 1, "{version:?}");
        let (status, name) = (site.status(leader), site.cluster.member(leader).name());
        assert_eq!((&status["last_run_success"], &status["last"]), (&json!(false), &json!(null)));
        assert!(status["error"].as_str().unwrap().contains("is no directory"));
        assert!(site.metric(leader, "last_run_success") < 0.5 && site.metric(leader, "verified") < 0.5);
        let metrics = fs::read_to_string(site.disk(leader).join("etcd_backup.prom")).unwrap();
        assert!(metrics.contains(&format!("member=\"{name}\",taken_by=\"\",path=\"\",error=\"cannot save into ")));
    }
}

#[test]
fn nobody_can() {
    let site = Site::start(Version::V3_6, 3, Options::tls());
    site.configure_all(&json!({}));
    (0..3).for_each(|member| fs::write(site.dir(member), "").unwrap());
    for done in site.run_all(&[0, 1, 2]) {
        assert!(done.failed().contains("is no directory"), "{}", done.error);
    }
}

/// The host of a member that is down still learns of the backup, from the others.
#[test]
fn a_member_that_is_down_takes_none() {
    let site = Site::start(Version::V3_6, 3, Options::auth("S3cret!"));
    site.configure_all(&json!({}));
    let follower = site.cluster.follower();
    site.cluster.member(follower).stop();
    for done in site.run_all(&[0, 1, 2]) {
        done.ok();
    }
    let counts = site.counts();
    assert_eq!((counts[follower], counts.iter().sum::<usize>()), (0, 1));
    assert_eq!(site.status(follower)["last_run_success"], true);
}

#[test]
fn without_a_leader_it_fails_and_says_so() {
    for version in [Version::V3_5, Version::V3_7] {
        let site = Site::start(version, 3, Options::tls());
        site.configure_all(&json!({}));
        for done in site.run_all(&[0, 1, 2]) {
            done.ok();
        }
        let before = site.counts();
        let survivor = site.cluster.follower();
        (0..3).filter(|member| *member != survivor).for_each(|member| site.cluster.member(member).kill());
        wait_for("the loss of the leader", || {
            site.cluster.member(survivor).metric("etcd_server_has_leader") == Some(0.0)
        });
        for (member, done) in site.run_all(&[0, 1, 2]).iter().enumerate() {
            let wanted = "cluster main has no leader, so no backup can be agreed on: ";
            assert!(done.failed().contains(wanted), "{version:?} {}", done.error);
            let status = site.status(member);
            assert!(status["error"].as_str().unwrap().starts_with(wanted));
            // What was known is still known.
            assert!(status["last"]["path"].is_string() && site.metric(member, "verified") > 0.5);
            assert!(site.metric(member, "last_run_success") < 0.5);
        }
        assert_eq!(site.counts(), before);
    }
}

/// None can be claimed and none recorded, so every member takes one; also to one place, where none disturbs another.
#[test]
fn without_space_every_member_takes_one() {
    for version in [Version::V3_5, Version::V3_6, Version::V3_7] {
        let quota = vec![("quota-backend-bytes", (2 << 20).to_string())];
        let site = Site::start(version, 3, Options { tls: true, config: quota, ..Options::default() });
        let there = site.disks.path().join("there");
        site.configure_all(&json!({ "copy_to": [{ "path": there, "anywhere": true }] }));
        let value = "x".repeat(100_000);
        let full = (0..60).any(|key| site.cluster.etcdctl_as(None, &["put", &format!("key{key}"), &value]).is_err());
        assert!(full, "{version:?}");
        // Also where the leader does not run it.
        let leader = site.cluster.leader();
        let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
        for done in site.run_all(&others) {
            assert!(done.ok().contains("NOSPACE and takes no claims, so every member takes one"), "{}", done.out);
        }
        site.run(leader, &[]).ok();
        assert_eq!(site.counts(), [1, 1, 1], "{version:?}");
        assert!(!super::snapshots(&there).is_empty());
    }
}

/// All members refuse to write then, and all say what helps.
#[test]
fn with_the_alarm_of_corruption_it_says_what_to_do() {
    let site = Site::start(Version::V3_6, 3, Options::default());
    site.configure_all(&json!({ "grace": 1 }));
    // etcdctl can only disarm.
    let alarm = r#"{"action":"ACTIVATE","memberID":"7","alarm":"CORRUPT"}"#;
    let address = site.cluster.endpoints()[0].trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = alarm.len();
    write!(stream, "POST /v3/maintenance/alarm HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{alarm}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
    for done in site.run_all(&[0, 1, 2]) {
        let error = done.failed();
        assert!(error.contains("no member has taken a snapshot") && error.contains("alarm CORRUPT"), "{error}");
        assert!(error.contains("from: first and force: true") && error.ends_with("./etcd-recover.yml"), "{error}");
    }
}

/// A disk that does not hold what was written to it: what was good stays, and the metrics say that this is not.
#[test]
fn a_disk_that_lies_costs_no_good_snapshot() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    for key in 0..200 {
        site.cluster.etcdctl(&["put", &format!("key{key}"), &"x".repeat(100_000)]);
    }
    site.configure(0, &json!({ "window": 1, "keep": 1 }));
    let good = loop {
        site.run(0, &[]).ok();
        let good = site.snapshots(0);
        site.after_the_window(0);
        let child = site.spawn(0);
        // As soon as it has its name, and before it is read again.
        let bad = loop {
            let names = fs::read_dir(site.dir(0)).unwrap().map(|entry| entry.unwrap().path());
            let new =
                names.filter(|path| path.extension().is_some_and(|end| end == "db")).find(|path| !good.contains(path));
            if let Some(bad) = new {
                break bad;
            }
        };
        if let Ok(file) = fs::OpenOptions::new().write(true).open(&bad) {
            let at = file.metadata().unwrap().len() - 5000;
            std::os::unix::fs::FileExt::write_all_at(&file, b"rot", at).unwrap();
        }
        let done = super::wait(child);
        if done.code == Some(0) {
            // It was quicker; what is damaged now goes, and all begins again.
            let _ = fs::remove_file(&bad);
            site.after_the_window(0);
            continue;
        }
        let wanted = "the snapshot was damaged on its way to the disk, it was deleted, and older ones are kept: ";
        assert!(done.failed().contains(wanted), "{}", done.error);
        assert!(!bad.exists());
        break good;
    };
    assert_eq!(site.snapshots(0), good);
    assert!(site.metric(0, "verified") < 0.5 && site.metric(0, "last_run_success") < 0.5);
    assert_eq!(site.status(0)["last"]["path"], json!(good[0]));
    site.run(0, &[]).ok();
    assert!(site.metric(0, "verified") > 0.5);
    assert_eq!(site.snapshots(0).len(), 1);
}

/// What cannot be written down is told, beside what came of the run, and everywhere else.
#[test]
fn what_cannot_be_written_is_told() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let nowhere = site.disks.path().join("no/etcd_backup.prom");
    site.configure(0, &json!({ "metrics_file": nowhere }));
    let done = site.run(0, &[]);
    assert!(done.failed().contains("etcd-1 took ") && done.error.contains("no/etcd_backup.prom"), "{}", done.error);
    let status = site.status(0);
    assert_eq!((&status["last_run_success"], &status["message"]), (&json!(false), &json!(null)));
    assert!(status["error"].as_str().unwrap().contains("no/etcd_backup.prom"), "{status}");
    assert_eq!(status["last"]["member"], "etcd-1");
    site.configure(0, &json!({ "member": "etcd-9", "status_file": site.disks.path().join("no/status.json") }));
    let done = site.run(0, &[]);
    assert!(done.failed().contains("etcd-9 is no member") && done.error.contains("no/status.json"), "{}", done.error);
}

#[test]
fn whoever_is_no_member_is_told() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    site.configure(0, &json!({ "member": "etcd-9" }));
    let done = site.run(0, &[]);
    assert!(done.failed().contains("etcd-9 is no member of cluster main (etcd-1): if it has left"), "{}", done.error);
}

#[test]
fn a_wrong_password_is_told() {
    let site = Site::start(Version::V3_6, 1, Options::auth("S3cret!"));
    site.configure(0, &json!({}));
    fs::write(site.disks.path().join("etcd.pass"), "wrong").unwrap();
    let done = site.run(0, &[]);
    assert!(done.failed().contains("the password differs"), "{}", done.error);
    assert!(!done.error.contains("wrong\""));
}
