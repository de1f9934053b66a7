use super::{identity, options, single, with};
use crate::interrupted::{command, large, spawn};
use crate::{ok, run};
use ansible_protocol::ErrorKind;
use etcd_ops::datadir::{DataDir, observe};
use etcd_testbed::{Cluster, Options, Version, wait_for};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// The processes that name the directory, or work in it.
fn tools(dir: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let words = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let dir = format!("{}/.", dir.display());
    words.filter(|words| String::from_utf8_lossy(words).contains(&dir)).count()
}

/// The names beside the data directory that begin like it.
fn kept(dir: &Path) -> Vec<String> {
    crate::names(dir).into_iter().filter(|name| name.starts_with("data.")).collect()
}

/// Runs that have nothing to do remove what was left. The kernel takes a moment to end a process.
fn swept(options: &Value, dir: &Path) {
    wait_for("the places of killed runs to be removed", || {
        assert_eq!(run(options).unwrap()["changed"], false);
        !crate::names(dir).iter().any(|name| name.contains(".quorum-restore-"))
    });
}

#[test]
fn a_run_that_is_killed_leaves_old_data_or_new_data_or_none() {
    let source = large(12);
    let file = source.directory().join("large.db");
    ok(&source, &json!({ "path": file }));
    source.member(0).kill();
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    cluster.etcdctl(&["put", "key", "old"]);
    let member = cluster.member(0);
    member.stop();
    let (data_dir, dir) = (member.data_dir(), cluster.directory().join("etcd-1"));
    let old = identity(&data_dir, None);
    let mut options = options(&cluster, member, &file);
    let (mut untouched, mut between, mut whole, mut seen) = (0, 0, 0, 0);
    for round in 0..50_u64 {
        if untouched >= 8 && between >= 2 && whole >= 3 {
            break;
        }
        options = with(&options, &json!({ "initial_cluster_token": format!("round-{round}") }));
        let mut child = spawn(&options);
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_micros(20_000 + (round * 177_331) % 1_200_000));
        } else {
            // As soon as the old data is out of the way: no time of the clock would hit that.
            while data_dir.exists() && child.try_wait().unwrap().is_none() {}
        }
        child.kill().unwrap();
        whole += u32::from(child.wait().unwrap().success());
        seen += u32::from(crate::names(&dir).iter().any(|name| name.contains(".quorum-restore-")));
        match observe(&data_dir, None) {
            DataDir::Member(identity) if identity == old => {
                assert!(kept(&dir).is_empty(), "round {round}");
                untouched += 1;
            }
            DataDir::Member(identity) => assert!(identity != old && kept(&dir).len() == 1, "round {round}"),
            DataDir::Absent => {
                assert!(!data_dir.exists() && kept(&dir).len() == 1, "round {round}");
                between += 1;
            }
            DataDir::Unreadable { reason } => panic!("round {round}: {reason}"),
        }
        let done = run(&options).unwrap_or_else(|failure| panic!("round {round}: {failure}"));
        let new = identity(&data_dir, None);
        assert_eq!(done["restored"]["member_id"], format!("{:x}", new.member_id));
        let kept = kept(&dir);
        assert_eq!(kept.len(), 1, "round {round}: {kept:?}");
        assert!(kept[0].starts_with(&format!("data.{:x}.", old.member_id)), "{kept:?}");
        // Once more with the old data.
        fs::remove_dir_all(&data_dir).unwrap();
        fs::rename(dir.join(&kept[0]), &data_dir).unwrap();
    }
    // Otherwise this would prove nothing.
    println!(
        "killed: {untouched} before the old data was moved, {between} right after that; {whole} came to their end"
    );
    assert!(untouched > 0 && seen > 0, "untouched {untouched}, at work {seen}");
    // No tool outlives its run for long, and then nothing of it is left.
    wait_for("the end of the tools", || tools(&dir) == 0);
    run(&options).unwrap();
    swept(&options, &dir);
    member.start();
    assert!(cluster.etcdctl(&["get", "/large/", "--prefix", "--keys-only"]).lines().any(|line| line == "/large/11"));
}

#[test]
fn two_runs_at_once_are_as_good_as_one() {
    let (file, cluster) = single(Version::V3_6);
    let dir = cluster.directory().join("etcd-1");
    // First where nothing is, and then over what the others have made.
    for round in 0..5 {
        let options = options(&cluster, cluster.member(0), &file);
        let options = with(&options, &json!({ "initial_cluster_token": format!("round-{round}") }));
        let quiet = || command(&options).stderr(Stdio::null()).spawn().unwrap();
        let ends = [quiet(), quiet(), quiet()].map(|mut child| child.wait().unwrap().success());
        assert!(ends.contains(&true), "round {round}");
        assert_eq!(run(&options).unwrap()["changed"], false);
        assert_eq!(kept(&dir).len(), round, "round {round}: {:?}", crate::names(&dir));
        assert!(!crate::names(&dir).iter().any(|name| name.contains(".quorum-restore-")));
    }
    cluster.member(0).start();
    assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
}

