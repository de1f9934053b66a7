use crate::kills::Kills;
use anyhow::{Context, Result, bail};
use etcd_trial::chance::Chance;
use etcd_trial::process::{kill_marked, mark, marked};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The hosts it happens on. They go with it.
pub(crate) struct Campaign {
    pub(crate) root: PathBuf,
    pub(crate) bed: String,
    /// As testbed/hosts knows it.
    pub(crate) etcd: String,
    pub(crate) work: PathBuf,
}

impl Drop for Campaign {
    fn drop(&mut self) {
        // An error has nobody to go to from here. What stays behind testbed/campaign takes down, and so does the next one;
        // files in the temporary directory are in nobody's way.
        let _ = self.hosts(&["down", &self.bed]);
        let _ = fs::remove_dir_all(&self.work);
    }
}

/// A run of a playbook.
pub(crate) struct Play<'a> {
    /// Its name.
    pub(crate) playbook: &'a str,
    /// An inventory instead of the bed's own.
    pub(crate) inventory: Option<&'a Path>,
    /// The words that follow.
    pub(crate) words: &'a [&'a str],
}

/// When a run is killed.
#[derive(Clone, Copy)]
pub(crate) enum Moment {
    /// After this time.
    After(Duration),
    /// So long after it has come to so many tasks.
    Task(u64, Duration),
}

/// A host that loses its power while a run is on, and has it again afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Dark {
    /// Its name.
    pub(crate) host: String,
    /// For so long the run goes on, with the host booting, unless it comes to its end; without any time it is killed at
    /// once, and the host boots after it.
    pub(crate) time: Duration,
}

impl Dark {
    /// At every third point; of these the run goes on for a while at every other one.
    pub(crate) fn perhaps(chance: &mut Chance) -> Option<Self> {
        let (happens, host, goes_on) = (chance.number() % 3, chance.number() % 3, chance.number() % 2);
        let time = Duration::from_secs(goes_on * (1 + chance.number() % 30));
        (happens == 0).then(|| Self { host: format!("etcd-{}", host + 1), time })
    }
}

/// A run that was to be killed.
pub(crate) struct Killed {
    /// What was still running when it was.
    pub(crate) kills: Kills,
    /// What happened, in words.
    pub(crate) told: String,
    /// All that it printed, where nobody disturbed it and it failed.
    failed: Option<String>,
}

impl Killed {
    /// That which came to its end before anything could happen to it did so in peace.
    pub(crate) fn is_fair(&self) -> Result<()> {
        match &self.failed {
            Some(text) => bail!("the run that was to be killed failed before:\n{text}"),
            None => Ok(()),
        }
    }
}

/// Between two looks at a run.
const GLANCE: Duration = Duration::from_millis(10);

/// What came of it.
pub(crate) struct Played {
    pub(crate) succeeded: bool,
    /// All that it printed.
    pub(crate) text: String,
}

impl Played {
    /// How many changes it made.
    pub(crate) fn changes(&self) -> usize {
        let counts = self.text.split("changed=").skip(1);
        counts.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).sum()
    }
}

