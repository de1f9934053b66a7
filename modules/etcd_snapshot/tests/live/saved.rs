use super::{names, ok, verify};
use etcd_testbed::{Cluster, Options, Version};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// What the newest etcdutl says of the file.
fn status(path: &Path) -> Value {
    let mut command = Command::new(Version::V3_7.executable("etcdutl"));
    let output = command.args(["snapshot", "status", "--write-out", "json"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sha256sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// Keys that are made, changed, deleted, made again, and gone with a compaction.
fn write(cluster: &Cluster) {
    for round in 0..3 {
        for key in 0..20 {
            cluster.etcdctl(&["put", &format!("key{key}"), &format!("value {round}")]);
        }
        cluster.etcdctl(&["del", "key3"]);
        cluster.etcdctl(&["del", "key1", "key10"]);
        if round == 1 {
            cluster.etcdctl(&["compact", "30"]);
        }
    }
}

#[test]
fn every_version_is_saved_and_etcd_agrees_with_what_is_said_of_it() {
    for version in Version::ALL {
        for root_password in [None, Some("S3cret!")] {
            let cluster = Cluster::start(version, 3, Options { tls: true, root_password, ..Options::default() });
            write(&cluster);
            let dir = tempfile::tempdir().unwrap();
            let backups = dir.path().join("backups/etcd");
            let mut options = json!({ "dir": backups });
            if let Some(password) = root_password {
                options["login_user"] = "root".into();
                options["login_password"] = password.into();
            }
            let mut checked = options.clone();
            checked["_ansible_check_mode"] = true.into();
            let predicted = ok(&cluster, &checked);
            assert!(predicted["changed"] == true && !backups.exists(), "check mode wrote");
            let done = ok(&cluster, &options);
            assert_eq!(done["changed"], true);
            let snapshot = &done["snapshot"];
            for same in ["revision", "cluster_id", "member", "member_id", "version", "size"] {
                assert_eq!(predicted["snapshot"][same], snapshot[same], "{version:?} {same}");
            }
            let path = Path::new(snapshot["path"].as_str().unwrap());
            assert_eq!(names(&backups), [path.file_name().unwrap().to_str().unwrap()]);
            let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
            assert_eq!((mode(path), mode(&backups)), (0o600, 0o700));
            let status = status(path);
            assert_eq!(snapshot["revision"], status["revision"], "{version:?} {status}");
            assert_eq!(snapshot["total_keys"], status["totalKey"], "{version:?} {status}");
            assert_eq!(snapshot["size"].as_u64().unwrap(), status["totalSize"].as_u64().unwrap() + 32);
            assert_eq!(snapshot["sha256"], sha256sum(path));
            assert_eq!(snapshot["cluster_version"], format!("{}.0", version.series()));
            assert!(snapshot["version"].as_str().unwrap().starts_with(version.series()));
            let leader = cluster.member(cluster.leader()).name().to_owned();
            assert_eq!(snapshot["member"], leader);

            let verified = verify(path).unwrap();
            assert_eq!((&verified["changed"], &verified["snapshot"]["sealed"]), (&json!(false), &json!(true)));
            for same in ["path", "size", "sha256", "revision", "total_keys", "cluster_version"] {
                assert_eq!(verified["snapshot"][same], snapshot[same], "{version:?} {same}");
            }
        }
    }
}
