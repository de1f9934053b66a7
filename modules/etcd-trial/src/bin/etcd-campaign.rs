//! Kills the controller at random moments of a run, again and again: what it leaves behind, the next run finishes.

use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, Command as Arguments, value_parser};
use etcd_trial::chance::Chance;
use etcd_trial::process::{kill_marked, mark, marked};
use etcd_trial::report::Report;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    let number = |name: &'static str| Arg::new(name).long(name).num_args(1).value_parser(value_parser!(u64));
    let matches = Arguments::new("campaign")
        .about("Kills the controller at random moments of creating a cluster, and of restarting one")
        .arg(Arg::new("what").value_parser(["create", "restart"]).help("Only this one; both without"))
        .arg(number("points").default_value("20").help("How many moments of each"))
        .arg(number("seed").help("Repeats the moments of the campaign that printed it"))
        .arg(Arg::new("bed").long("bed").num_args(1).default_value("campaign").help("The name of the hosts' bed"))
        .arg(Arg::new("etcd").long("etcd").num_args(1).default_value("package").help("As testbed/hosts knows it"))
        .get_matches();
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let seed = matches.get_one::<u64>("seed").copied().unwrap_or_else(random);
    let points = matches.get_one::<u64>("points").copied().unwrap_or_default().try_into()?;
    say(&format!("seed {seed}, {points} points of each: --points {points} --seed {seed} repeats it"));
    let campaign = Campaign::new(text("bed"), text("etcd"))?;
    let what = text("what");
    if what != "restart" {
        campaign.create(points, &mut Chance::new(seed))?;
    }
    if what != "create" {
        campaign.restart(points, &mut Chance::new(seed))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command line tool")]
fn say(line: &str) {
    println!("{line}");
}

fn random() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos())
}

/// The hosts it happens on. They go with it.
struct Campaign {
    root: PathBuf,
    bed: String,
    etcd: String,
    work: PathBuf,
}

impl Drop for Campaign {
    fn drop(&mut self) {
        let _ = self.hosts(&["down", &self.bed]);
        let _ = fs::remove_dir_all(&self.work);
    }
}

/// What a run left, and what there is of the cluster.
#[derive(Debug, PartialEq, Eq)]
struct State {
    clusters: BTreeSet<String>,
    members: BTreeSet<String>,
    voters: usize,
}