impl Campaign {
    pub(crate) fn new(bed: String, etcd: String) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the checkout")?.to_owned();
        let work = std::env::temp_dir().join(mark("campaign"));
        fs::create_dir(&work)?;
        Ok(Self { root, bed, etcd, work })
    }

    pub(crate) fn hosts(&self, words: &[&str]) -> Result<String> {
        output(Command::new(self.root.join("testbed/hosts")).args(words))
    }

    pub(crate) fn fresh_hosts(&self, count: u8) -> Result<()> {
        self.hosts(&["down", &self.bed])?;
        self.hosts(&["up", &self.bed, "--count", &count.to_string(), "--etcd", &self.etcd]).map(drop)
    }

    /// The directory with what others need to know of the hosts.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.hosts(&["dir", &self.bed])?.trim()))
    }

    /// One fact a line about these hosts, or all: see molecule/shared/state.
    pub(crate) fn facts(&self, options: &[&str], hosts: &[&str]) -> Result<String> {
        output(Command::new(self.root.join("molecule/shared/state")).args(options).arg(&self.bed).args(hosts))
    }

    /// A run that nobody disturbs.
    pub(crate) fn play(&self, play: &Play<'_>) -> Result<Played> {
        let mut command = Command::new(self.program());
        let output = self.complete(&mut command, play).stdin(Stdio::null()).output()?;
        Ok(Played { succeeded: output.status.success(), text: said(&output) })
    }

    /// A run that is killed at this moment, with all that it has started, while a host loses its power, or some time
    /// after that.
    pub(crate) fn killed_play(&self, play: &Play<'_>, moment: Moment, dark: Option<&Dark>) -> Result<Killed> {
        let mark = mark(&self.bed);
        let log = File::create(self.work.join("killed.log"))?;
        let mut command = marked(&self.program(), &mark);
        self.complete(&mut command, play).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn()?;
        let disturbed = self.disturb(&mut child, moment, dark);
        // How many processes it had is not of interest. Nor does one go on where disturbing it has failed.
        let _ = kill_marked(&mark);
        let status = child.wait()?;
        let kills = disturbed?;
        let failed = if kills.total() == 0 && !status.success() { Some(self.killed_log()?) } else { None };
        let mut told = match (kills.controller, kills.power) {
            (0, 0) => format!("was over after {} tasks", self.tasks()?),
            (0, _) => "came to an end".to_owned(),
            _ => format!("killed at {}", self.last_task()?),
        };
        if let Some(Dark { host, time }) = dark {
            self.hosts(&["power-on", &self.bed, host])?;
            let when = match (kills.power, time.as_secs()) {
                (0, _) => "after it".to_owned(),
                (_, 0) => "with it".to_owned(),
                (_, seconds) => format!("up to {seconds} s before that"),
            };
            told.push_str(&format!(", {host} without power {when}"));
        }
        Ok(Killed { kills, told, failed })
    }

    /// Waits for the moment, and cuts the host's power. Says what was still running.
    fn disturb(&self, child: &mut Child, moment: Moment, dark: Option<&Dark>) -> Result<Kills> {
        match moment {
            Moment::After(time) => wait(child, time)?,
            Moment::Task(number, time) => {
                while child.try_wait()?.is_none() && self.tasks()? < number {
                    std::thread::sleep(GLANCE);
                }
                wait(child, time)?;
            }
        }
        let mut kills = Kills::default();
        if let Some(Dark { host, time }) = dark {
            kills.power = u32::from(child.try_wait()?.is_none());
            self.hosts(&["power-cut", &self.bed, host])?;
            if !time.is_zero() {
                self.hosts(&["power-on", &self.bed, host])?;
                wait(child, *time)?;
            }
        }
        kills.controller = u32::from(child.try_wait()?.is_none());
        Ok(kills)
    }

    /// How many tasks the run that is to be killed has come to.
    fn tasks(&self) -> Result<u64> {
        Ok(self.killed_log()?.lines().filter(|line| line.starts_with("TASK")).count() as u64)
    }

    /// The task that the killed run was at.
    pub(crate) fn last_task(&self) -> Result<String> {
        let log = self.killed_log()?;
        let task = log.lines().rfind(|line| line.starts_with("TASK"));
        Ok(task.map_or("start-up", |line| line.trim_end_matches([' ', '*'])).to_owned())
    }

    /// Its last character may be half written.
    fn killed_log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.work.join("killed.log"))?).into_owned())
    }

    /// How to repeat these points.
    pub(crate) fn again(&self, kind: &str, points: u32, seed: u64) -> String {
        format!("again: {} --etcd {}", again(kind, points, seed), self.etcd)
    }

    fn program(&self) -> PathBuf {
        self.root.join("molecule/shared/play")
    }

    fn complete<'c>(&self, command: &'c mut Command, play: &Play<'_>) -> &'c mut Command {
        if let Some(inventory) = play.inventory {
            command.env("INVENTORY", inventory);
        }
        command.arg(&self.bed).arg(play.playbook).args(play.words)
    }
}

/// How to repeat these points, whatever etcd they are on.
pub(crate) fn again(kind: &str, points: u32, seed: u64) -> String {
    format!("testbed/campaign {kind} --points {points} --seed {seed}")
}

/// Waits this long, or until the process has ended.
fn wait(child: &mut Child, time: Duration) -> Result<()> {
    let start = Instant::now();
    while child.try_wait()?.is_none() && start.elapsed() < time {
        std::thread::sleep(GLANCE.min(time.saturating_sub(start.elapsed())));
    }
    Ok(())
}

/// What a command prints; an error with all of it when it fails.
fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, said(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
