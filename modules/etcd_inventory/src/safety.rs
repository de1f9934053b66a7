//! What is safe to do with what was found. One rule per kind of danger; each names the host, the cause and the way on.

/// A cluster that is replaced.
mod cleaning;
/// Hosts that hold data.
mod data;
/// Hosts without data.
mod fresh;
/// Versions of etcd.
mod versions;

use crate::Findings;
use crate::alone::left_alone;
use crate::identity::{Cluster, Member};
use crate::joining::{Entry, Joining};
use crate::observed::{Live, Observed, read};
use crate::restoring::under_way;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One cluster of the inventory beside what was found of it.
struct Case<'a> {
    cluster: &'a Cluster,
    seen: BTreeMap<&'a str, Observed>,
    live: Option<Live>,
    /// Why members outside of the run do not know the cluster either.
    reasons: Vec<String>,
    joining: Joining,
    /// The id that a cluster founded from the inventory as it stands has.
    founding: String,
}

/// What one host is about to be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Situation {
    /// Whether it is a founding member of its cluster.
    founds: bool,
    /// How it becomes a member of the running cluster, where it is not one yet.
    joins: Option<Entry>,
    /// Whether it is started only once it has been announced to that cluster.
    starts_late: bool,
    /// What belongs into its configuration until it has started for the first time.
    initial_cluster_state: &'static str,
    initial_cluster: String,
    /// Whether etcd is to be installed.
    installs: bool,
    /// Whether its member serves as it is configured, so that there is nothing to launch.
    settled: bool,
}

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Each observed host's situation.
    pub(crate) situations: BTreeMap<String, Situation>,
    /// Whether nothing can be said before the hosts have looked at their clusters.
    pub(crate) look_closer: bool,
    /// Whether what is there is to be removed before anything else.
    pub(crate) cleans: bool,
    /// Hosts outside of the run that are to be asked for their clusters, because those that join cannot look themselves.
    pub(crate) ask: Vec<String>,
    /// Members outside of the run whose files are to name those that join, or have joined.
    pub(crate) neighbours: Vec<Neighbour>,
    /// For each cluster the host that can speak for it.
    pub(crate) speakers: BTreeMap<String, String>,
}

impl Verdict {
    /// The hosts that join in each wave: one of each cluster.
    pub(crate) fn join_waves(&self) -> Vec<Vec<&str>> {
        let joins =
            || self.situations.iter().filter_map(|(host, situation)| Some((host, situation.joins.as_ref()?.wave)));
        let count = joins().map(|(_, wave)| wave + 1).max().unwrap_or(0);
        let hosts = |number| joins().filter(|(_, wave)| *wave == number).map(|(host, _)| host.as_str()).collect();
        (0..count).map(hosts).collect()
    }
}

/// What the run is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Whether it starts members.
    pub(crate) starts: bool,
    /// Whether it does all that it takes to make a cluster.
    pub(crate) makes_anew: bool,
}

/// A member outside of the run.
#[derive(Debug, Serialize)]
pub(crate) struct Neighbour {
    host: String,
    cluster: String,
}

/// Judges every cluster. Its hosts have to look at it only when the run starts members (`starts`) and not each of them
/// serves as it is configured: then all is well, as far as the run is concerned.
pub(crate) fn judge(
    clusters: &BTreeMap<String, Cluster>,
    observed: &BTreeMap<String, Value>,
    outside: &BTreeMap<String, Value>,
    scope: Scope,
    findings: &mut Findings,
) -> Verdict {
    let starts = scope.starts;
    let mut verdict = Verdict::default();
    let (mut replaced, mut kept) = (Vec::new(), Vec::new());
    for cluster in clusters.values() {
        let case = Case::new(cluster, observed, outside, findings);
        if starts && case.instances().next().is_some() {
            if case.cleans() { &mut replaced } else { &mut kept }.push(cluster.name.as_str());
        }
        if starts && case.cleans() {
            findings.problems.extend(case.partly_cleaned());
            findings.problems.extend(case.not_made_anew(scope));
            verdict.cleans = true;
            verdict.look_closer = true;
        } else if starts && !case.is_known() {
            verdict.look_closer = true;
            verdict.ask.extend(case.ask());
        } else {
            findings.problems.extend(case.problems(starts));
            findings.warnings.extend(case.version_warnings());
        }
        let situations = case.members_seen();
        let situations = situations.map(|(member, seen)| (member.host.clone(), case.situation(member, seen, starts)));
        verdict.situations.extend(situations);
        let neighbours = case.joining.neighbours.iter();
        verdict
            .neighbours
            .extend(neighbours.map(|host| Neighbour { host: host.clone(), cluster: cluster.name.clone() }));
        verdict.speakers.extend(case.speaker(starts).map(|host| (cluster.name.clone(), host.to_owned())));
    }
    findings.problems.extend(cleaning::replaced_beside_kept(&replaced, &kept));
    verdict
}

impl<'a> Case<'a> {
    fn new(
        cluster: &'a Cluster,
        observed: &BTreeMap<String, Value>,
        outside: &BTreeMap<String, Value>,
        findings: &mut Findings,
    ) -> Self {
        let seen = read(cluster, observed, findings);
        let others = read(cluster, outside, findings);
        // The view of whoever sees a leader counts; a member cut off from its cluster may know an old list.
        let views = seen.values().chain(others.values()).filter_map(|seen| seen.cluster.clone());
        let live = views.into_iter().find(|live| live.leader.is_some());
        let reasons = others.iter().filter_map(|(host, seen)| Some(format!("{host}: {}", seen.cluster_trouble()?)));
        let reasons = reasons.collect();
        let joining = live.as_ref().map(|live| Joining::of(cluster, &seen, live)).unwrap_or_default();
        let founding = cluster.founding_id();
        Self { cluster, seen, live, reasons, joining, founding }
    }