/// A tool that waits until it is told to go on.
struct Slow {
    fifo: PathBuf,
    tool: PathBuf,
}

impl Slow {
    fn new(dir: &Path) -> Self {
        let (fifo, tool) = (dir.join("fifo"), dir.join("tool"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let real = super::tool(Version::V3_6);
        let wait = format!("case \"$*\" in *--help|version) ;; *) read line < {} ;; esac", fifo.display());
        fs::write(&tool, format!("#!/bin/sh\n{wait}\nexec {} \"$@\"\n", real.display())).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        Self { fifo, tool }
    }

    fn go_on(&self) {
        fs::write(&self.fifo, "go on\n").unwrap();
    }
}

/// A tool that goes on after its run was killed harms nobody, and its place is removed once it has ended.
#[test]
fn a_tool_that_outlives_its_run_keeps_its_place() {
    let (file, cluster) = single(Version::V3_6);
    let dir = cluster.directory().join("etcd-1");
    let slow = Slow::new(cluster.directory());
    let options = options(&cluster, cluster.member(0), &file);
    let mut child = spawn(&with(&options, &json!({ "tool": slow.tool })));
    wait_for("the tool", || tools(&dir) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let place = || crate::names(&dir).iter().filter(|name| name.contains(".quorum-restore-")).count();
    assert_eq!((place(), tools(&dir)), (1, 1), "the tool is at work");
    // Meanwhile another run does the work.
    assert_eq!(run(&options).unwrap()["changed"], true);
    assert_eq!((place(), tools(&dir)), (1, 1), "its place was taken away from it");
    slow.go_on();
    wait_for("the end of the tool", || tools(&dir) == 0);
    swept(&options, &dir);
    cluster.member(0).start();
    assert!(cluster.etcdctl(&["get", "key"]).contains("value"));
}

/// A run goes on after whoever started it is gone: nobody takes its target for what it is to be, and it leaves alone what
/// another run has undone meanwhile.
#[test]
fn a_run_that_is_still_at_work_is_noticed_and_notices() {
    let (file, cluster) = single(Version::V3_6);
    let (member, dir) = (cluster.member(0), cluster.directory().join("etcd-1"));
    member.start();
    member.stop();
    let old = identity(&member.data_dir(), None);
    let slow = Slow::new(cluster.directory());
    let note = cluster.directory().join("restore.json");
    let noted = |phase: &str, token: &str| {
        fs::write(&note, json!({ "phase": phase, "token": token }).to_string()).unwrap();
    };
    let options = with(&options(&cluster, member, &file), &json!({ "note": note }));
    let at_work = |child: &Child| {
        let refused = run(&options).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict);
        for part in ["a restore into it is still at work in ", &format!("(process {})", child.id()), "run it again"] {
            assert!(refused.msg.contains(part), "{part}: {refused}");
        }
        let foretold = run(&super::checked(&options)).unwrap();
        assert!(foretold["warnings"][0].as_str().unwrap().contains("is still at work"), "{foretold}");
    };
    let go_on = |mut child: Child| {
        slow.go_on();
        child.wait().unwrap().success()
    };
    let begin = || {
        let child = spawn(&with(&options, &json!({ "tool": slow.tool })));
        wait_for("the tool", || tools(&dir) > 0);
        child
    };
    // The old data is where it was: whoever puts it back finds it there.
    for (phase, token) in [("returning", super::TOKEN), ("restoring", "another"), ("", "")] {
        noted("restoring", super::TOKEN);
        let child = begin();
        at_work(&child);
        if phase.is_empty() {
            fs::remove_file(&note).unwrap();
        } else {
            noted(phase, token);
        }
        assert!(!go_on(child), "{phase} {token}");
        assert_eq!(identity(&member.data_dir(), None), old, "{phase} {token}");
        let refused = run(&options).unwrap_err();
        assert!(refused.msg.contains("has undone or finished it; nothing was changed"), "{refused}");
        let names = crate::names(&dir);
        assert!(kept(&dir).is_empty() && !names.iter().any(|name| name.contains(".quorum-")), "{names:?}");
    }
    noted("restoring", super::TOKEN);
    assert!(go_on(begin()));
    assert_eq!(run(&options).unwrap()["changed"], false);
    // The database has its place, and the log has not yet.
    let place = dir.join(".data.quorum-restore-1-0");
    fs::create_dir(&place).unwrap();
    let lock = File::open(&place).unwrap();
    lock.lock().unwrap();
    assert!(run(&options).unwrap_err().msg.contains("is still at work"));
    drop(lock);
    swept(&options, &dir);
}
