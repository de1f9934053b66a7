use super::{identity, options, restore, single, tree, with};
use crate::interrupted::{Tmpfs, command};
use crate::run;
use etcd_ops::datadir::{DataDir, observe};
use etcd_testbed::{Cluster, Version};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// The member serves what was saved, with the log where it is told.
#[track_caller]
fn serves(cluster: &Cluster, wal: Option<&Path>) {
    let member = cluster.member(0);
    if let Some(wal) = wal {
        member.configure("wal-dir", &format!("{wal:?}"));
    }
    member.start();
    assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
    cluster.etcdctl(&["put", "key", "another"]);
    member.stop();
}

/// Twice, first where nothing is and then over what is there; with another token each time.
#[track_caller]
fn twice(cluster: &Cluster, options: &Value, wal: Option<&Path>) -> [Value; 2] {
    [1, 2].map(|round| {
        let mut options = with(options, &json!({ "initial_cluster_token": format!("round-{round}") }));
        if let Some(wal) = wal {
            options["wal_dir"] = json!(wal);
        }
        let done = restore(&options);
        assert_eq!(done["restored"]["aside"].is_null(), round == 1);
        serves(cluster, wal);
        assert!(identity(&cluster.member(0).data_dir(), wal).had_leader);
        done
    })
}

fn aside(done: &Value, name: &str) -> PathBuf {
    PathBuf::from(done["restored"][name].as_str().unwrap_or_else(|| panic!("{}", done["restored"])))
}

#[test]
fn owner_and_permissions_are_as_they_were_or_as_told() {
    let (file, cluster) = single(Version::V3_6);
    let data_dir = cluster.member(0).data_dir();
    let options = options(&cluster, cluster.member(0), &file);
    // A role makes the directory before.
    fs::create_dir(&data_dir).unwrap();
    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o750)).unwrap();
    chown(&data_dir, Some(12345), Some(12346)).unwrap();
    twice(&cluster, &options, None);
    let attributes = |path: &Path| {
        let found = path.metadata().unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    };
    assert_eq!(attributes(&data_dir), (12345, 12346, 0o750));
    // The first one was given to them, the log that etcd cut since then is its own.
    let snap = tree(&data_dir.join("member/snap"));
    assert!(snap.iter().all(|(_, owner, ..)| *owner == (12345, 12346)), "{snap:?}");
    let told = with(&options, &json!({ "initial_cluster_token": "told", "owner": "54321", "group": "root" }));
    restore(&told);
    assert_eq!(attributes(&data_dir), (54321, 0, 0o750));
    assert!(tree(&data_dir).iter().all(|(_, owner, ..)| *owner == (54321, 0)));
    // Also where there is something that stays.
    fs::write(data_dir.join("notes"), "mine").unwrap();
    let told = with(&told, &json!({ "initial_cluster_token": "told-again", "owner": "12345" }));
    let done = restore(&told);
    assert_eq!(attributes(&data_dir), (12345, 0, 0o750));
    assert!(aside(&done, "aside").starts_with(&data_dir));
    assert_eq!(fs::read_to_string(data_dir.join("notes")).unwrap(), "mine");
    serves(&cluster, None);
}

#[test]
fn a_mount_point_stays_and_its_member_directory_moves() {
    let (file, cluster) = single(Version::V3_6);
    let data_dir = cluster.member(0).data_dir();
    fs::create_dir(&data_dir).unwrap();
    let _mount = Tmpfs::mount(&data_dir, "600m");
    fs::create_dir(data_dir.join("lost+found")).unwrap();
    let [_, done] = twice(&cluster, &options(&cluster, cluster.member(0), &file), None);
    let aside = aside(&done, "aside");
    assert!(aside.starts_with(&data_dir) && aside.join("snap/db").exists(), "{}", aside.display());
    let names: Vec<String> = crate::names(&data_dir);
    let aside = aside.file_name().unwrap().to_str().unwrap();
    assert_eq!(names, ["lost+found", "member", aside]);
}

#[test]
fn a_symbolic_link_is_followed_and_stays() {
    let (file, cluster) = single(Version::V3_7);
    let disk = cluster.directory().join("disk/etcd");
    fs::create_dir_all(&disk).unwrap();
    symlink(&disk, cluster.member(0).data_dir()).unwrap();
    let [_, done] = twice(&cluster, &options(&cluster, cluster.member(0), &file), None);
    assert!(aside(&done, "aside").starts_with(&disk));
    assert!(cluster.member(0).data_dir().is_symlink());
}

#[test]
fn a_log_of_its_own_is_restored_where_it_is() {
    for version in Version::ALL {
        let (file, cluster) = single(version);
        // In a directory that is not there yet.
        let wal = cluster.directory().join("log/etcd");
        let [_, done] = twice(&cluster, &options(&cluster, cluster.member(0), &file), Some(&wal));
        assert!(aside(&done, "wal_aside").parent() == wal.parent(), "{done}");
        assert!(!cluster.member(0).data_dir().join("member/wal").exists());
        assert_eq!(crate::names(&cluster.directory().join("log")).len(), 2);
    }
}

