use super::{TOKEN, checked, fresh, options, restore, save, single, tree, with};
use crate::interrupted::{Tmpfs, large};
use crate::run;
use ansible_protocol::ErrorKind;
use etcd_testbed::{Cluster, Options, Version};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Refused in check mode and for real, and nothing is there afterwards that was not there before.
#[track_caller]
fn refused(options: &Value, kind: ErrorKind, parts: &[&str]) {
    let dir = Path::new(options["data_dir"].as_str().unwrap()).parent().unwrap();
    let before = tree(dir);
    for options in [&checked(options), options] {
        let failure = run(options).unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        for part in parts {
            assert!(failure.msg.contains(part), "{part:?} is not in: {failure}");
        }
        assert_eq!(tree(dir), before, "something changed");
    }
}

#[test]
fn wrong_options_are_all_named() {
    let given = json!({
        "state": "restored", "path": "/x", "data_dir": "/data", "name": "c", "initial_cluster": "a=http://a:1,b=http://b:1",
        "initial_cluster_token": " ", "bump_revision": -1, "owner": "nobody-here", "group": "root",
    });
    let failure = run(&given).unwrap_err();
    let wanted = "invalid options of etcd_snapshot: name c is not in initial_cluster, which has a, b; \
                  initial_cluster_token must not be empty; bump_revision must be between 0 and 1152921504606846976, got \
                  -1; there is no user nobody-here on this host; create it, or install the package that does; nothing \
                  was restored";
    assert_eq!((failure.kind, failure.msg.as_str()), (ErrorKind::InvalidOption, wanted));
    for missing in ["path", "data_dir", "name", "initial_cluster", "initial_cluster_token"] {
        let mut given = given.clone();
        given.as_object_mut().unwrap().remove(missing);
        let failure = run(&given).unwrap_err();
        assert!(failure.kind == ErrorKind::InvalidOption && failure.msg.contains(missing), "{failure}");
    }
    let (file, cluster) = single(Version::V3_6);
    let options = options(&cluster, cluster.member(0), &file);
    for data_dir in ["/", "data", "/data/../etc"] {
        let failure = run(&with(&options, &json!({ "data_dir": data_dir }))).unwrap_err();
        assert!(failure.msg.starts_with("data_dir must be an absolute path"), "{failure}");
    }
}

#[test]
fn only_a_whole_file_is_restored() {
    let (file, cluster) = single(Version::V3_6);
    let options = options(&cluster, cluster.member(0), &file);
    let mut bytes = fs::read(&file).unwrap();
    let (copy, middle) = (bytes[..bytes.len() - 32].to_vec(), bytes.len() / 2);
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    refused(
        &options,
        ErrorKind::Conflict,
        &["its content does not fit the SHA-256 at its end; do not restore from it"],
    );
    fs::write(&file, &copy).unwrap();
    refused(&options, ErrorKind::Conflict, &["accept it as it is with without_hash: true"]);
    refused(&with(&options, &json!({ "path": "/no/such/file" })), ErrorKind::Io, &["cannot verify /no/such/file"]);
    // A copy is restored when told.
    let done = restore(&with(&options, &json!({ "without_hash": true })));
    assert!(done["warnings"][0].as_str().unwrap().contains("has no SHA-256"));
    cluster.member(0).start();
    assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
}

/// A program that prints the text for whatever it is asked, and fails when it is to restore.
fn script(cluster: &Cluster, body: &str) -> Value {
    let path = cluster.directory().join("tool");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    json!({ "tool": path })
}

