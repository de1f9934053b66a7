use super::{call, names, ok, run};
use ansible_protocol::ErrorKind;
use etcd_testbed::{Cluster, Options, Version};
use serde_json::{Value, json};
use std::path::Path;

/// The call fails with this kind and sentence, and nothing is in the directory that was not there.
#[track_caller]
fn refused(cluster: &Cluster, options: &Value, dir: &Path, kind: ErrorKind, sentence: &str) {
    let before = names(dir);
    for check_mode in [true, false] {
        let mut options = options.clone();
        options["_ansible_check_mode"] = check_mode.into();
        let failure = call(cluster, &options).unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.msg.contains(sentence), "{failure}");
        assert_eq!(names(dir), before);
    }
}

#[test]
fn wrong_options_are_all_named() {
    let options = json!({ "dir": "backups/../x", "keep": 0, "keep_days": -1, "prefix": "a/b", "cluster_name": "", "force": true, "mode": 384 });
    let failure = run(&options).unwrap_err();
    let wanted = "invalid options of etcd_snapshot: dir must be absolute and without .., got backups/../x; prefix must be \
                  letters, digits, . _ and -, and begin with a letter or digit; cluster_name must be letters, digits, . _ \
                  and -, and begin with a letter or digit; keep must be 1 or more, got 0; keep_days must be 1 or more, got \
                  -1; force needs from: first, so that the member is named whose data to trust; mode must be octal and in \
                  quotes, as '0600', got 384; nothing was saved";
    assert_eq!(failure.msg, wanted);
    let failure = run(&json!({ "path": "/", "keep": 3 })).unwrap_err();
    assert!(failure.msg.contains("path must be absolute and without .., got /; keep needs dir"), "{failure}");
    for options in [json!({}), json!({ "state": "verified", "dir": "/x" }), json!({ "path": "/x", "dir": "/x" })] {
        assert_eq!(run(&options).unwrap_err().kind, ErrorKind::InvalidOption, "{options}");
    }
}

#[test]
fn only_a_snapshot_is_replaced() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let target = at("good.db");
    ok(&cluster, &json!({ "path": target }));
    let first = std::fs::read(&target).unwrap();
    cluster.etcdctl(&["put", "key", "value"]);
    let done = ok(&cluster, &json!({ "path": target }));
    assert_eq!(done["diff"][0]["before"], done["diff"][0]["after"]);
    assert_ne!(std::fs::read(&target).unwrap(), first);
    // A damaged one is replaced, too, and so is an empty file.
    std::fs::write(&target, &first[..5000]).unwrap();
    ok(&cluster, &json!({ "path": target }));
    std::fs::write(&target, "").unwrap();
    ok(&cluster, &json!({ "path": target }));

    std::fs::write(at("hosts"), "127.0.0.1 localhost\n").unwrap();
    std::os::unix::fs::symlink(&target, at("link.db")).unwrap();
    let database = cluster.member(0).data_dir().join("member/snap/db");
    let conflict = |path: &Path, what: &str| {
        refused(&cluster, &json!({ "path": path }), dir.path(), ErrorKind::Conflict, what);
    };
    conflict(dir.path(), "it is a directory: give it as dir, or a file in it as path; nothing was saved");
    conflict(&at("hosts"), "it is there already and is no snapshot");
    conflict(&at("link.db"), "it is a symbolic link");
    conflict(&at("hosts/x.db"), "hosts is no directory");
    conflict(&database, "it is there already and is no snapshot");
    refused(&cluster, &json!({ "dir": at("hosts/x") }), dir.path(), ErrorKind::Conflict, "hosts is no directory");
    assert_eq!(std::fs::read(at("hosts")).unwrap(), b"127.0.0.1 localhost\n");
    assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
}

#[test]
fn who_may_not_take_one_is_told() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::auth("S3cret!"));
        cluster.etcdctl(&["user", "add", "app:xyzzy"]);
        let dir = tempfile::tempdir().unwrap();
        let saved = dir.path().join("etcd");
        let sentence = |user: Option<(&str, &str)>| {
            let mut options = json!({ "dir": saved });
            if let Some((user, password)) = user {
                options["login_user"] = user.into();
                options["login_password"] = password.into();
            }
            let failure = call(&cluster, &options).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Auth, "{version:?} {failure}");
            assert!(!saved.exists() || names(&saved).is_empty(), "{version:?}");
            failure.msg
        };
        assert!(sentence(None).contains("give login_user and login_password"), "{}", sentence(None));
        assert!(sentence(Some(("root", "wrong"))).contains("the password differs"), "{version:?}");
        let app = sentence(Some(("app", "xyzzy")));
        assert!(app.contains("log in as a user whose role permits it, such as root"), "{version:?} {app}");
    }
}