impl Campaign {
    fn new(bed: String, etcd: String) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the checkout")?.to_owned();
        let work = std::env::temp_dir().join(mark("campaign"));
        fs::create_dir(&work)?;
        Ok(Self { root, bed, etcd, work })
    }

    fn hosts(&self, words: &[&str]) -> Result<String> {
        output(Command::new(self.root.join("testbed/hosts")).args(words))
    }

    fn fresh_hosts(&self) -> Result<()> {
        self.hosts(&["down", &self.bed])?;
        self.hosts(&["up", &self.bed, "--etcd", &self.etcd]).map(drop)
    }

    /// A run of the playbook that nobody disturbs. Returns how many changes it made.
    fn run(&self, words: &[&str]) -> Result<usize> {
        let text =
            output(Command::new(self.root.join("molecule/shared/play")).arg(&self.bed).arg("etcd.yml").args(words))?;
        let counts = text.split("changed=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        Ok(counts.sum())
    }

    /// A run that is killed after this time, with all that it has started. Says whether it was still running.
    fn killed_run(&self, words: &[&str], after: Duration) -> Result<bool> {
        let mark = mark(&self.bed);
        let log = File::create(self.work.join("killed.log"))?;
        let mut command = marked(&self.root.join("molecule/shared/play"), &mark);
        command.arg(&self.bed).arg("etcd.yml").args(words).stdout(log.try_clone()?).stderr(log);
        let start = Instant::now();
        let mut child = command.spawn()?;
        std::thread::sleep(after.saturating_sub(start.elapsed()));
        let running = child.try_wait()?.is_none();
        let _ = kill_marked(&mark);
        child.wait()?;
        Ok(running)
    }

    /// The task that the killed run was at.
    fn last_task(&self) -> String {
        let log = fs::read_to_string(self.work.join("killed.log")).unwrap_or_default();
        let task = log.lines().rfind(|line| line.starts_with("TASK"));
        task.map_or("start-up", |line| line.trim_end_matches([' ', '*'])).to_owned()
    }

    fn state(&self) -> Result<State> {
        let text = output(Command::new(self.root.join("molecule/shared/state")).arg(&self.bed))?;
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

    fn create(&self, points: u32, chance: &mut Chance) -> Result<()> {
        self.fresh_hosts()?;
        let start = Instant::now();
        self.run(&[])?;
        let whole = start.elapsed();
        self.converge(&[])?;
        for point in 0..points {
            self.fresh_hosts()?;
            let moment = chance.moment(whole, point, points);
            let running = self.killed_run(&[], moment)?;
            let at = self.last_task();
            self.converge(&[]).with_context(|| format!("create, killed after {} ms at {at}", moment.as_millis()))?;
            say(&format!("create {:>3}/{points}  {}", point + 1, told(running, moment, &at)));
        }
        Ok(())
    }

    fn restart(&self, points: u32, chance: &mut Chance) -> Result<()> {
        self.fresh_hosts()?;
        self.run(&[])?;
        let before = self.converge(&[])?;
        let writer = Writer::start(self)?;
        let start = Instant::now();
        self.run(&["-e", "etcd_heartbeat_interval=99"])?;
        let whole = start.elapsed();
        for point in 0..points {
            let moment = chance.moment(whole, point, points);
            let setting = format!("etcd_heartbeat_interval={}", 101 + point);
            let words = ["-e", setting.as_str()];
            let running = self.killed_run(&words, moment)?;
            let at = self.last_task();
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
}

fn told(running: bool, moment: Duration, at: &str) -> String {
    let what = if running { "killed" } else { "was over, not killed," };
    format!("{what} after {:>5} ms, at {at}", moment.as_millis())
}

/// What a command prints; an error with all of it when it fails.
fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// Somebody who uses the cluster all the while.
struct Writer {
    process: Child,
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Writer {
    fn start(campaign: &Campaign) -> Result<Self> {
        let file = |name: &str| -> Result<PathBuf> {
            let path = campaign.work.join(name);
            let content = campaign.hosts(&["exec", &campaign.bed, "etcd-1", "cat", &format!("/etc/etcd/{name}")])?;
            fs::write(&path, content)?;
            Ok(path)
        };
        let variable = |name: &str| {
            let script = format!(". /etc/profile.d/etcdctl.sh; printf %s \"${name}\"");
            campaign.hosts(&["exec", &campaign.bed, "etcd-1", "sh", "-c", &script])
        };
        let log = campaign.work.join("writer.log");
        let program = std::env::current_exe()?.with_file_name("etcd-writer");
        let process = Command::new(program)
            .args(["--endpoints", &variable("ETCDCTL_ENDPOINTS")?, "--user", &variable("ETCDCTL_USER")?])
            .args(["--interval-ms", "50", "--timeout-ms", "1000"])
            .arg("--cacert")
            .arg(file("ca.crt")?)
            .arg("--cert")
            .arg(file("server.crt")?)
            .arg("--key")
            .arg(file("server.key")?)
            .arg("--log")
            .arg(log)
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self { process })
    }

    fn stop(mut self) -> Result<Report> {
        let pid = nix::unistd::Pid::from_raw(self.process.id().try_into()?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let mut text = String::new();
        if let Some(mut out) = self.process.stdout.take() {
            std::io::Read::read_to_string(&mut out, &mut text)?;
        }
        ensure!(self.process.wait()?.success(), "the writer could not read back what it wrote");
        serde_json::from_str(&text).with_context(|| text)
    }
}