#[test]
fn a_tool_that_cannot_is_told() {
    let (file, cluster) = single(Version::V3_6);
    let options = options(&cluster, cluster.member(0), &file);
    let missing = with(&options, &json!({ "tool": "/no/such/etcdutl" }));
    refused(
        &missing,
        ErrorKind::Io,
        &["/no/such/etcdutl cannot restore: there is no such program", "nothing was changed"],
    );
    // From 3.6 on, etcdctl does not restore any more.
    let ctl = with(&options, &json!({ "tool": Version::V3_6.executable("etcdctl") }));
    let next = "name the etcdutl of etcd 3.5 or later, or the etcdctl of 3.5 or older; nothing was changed";
    refused(&ctl, ErrorKind::Io, &["etcdctl cannot restore: it has no command `snapshot restore`; ", next]);
    let help = "case \"$*\" in *--help) echo --initial-cluster-token; exit ;; esac";
    let fails = |body: &str, said: &str| {
        let options = with(&options, &script(&cluster, &format!("{help}; {body}")));
        assert_eq!(run(&checked(&options)).unwrap()["changed"], true);
        let before = tree(&cluster.directory().join("etcd-1"));
        let failure = run(&options).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Io, "{failure}");
        assert!(failure.msg.contains(said) && failure.msg.contains("nothing was changed"), "{failure}");
        assert_eq!(tree(&cluster.directory().join("etcd-1")), before, "{body}");
    };
    fails(
        "echo '{\"level\":\"info\"}' >&2; echo 'Error: no luck' >&2; exit 1",
        "saved.db: no luck; nothing was changed",
    );
    fails("kill -9 $$", "saved.db: signal: 9 (SIGKILL)");
    // It says that all went well, and made nothing.
    fails("exit 0", "tool made no data of initial_cluster, not of member ");
    // The etcdctl of 3.5 does restore.
    let done = restore(&with(&options, &json!({ "tool": Version::V3_6.executable("etcdutl"), "bump_revision": 5 })));
    assert_eq!(done["restored"]["bumped_by"], 5);
    let (file, cluster) = single(Version::V3_5);
    let options = super::options(&cluster, cluster.member(0), &file);
    let done = restore(&with(&options, &json!({ "tool": Version::V3_5.executable("etcdctl") })));
    assert_eq!(
        (&done["restored"]["bumped_by"], &done["restored"]["tool_version"]),
        (&json!(1_000_000_000), &json!("3.5.35"))
    );
}

#[test]
fn a_newer_cluster_s_file_is_refused() {
    for (newer, older) in
        [(Version::V3_5, Version::V3_4), (Version::V3_6, Version::V3_5), (Version::V3_7, Version::V3_6)]
    {
        let (file, cluster) = single(newer);
        let member = cluster.member(0);
        member.set_version(older);
        let cause = format!("is of a cluster of etcd {}, and {} of ", newer.series(), super::tool(older).display());
        let next = format!("install etcd {}, or name its etcdutl with tool; nothing was changed", newer.series());
        refused(&options(&cluster, member, &file), ErrorKind::VersionGate, &[&cause, &next]);
    }
}

#[test]
fn a_token_that_was_used_before_is_refused() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        cluster.etcdctl(&["put", "key", "value"]);
        let (file, member) = (save(&cluster), cluster.member(0));
        // The cluster's own, with its data there or not.
        let own = with(&options(&cluster, member, &file), &json!({ "initial_cluster_token": "testbed" }));
        let founded =
            "already, which etcd has begun by itself and not from a snapshot: give another initial_cluster_token";
        member.stop();
        refused(&own, ErrorKind::Conflict, &[founded]);
        fs::remove_dir_all(member.data_dir()).unwrap();
        refused(&own, ErrorKind::Conflict, &["would make again: give another token, to all members the same"]);
        // A member that etcd has founded with the token of the restore is empty.
        member.configure("initial-cluster-token", TOKEN);
        member.start();
        member.stop();
        refused(&options(&cluster, member, &file), ErrorKind::Conflict, &[founded]);
    }
}

