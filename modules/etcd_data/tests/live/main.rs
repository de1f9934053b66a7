//! The module as Ansible calls it, on the data of real etcd servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helper functions as well")]

use ansible_protocol::{ErrorKind, Failure, Module, Outcome, read_arguments};
use etcd_data::EtcdData;
use etcd_testbed::{Cluster, Member, Options, Version};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls the module with the options.
fn run(options: &Value) -> Result<Outcome, Failure> {
    let arguments = read_arguments(&EtcdData::SPEC, options.as_object().cloned().unwrap()).0?;
    let params = serde_json::from_value(Value::Object(arguments.options)).unwrap();
    EtcdData::run(params, &arguments.context)
}

/// Calls the module in check mode and for real, and checks that the first predicted the second and wrote nothing, and
/// that a third call has nothing to do.
#[track_caller]
fn run_thrice(options: &Value) -> Outcome {
    let mut checked = options.clone();
    checked["_ansible_check_mode"] = json!(true);
    let before = tree(Path::new(options["data_dir"].as_str().unwrap()));
    let predicted = run(&checked).unwrap();
    assert_eq!(tree(Path::new(options["data_dir"].as_str().unwrap())), before, "check mode wrote");
    let done = run(options).unwrap();
    assert_eq!((&predicted.diff, predicted.changed, &predicted.warnings), (&done.diff, done.changed, &done.warnings));
    let again = run(options).unwrap();
    assert!(!again.changed && again.diff.is_empty(), "{again:?}");
    assert_eq!(again.values["data"]["state"], "absent");
    done
}

/// All paths below the directory, with their sizes.
fn tree(directory: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        found.push((entry.path(), if metadata.is_dir() { 0 } else { metadata.len() }));
        if metadata.is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

fn options(member: &Member, changes: &Value) -> Value {
    let mut options = json!({ "data_dir": member.data_dir(), "unit": "quorum-etcd-testbed", "state": "absent" });
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    options
}

/// The ids of a member and of its cluster, in the words of its etcdctl.
fn ids(cluster: &Cluster) -> (String, String) {
    let status: Value = serde_json::from_str(&cluster.etcdctl(&["endpoint", "status", "--write-out", "json"])).unwrap();
    let header = &status[0]["Status"]["header"];
    let id = |name: &str| format!("{:x}", header[name].as_u64().unwrap());
    (id("member_id"), id("cluster_id"))
}

#[track_caller]
fn refused(options: &Value, parts: &[&str]) {
    let directory = PathBuf::from(options["data_dir"].as_str().unwrap());
    let before = tree(&directory);
    let failure = run(options).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Conflict, "{failure}");
    for part in parts {
        assert!(failure.msg.contains(part), "{part:?} is not in: {failure}");
    }
    assert_eq!(tree(&directory), before, "it changed something");
}

#[test]
fn data_in_use_is_refused_and_says_by_whom() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let member = cluster.member(0);
        let user = format!("it is in use by etcd (process {})", member.pid().unwrap());
        for state in ["absent", "aside"] {
            for force in [false, true] {
                let options = options(member, &json!({ "state": state, "force": force }));
                // The sizes of files that are in use may change meanwhile; that they are there is what matters.
                let failure = run(&options).unwrap_err();
                assert!(failure.msg.contains(&user), "{version:?}: {failure}");
                // An earlier task may stop it.
                let mut preview = options.clone();
                preview["_ansible_check_mode"] = json!(true);
                let outcome = run(&preview).unwrap();
                assert!(outcome.warnings[0].ends_with("a real run would be refused"), "{:?}", outcome.warnings);
                preview["predicted"] = json!([{ "actions": ["disable", "stop"] }]);
                assert_eq!(run(&preview).unwrap().warnings, Vec::<String>::new());
            }
        }
        cluster.etcdctl(&["put", "key", "value"]);
        member.restart();
        assert!(cluster.etcdctl(&["get", "key"]).contains("value"), "{version:?}");
    }
}

