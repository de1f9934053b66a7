use super::copies::other_host;
use super::{Site, wait};
use etcd_testbed::{Options, Version, wait_for};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CLAIM: [&str; 3] = ["put", "/quorum.etcd/backup/claim", "{\"member\":\"etcd-9\"}"];

/// A key that somebody wrote by hand, or that a mirror brought, goes with no lease.
#[test]
fn a_claim_that_nobody_stands_behind_is_taken_over() {
    let site = Site::start(Version::V3_6, 3, Options::tls());
    site.configure_all(&json!({ "timeout": 2, "grace": 1 }));
    site.cluster.etcdctl(&CLAIM);
    for done in site.run_all(&[0, 1, 2]) {
        done.ok();
    }
    assert_eq!(site.counts().iter().sum::<usize>(), 1);
    let warning = site.status(0)["last"]["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.starts_with("the claim of etcd-9 was ") && warning.contains("it was taken over"), "{warning}");
    assert_eq!(site.cluster.etcdctl(&["get", "/quorum.etcd/backup/claim"]), "");
}

#[test]
fn whoever_cannot_take_over_says_that_nobody_does() {
    let mut site = Site::start(Version::V3_6, 1, Options::tls());
    site.add_learner();
    site.configure_all(&json!({ "timeout": 2, "grace": 1 }));
    site.cluster.etcdctl(&CLAIM);
    let done = site.run(1, &[]);
    let wanted = " s and does not finish, and no other member takes over: look at its journal";
    assert!(done.failed().contains("etcd-9 has been taking") && done.error.contains(wanted), "{}", done.error);
    assert_eq!(site.status(1)["last_run_success"], false);
}

/// A file system that is mounted from a file, and frozen: whoever writes to it cannot even be killed.
struct Frozen {
    dir: PathBuf,
}

impl Frozen {
    fn make(site: &Site) -> Self {
        let (image, dir) = (site.disks.path().join("image"), site.disks.path().join("frozen"));
        fs::create_dir(&dir).unwrap();
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        call(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        call(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&dir));
        let frozen = Self { dir };
        call(Command::new("fsfreeze").arg("--freeze").arg(&frozen.dir));
        frozen
    }

    fn unfreeze(&self) -> Command {
        let mut command = Command::new("fsfreeze");
        command.arg("--unfreeze").arg(&self.dir);
        command
    }

    fn thaw(&self) {
        call(&mut self.unfreeze());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // The test may have thawed it; and where it fails, what it says counts and no failure of these.
        let _ = self.unfreeze().output();
        let _ = Command::new("umount").arg("--lazy").arg(&self.dir).output();
    }
}

fn call(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?} {output:?}: these tests mount, and so need root");
}

/// The leader's place for copies hangs: it says so within its time, and another member takes the backup.
#[test]
fn a_place_for_copies_that_hangs_is_told_and_another_member_takes_it() {
    let site = Site::start(Version::V3_6, 3, Options::tls());
    let frozen = Frozen::make(&site);
    site.configure_all(&json!({ "timeout": 5 }));
    let leader = site.cluster.leader();
    site.configure(leader, &json!({ "timeout": 5, "copy_to": [frozen.dir] }));
    let stuck = site.spawn(leader);
    wait_for("the snapshot", || !site.snapshots(leader).is_empty());
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    for done in site.run_all(&others) {
        done.ok();
    }
    let status = site.disk(leader).join("status.json");
    wait_for("what the leader knows", || status.exists());
    let error = site.status(leader)["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("saving, verifying and copying the snapshot takes longer than 5 s"), "{error}");
    assert!(site.metric(leader, "last_run_success") < 0.5);
    let last = site.status(others[0])["last"].clone();
    assert_ne!(last["member"], site.cluster.member(leader).name());
    assert_eq!(last, site.status(others[1])["last"]);
    frozen.thaw();
    assert!(wait(stuck).failed().contains("takes longer than 5 s"));
}

/// A program called ssh that waits for a file before it does what the other host would.
fn slow_host(site: &Site, go: &Path) -> String {
    other_host(site, &format!("while [ ! -e {} ]; do sleep 0.1; done", go.display()))
}

fn end_all_leases(site: &Site) {
    let leases = site.cluster.etcdctl(&["lease", "list"]);
    for lease in leases.lines().skip(1) {
        site.cluster.etcdctl(&["lease", "revoke", lease]);
    }
}

/// A claim that is lost, as while the cluster had no quorum, hides nothing that has come since.
#[test]
fn a_claim_that_is_lost_overwrites_nothing() {
    let site = Site::start(Version::V3_6, 3, Options::tls());
    let go = site.disks.path().join("go");
    let path = slow_host(&site, &go);
    site.configure_all(&json!({}));
    let leader = site.cluster.leader();
    let to = format!("nas:{}", site.disks.path().join("nas").display());
    site.configure(leader, &json!({ "copy_to": [to] }));
    let slow = site.command(leader, &[]).env("PATH", &path).spawn().unwrap();
    wait_for("the snapshot", || !site.snapshots(leader).is_empty());
    end_all_leases(&site);
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    for done in site.run_all(&others) {
        done.ok();
    }
    let last = site.status(others[0])["last"].clone();
    fs::write(&go, "").unwrap();
    let done = wait(slow);
    let wanted =
        format!("; its claim was over by then, and what counts is that {} took ", last["member"].as_str().unwrap());
    assert!(done.ok().contains(&wanted), "{}", done.out);
    assert_eq!(site.status(leader)["last"], last);
    let recorded = site.cluster.etcdctl(&["get", "--print-value-only", "/quorum.etcd/backup/last"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&recorded).unwrap(), last);
}

/// Where nobody has taken another one, it is recorded all the same.
#[test]
fn a_claim_that_is_lost_is_no_loss_of_a_backup() {
    let site = Site::start(Version::V3_7, 1, Options::tls());
    let go = site.disks.path().join("go");
    let path = slow_host(&site, &go);
    let to = format!("nas:{}", site.disks.path().join("nas").display());
    site.configure(0, &json!({ "copy_to": [to] }));
    let slow = site.command(0, &[]).env("PATH", &path).spawn().unwrap();
    wait_for("the snapshot", || !site.snapshots(0).is_empty());
    end_all_leases(&site);
    fs::write(&go, "").unwrap();
    assert!(!wait(slow).ok().contains("do not know"));
    assert!(site.run(0, &[]).ok().starts_with("not this member's turn: etcd-1 took "));
}

/// All that one member may take is one time: that of the copies is no further one, and none begins after it.
#[test]
fn copies_end_with_the_time_there_is() {
    let site = Site::start(Version::V3_6, 1, Options::tls());
    let path = slow_host(&site, Path::new("/nowhere"));
    site.configure(0, &json!({ "timeout": 3, "copy_to": ["nas-a:/srv", "nas-b:/srv"] }));
    let done = wait(site.command(0, &[]).env("PATH", path).spawn().unwrap());
    assert!(done.failed().contains("allow more with etcd_backup_timeout"), "{}", done.error);
    let log = fs::read_to_string(site.disks.path().join("ssh.log")).unwrap();
    let called: Vec<&str> = log.lines().filter(|line| line.starts_with("nas-")).collect();
    assert_eq!(called, ["nas-a"]);
}
