/// What a power cut would leave.
mod durable;
/// Runs that do not come to their end.
mod killed;
/// Mount points, links, logs of their own, owners.
mod places;
/// Refusals.
mod trouble;

use super::{ok, run};
use etcd_ops::datadir::{self, DataDir, Identity};
use etcd_testbed::{Cluster, Member, Options, Version};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const TOKEN: &str = "restored-1";

/// What restores in that version.
fn tool(version: Version) -> PathBuf {
    version.executable(if version == Version::V3_4 { "etcdctl" } else { "etcdutl" })
}

/// A snapshot of the cluster, in its directory.
fn save(cluster: &Cluster) -> PathBuf {
    let path = cluster.directory().join("saved.db");
    ok(cluster, &json!({ "path": path, "login_user": "root", "login_password": "S3cret!" }));
    path
}

/// Members that are to be restored: they have never run.
fn fresh(version: Version, members: usize, options: Options) -> Cluster {
    Cluster::start(version, members, Options { only: Some(0), ..options })
}

/// What restores that member of the cluster.
fn options(cluster: &Cluster, member: &Member, file: &Path) -> Value {
    let all: Vec<String> = cluster.members().iter().map(Member::initial_cluster).collect();
    json!({
        "state": "restored",
        "path": file,
        "data_dir": member.data_dir(),
        "name": member.name(),
        "initial_cluster": all.join(","),
        "initial_cluster_token": TOKEN,
        "tool": tool(member.version()),
        "_ansible_diff": true,
    })
}

pub(super) fn with(options: &Value, changes: &Value) -> Value {
    let mut options = options.clone();
    options.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    options
}

fn checked(options: &Value) -> Value {
    with(options, &json!({ "_ansible_check_mode": true }))
}