#[test]
fn data_of_another_member_or_cluster_is_left_alone() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let (member_id, cluster_id) = ids(&cluster);
        cluster.member(0).stop();
        let named = format!("it holds data of member {member_id}, not of member abc");
        let given = json!({ "member_id": "abc", "force": true });
        refused(&options(cluster.member(0), &given), &[&named]);
        let named = format!("it holds data of cluster {cluster_id}, not of cluster abc");
        refused(&options(cluster.member(0), &json!({ "cluster_id": "abc", "member_id": member_id })), &[&named]);
        cluster.member(0).start();
    }
}

#[test]
fn data_that_is_absent_is_gone_and_a_member_starts_anew() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let (member_id, cluster_id) = ids(&cluster);
        cluster.etcdctl(&["put", "key", "value"]);
        cluster.member(0).stop();
        let given = json!({ "member_id": member_id, "cluster_id": cluster_id });
        let outcome = run_thrice(&options(cluster.member(0), &given));
        let wanted = json!({
            "state": "removed", "member_id": member_id, "cluster_id": cluster_id, "moved_to": null, "wal_moved_to": null,
        });
        assert_eq!(outcome.values["data"], wanted);
        assert!(outcome.diff[0].before.contains(&member_id) && outcome.diff[0].after.is_empty());
        assert!(!cluster.member(0).data_dir().exists());
        cluster.member(0).start();
        assert!(!cluster.etcdctl(&["get", "key"]).contains("value"), "{version:?}");
    }
}

#[test]
fn data_that_is_moved_aside_is_whole() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, 1, Options::default());
        let (member_id, _) = ids(&cluster);
        cluster.etcdctl(&["put", "key", "value"]);
        cluster.member(0).stop();
        let data_dir = cluster.member(0).data_dir();
        let outcome = run_thrice(&options(cluster.member(0), &json!({ "state": "aside" })));
        let moved_to = outcome.values["data"]["moved_to"].as_str().unwrap();
        assert!(moved_to.starts_with(&format!("{}.{member_id}.2", data_dir.display())), "{moved_to}");
        assert!(!data_dir.exists());
        fs::rename(moved_to, &data_dir).unwrap();
        cluster.member(0).start();
        assert!(cluster.etcdctl(&["get", "key"]).contains("value"), "{version:?}");
    }
}

#[test]
fn a_log_of_its_own_goes_along() {
    for (version, state) in Version::ALL.into_iter().flat_map(|version| [(version, "absent"), (version, "aside")]) {
        let elsewhere = tempfile::tempdir().unwrap();
        let wal = elsewhere.path().join("wal");
        let config = vec![("wal-dir", format!("{wal:?}"))];
        let cluster = Cluster::start(version, 1, Options { config, ..Options::default() });
        cluster.etcdctl(&["put", "key", "value"]);
        cluster.member(0).stop();
        refused(&options(cluster.member(0), &json!({})), &["it cannot be told whose data it holds", "give wal_dir"]);
        let outcome = run_thrice(&options(cluster.member(0), &json!({ "wal_dir": wal, "state": state })));
        assert!(!cluster.member(0).data_dir().exists() && !wal.exists(), "{version:?}");
        let data = &outcome.values["data"];
        if state == "aside" {
            fs::rename(data["moved_to"].as_str().unwrap(), cluster.member(0).data_dir()).unwrap();
            fs::rename(data["wal_moved_to"].as_str().unwrap(), &wal).unwrap();
            cluster.member(0).start();
            assert!(cluster.etcdctl(&["get", "key"]).contains("value"), "{version:?}");
        } else {
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        }
    }
}

