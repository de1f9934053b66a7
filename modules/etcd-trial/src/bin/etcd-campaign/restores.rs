use crate::kill::Kill;
use crate::snapshots::PASSWORD;
use anyhow::{Context, Result, anyhow, bail, ensure};
use etcd_ops::datadir::{DataDir, Identity, observe};
use etcd_testbed::{Cluster, Options, Version, wait_for};
use etcd_trial::chance::Chance;
use etcd_trial::executable::{arguments, succeed};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const ALL: &[&str] = &["get", "", "--from-key"];

/// A member that is restored again and again, each time over its own data.
pub(crate) struct Restores {
    cluster: Cluster,
    file: PathBuf,
    /// All keys and values of the snapshot.
    saved: String,
    old: Identity,
    number: u32,
    untouched: u32,
    between: u32,
    whole: u32,
    over: u32,
}

impl Restores {
    pub(crate) fn new(source: &Cluster, version: Version) -> Result<Self> {
        let cluster = Cluster::start(version, 1, Options::auth(PASSWORD));
        cluster.etcdctl(&["put", "key", "old"]);
        cluster.member(0).stop();
        let file = cluster.directory().join("saved.db");
        succeed("etcd_snapshot", &arguments(source, Some(PASSWORD), &json!({ "path": file })))?;
        let saved = source.etcdctl(ALL);
        let DataDir::Member(old) = observe(&cluster.member(0).data_dir(), None) else { bail!("no old data") };
        Ok(Self { cluster, file, saved, old, number: 0, untouched: 0, between: 0, whole: 0, over: 0 })
    }

    /// The next restore, of a cluster that was not there before.
    fn options(&self) -> Value {
        let member = self.cluster.member(0);
        let tool = if member.version() == Version::V3_4 { "etcdctl" } else { "etcdutl" };
        json!({
            "state": "restored",
            "path": self.file,
            "data_dir": member.data_dir(),
            "name": member.name(),
            "initial_cluster": member.initial_cluster(),
            "initial_cluster_token": format!("round-{}", self.number),
            "tool": member.version().executable(tool),
        })
    }

    /// A call that restores over the old data.
    pub(crate) fn whole(&mut self) -> Result<Value> {
        if self.number > 0 {
            self.put_back()?;
        }
        self.number += 1;
        Ok(self.options())
    }

    /// A call that is killed, what it leaves, and the next one, which finishes it.
    pub(crate) fn round(&mut self, chance: &mut Chance, kill: Kill) -> Result<()> {
        let options = self.whole()?;
        let killed = kill.call(&options)?;
        self.over += u32::from(!killed);
        if chance.number().is_multiple_of(2) {
            // As when the host dies: otherwise the tool outlives whoever started it.
            for tool in self.tools() {
                // One that has just ended is what we want.
                let _ = nix::sys::signal::kill(tool, Signal::SIGKILL);
            }
        }
        let starts = chance.number().is_multiple_of(3);
        let (dir, aside) = (self.cluster.member(0).data_dir(), self.aside()?.len());
        match observe(&dir, None) {
            DataDir::Member(identity) if identity == self.old => {
                ensure!(aside == 0, "{aside} directories are aside, and the old data is in its place");
                ensure!(killed, "it was over, and the old data is in its place");
                self.untouched += 1;
                if starts {
                    self.serves(|cluster| cluster.etcdctl(&["get", "key", "--print-value-only"]), "old\n")?;
                }
            }
            DataDir::Member(identity) => {
                ensure!(aside == 1, "{aside} directories are aside, and there is {identity}");
                self.whole += 1;
                if starts {
                    self.serves(|cluster| cluster.etcdctl(ALL), &self.saved)?;
                }
            }
            DataDir::Absent => {
                ensure!(!dir.exists() && aside == 1, "{aside} directories are aside, and there is no data");
                ensure!(killed, "it was over, and there is no data");
                self.between += 1;
            }
            DataDir::Unreadable { reason } => bail!("torn: {reason}"),
        }
        let done = succeed("etcd_snapshot", &options).context("the next run")?;
        let DataDir::Member(new) = observe(&dir, None) else { bail!("the next run left no data") };
        ensure!(
            done["restored"]["member_id"] == format!("{:x}", new.member_id),
            "{new} instead of {}",
            done["restored"]
        );
        ensure!(self.aside()?.len() == 1, "the next run left {:?}", self.aside()?);
        self.serves(|cluster| cluster.etcdctl(ALL), &self.saved)
    }

    /// The member starts with what is there, and answers so.
    fn serves(&self, ask: impl FnOnce(&Cluster) -> String, wanted: &str) -> Result<()> {
        self.cluster.member(0).start();
        let answer = ask(&self.cluster);
        self.cluster.member(0).stop();
        ensure!(answer == wanted, "{} bytes of other data are served than the {} expected", answer.len(), wanted.len());
        Ok(())
    }

    /// The old data takes its place again.
    fn put_back(&self) -> Result<()> {
        let dir = self.cluster.member(0).data_dir();
        let aside = self.aside()?.pop().context("nothing is aside")?;
        fs::remove_dir_all(&dir)?;
        Ok(fs::rename(aside, dir)?)
    }

    /// Where data is that was moved aside.
    fn aside(&self) -> Result<Vec<PathBuf>> {
        self.beside("data.")
    }

    fn beside(&self, start: &str) -> Result<Vec<PathBuf>> {
        let dir = self.cluster.member(0).data_dir();
        let mut found = Vec::new();
        for entry in fs::read_dir(dir.parent().context("a directory above")?)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(start) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// Tools at work beside the data directory.
    fn tools(&self) -> Vec<Pid> {
        let dir = self.cluster.member(0).data_dir();
        let place = format!("{}/.", dir.parent().unwrap_or(&dir).display());
        let names = |process: &Path| {
            let words = fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&place)
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let found = processes.filter(|process| names(process));
        found.filter_map(|process| process.file_name()?.to_str()?.parse().ok().map(Pid::from_raw)).collect()
    }

    /// Once no tool is at work any more, the next run removes all that was left.
    pub(crate) fn finish(&self) -> Result<()> {
        wait_for("the end of the tools", || self.tools().is_empty());
        let mut left = Vec::new();
        // The kernel takes a moment to end a process, and with it its lock.
        wait_for("the places of killed runs to be removed", || {
            let done = succeed("etcd_snapshot", &self.options()).and_then(|_| self.beside(".data.quorum-restore-"));
            left.push(done.map_err(|error| anyhow!("the last run: {error:#}")));
            left.last().is_some_and(|last| last.as_ref().map_or(true, Vec::is_empty))
        });
        left.pop().context("a last run")?.map(drop)
    }

    /// How many calls were killed before they came to their end.
    pub(crate) fn killed(&self) -> u32 {
        self.untouched + self.between + self.whole - self.over
    }

    pub(crate) fn told(&self) -> String {
        let Self { untouched, between, whole, over, .. } = self;
        format!(
            "killed with the old data in its place {untouched} times, with none {between} times, with the new one {} times, {over} were over",
            whole - over
        )
    }
}
