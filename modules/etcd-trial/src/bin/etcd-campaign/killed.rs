use crate::bed::{Campaign, Moment, Play};
use crate::say;
use crate::writer::Writer;
use anyhow::{Context, Result, ensure};
use etcd_trial::chance::Chance;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What a run left, and what there is of the cluster.
#[derive(Debug, PartialEq, Eq)]
struct State {
    clusters: BTreeSet<String>,
    members: BTreeSet<String>,
    voters: usize,
}

/// How many hosts make the cluster.
const HOSTS: u8 = 3;

impl Campaign {
    pub(crate) fn create(&self, points: u32, seed: u64) -> Result<()> {
        let mut chance = Chance::new(seed);
        self.fresh_hosts(HOSTS)?;
        let start = Instant::now();
        self.run(&[])?;
        let whole = start.elapsed();
        self.converge(&[])?;
        for point in 0..points {
            self.fresh_hosts(HOSTS)?;
            let moment = chance.moment(whole, point, points);
            let running = self.killed_play(&play(&[]), Moment::After(moment), None)?.kills.controller > 0;
            let at = self.last_task()?;
            self.converge(&[]).with_context(|| format!("create, killed after {} ms at {at}", moment.as_millis()))?;
            say(&format!("create {:>3}/{points}  {}", point + 1, told(running, moment, &at)));
        }
        Ok(())
    }

    pub(crate) fn restart(&self, points: u32, seed: u64) -> Result<()> {
        let mut chance = Chance::new(seed);
        self.fresh_hosts(HOSTS)?;
        self.run(&[])?;
        let before = self.converge(&[])?;
        let writer = Writer::start(self, "etcd-1", None)?;
        let start = Instant::now();
        self.run(&["-e", "etcd_heartbeat_interval=99"])?;
        let whole = start.elapsed();
        for point in 0..points {
            let moment = chance.moment(whole, point, points);
            let setting = format!("etcd_heartbeat_interval={}", 101 + point);
            let words = ["-e", setting.as_str()];
            let running = self.killed_play(&play(&words), Moment::After(moment), None)?.kills.controller > 0;
            let at = self.last_task()?;
            let told = told(running, moment, &at);
            let after = self.converge(&words).with_context(|| format!("restart, {told}"))?;
            ensure!(after == before, "restart, {told}: {after:?} instead of {before:?}");
            say(&format!("restart {:>2}/{points}  {told}", point + 1));
        }
        let report = writer.stop()?;
        say(&serde_json::to_string(&report)?);
        ensure!(report.lost.is_empty(), "lost writes");
        ensure!(report.failed == 0, "writes that nobody acknowledged within a second");
        Ok(())
    }

    /// A run of the playbook that nobody disturbs. Returns how many changes it made.
    fn run(&self, words: &[&str]) -> Result<usize> {
        let played = self.play(&play(words))?;
        ensure!(played.succeeded, "etcd.yml {} failed:\n{}", words.join(" "), played.text);
        Ok(played.changes())
    }

    /// The next run finishes what was begun, and the one after it has nothing to do.
    fn converge(&self, words: &[&str]) -> Result<State> {
        self.run(words).context("the run after the killed one")?;
        let changes = self.run(words).context("the run after that")?;
        ensure!(changes == 0, "the second run after the killed one still made {changes} changes");
        let state = self.state()?;
        ensure!(state.clusters.len() == 1, "not one cluster but {:?}", state.clusters);
        ensure!(state.members.len() == 3 && state.voters == 9, "not three members that all list: {:?}", state.members);
        Ok(state)
    }

    fn state(&self) -> Result<State> {
        let text = self.facts(&[], &[])?;
        let facts = |kind: &str| -> Vec<String> {
            let of = |line: &str| line.split_once(' ')?.1.strip_prefix(kind).map(ToOwned::to_owned);
            text.lines().filter_map(of).collect()
        };
        let all = facts("member ");
        Ok(State {
            clusters: facts("cluster ").into_iter().collect(),
            voters: all.iter().filter(|line| line.contains(", started, ") && line.ends_with(", false")).count(),
            members: all.into_iter().collect(),
        })
    }
}

fn play<'a>(words: &'a [&'a str]) -> Play<'a> {
    Play { playbook: "etcd.yml", inventory: None, words }
}

fn told(running: bool, moment: Duration, at: &str) -> String {
    let what = if running { "killed" } else { "was over, not killed," };
    format!("{what} after {:>5} ms, at {at}", moment.as_millis())
}