/// A file system of its own, as long as this lives.
struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=200m", "tmpfs"]).arg(path).status();
        assert!(status.unwrap().success(), "this needs a file system of its own: run it as root");
        Self(path.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_mount_point_is_emptied_and_stays() {
    for state in ["absent", "aside"] {
        let cluster = Cluster::start(Version::V3_6, 1, Options { only: Some(0), ..Options::default() });
        let data_dir = cluster.member(0).data_dir();
        let _mount = Mount::new(&data_dir);
        fs::create_dir(data_dir.join("lost+found")).unwrap();
        cluster.member(0).start();
        cluster.etcdctl(&["put", "key", "value"]);
        cluster.member(0).stop();
        let outcome = run_thrice(&options(cluster.member(0), &json!({ "state": state })));
        assert_eq!(outcome.warnings, Vec::<String>::new());
        if state == "aside" {
            let moved_to = outcome.values["data"]["moved_to"].as_str().unwrap();
            assert!(moved_to.starts_with(&format!("{}/member.", data_dir.display())), "{moved_to}");
            fs::rename(moved_to, data_dir.join("member")).unwrap();
            cluster.member(0).start();
            assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
            cluster.member(0).stop();
        } else {
            assert_eq!(tree(&data_dir), [(data_dir.join("lost+found"), 0)]);
        }
    }
}

#[test]
fn what_is_not_etcds_stays_with_a_warning() {
    for state in ["absent", "aside"] {
        let cluster = Cluster::start(Version::V3_6, 1, Options::default());
        cluster.member(0).stop();
        let data_dir = cluster.member(0).data_dir();
        fs::write(data_dir.join("notes"), "mine").unwrap();
        let outcome = run_thrice(&options(cluster.member(0), &json!({ "state": state })));
        let wanted = format!("{} stays, for it holds what is not of this member's data: notes", data_dir.display());
        assert_eq!(outcome.warnings, [wanted]);
        assert_eq!(fs::read_to_string(data_dir.join("notes")).unwrap(), "mine");
        assert!(!data_dir.join("member").exists());
    }
}

#[test]
fn a_removal_that_was_interrupted_is_ended() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    cluster.member(0).stop();
    let data_dir = cluster.member(0).data_dir();
    fs::rename(data_dir.join("member"), data_dir.join("member.removed.20260101T000000Z")).unwrap();
    let outcome = run_thrice(&options(cluster.member(0), &json!({ "member_id": "abc" })));
    assert!(outcome.changed && !data_dir.exists());
}

#[test]
fn where_there_is_no_data_an_empty_directory_goes_and_nothing_else_changes() {
    let cluster = Cluster::start(Version::V3_6, 1, Options { only: Some(0), ..Options::default() });
    let member = cluster.member(0);
    assert!(!run(&options(member, &json!({}))).unwrap().changed);
    fs::create_dir(member.data_dir()).unwrap();
    let outcome = run_thrice(&options(member, &json!({ "member_id": "abc" })));
    assert!(outcome.changed && !member.data_dir().exists());
    assert_eq!(outcome.values["data"]["member_id"], Value::Null);
}

#[test]
fn an_id_that_is_none_is_refused() {
    let cluster = Cluster::start(Version::V3_6, 1, Options { only: Some(0), ..Options::default() });
    let failure = run(&options(cluster.member(0), &json!({ "member_id": "etcd-1" }))).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidOption);
    let wanted = "member_id must be an id in hexadecimal, as 8e9e05c52164694d, got \"etcd-1\"";
    assert_eq!(failure.msg, wanted);
}

/// A restore that was cut off from whoever started it would replace the data yet, also where it is what it is to be.
#[test]
fn data_that_a_restore_is_about_to_replace_is_not_taken_for_what_it_is() {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let member = cluster.member(0);
    let (member_id, _) = ids(&cluster);
    member.stop();
    let changes = json!({ "state": "back", "member_id": member_id, "aside_time": "20260102T030405Z" });
    let (back, gone) = (options(member, &changes), options(member, &json!({ "state": "aside" })));
    assert!(!run(&back).unwrap().changed);
    let place = member.data_dir().with_file_name(".data.quorum-restore-1-0");
    fs::create_dir(&place).unwrap();
    // Left behind by one that has ended.
    assert!(!run(&back).unwrap().changed);
    let lock = fs::File::open(&place).unwrap();
    lock.lock().unwrap();
    let who = format!("(process {})", std::process::id());
    for given in [&back, &gone] {
        refused(given, &["a restore into it is still at work in ", &who, "and run it again"]);
        let mut checked = given.clone();
        checked["_ansible_check_mode"] = json!(true);
        let warning = run(&checked).unwrap().warnings.join("");
        assert!(warning.contains("is still at work") && warning.ends_with("a real run would be refused"), "{warning}");
    }
    drop(lock);
    assert!(!run(&back).unwrap().changed);
}