/// All paths below the directory, with owner, permissions and size; the log's files are long and not read by anybody.
fn tree(dir: &Path) -> Vec<(PathBuf, (u32, u32), u32, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let metadata = entry.metadata().unwrap();
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        found.push((entry.path(), (metadata.uid(), metadata.gid()), metadata.mode() & 0o7777, size));
        if metadata.is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

/// Calls the module in check mode, for real and once more: the first predicts the second and writes nothing, and the
/// third changes nothing.
#[track_caller]
fn restore(options: &Value) -> Value {
    let dir = Path::new(options["data_dir"].as_str().unwrap()).parent().unwrap();
    let before = tree(dir);
    let predicted = run(&checked(options)).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(tree(dir), before, "check mode wrote");
    let done = run(options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((&predicted["changed"], &done["changed"]), (&json!(true), &json!(true)));
    assert_eq!((&predicted["diff"], &predicted["snapshot"]), (&done["diff"], &done["snapshot"]));
    assert_eq!(predicted["warnings"], done["warnings"]);
    for same in ["data_dir", "wal_dir", "member_id", "cluster_id", "revision", "bumped_by", "tool", "tool_version"] {
        assert_eq!(predicted["restored"][same], done["restored"][same], "{same}");
    }
    assert_eq!(predicted["restored"]["aside"].is_null(), done["restored"]["aside"].is_null());
    let after = tree(dir);
    assert!(!after.iter().any(|(path, ..)| path.to_string_lossy().contains(".quorum-restore-")), "{after:?}");
    let again = run(options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((&again["changed"], again.get("diff")), (&json!(false), None));
    assert_eq!(again["restored"]["member_id"], done["restored"]["member_id"]);
    assert_eq!(tree(dir), after, "the second run wrote");
    done
}

#[track_caller]
fn identity(data_dir: &Path, wal_dir: Option<&Path>) -> Identity {
    match datadir::observe(data_dir, wal_dir) {
        DataDir::Member(identity) => identity,
        other => panic!("{}: {other}", data_dir.display()),
    }
}

/// Keys, users and roles.
fn fill(cluster: &Cluster) {
    for key in 0..30 {
        cluster.etcdctl(&["put", &format!("key{key}"), &format!("value {key}")]);
    }
    cluster.etcdctl(&["del", "key7"]);
    cluster.etcdctl(&["role", "add", "reader"]);
    cluster.etcdctl(&["role", "grant-permission", "reader", "read", "key1"]);
    cluster.etcdctl(&["user", "add", "app:xyzzy"]);
    cluster.etcdctl(&["user", "grant-role", "app", "reader"]);
}

/// What the answers of all members say, one value each.
fn each(cluster: &Cluster, command: &[&str], pointer: &str) -> Vec<u64> {
    let mut text = String::new();
    // A member that lags behind does not know yet who has just logged in at another one.
    etcd_testbed::wait_for("answers of all members", || {
        let answer = cluster.etcdctl_as(Some("root:S3cret!"), &[command, &["--write-out", "json"]].concat());
        answer.map(|answer| text = answer).is_ok()
    });
    let answers: Value = serde_json::from_str(&text).unwrap();
    answers.as_array().unwrap().iter().map(|answer| answer.pointer(pointer).unwrap().as_u64().unwrap()).collect()
}

/// The members as a snapshot is to know them.
fn saved_members(cluster: &Cluster) -> Value {
    let ids = each(cluster, &["endpoint", "status"], "/Status/header/member_id");
    let members = cluster.members().iter().zip(ids);
    let mut members: Vec<Value> = members
        .map(|(member, id)| {
            let entry = member.initial_cluster();
            let (name, url) = entry.split_once('=').unwrap();
            json!({ "id": format!("{id:x}"), "name": name, "peer_urls": [url] })
        })
        .collect();
    members.sort_by_key(|member| member["id"].as_str().unwrap().to_owned());
    members.into()
}

#[test]
fn every_version_serves_again_what_was_saved() {
    for version in Version::ALL {
        let auth = Options::auth("S3cret!");
        let source = Cluster::start(version, 3, auth.clone());
        fill(&source);
        let file = save(&source);
        let all = source.etcdctl(&["get", "", "--from-key"]);
        let members = saved_members(&source);
        let old_id = each(&source, &["endpoint", "status"], "/Status/header/cluster_id")[0];
        source.members().iter().for_each(Member::kill);

        let cluster = fresh(version, 3, auth);
        let bump: u64 = if version == Version::V3_4 { 0 } else { 1_000_000_000 };
        let results: Vec<Value> =
            cluster.members().iter().map(|member| restore(&options(&cluster, member, &file))).collect();
        for (member, result) in cluster.members().iter().zip(&results) {
            let (restored, found) = (&result["restored"], identity(&member.data_dir(), None));
            assert_eq!(restored["member_id"], format!("{:x}", found.member_id), "{version:?}");
            assert_eq!(restored["cluster_id"], format!("{:x}", found.cluster_id), "{version:?}");
            assert!(found.had_leader && !found.by_etcd, "{version:?} {found:?}");
            assert_eq!((&restored["aside"], &restored["bumped_by"]), (&Value::Null, &json!(bump)), "{version:?}");
            assert_eq!(restored["marked_compacted"], bump > 0);
            assert_eq!(restored["revision"], result["snapshot"]["revision"].as_u64().unwrap() + bump, "{version:?}");
            assert!(restored["tool_version"].as_str().unwrap().starts_with(version.series()), "{restored}");
            assert_eq!(result["diff"][0]["before"], "");
            assert_eq!(result["snapshot"]["members"], members, "{version:?}");
            assert_eq!(result["diff"][0]["after"], format!("data of {found}\n"));
            let warned = result["warnings"].as_array().map_or(0, Vec::len);
            assert_eq!(warned, usize::from(bump == 0), "{}", result["warnings"]);
            for (path, _, mode, _) in tree(&member.data_dir()) {
                assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            }
            assert_eq!(member.data_dir().metadata().unwrap().mode() & 0o7777, 0o700);
        }
        cluster.members().iter().for_each(Member::spawn);
        cluster.wait_healthy();
        assert_eq!(cluster.etcdctl(&["get", "", "--from-key"]), all, "{version:?}");
        let ids = each(&cluster, &["endpoint", "status"], "/Status/header/cluster_id");
        let new_id = u64::from_str_radix(results[0]["restored"]["cluster_id"].as_str().unwrap(), 16).unwrap();
        assert_eq!(ids, [new_id; 3]);
        assert_ne!(new_id, old_id);
        let revisions = each(&cluster, &["endpoint", "status"], "/Status/header/revision");
        assert_eq!(revisions, [results[0]["restored"]["revision"].as_u64().unwrap(); 3], "{version:?}");
        // A cluster that has just been compacted hashes once more.
        etcd_testbed::wait_for("equal hashes", || {
            let hashes = each(&cluster, &["endpoint", "hashkv"], "/HashKV/hash");
            hashes.iter().all(|hash| *hash == hashes[0])
        });
        // Authentication is on, with the users that there were.
        assert!(cluster.etcdctl_as(None, &["get", "key1"]).is_err());
        assert!(cluster.etcdctl_as(Some("root:wrong"), &["get", "key1"]).is_err());
        assert!(cluster.etcdctl_as(Some("app:xyzzy"), &["get", "key1"]).unwrap().contains("value 1"));
        assert!(cluster.etcdctl_as(Some("app:xyzzy"), &["get", "key2"]).unwrap_err().contains("permission denied"));
        // No revision of before comes a second time.
        let watch = ["watch", "key1", "--rev", "5"];
        if bump > 0 {
            let refused = cluster.etcdctl_as(Some("root:S3cret!"), &watch);
            let refused = format!("{refused:?}");
            assert!(refused.contains("canceled"), "{version:?} {refused}");
            let refused = cluster.etcdctl_as(Some("root:S3cret!"), &["get", "key1", "--rev", "5"]).unwrap_err();
            assert!(refused.contains("required revision has been compacted"), "{version:?} {refused}");
        }
        cluster.etcdctl(&["put", "key7", "value 7"]);
        // What is saved of it has as many keys as it has.
        let again = cluster.directory().join("again.db");
        let login = json!({ "path": again, "login_user": "root", "login_password": "S3cret!" });
        assert_eq!(ok(&cluster, &login)["snapshot"]["total_keys"], 30, "{version:?}");
    }
}

/// With what the last restore made as the data that is there.
#[test]
fn a_cluster_is_restored_again_with_another_token() {
    let (file, cluster) = single(Version::V3_6);
    let member = cluster.member(0);
    let mut options = options(&cluster, member, &file);
    let mut before = restore(&options);
    for round in 2..4 {
        member.start();
        cluster.etcdctl(&["put", "key", "another"]);
        // Nothing is to be done, and nobody is disturbed.
        assert_eq!(run(&options).unwrap()["changed"], false);
        options = with(&options, &json!({ "initial_cluster_token": format!("restored-{round}"), "bump_revision": 0 }));
        let user = format!("it is in use by etcd (process {})", member.pid().unwrap());
        let paths = || tree(&member.data_dir()).into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
        let before_refusal = paths();
        assert!(run(&options).unwrap_err().msg.contains(&user));
        assert!(run(&checked(&options)).unwrap()["warnings"][0].as_str().unwrap().contains(&user));
        assert_eq!(paths(), before_refusal);
        member.stop();
        let done = restore(&options);
        assert_eq!(done["restored"]["bumped_by"], 0);
        assert_eq!(done["restored"]["revision"], done["snapshot"]["revision"]);
        let aside = done["restored"]["aside"].as_str().unwrap().to_owned();
        let id = before["restored"]["member_id"].as_str().unwrap();
        assert!(aside.starts_with(&format!("{}.{id}.2", member.data_dir().display())), "{aside}");
        assert_eq!(done["diff"][0]["before"], before["diff"][0]["after"]);
        before = done;
        member.start();
        assert!(cluster.etcdctl(&["get", "key"]).contains("value"), "round {round}");
        member.stop();
        // What was moved aside is whole.
        std::fs::rename(member.data_dir(), member.data_dir().with_extension("new")).unwrap();
        std::fs::rename(aside, member.data_dir()).unwrap();
        member.start();
        assert!(cluster.etcdctl(&["get", "key"]).contains("another"), "round {round}");
        member.stop();
        std::fs::remove_dir_all(member.data_dir()).unwrap();
        std::fs::rename(member.data_dir().with_extension("new"), member.data_dir()).unwrap();
    }
}

/// A snapshot with one key, and a member to restore from it, of a cluster of its own.
fn single(version: Version) -> (PathBuf, Cluster) {
    let source = Cluster::start(version, 1, Options::default());
    source.etcdctl(&["put", "key", "value"]);
    let cluster = fresh(version, 1, Options::default());
    let file = cluster.directory().join("saved.db");
    std::fs::rename(save(&source), &file).unwrap();
    (file, cluster)
}
