use super::{call, names, ok, run, verify};
use ansible_protocol::{ErrorKind, Failure};
use etcd_client::Client;
use etcd_testbed::{Cluster, Options, Version, wait_for};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What the process started by a test is to do.
const CALL: &str = "QUORUM_TEST_CALL";

/// A member whose database takes so many megabytes.
pub(super) fn large(megabytes: usize) -> Cluster {
    let cluster = Cluster::start(Version::V3_6, 1, Options::default());
    let mut value = vec![0; 1 << 20];
    etcd_ops::block_on(async {
        let mut client = Client::connect(cluster.endpoints(), None).await.unwrap();
        for key in 0..megabytes {
            value.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * (key + 7) / 3) as u8);
            let key = format!("/large/{key}");
            client.put(key, value.clone(), None).await.unwrap();
        }
        Ok(())
    })
    .unwrap();
    cluster
}

/// How far the file on its way is; none when there is none.
fn progress(dir: &Path) -> Option<u64> {
    let part = names(dir).into_iter().find(|name| name.ends_with(".part"))?;
    fs::metadata(dir.join(part)).ok().map(|metadata| metadata.len())
}

/// Saves, and stops the member in the middle of it; then `meanwhile` does something to it or its surroundings.
fn interrupt(cluster: &Cluster, options: &Value, dir: &Path, meanwhile: impl FnOnce()) -> Result<Value, Failure> {
    std::thread::scope(|scope| {
        let saving = scope.spawn(|| call(cluster, options));
        wait_for("the beginning of the snapshot", || progress(dir).is_some_and(|size| size > 0));
        cluster.member(0).freeze();
        assert!(progress(dir).is_some(), "it was over too soon");
        meanwhile();
        saving.join().unwrap()
    })
}

#[test]
fn a_member_that_dies_in_the_middle_leaves_nothing() {
    let cluster = large(200);
    let dir = tempfile::tempdir().unwrap();
    let failure =
        interrupt(&cluster, &json!({ "dir": dir.path() }), dir.path(), || cluster.member(0).kill()).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Unreachable, "{failure}");
    assert!(failure.msg.starts_with("the snapshot was cut short after "), "{failure}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_deadline_in_the_middle_leaves_nothing() {
    let cluster = large(200);
    let dir = tempfile::tempdir().unwrap();
    let options = json!({ "dir": dir.path(), "timeout": 5 });
    let failure = interrupt(&cluster, &options, dir.path(), || {}).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Timeout, "{failure}");
    assert!(failure.msg.contains("took too long: ") && failure.msg.ends_with("give it more time with timeout"));
    assert!(names(dir.path()).is_empty());
}

/// A small file system in a directory, as long as this lives.
pub(super) struct Tmpfs(PathBuf);

impl Tmpfs {
    pub(super) fn mount(dir: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir).status().unwrap();
        assert!(mounted.success(), "these tests mount, and so need root");
        Self(dir.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_or_fills_up_leaves_nothing() {
    let cluster = large(60);
    let dir = tempfile::tempdir().unwrap();
    let tmpfs = Tmpfs::mount(dir.path(), "40m");
    let options = json!({ "dir": dir.path() });
    for check_mode in [true, false] {
        let mut options = options.clone();
        options["_ansible_check_mode"] = check_mode.into();
        let failure = call(&cluster, &options).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Io);
        assert!(failure.msg.starts_with("there is no room in ") && failure.msg.ends_with("; nothing was saved"));
        assert!(names(dir.path()).is_empty());
    }
    drop(tmpfs);
    let _tmpfs = Tmpfs::mount(dir.path(), "100m");
    let other = dir.path().join("other");
    let failure = interrupt(&cluster, &options, dir.path(), || {
        // Ends when the file system is full.
        std::io::copy(&mut File::open("/dev/zero").unwrap(), &mut File::create(&other).unwrap()).unwrap_err();
        cluster.member(0).thaw();
    })
    .unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Io, "{failure}");
    let wanted = "No space left on device (os error 28); make room there, or save elsewhere; nothing was saved";
    assert!(failure.msg.ends_with(wanted), "{failure}");
    assert_eq!(names(dir.path()), ["other"]);
    fs::remove_file(other).unwrap();
    ok(&cluster, &options);
}

/// Not a test of its own: what the tests below start.
#[test]
fn process() {
    let Some(options) = std::env::var_os(CALL) else { return };
    let done = run(&serde_json::from_str(options.to_str().unwrap()).unwrap()).unwrap();
    println!("by {}", done["restored"]["tool"]);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
}

/// A process that calls the module.
pub(super) fn command(options: &Value) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "interrupted::process", "--nocapture"]).env(CALL, options.to_string());
    command.stdout(Stdio::piped());
    command
}

pub(super) fn spawn(options: &Value) -> Child {
    command(options).spawn().unwrap()
}

#[test]
fn a_run_that_is_killed_leaves_nothing_that_looks_like_a_snapshot() {
    let cluster = large(40);
    let dir = tempfile::tempdir().unwrap();
    let options = json!({ "endpoints": cluster.endpoints(), "dir": dir.path(), "cluster_name": "main", "keep": 2 });
    ok(&cluster, &options);
    let (mut cut, mut whole) = (0, 0);
    for round in 0..200_u64 {
        // Enough were killed while they wrote, and enough came to their end.
        if cut >= 8 && whole >= 2 {
            break;
        }
        let mut child = spawn(&options);
        std::thread::sleep(Duration::from_micros(20_000 + (round * 77_331) % 900_000));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        whole += u32::from(status.success());
        cut += u32::from(progress(dir.path()).is_some_and(|size| size > 0));
        let snapshots: Vec<String> = names(dir.path()).into_iter().filter(|name| !name.ends_with(".part")).collect();
        assert!(!snapshots.is_empty(), "round {round}: the last good one is lost");
        for name in snapshots {
            verify(&dir.path().join(name)).unwrap();
        }
    }
    // Otherwise this would prove nothing.
    assert!(cut > 0, "no run was killed while it wrote");
    ok(&cluster, &options);
    assert_eq!(names(dir.path()).iter().filter(|name| name.ends_with(".part")).count(), 0);
    assert_eq!(names(dir.path()).len(), 2);
}

/// Megabytes that the process has needed at most.
fn memory(options: &Value) -> u64 {
    let output = spawn(options).wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("VmHWM:")).unwrap().1;
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn memory_does_not_grow_with_the_database() {
    let cluster = large(200);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saved.db");
    let saving = memory(&json!({ "endpoints": cluster.endpoints(), "path": path }));
    assert!(fs::metadata(&path).unwrap().len() > 200 << 20);
    let verifying = memory(&json!({ "state": "verified", "path": path }));
    assert!(saving <= 32 && verifying <= 32, "saving {saving} MB, verifying {verifying} MB");
}