/// All members of a cluster come from one snapshot, also when a restore is gone on with.
#[test]
fn another_snapshot_with_the_same_token_is_refused() {
    for version in Version::ALL {
        let source = Cluster::start(version, 1, Options::default());
        let cluster = fresh(version, 1, Options::default());
        let member = cluster.member(0);
        let [first, later] = ["first", "later"].map(|name| {
            source.etcdctl(&["put", "key", name]);
            let file = cluster.directory().join(name);
            fs::rename(save(&source), &file).unwrap();
            with(&options(&cluster, member, &file), &json!({ "bump_revision": 0 }))
        });
        let other = "holds a restored member ";
        for (done, wrong) in [(&first, &later), (&later, &first)] {
            restore(done);
            refused(wrong, ErrorKind::Conflict, &[other, "but not from ", "another initial_cluster_token"]);
            assert_eq!(run(done).unwrap()["changed"], false);
            fs::remove_dir_all(member.data_dir()).unwrap();
        }
        // Where it has gone on from there, it is at least as far.
        restore(&first);
        member.start();
        assert_eq!(run(&first).unwrap()["changed"], false);
        member.stop();
        refused(&later, ErrorKind::Conflict, &[other, "it is at revision"]);
        assert_eq!(run(&first).unwrap()["changed"], false);
    }
}

/// Members with different revisions would serve different data.
#[test]
fn other_revisions_with_the_same_token_are_refused() {
    for version in Version::ALL {
        let (file, cluster) = single(version);
        let member = cluster.member(0);
        let raised = |bump: u64| with(&options(&cluster, member, &file), &json!({ "bump_revision": bump }));
        for (done, wrong) in [(0, 7), (7, 0), (7, 8)] {
            restore(&raised(done));
            if version == Version::V3_4 {
                // Its tool raises none.
                assert_eq!(run(&raised(wrong)).unwrap()["changed"], false);
            } else {
                let parts = ["holds a restored member ", "it is at revision", "the same bump_revision"];
                refused(&raised(wrong), ErrorKind::Conflict, &parts);
            }
            assert_eq!(run(&raised(done)).unwrap()["changed"], false);
            fs::remove_dir_all(member.data_dir()).unwrap();
        }
    }
}

/// A package that is still to be installed may bring the user, unless it is known that none is.
#[test]
fn a_rehearsal_refuses_what_a_real_run_would() {
    let (file, cluster) = single(Version::V3_6);
    let options =
        with(&options(&cluster, cluster.member(0), &file), &json!({ "owner": "nobody-here", "group": "root" }));
    assert_eq!(run(&checked(&options)).unwrap()["changed"], true);
    let part = ["there is no user nobody-here on this host"];
    refused(&with(&options, &json!({ "rehearsal": true })), ErrorKind::InvalidOption, &part);
}

#[test]
fn no_room_is_told_before() {
    let source = large(60);
    let cluster = fresh(Version::V3_6, 1, Options::default());
    let member = cluster.member(0);
    let file = save(&source);
    let options = options(&cluster, member, &file);
    let dir = cluster.directory().join("small");
    fs::create_dir(&dir).unwrap();
    let _mount = Tmpfs::mount(&dir, "150m");
    let small = with(&options, &json!({ "data_dir": dir.join("etcd") }));
    let parts =
        ["there is no room in ", "the member's data takes ", "make room, or restore elsewhere; nothing was changed"];
    refused(&small, ErrorKind::Io, &parts);
    // With its log elsewhere, there is; but none for the log, nor for the file where that is still to come.
    let apart = with(&small, &json!({ "wal_dir": cluster.directory().join("log"), "path": dir.join("copy.db") }));
    let verified = run(&json!({ "state": "verified", "path": file })).unwrap();
    let told = with(&checked(&apart), &json!({ "predicted": [verified] }));
    let failure = run(&told).unwrap_err();
    assert!(failure.msg.contains("the member's data with a copy of the snapshot takes"), "{failure}");
    assert_eq!(run(&with(&told, &json!({ "path": cluster.directory().join("copy.db") }))).unwrap()["changed"], true);
    restore(&with(&small, &json!({ "wal_dir": cluster.directory().join("log") })));
    refused(&with(&options, &json!({ "wal_dir": dir.join("log") })), ErrorKind::Io, &parts);
}
