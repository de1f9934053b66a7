//! The program against real etcd servers, started as systemd's timers do: on all members at once.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

/// Copies: to directories, and to other hosts.
mod copies;
/// The restore drill.
mod drill;
/// What a power cut would leave.
mod durable;
/// What becomes of runs that do not come to their end.
mod killed;
/// What is found in a directory.
mod newest;
/// Who takes it.
mod shared;
/// What never comes to its end by itself.
mod stuck;
/// Members and clusters that are not well.
mod trouble;

use etcd_testbed::{Cluster, Options, Version, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A cluster, and a directory that stands for the disks of its hosts.
struct Site {
    cluster: Cluster,
    disks: TempDir,
    password: Option<&'static str>,
}

/// What came of a run.
struct Done {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Site {
    fn start(version: Version, members: usize, options: Options) -> Self {
        let password = options.root_password;
        let site =
            Self { cluster: Cluster::start(version, members, options), disks: tempfile::tempdir().unwrap(), password };
        if let Some(password) = password {
            fs::write(site.disks.path().join("etcd.pass"), format!("{password}\n")).unwrap();
        }
        site
    }

    fn disk(&self, member: usize) -> PathBuf {
        let disk = self.disks.path().join(self.cluster.member(member).name());
        fs::create_dir_all(&disk).unwrap();
        disk
    }

    fn dir(&self, member: usize) -> PathBuf {
        self.disk(member).join("backups")
    }

    /// Writes a member's configuration with these keys changed.
    fn configure(&self, member: usize, more: &Value) {
        let mut endpoints = self.cluster.endpoints();
        endpoints.rotate_left(member);
        let disk = self.disk(member);
        let mut config = json!({
            "cluster": "main",
            "member": self.cluster.member(member).name(),
            "endpoints": endpoints,
            "dir": self.dir(member),
            "keep": 3,
            "status_file": disk.join("status.json"),
            "metrics_file": disk.join("etcd_backup.prom"),
            "timeout": 60,
            "grace": 3,
        });
        let object = config.as_object_mut().unwrap();
        if self.cluster.endpoints()[0].starts_with("https") {
            object.insert("ca_cert".into(), json!(self.cluster.pki().ca_cert()));
            object.insert("client_cert".into(), json!(self.cluster.pki().client().cert));
            object.insert("client_key".into(), json!(self.cluster.pki().client().key));
        }
        if self.password.is_some() {
            object.insert("login_user".into(), "root".into());
            object.insert("password_file".into(), json!(self.disks.path().join("etcd.pass")));
        }
        object.extend(more.as_object().unwrap().clone());
        fs::write(disk.join("backup.json"), config.to_string()).unwrap();
    }

    fn configure_all(&self, more: &Value) {
        (0..self.cluster.members().len()).for_each(|member| self.configure(member, more));
    }

    fn command(&self, member: usize, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-backup"));
        command.arg("--config").arg(self.disk(member).join("backup.json")).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self, member: usize) -> Child {
        self.command(member, &[]).spawn().unwrap()
    }

    fn run(&self, member: usize, words: &[&str]) -> Done {
        wait(self.command(member, words).spawn().unwrap())
    }

    /// Waits until the next run of the member is for another backup. Those that begin within the window after the last one
    /// are for that, and both times are whole seconds.
    fn after_the_window(&self, member: usize) {
        let config: Value = serde_json::from_slice(&fs::read(self.disk(member).join("backup.json")).unwrap()).unwrap();
        let window = config["window"].as_i64().unwrap();
        wait_for("the end of the window", || {
            // A run that was killed may have recorded its backup, and not written its status.
            let last = self.cluster.etcdctl(&["get", "--print-value-only", "/quorum.etcd/backup/last"]);
            let last: Value = serde_json::from_str(&last).unwrap_or_default();
            let finished = last["finished_at"].as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap());
            finished.is_none_or(|at| etcd_ops::clock::now().as_second() >= at.as_second() + window)
        });
    }

    /// All these members at once.
    fn run_all(&self, members: &[usize]) -> Vec<Done> {
        let children: Vec<Child> = members.iter().map(|member| self.spawn(*member)).collect();
        children.into_iter().map(wait).collect()
    }

    /// The snapshots on a member's disk, each of which is whole.
    fn snapshots(&self, member: usize) -> Vec<PathBuf> {
        snapshots(&self.dir(member))
    }

    /// How many snapshots each member has.
    fn counts(&self) -> Vec<usize> {
        (0..self.cluster.members().len()).map(|member| self.snapshots(member).len()).collect()
    }

    fn status(&self, member: usize) -> Value {
        serde_json::from_slice(&fs::read(self.disk(member).join("status.json")).unwrap()).unwrap()
    }

    /// Adds a second member that only learns.
    fn add_learner(&mut self) {
        let spare = self.cluster.spare("etcd-2");
        let add = ["member", "add", "etcd-2", "--learner", "--peer-urls", &spare.peer_url()];
        wait_for("a place for a learner", || self.cluster.etcdctl_as(None, &add).is_ok());
        spare.configure(
            "initial-cluster",
            &[self.cluster.member(0).initial_cluster(), spare.initial_cluster()].join(","),
        );
        spare.configure("initial-cluster-state", "existing");
        spare.spawn();
        spare.wait_up();
        self.cluster.adopt(spare);
    }

    /// One of a member's metrics.
    fn metric(&self, member: usize, name: &str) -> f64 {
        let text = fs::read_to_string(self.disk(member).join("etcd_backup.prom")).unwrap();
        let start = format!("etcd_backup_{name}{{");
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

fn wait(child: Child) -> Done {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Done { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
}

/// What looks like a snapshot in a directory; each is verified.
fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "db")).collect();
    found.sort();
    for path in &found {
        etcd_ops::snapshot::verify(path, false).unwrap();
    }
    found
}

impl Done {
    #[track_caller]
    fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{} {}", self.out, self.error);
        &self.out
    }

    #[track_caller]
    fn failed(&self) -> &str {
        assert_eq!(self.code, Some(1), "{} {}", self.out, self.error);
        assert!(self.error.starts_with("etcd-backup: "), "{}", self.error);
        &self.error
    }
}
