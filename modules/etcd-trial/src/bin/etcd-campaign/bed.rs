use anyhow::{Context, Result, bail};
use etcd_trial::process::{kill_marked, mark, marked};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The hosts it happens on. They go with it.
pub(crate) struct Campaign {
    root: PathBuf,
    pub(crate) bed: String,
    etcd: String,
    pub(crate) work: PathBuf,
}

impl Drop for Campaign {
    fn drop(&mut self) {
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
    pub(crate) fn facts(&self, hosts: &[&str]) -> Result<String> {
        output(Command::new(self.root.join("molecule/shared/state")).arg(&self.bed).args(hosts))
    }

    /// A run that nobody disturbs.
    pub(crate) fn play(&self, play: &Play<'_>) -> Result<Played> {
        let mut command = Command::new(self.program());
        let output = self.complete(&mut command, play).stdin(Stdio::null()).output()?;
        Ok(Played { succeeded: output.status.success(), text: said(&output) })
    }

    /// A run that is killed after this time, with all that it has started. Says whether it was still running.
    pub(crate) fn killed_play(&self, play: &Play<'_>, after: Duration) -> Result<bool> {
        let mark = mark(&self.bed);
        let log = File::create(self.work.join("killed.log"))?;
        let mut command = marked(&self.program(), &mark);
        self.complete(&mut command, play).stdout(log.try_clone()?).stderr(log);
        let start = Instant::now();
        let mut child = command.spawn()?;
        std::thread::sleep(after.saturating_sub(start.elapsed()));
        let running = child.try_wait()?.is_none();
        let _ = kill_marked(&mark);
        child.wait()?;
        Ok(running)
    }

    /// The task that the killed run was at.
    pub(crate) fn last_task(&self) -> String {
        let log = fs::read_to_string(self.work.join("killed.log")).unwrap_or_default();
        let task = log.lines().rfind(|line| line.starts_with("TASK"));
        task.map_or("start-up", |line| line.trim_end_matches([' ', '*'])).to_owned()
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
