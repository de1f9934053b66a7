use super::{Site, snapshots};
use etcd_testbed::{Options, Version};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

impl Site {
    fn newest(&self) -> Value {
        serde_json::from_str(self.run(0, &["--newest"]).ok()).unwrap()
    }

    /// Another snapshot.
    fn take(&self) -> PathBuf {
        let before = self.snapshots(0);
        self.after_the_window(0);
        self.run(0, &[]).ok();
        self.snapshots(0).into_iter().find(|path| !before.contains(path)).unwrap()
    }
}

#[test]
fn what_speaks_against_the_newest_is_told() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    site.configure(0, &json!({ "window": 1 }));
    let done = site.run(0, &["--newest"]);
    assert!(done.failed().contains("holds no snapshot of cluster main that is whole"), "{}", done.error);
    let first = site.take();
    let second = site.take();
    let newest = site.newest();
    assert_eq!((&newest["path"], &newest["damaged"]), (&json!(second), &json!([])));
    assert_eq!(newest["last"]["path"], json!(second));
    assert!(newest["last"]["cluster_id"].as_str().unwrap().starts_with(newest["cluster_id"].as_str().unwrap()));
    // From a clock that ran ahead.
    let name = first.file_name().unwrap().to_str().unwrap();
    let (start, _) = name.rsplit_once('-').unwrap().0.rsplit_once('-').unwrap();
    let ahead = first.with_file_name(format!("{start}-20990102T030405Z-3.db"));
    fs::copy(&first, &ahead).unwrap();
    assert_eq!((&site.newest()["path"], &site.newest()["ahead"]), (&json!(second), &json!([ahead])));
    // Rot, and what is gone: the last backup is still known.
    let mut bytes = fs::read(&second).unwrap();
    bytes[5000] ^= 1;
    fs::write(&second, bytes).unwrap();
    let newest = site.newest();
    assert_eq!((&newest["path"], &newest["last"]["path"]), (&json!(first), &json!(second)));
    assert!(newest["damaged"][0].as_str().unwrap().contains("do not restore from it"), "{newest}");
    assert!(newest["last"]["taken_at"].as_str().unwrap() > newest["taken_at"].as_str().unwrap());
    fs::remove_file(&first).unwrap();
    fs::remove_file(&ahead).unwrap();
    let done = site.run(0, &["--newest"]);
    let found: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &found["path"], &found["last"]["path"]), (Some(1), &json!(null), &json!(second)));
}

/// Two clusters of one name with one directory, as when the first one was lost and an empty one made: neither deletes
/// what is the other's.
#[test]
fn another_cluster_of_the_name_loses_nothing() {
    let (old, new) = (Site::start(Version::V3_6, 1, Options::tls()), Site::start(Version::V3_7, 1, Options::tls()));
    let (dir, copies) = (old.dir(0), old.disks.path().join("copies"));
    let more = json!({ "dir": dir, "window": 1, "keep": 1, "copy_to": [{ "path": copies, "anywhere": true }] });
    old.configure(0, &more);
    new.configure(0, &more);
    let real = old.take();
    for round in 0..2 {
        new.after_the_window(0);
        new.run(0, &[]).ok();
        assert!(real.exists());
        assert_eq!((snapshots(&dir).len(), snapshots(&copies).len()), (2, 2), "{round}");
    }
    let newest = old.newest();
    assert_ne!(newest["path"], json!(real));
    assert_eq!(newest["others"][0]["path"], json!(real));
    assert_ne!(newest["others"][0]["cluster_id"], newest["cluster_id"]);
}

/// After a restore there is the record of the cluster's backup that was: it is none of the new cluster.
#[test]
fn the_record_of_another_cluster_is_no_backup_of_this_one() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    site.configure(0, &json!({}));
    let now = etcd_ops::clock::now().to_string();
    let last = json!({ "member": "etcd-1", "cluster_id": "7", "finished_at": now, "taken_at": now });
    site.cluster.etcdctl(&["put", "/quorum.etcd/backup/last", &last.to_string()]);
    assert!(site.run(0, &[]).ok().starts_with("etcd-1 took "));
    assert_eq!(site.counts(), [1]);
}