#[test]
fn a_log_on_a_mount_point_of_its_own_too() {
    let (file, cluster) = single(Version::V3_5);
    let wal = cluster.directory().join("log");
    fs::create_dir(&wal).unwrap();
    let _mount = Tmpfs::mount(&wal, "600m");
    chown(&wal, Some(12345), Some(12346)).unwrap();
    let [_, done] = twice(&cluster, &options(&cluster, cluster.member(0), &file), Some(&wal));
    assert!(aside(&done, "wal_aside").starts_with(&wal));
    assert_eq!(wal.metadata().unwrap().uid(), 12345);
}

#[test]
fn a_log_below_the_data_directory_goes_along() {
    for stays in [false, true] {
        let (file, cluster) = single(Version::V3_6);
        let data_dir = cluster.member(0).data_dir();
        let wal = data_dir.join("logs/wal");
        if stays {
            fs::create_dir(&data_dir).unwrap();
            fs::write(data_dir.join("notes"), "mine").unwrap();
        }
        let [_, done] = twice(&cluster, &options(&cluster, cluster.member(0), &file), Some(&wal));
        let aside = aside(&done, "aside");
        assert_eq!(aside.starts_with(&data_dir), stays, "{}", aside.display());
        assert_eq!(done["restored"]["wal_aside"].is_null(), !stays, "{}", done["restored"]);
        assert_eq!(data_dir.join("notes").exists(), stays);
    }
    let (file, cluster) = single(Version::V3_6);
    let member = cluster.member(0).data_dir().join("member");
    let options = options(&cluster, cluster.member(0), &file);
    let failure = run(&with(&options, &json!({ "wal_dir": member.join("log") }))).unwrap_err();
    assert!(failure.msg.contains("wal_dir must not lie in ") && failure.msg.ends_with("; nothing was restored"));
    twice(&cluster, &options, Some(&member.join("wal")));
}

#[test]
fn the_tool_of_the_etcd_that_is_installed_is_found() {
    for version in [Version::V3_4, Version::V3_7] {
        let (file, cluster) = single(version);
        let mut options = options(&cluster, cluster.member(0), &file);
        options.as_object_mut().unwrap().remove("tool");
        let bin = cluster.directory().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(version.executable("etcd"), bin.join("etcd")).unwrap();
        // The one that is named goes before another one that would be found.
        let named = with(&options, &json!({ "binary": bin.join("etcd"), "_ansible_check_mode": true }));
        let other = Version::V3_5.executable("etcd").parent().unwrap().to_owned();
        let output = command(&named).env("PATH", &other).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let tool = version.executable(if version == Version::V3_4 { "etcdctl" } else { "etcdutl" });
        let tool = tool.canonicalize().unwrap();
        assert!(said.contains(&format!("by {tool:?}")), "{said}");
        // Variables that etcdctl would read mean nothing here.
        let output = command(&options).env("PATH", &bin).env("ETCDCTL_API", "2").output().unwrap();
        assert!(output.status.success(), "{version:?} {}", String::from_utf8_lossy(&output.stderr));
        serves(&cluster, None);
    }
}

/// Whatever a run that was killed has done, the next one goes on from there.
#[test]
fn every_step_that_was_the_last_one_is_made_good() {
    let (file, cluster) = single(Version::V3_6);
    let data_dir = cluster.member(0).data_dir();
    let wal = cluster.directory().join("log");
    let at = |name: &str| cluster.directory().join("etcd-1").join(name);
    let options = with(&options(&cluster, cluster.member(0), &file), &json!({ "wal_dir": wal }));
    restore(&options);
    serves(&cluster, Some(&wal));
    let again = with(&options, &json!({ "initial_cluster_token": "again" }));
    // Killed once the old data was moved aside; what it had made is left, with the owner that the data had.
    fs::rename(&data_dir, at("data.a.20260101T000000Z")).unwrap();
    fs::rename(&wal, at("log.a.20260101T000000Z")).unwrap();
    let left = at(".data.quorum-restore-1-0/new/member/snap");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("db"), "half").unwrap();
    chown(at(".data.quorum-restore-1-0/new"), Some(12345), Some(12346)).unwrap();
    assert_eq!(observe(&data_dir, Some(&wal)), DataDir::Absent);
    let done = restore(&again);
    assert_eq!(done["restored"]["aside"], Value::Null);
    assert!(tree(&data_dir).iter().all(|(_, owner, ..)| *owner == (12345, 12346)));
    assert_eq!(wal.metadata().unwrap().uid(), 12345);
    // Killed between the data and its log.
    fs::rename(&wal, at("lost")).unwrap();
    let done = restore(&again);
    assert!(aside(&done, "aside").to_string_lossy().contains("data.unknown.2"), "{done}");
    // Killed at the very end: only the place where it worked is left.
    fs::create_dir_all(&left).unwrap();
    fs::create_dir_all(cluster.directory().join(".log.quorum-restore-1-0")).unwrap();
    assert_eq!(run(&again).unwrap()["changed"], false);
    assert!(!crate::names(&at(".")).iter().any(|name| name.contains("quorum")));
    assert!(!crate::names(cluster.directory()).iter().any(|name| name.contains("quorum")));
    serves(&cluster, Some(&wal));
}