    /// Whether every host of the run serves as it is configured, or has looked at its cluster. Where one has joined and
    /// the run was cut off, it serves, and yet those outside of the run may not know of it.
    fn is_known(&self) -> bool {
        let all_in_run = self.outside().next().is_none();
        let settled = |member: &Member, seen: &Observed| seen.is_settled(member) && (all_in_run || !member.joins);
        self.members_seen().all(|(member, seen)| settled(member, seen) || seen.looked())
    }

    /// Its hosts that are not in the run, or do not answer.
    fn outside(&self) -> impl Iterator<Item = &str> {
        self.cluster.hosts.iter().map(String::as_str).filter(|host| !self.seen.contains_key(host))
    }

    fn members_seen(&self) -> impl Iterator<Item = (&Member, &Observed)> {
        self.cluster.members.iter().filter_map(|member| Some((member, self.seen.get(member.host.as_str())?)))
    }

    /// A host that is to join has no certificate yet to look with.
    fn ask(&self) -> impl Iterator<Item = String> {
        let joins = self.members_seen().any(|(member, seen)| member.joins && !seen.serving);
        self.outside().filter(move |_| joins).map(str::to_owned)
    }

    fn situation(&self, member: &Member, seen: &Observed, starts: bool) -> Situation {
        let founds = seen.data.state == "absent" && !member.joins;
        // What nobody has looked at closely may be a running cluster's.
        let new = founds && (starts || !self.was_in_use());
        let entry = self.joining.entries.get(&member.host);
        Situation {
            founds,
            starts_late: entry.is_some_and(|entry| entry.starts),
            initial_cluster: self.initial_cluster(member),
            joins: entry.cloned(),
            initial_cluster_state: if new { "new" } else { "existing" },
            installs: seen.version.is_none() || seen.other_version(member.version.as_deref()),
            settled: seen.is_settled(member),
        }
    }

    /// The members it is configured with until it has started.
    fn initial_cluster(&self, member: &Member) -> String {
        let entry = self.joining.entries.get(&member.host).filter(|entry| entry.starts);
        entry.map_or(&self.cluster.initial_cluster, |entry| &entry.initial_cluster).clone()
    }

    fn data_dir(&self, host: &str) -> &str {
        let member = self.cluster.members.iter().find(|member| member.host == host);
        member.map_or("", |member| member.data_dir.as_str())
    }

    fn with_data(&self) -> impl Iterator<Item = (&Member, &Observed)> {
        self.members_seen().filter(|(_, seen)| seen.data.state == "member")
    }

    /// Whether some host holds data of a cluster that has once been in use.
    fn was_in_use(&self) -> bool {
        self.with_data().any(|(_, seen)| seen.data.had_leader)
    }

    /// The first host whose member serves. Where nothing is going to be started, the first host has to say why it does not.
    fn speaker(&self, starts: bool) -> Option<&'a str> {
        let hosts = || self.cluster.members.iter().map(|member| member.host.as_str());
        let serves = |host: &&str| self.seen.get(host).is_some_and(|seen| seen.serving);
        let any = |host: &&str| !starts && self.seen.contains_key(host);
        hosts().find(serves).or_else(|| hosts().find(any))
    }

    fn problems(&self, starts: bool) -> Vec<String> {
        let mut problems: Vec<String> = self.without_systemd().chain(self.unreadable()).chain(self.too_old()).collect();
        problems.extend(self.other_versions());
        problems.extend(under_way(self.cluster, &self.seen));
        problems.extend(left_alone(self.cluster, &self.seen, self.live.is_some()));
        problems.extend(self.unmounted());
        problems.extend(self.foreign_data());
        problems.extend(self.copies());
        problems.extend(self.several_learners());
        problems.extend(self.kept(starts));
        match &self.live {
            Some(live) => problems.extend(self.fresh_beside_live(live)),
            // Without a running cluster, what the fresh hosts are for depends on the others being in order.
            None if starts && problems.is_empty() => problems.extend(self.fresh_without_live()),
            None => {}
        }
        problems
    }

    /// A member that is made under a mount point is hidden, and forgets its votes, once the disk is there.
    fn unmounted(&self) -> impl Iterator<Item = String> {
        let bare = self.members_seen().filter(|(_, seen)| seen.data.state == "absent");
        bare.filter_map(|(member, seen)| seen.unmounted(&member.host))
    }

    fn without_systemd(&self) -> impl Iterator<Item = String> {
        self.seen.iter().filter_map(|(host, seen)| {
            let reason = seen.unit.error.as_deref()?;
            Some(format!("{host} cannot run a member, which takes systemd: {reason}; leave it out, or correct that"))
        })
    }

    /// Only one member at a time can learn, unless etcd is told otherwise.
    fn several_learners(&self) -> Option<String> {
        let learning = self
            .joining
            .entries
            .keys()
            .filter(|host| self.cluster.members.iter().any(|member| member.host == **host && member.learns));
        let hosts: Vec<&str> = learning.map(String::as_str).collect();
        (hosts.len() > 1).then(|| {
            format!(
                "etcd_learner is true for {} of cluster {}, and etcd allows one learner at a time: leave it true for one of them",
                hosts.join(" and "),
                self.cluster.name
            )
        })
    }
}
