use crate::bed::{Campaign, Moment, Play, Played};
use crate::writer::Writer;
use crate::{evidence, say, view};
use anyhow::{Context, Result, ensure};
use etcd_trial::report::Report;
use etcd_trial::sequence::generate::sequence;
use etcd_trial::sequence::refusal::{Expected, Refusal};
use etcd_trial::sequence::step::{Hosts, Run, Step};
use etcd_trial::sequence::world::{HOSTS, Seat, World};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Sequence after sequence, the first one from a cluster of these hosts and each further one from where the last one
/// ended; the seed of each is one more than that of the one before.
pub(crate) fn run(campaign: &Campaign, from: &Hosts, sequences: u32, seed: u64) -> Result<()> {
    let mut trial = Trial::new(campaign, from)?;
    for number in 0..sequences {
        let seed = seed.wrapping_add(number.into());
        let (start, begun) = (trial.world.clone(), Instant::now());
        let steps = sequence(seed, &start);
        let told = trial.sequence(&steps).map_err(|failure| {
            let all: Vec<String> = steps.iter().map(Step::to_string).collect();
            failure.context(format!(
                "{}\nsequence {}, seed {seed}, from {start}: {}\n{} --from {start}",
                evidence::of(campaign, &trial.names(|_| true)),
                number + 1,
                all.join("; "),
                campaign.again("members", 1, seed)
            ))
        })?;
        let seconds = begun.elapsed().as_secs();
        say(&format!("members {:>3}/{sequences}  seed {seed} from {start}: {told}, {seconds} s", number + 1));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Host {
    name: String,
    address: String,
}

/// Hosts that are down are to be noticed soon: that is not what the time is for.
const SSH: &str = "        ansible_timeout: 10
        ansible_ssh_args: >-
          -o ControlMaster=auto -o ControlPersist=10m -o ServerAliveInterval=2 -o ServerAliveCountMax=5
";

/// The hosts, and what ought to be true of them.
struct Trial<'a> {
    campaign: &'a Campaign,
    hosts: Vec<Host>,
    inventory: PathBuf,
    world: World,
    clusters: BTreeSet<u64>,
    held: usize,
}

impl<'a> Trial<'a> {
    fn new(campaign: &'a Campaign, from: &Hosts) -> Result<Self> {
        campaign.fresh_hosts(HOSTS)?;
        let directory = campaign.directory()?;
        let hosts = serde_json::from_str(&fs::read_to_string(directory.join("hosts.json"))?)?;
        let world = World::new(from, wants_all(campaign)?);
        // Beside the bed's own: there is the authority.
        let inventory = directory.join("members.yml");
        let mut trial = Self { campaign, hosts, inventory, world, clusters: BTreeSet::new(), held: 0 };
        let played = trial.play(&Run::Refresh)?;
        ensure!(played.succeeded, "the cluster cannot be made:\n{}", played.text);
        trial.agree()?;
        Ok(trial)
    }

    fn sequence(&mut self, steps: &[Step]) -> Result<String> {
        let endpoints: Vec<String> = self.hosts.iter().map(|host| format!("https://{}:2379", host.address)).collect();
        let speaker = self.speaker()?;
        let writer = Writer::start(self.campaign, &speaker, Some(&endpoints.join(",")))?;
        let mut told = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let begun = Instant::now();
            let outcome = self.step(step).with_context(|| format!("step {}: {step}", number + 1))?;
            told.push(format!("{step}{outcome} {:.1} s", begun.elapsed().as_secs_f32()));
        }
        let report = writer.stop()?;
        self.judge(&report, steps.iter().any(Step::is_fault))?;
        let (gap, written) = (report.longest_gap_ms, report.acknowledged);
        Ok(format!("{} -> {}; longest gap {gap} ms, {written} writes", told.join("; "), self.world))
    }

    /// Nothing that was acknowledged is lost, neither of this sequence nor of earlier ones; and where nothing failed,
    /// everything was acknowledged.
    fn judge(&mut self, report: &Report, faults: bool) -> Result<()> {
        ensure!(report.acknowledged > 0, "nothing was written: {report:?}");
        ensure!(report.lost.is_empty(), "lost writes: {report:?}");
        ensure!(faults || report.failed == 0, "writes that nobody acknowledged in time: {report:?}");
        let held = self.campaign.held(&self.speaker()?)?;
        let wanted = self.held + report.acknowledged;
        ensure!(held >= wanted, "of {wanted} keys of all sequences there are {held}");
        self.held = held;
        Ok(())
    }

    /// Does what the step says, and proves that it had the effect that it is to have.
    fn step(&mut self, step: &Step) -> Result<String> {
        let outcome = match step {
            Step::Run(run, killed) => {
                if let Some(after) = killed {
                    self.write_inventory(run)?;
                    let (limits, words) = self.words(run);
                    let words: Vec<&str> = words.iter().chain(&limits).map(String::as_str).collect();
                    self.campaign.killed_play(&self.of(run, &words), Moment::After(*after), None)?;
                }
                self.run(run)?
            }
            Step::Wipe(host) => {
                let script = "rm -rf /data/etcd /etc/etcd; systemctl kill --signal=KILL etcd; systemctl stop etcd";
                self.on("exec", &Hosts::from([*host]), &["sh", "-c", script])?
            }
            Step::Anew(host) => self.on("anew", &Hosts::from([*host]), &[])?,
            Step::PowerCut(host) => self.on("power-cut", &Hosts::from([*host]), &[])?,
            Step::PowerOn(hosts) => self.on("power-on", hosts, &[])?,
            Step::Cut(host) => self.on("cut", &Hosts::from([*host]), &[])?,
            Step::Mend(hosts) => self.on("mend", hosts, &[])?,
        };
        self.world = self.world.after(step);
        self.agree()?;
        Ok(outcome)
    }

    fn run(&self, run: &Run) -> Result<String> {
        let expected = self.world.expect(run);
        let refused = expected != Expected::Done;
        let before = if refused { self.facts(run)? } else { BTreeSet::new() };
        let processes = if refused { BTreeSet::new() } else { self.processes(run)? };
        let played = self.play(run)?;
        let told = |what: &str| format!("{what}:\n{}", played.text);
        match expected {
            Expected::Done => {
                ensure!(played.succeeded, "{}", told("it failed"));
                ensure!(processes == self.processes(run)?, "{}", told("members were restarted"));
                if *run == Run::Refresh {
                    let again = self.play(run)?;
                    ensure!(again.succeeded && again.changes() == 0, "the second run is not empty:\n{}", again.text);
                }
                Ok(String::new())
            }
            Expected::Refused(refusal) => {
                let name = refusal.name();
                ensure!(!played.succeeded, "{}", told(&format!("it is not refused ({name})")));
                self.says(&refusal, &played.text).with_context(|| told(&format!("refused, but not for {name}")))?;
                let after = self.facts(run)?;
                let others: Vec<&String> = before.symmetric_difference(&after).collect();
                ensure!(others.is_empty(), "{}", told(&format!("refused ({name}), but not as it was: {others:#?}")));
                Ok(format!(" (refused: {name})"))
            }
        }
    }

    /// However the lines are broken.
    fn says(&self, refusal: &Refusal, text: &str) -> Result<()> {
        let solid = |text: &str| text.split_whitespace().collect::<String>();
        let said = solid(text);
        for wanted in refusal.says(|host| self.host(host).address.clone()) {
            ensure!(wanted.iter().any(|phrase| said.contains(&solid(phrase))), "it does not say {wanted:?}");
        }
        Ok(())
    }

    /// What a refused run leaves alone on the hosts, beside the members themselves: everything but the hosts that were to
    /// join, which may have been prepared. What fails does so whether or not there is a run.
    fn facts(&self, run: &Run) -> Result<BTreeSet<String>> {
        let prepared = if matches!(run, Run::Remove(_)) { Hosts::new() } else { run.hosts() };
        let asked = self.world.hosts(etcd_trial::sequence::world::Host::is_reachable);
        let asked: Hosts = asked.difference(&prepared).copied().collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let names: Vec<&str> = asked.iter().map(|host| self.host(*host).name.as_str()).collect();
        let text = self.campaign.facts(&["--unasked"], &names)?;
        let restless = self.names(|host| !self.world.host(host).serves());
        let stays = |line: &&str| {
            let mut words = line.split(' ');
            let (host, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            !matches!(kind, "unit" | "process") || !restless.iter().any(|name| name == host)
        };
        Ok(text.lines().filter(stays).map(ToOwned::to_owned).collect())
    }

    /// The processes of the members that the run is not about.
    fn processes(&self, run: &Run) -> Result<BTreeSet<String>> {
        let mut processes = BTreeSet::new();
        for host in self.world.serving().difference(&run.hosts()) {
            let process = ["systemctl", "show", "--property=MainPID,ExecMainStartTimestampMonotonic", "etcd"];
            let name = &self.host(*host).name;
            let mut words = vec!["exec", &self.campaign.bed, name];
            words.extend(process);
            processes.insert(format!("{name} {}", self.campaign.hosts(&words)?.replace('\n', " ")));
        }
        Ok(processes)
    }

    /// Waits until the members say what ought to be true, and are one and the same cluster.
    fn agree(&mut self) -> Result<()> {
        let serving = self.world.serving();
        let asked = self.names(|host| serving.contains(&host));
        let named = |host: u8| view::member(&self.host(host).name, self.world.learners().contains(&host));
        let members: BTreeSet<String> = self.world.hosts(|host| host.seat.is_some()).into_iter().map(named).collect();
        self.clusters.extend(self.campaign.agree(&asked, self.world.has_quorum().then_some(&members))?);
        ensure!(self.clusters.len() == 1, "not one cluster but {:x?}", self.clusters);
        Ok(())
    }

    fn play(&self, run: &Run) -> Result<Played> {
        self.write_inventory(run)?;
        let (limits, words) = self.words(run);
        let words: Vec<&str> = words.iter().chain(&limits).map(String::as_str).collect();
        self.campaign.play(&self.of(run, &words))
    }

    fn of<'p>(&'p self, run: &Run, words: &'p [&'p str]) -> Play<'p> {
        let playbook = if matches!(run, Run::Remove(_)) { "etcd-rm.yml" } else { "etcd.yml" };
        Play { playbook, inventory: Some(&self.inventory), words }
    }

    /// What limits the run to its hosts, and what else its command line has.
    fn words(&self, run: &Run) -> (Vec<String>, Vec<String>) {
        let addresses: Vec<&str> = run.hosts().iter().map(|host| self.host(*host).address.as_str()).collect();
        let limits = if addresses.is_empty() { vec![] } else { vec!["--limit".to_owned(), addresses.join(",")] };
        let words: &[&str] = match run {
            Run::Add(_) | Run::Learn(_) => &["-e", "etcd_init=existing"],
            Run::Remove(_) => &["--skip-tags", "etcd_pause"],
            Run::Refresh => &[],
        };
        (limits, words.iter().map(ToString::to_string).collect())
    }

    /// The inventory as it is for this run.
    fn write_inventory(&self, run: &Run) -> Result<()> {
        let mut world = self.world.clone();
        world.list_for(run);
        let own = fs::read_to_string(self.campaign.directory()?.join("inventory.yml"))?;
        let (head, _) = own.split_once("      hosts:\n").context("the bed's inventory")?;
        let head = format!("{head}{SSH}");
        let line = |host: u8| {
            let stays = world.host(host).seat == Some(Seat::Learner) && !run.hosts().contains(&host);
            let learns = stays || *run == Run::Learn(host);
            format!("        {}: {{etcd_seq: {host}, etcd_learner: {learns}}}\n", self.host(host).address)
        };
        let lines: String = world.hosts(|host| host.listed).into_iter().map(line).collect();
        Ok(fs::write(&self.inventory, format!("{head}      hosts:\n{lines}"))?)
    }

    fn on(&self, command: &str, hosts: &Hosts, words: &[&str]) -> Result<String> {
        let names = self.names(|host| hosts.contains(&host));
        let mut all = vec![command, &self.campaign.bed];
        all.extend(names.iter().map(String::as_str));
        all.extend(words);
        self.campaign.hosts(&all).map(|_| String::new())
    }

    fn host(&self, number: u8) -> &Host {
        &self.hosts[usize::from(number) - 1]
    }

    fn names(&self, wanted: impl Fn(u8) -> bool) -> Vec<String> {
        (1..=HOSTS).filter(|host| wanted(*host)).map(|host| self.host(host).name.clone()).collect()
    }

    fn speaker(&self) -> Result<String> {
        let first = self.world.serving().first().copied().context("nobody serves")?;
        Ok(self.host(first).name.clone())
    }
}

/// Whether this etcd is older than 3.5.30, or is a 3.6 older than 3.6.11.
fn wants_all(campaign: &Campaign) -> Result<bool> {
    let text = campaign.hosts(&["exec", &campaign.bed, "etcd-1", "etcd", "--version"])?;
    let version = text.split_whitespace().nth(2).with_context(|| text.clone())?;
    let numbers: Vec<u32> =
        version.split('.').map(str::parse).collect::<Result<_, _>>().with_context(|| text.clone())?;
    Ok(match numbers.as_slice() {
        [3, 5, patch] => *patch < 30,
        [3, 6, patch] => *patch < 11,
        [3, minor, _] => *minor < 5,
        _ => false,
    })
}
