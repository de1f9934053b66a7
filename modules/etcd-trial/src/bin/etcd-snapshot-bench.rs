//! Times saving and verifying a large snapshot beside etcdctl and sha256sum, by turns, on one member on this host. Or
//! makes a snapshot for whoever times restoring one.

use anyhow::{Context, Result, ensure};
use clap::{Arg, Command, value_parser};
use etcd_testbed::{Cluster, Options, Version};
use etcd_trial::chance::Chance;
use etcd_trial::executable::{arguments, path, succeed};
use etcd_trial::filled::{bulk, small};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "a command line tool")]
fn main() -> Result<()> {
    let number = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_parser(value_parser!(u64)).default_value(default)
    };
    let matches = Command::new("etcd-snapshot-bench")
        .about("Times saving and verifying a large snapshot beside etcdctl and sha256sum")
        .arg(number("megabytes", "1400").help("What the values take; the database takes half as much again"))
        .arg(number("runs", "5").help("How many of each"))
        .arg(Arg::new("sample").long("sample").num_args(1).requires("password").help("Only makes this snapshot"))
        .arg(number("keys", "100000").help("How many keys that has"))
        .arg(Arg::new("password").long("password").num_args(1).help("The password that its user root has"))
        .get_matches();
    let number = |name: &str| matches.get_one::<u64>(name).copied().unwrap_or_default();
    let text = |name: &str| matches.get_one::<String>(name);
    if let (Some(path), Some(password)) = (text("sample"), text("password")) {
        return sample(Path::new(path), number("keys"), password.clone().leak());
    }
    let runs = usize::try_from(number("runs"))?;

    let config = vec![
        ("quota-backend-bytes", (8_u64 << 30).to_string()),
        // Otherwise the log takes as much again, on the disk and in memory.
        ("snapshot-count", "100".to_owned()),
        ("experimental-snapshot-catchup-entries", "100".to_owned()),
    ];
    let cluster = Cluster::start(Version::V3_6, 1, Options { config, ..Options::default() });
    bulk(&cluster, number("megabytes") * 1_000_000, &mut Chance::new(1))?;
    // What it has just written is then on the disk, and not in anybody's way.
    cluster.member(0).restart();
    nix::unistd::sync();

    let dir = cluster.directory();
    let (ours, theirs) = (dir.join("ours.db"), dir.join("theirs.db"));
    let saved = arguments(&cluster, None, &json!({ "path": ours }));
    let verified = json!({ "state": "verified", "path": ours });
    let (mut save, mut etcdctl, mut verify, mut sha256sum) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        remove(&ours)?;
        save.push(ours_of(dir, &saved)?);
        remove(&theirs)?;
        let words = ["--endpoints", &cluster.endpoints()[0], "snapshot", "save"];
        etcdctl
            .push(measure(std::process::Command::new(Version::V3_6.executable("etcdctl")).args(words).arg(&theirs))?);
        remove(&theirs)?;
        verify.push(ours_of(dir, &verified)?);
        sha256sum.push(measure(std::process::Command::new("sha256sum").arg(&ours))?);
    }
    let size = fs::metadata(&ours)?.len();
    println!("A snapshot of {} MB (etcd 3.6, medians of {runs} runs by turns):\n", size / 1_000_000);
    println!("| | quorum.etcd | memory | beside | | times |");
    println!("| --- | --- | --- | --- | --- | --- |");
    row("save", &save, "etcdctl snapshot save", &etcdctl);
    row("verify", &verify, "sha256sum", &sha256sum);
    Ok(())
}

/// A snapshot of a cluster with authentication.
fn sample(path: &Path, keys: u64, password: &'static str) -> Result<()> {
    let cluster = Cluster::start(Version::V3_6, 1, Options::auth(password));
    small(&cluster, Some(password), keys, &mut Chance::new(1))?;
    succeed("etcd_snapshot", &arguments(&cluster, Some(password), &json!({ "path": path })))?;
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() { Ok(fs::remove_file(path)?) } else { Ok(()) }
}

/// Seconds, and kilobytes of memory at most.
#[derive(Clone, Copy, Debug)]
struct Cost {
    seconds: f64,
    kilobytes: u64,
}

/// A call of the module, with arguments out of a file, as Ansible's own way is.
fn ours_of(dir: &Path, arguments: &Value) -> Result<Cost> {
    let file = dir.join("arguments.json");
    fs::write(&file, arguments.to_string())?;
    measure(std::process::Command::new(path()?).arg("etcd_snapshot").arg(file))
}

/// What a command costs, by `time`; it must succeed.
fn measure(command: &std::process::Command) -> Result<Cost> {
    let mut timed = std::process::Command::new("/usr/bin/time");
    timed.args(["-q", "-f", "%M"]).arg(command.get_program()).args(command.get_args());
    let begin = Instant::now();
    let output = timed.stdin(Stdio::null()).output().context("run /usr/bin/time")?;
    let seconds = begin.elapsed().as_secs_f64();
    let (said, time) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} failed: {said}{time}");
    let kilobytes = time.lines().next_back().and_then(|line| line.trim().parse().ok());
    Ok(Cost { seconds, kilobytes: kilobytes.with_context(|| format!("no number of kilobytes: {time}"))? })
}

fn median(costs: &[Cost]) -> f64 {
    let mut seconds: Vec<f64> = costs.iter().map(|cost| cost.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes are few enough")]
#[expect(clippy::print_stdout, reason = "a command line tool")]
fn row(what: &str, ours: &[Cost], other: &str, theirs: &[Cost]) {
    let (our, their) = (median(ours), median(theirs));
    let megabytes = ours.iter().map(|cost| cost.kilobytes).max().unwrap_or_default() as f64 / 1024.0;
    println!("| {what} | {our:.2} s | {megabytes:.1} MB | {other} | {their:.2} s | {:.2} |", our / their);
}