#[test]
fn the_member_asked_for_is_the_one_that_gives_it() {
    let mut cluster = Cluster::start(Version::V3_6, 3, Options::tls());
    let dir = tempfile::tempdir().unwrap();
    let (leader, follower) = (cluster.leader(), cluster.follower());
    let member = |from: &str, first: usize| {
        let mut endpoints = cluster.endpoints();
        endpoints.rotate_left(first);
        let path = dir.path().join("saved.db");
        let done = ok(&cluster, &json!({ "endpoints": endpoints, "from": from, "path": path }));
        done["snapshot"]["member"].as_str().unwrap().to_owned()
    };
    assert_eq!(member("leader", follower), cluster.member(leader).name());
    assert_ne!(member("follower", leader), cluster.member(leader).name());
    for first in 0..3 {
        assert_eq!(member("first", first), cluster.member(first).name());
    }
    // A learner may lag behind.
    let spare = cluster.spare("etcd-4");
    let add = ["member", "add", "etcd-4", "--learner", "--peer-urls", &spare.peer_url()];
    // A cluster that has just started takes none for some seconds.
    etcd_testbed::wait_for("a place for a learner", || cluster.etcdctl_as(None, &add).is_ok());
    let all: Vec<String> =
        cluster.members().iter().chain([&spare]).map(etcd_testbed::Member::initial_cluster).collect();
    spare.configure("initial-cluster", &all.join(","));
    spare.configure("initial-cluster-state", "existing");
    spare.spawn();
    spare.wait_up();
    cluster.adopt(spare);
    let learner = json!([cluster.member(3).client_url(), cluster.member(leader).client_url()]);
    let options = json!({ "endpoints": learner, "from": "first", "path": dir.path().join("learner.db") });
    refused(
        &cluster,
        &options,
        dir.path(),
        ErrorKind::Conflict,
        "is a learner and may lag behind; choose another member",
    );
}

#[test]
fn the_last_survivor_s_data_is_saved_only_when_told() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 3, Options::tls());
        cluster.etcdctl(&["put", "key", "value"]);
        let dir = tempfile::tempdir().unwrap();
        let survivor = cluster.follower();
        (0..3).filter(|index| *index != survivor).for_each(|index| cluster.member(index).kill());
        etcd_testbed::wait_for("the loss of the leader", || {
            cluster.member(survivor).metric("etcd_server_has_leader") == Some(0.0)
        });
        let endpoint = cluster.member(survivor).client_url();
        let mut options = json!({ "dir": dir.path(), "dial_timeout": 1 });
        let wanted = format!("or save what {endpoint} has with endpoints: [{endpoint}], from: first and force: true");
        refused(&cluster, &options, dir.path(), ErrorKind::NoLeader, &wanted);
        options["from"] = "first".into();
        options["endpoints"] = json!([endpoint]);
        refused(&cluster, &options, dir.path(), ErrorKind::NoLeader, "or save what it has with force: true");
        options["force"] = true.into();
        let done = ok(&cluster, &options);
        assert_eq!(
            (&done["snapshot"]["total_keys"], &done["snapshot"]["revision"]),
            (&json!(1), &json!(2)),
            "{version:?}"
        );
    }
}

#[test]
fn nobody_answers() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::tls());
    cluster.member(0).kill();
    let dir = tempfile::tempdir().unwrap();
    refused(&cluster, &json!({ "dir": dir.path() }), dir.path(), ErrorKind::Unreachable, "Connection refused");
}

/// A member sends a damaged database with a SHA-256 that fits.
#[test]
fn a_member_whose_database_is_damaged_is_found_out() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::tls());
        cluster.etcdctl(&["put", "key", "a value to be found in its page"]);
        // So many that no write to come touches that page.
        let value = "x".repeat(1000);
        (0..20).for_each(|key| drop(cluster.etcdctl(&["put", &format!("key{key}"), &value])));
        let dir = tempfile::tempdir().unwrap();
        // Until then the page may only be in the member's memory.
        etcd_testbed::wait_for("the database to be written", || {
            let done = ok(&cluster, &json!({ "path": dir.path().join("good.db") }));
            done["snapshot"]["total_keys"] == 21
        });
        let path = cluster.member(0).data_dir().join("member/snap/db");
        let database = std::fs::read(&path).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let text = b"a value to be found";
        let pages = database.chunks(4096).enumerate();
        let found: Vec<usize> =
            pages.filter(|(_, page)| page.windows(text.len()).any(|part| part == text)).map(|(page, _)| page).collect();
        assert!(!found.is_empty());
        for page in found {
            std::os::unix::fs::FileExt::write_all_at(&file, &[0xFF; 8], page as u64 * 4096).unwrap();
        }
        let failure = call(&cluster, &json!({ "dir": dir.path() })).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Conflict, "{version:?} {failure}");
        assert!(
            failure.msg.starts_with("the database of etcd-1 (")
                && failure.msg.contains("says it is another one; nothing was saved"),
            "{failure}"
        );
        assert_eq!(names(dir.path()), ["good.db"]);
    }
}
