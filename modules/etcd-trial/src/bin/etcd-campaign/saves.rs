use crate::kill::Kill;
use crate::snapshots::PASSWORD;
use anyhow::{Result, anyhow, ensure};
use etcd_ops::snapshot::verify;
use etcd_testbed::Cluster;
use etcd_trial::chance::Chance;
use etcd_trial::executable::{arguments, succeed};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// The file that is replaced again and again.
const ONE: &str = "one.db";
/// What names of the series begin with.
const SERIES: &str = "etcd-main-";

/// A directory that is saved into.
pub(crate) struct Saves<'a> {
    source: &'a Cluster,
    dir: PathBuf,
    number: u32,
    /// How many calls were killed before they came to their end.
    pub(crate) killed: u32,
    over: u32,
    cut: u32,
    more: u32,
}

/// What is in the directory.
struct There {
    /// The revisions of the series, oldest first, and of the one file.
    series: Vec<i64>,
    one: i64,
    /// Files on their way.
    parts: usize,
}

impl<'a> Saves<'a> {
    pub(crate) fn new(source: &'a Cluster) -> Result<Self> {
        let dir = source.directory().join("saved");
        let saves = Self { source, dir, number: 0, killed: 0, over: 0, cut: 0, more: 0 };
        for options in [saves.series(1), saves.one()] {
            saves.save(&options)?;
        }
        Ok(saves)
    }

    fn series(&self, keep: u64) -> Value {
        arguments(self.source, Some(PASSWORD), &json!({ "dir": self.dir, "cluster_name": "main", "keep": keep }))
    }

    fn one(&self) -> Value {
        arguments(self.source, Some(PASSWORD), &json!({ "path": self.dir.join(ONE) }))
    }

    fn save(&self, options: &Value) -> Result<i64> {
        let done = succeed("etcd_snapshot", options)?;
        done["snapshot"]["revision"].as_i64().ok_or_else(|| anyhow!("no revision: {done}"))
    }

    /// A call that saves, and deletes the two that are there.
    pub(crate) fn whole(&mut self) -> Result<Value> {
        self.save(&self.series(2))?;
        self.save(&self.series(2))?;
        Ok(self.series(1))
    }

    /// A call that is killed, what it leaves, and now and then one that is not.
    pub(crate) fn round(&mut self, chance: &mut Chance, kill: Kill) -> Result<()> {
        self.number += 1;
        let before = self.look()?;
        self.source.etcdctl(&["put", "/round", &self.number.to_string()]);
        let keep = 1 + chance.number() % 3;
        let options = if chance.number().is_multiple_of(4) { self.one() } else { self.series(keep) };
        let killed = kill.call(&options)?;
        *(if killed { &mut self.killed } else { &mut self.over }) += 1;
        let after = self.look()?;
        self.cut += u32::from(after.parts > before.parts);
        self.more += u32::from(after.series.len() > before.series.len() && killed);
        let newest = |there: &There| there.series.iter().max().copied();
        ensure!(
            newest(&after) >= newest(&before),
            "the newest is of {:?}, and was of {:?}",
            after.series,
            before.series
        );
        ensure!(after.one >= before.one, "{ONE} is of {}, and was of {}", after.one, before.one);
        if chance.number().is_multiple_of(3) {
            let revision = self.save(&self.series(keep))?;
            let after = self.look()?;
            ensure!(after.parts == 0, "{} files on their way are left behind", after.parts);
            ensure!(newest(&after) == Some(revision), "{:?} instead of {revision}", after.series);
            ensure!(after.series.len() as u64 <= keep, "{} are kept instead of {keep}", after.series.len());
        }
        Ok(())
    }

    /// All that has a snapshot's name is one; and nothing is there but snapshots and files on their way.
    fn look(&self) -> Result<There> {
        let mut there = There { series: Vec::new(), one: 0, parts: 0 };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            if name.starts_with('.') && name.ends_with(".part") {
                there.parts += 1;
                continue;
            }
            let found =
                verify(&self.dir.join(&name), false).map_err(|failure| anyhow!("a false snapshot: {failure}"))?;
            match name.as_str() {
                ONE => there.one = found.contents.revision,
                name if name.starts_with(SERIES) => there.series.push(found.contents.revision),
                _ => anyhow::bail!("{name} is left behind"),
            }
        }
        ensure!(!there.series.is_empty() && there.one > 0, "the last good snapshot is lost");
        Ok(there)
    }

    pub(crate) fn told(&self) -> String {
        let Self { killed, over, cut, more, .. } = self;
        format!(
            "killed {killed} times ({cut} in the middle of a file, {more} before old ones were deleted), {over} were over"
        )
    }
}
