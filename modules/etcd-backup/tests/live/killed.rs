use super::{Site, wait};
use etcd_testbed::{Options, Version, wait_for};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Killed at any moment: what looks like a snapshot is whole, and what is known is what was known before or after.
#[test]
fn nothing_is_torn() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    for key in 0..30 {
        site.cluster.etcdctl(&["put", &format!("key{key}"), &"x".repeat(100_000)]);
    }
    site.configure(0, &json!({ "window": 1, "grace": 2, "keep": 2 }));
    site.run(0, &[]).ok();
    let (mut killed, mut whole) = (0, 0);
    for round in 0..40_u64 {
        let mut child = site.spawn(0);
        std::thread::sleep(Duration::from_millis(5 + round * 83 % 700));
        child.kill().unwrap();
        let code = wait(child).code;
        whole += u32::from(code == Some(0));
        killed += u32::from(code.is_none());
        assert!(!site.snapshots(0).is_empty());
        assert_eq!(site.status(0)["cluster"], "main");
        let metrics = fs::read_to_string(site.disk(0).join("etcd_backup.prom")).unwrap();
        assert!(metrics.contains("etcd_backup_info{") && metrics.ends_with("\"} 1\n"));
    }
    assert!(killed > 5, "{killed} killed, {whole} not");
    site.after_the_window(0);
    site.run(0, &[]).ok();
    let left = fs::read_dir(site.dir(0))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".part"));
    assert_eq!((site.snapshots(0).len(), left.count()), (2, 0));
}

/// The leader is killed while it takes the snapshot: its claim ends with the lease, and another one takes over.
#[test]
fn whoever_is_killed_is_replaced() {
    for version in [Version::V3_5, Version::V3_7] {
        let site = Site::start(version, 3, Options::tls());
        // It comes as far as the copy, which never ends.
        let bin = site.disks.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("ssh"), "#!/bin/sh\nexec sleep 30\n").unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        site.configure_all(&json!({}));
        let leader = site.cluster.leader();
        site.configure(leader, &json!({ "copy_to": ["nas:/srv"] }));
        let mut hanging = site.command(leader, &[]).env("PATH", path).spawn().unwrap();
        wait_for("the snapshot", || !site.snapshots(leader).is_empty());
        let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
        let children: Vec<_> = others.iter().map(|member| site.spawn(*member)).collect();
        // Longer than the lease lasts, so that it was kept alive, and the others waited.
        std::thread::sleep(Duration::from_secs(8));
        assert_eq!(site.counts().iter().sum::<usize>(), 1);
        hanging.kill().unwrap();
        hanging.wait().unwrap();
        for child in children {
            wait(child).ok();
        }
        assert_eq!(site.counts().iter().sum::<usize>(), 2);
        assert_ne!(site.status(others[0])["last"]["member"], site.cluster.member(leader).name());
        assert_eq!(site.status(others[0])["last"], site.status(others[1])["last"]);
    }
}
