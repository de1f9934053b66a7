use super::{Done, Site, snapshots};
use etcd_testbed::{Options, Version};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn copies_go_where_something_is_mounted() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let (plain, mounted) = (site.disks.path().join("plain"), site.disks.path().join("mounted"));
    let config = |copy_to: serde_json::Value| site.configure(0, &json!({ "window": 1, "keep": 2, "copy_to": copy_to }));
    fs::create_dir(&plain).unwrap();
    config(json!([plain]));
    let done = site.run(0, &[]);
    assert!(done.failed().contains("is taken, but not copied: nothing is mounted on "), "{}", done.error);
    assert!(snapshots(&plain).is_empty());
    // With a copy missing it is no backup, and the next run takes it again.
    fs::create_dir(&mounted).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&mounted).status().unwrap();
    assert!(mount.success(), "these tests mount, and so need root");
    config(json!([{ "path": plain, "anywhere": true }, mounted]));
    fs::write(mounted.join(".etcd-main-1.db.quorum-1-0.part"), "left by a run that was killed").unwrap();
    for _ in 0..4 {
        site.after_the_window(0);
        site.run(0, &[]).ok();
    }
    let names =
        |dir: &Path| -> Vec<_> { snapshots(dir).iter().map(|path| path.file_name().unwrap().to_owned()).collect() };
    let found = (names(&site.dir(0)), names(&plain), names(&mounted));
    let files = fs::read_dir(&mounted).unwrap().count();
    assert!(Command::new("umount").arg(&mounted).status().unwrap().success());
    assert_eq!((found.0.len(), files), (2, 2));
    assert_eq!((&found.0, &found.0), (&found.1, &found.2));
    // It is missed at once.
    site.after_the_window(0);
    let done = site.run(0, &[]);
    assert!(done.failed().contains("nothing is mounted on "), "{}", done.error);
}

/// A program called ssh that has a shell do what the other host would, after `before`.
pub(super) fn other_host(site: &Site, before: &str) -> String {
    let bin = site.disks.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do case $1 in -o) echo \"$2\" >>{log};; esac; shift; done\n\
         echo \"$2\" >>{log}\n{before}\nexec sh -c \"$3\"\n",
        log = site.disks.path().join("ssh.log").display()
    );
    fs::write(bin.join("ssh"), script).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

fn run(site: &Site, path: &str) -> Done {
    site.after_the_window(0);
    super::wait(site.command(0, &[]).env("PATH", path).spawn().unwrap())
}

#[test]
fn copies_go_to_another_host() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let there = site.disks.path().join("the other's disk");
    let to = format!("backup@nas:{}", there.display());
    site.configure(0, &json!({ "window": 1, "keep": 2, "copy_to": [to] }));
    for round in 0..3 {
        let done = run(&site, &other_host(&site, ""));
        assert!(done.ok().contains("; copied to backup@nas:/"), "{}", done.out);
        assert_eq!(snapshots(&there).len(), 2.min(round + 1));
    }
    let log = fs::read_to_string(site.disks.path().join("ssh.log")).unwrap();
    assert!(log.contains("BatchMode=yes") && log.contains("backup@nas"), "{log}");
    let before = snapshots(&there);
    fs::write(there.join("other.txt"), "").unwrap();

    // What arrives is not what was sent.
    let cut = site.disks.path().join("cut").display().to_string();
    let path = other_host(&site, &format!("head -c 5000 >{cut}; exec <{cut}"));
    let done = run(&site, &path);
    assert!(done.failed().contains("the copy differs, its SHA-256 is "), "{}", done.error);
    assert_eq!(snapshots(&there), before);

    // It is not there.
    let done = run(&site, &other_host(&site, "echo no route to host >&2; exit 255"));
    assert!(
        done.failed().contains("copy to backup@nas:") && done.error.ends_with("no route to host"),
        "{}",
        done.error
    );
    let names = fs::read_dir(&there).unwrap().count();
    assert_eq!(names, 3, "two snapshots and what is another's");
}

/// What another cluster, or another member, has on its way to the same place is none of ours.
#[test]
fn only_what_this_member_left_is_removed() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let there = site.disks.path().join("there");
    fs::create_dir(&there).unwrap();
    site.configure(0, &json!({ "window": 1, "copy_to": [format!("nas:{}", there.display())] }));
    run(&site, &other_host(&site, "")).ok();
    let name = snapshots(&there)[0].file_name().unwrap().to_str().unwrap().to_owned();
    let start = name.rsplit_once('-').unwrap().0.rsplit_once('-').unwrap().0.to_owned();
    let others = [
        format!(".{start}-20260102T030405Z-7.db.etcd-2.quorum.part"),
        ".etcd-main-2-0a1b2c3d-20260102T030405Z-7.db.etcd-1.quorum.part".to_owned(),
        ".etcd-main-0a1b2c3d-20260102T030405Z-7.db.etcd-1.quorum.part".to_owned(),
    ];
    let own = format!(".{start}-20260102T030405Z-7.db.etcd-1.quorum.part");
    for name in others.iter().chain([&own]) {
        fs::write(there.join(name), "on its way").unwrap();
    }
    run(&site, &other_host(&site, "")).ok();
    assert!(others.iter().all(|name| there.join(name).exists()) && !there.join(own).exists());
    assert_eq!(snapshots(&there).len(), 2);
}

/// Beyond those that are counted, whatever is young enough stays, and what is older goes; so do copies.
#[test]
fn for_so_many_days_they_are_kept() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let there = site.disks.path().join("there");
    let copy_to = json!([{ "path": there, "anywhere": true }]);
    site.configure(0, &json!({ "window": 1, "keep": 1, "keep_days": 7, "copy_to": copy_to }));
    site.run(0, &[]).ok();
    let first = site.snapshots(0).remove(0);
    let start = first.file_name().unwrap().to_str().unwrap().rsplitn(3, '-').last().unwrap().to_owned();
    let [young, old] = [6, 8].map(|days| {
        let taken = etcd_ops::clock::now() - jiff::SignedDuration::from_hours(days * 24);
        format!("{start}-{}-1.db", etcd_ops::clock::compact(taken))
    });
    for place in [&site.dir(0), &there] {
        for name in [&young, &old] {
            fs::copy(&first, place.join(name)).unwrap();
        }
    }
    site.after_the_window(0);
    site.run(0, &[]).ok();
    for place in [&site.dir(0), &there] {
        // The two that were taken just now are young as well.
        assert_eq!(snapshots(place).len(), 3, "{}", place.display());
        assert!(place.join(&young).exists() && !place.join(&old).exists(), "{}", place.display());
    }
}
