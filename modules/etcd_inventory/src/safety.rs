//! What is safe to do with what was found. One rule per kind of danger; each names the host, the cause and the way on.

use crate::Findings;
use crate::identity::{Cluster, Member};
use crate::joining::{Entry, Joining};
use crate::observed::{Live, Observed};
use ansible_protocol::order;
use etcd_ops::version::{KNOWN, Version};
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
            findings.problems.extend((!scope.makes_anew).then(|| {
                format!(
                    "etcd_clean is true, which removes cluster {} and makes a new one, but the run's tags leave out some of what that takes: run it without tags, or leave etcd_clean unset",
                    cluster.name
                )
            }));
            verdict.cleans = true;
            verdict.look_closer = true;
        } else if starts && !case.is_known() {
            verdict.look_closer = true;
            verdict.ask.extend(case.ask());
        } else {
            findings.problems.extend(case.problems(starts));
            findings.warnings.extend(case.version_warnings());
        }
        for member in &cluster.members {
            let Some(seen) = case.seen.get(member.host.as_str()) else { continue };
            let founds = seen.data.state == "absent" && !member.joins;
            // What nobody has looked at closely may be a running cluster's.
            let new = founds && (starts || !case.was_in_use());
            let situation = Situation {
                founds,
                starts_late: case.joining.entries.get(&member.host).is_some_and(|entry| entry.starts),
                initial_cluster: case.initial_cluster(member),
                joins: case.joining.entries.get(&member.host).cloned(),
                initial_cluster_state: if new { "new" } else { "existing" },
                installs: seen.version.is_none() || seen.other_version(member.version.as_deref()),
                settled: seen.is_settled(member),
            };
            verdict.situations.insert(member.host.clone(), situation);
        }
        let neighbours = case.joining.neighbours.iter();
        verdict
            .neighbours
            .extend(neighbours.map(|host| Neighbour { host: host.clone(), cluster: cluster.name.clone() }));
        verdict.speakers.extend(case.speaker(starts).map(|host| (cluster.name.clone(), host.to_owned())));
    }
    if let (Some(first), false) = (replaced.first(), kept.is_empty()) {
        findings.problems.push(format!(
            "etcd_clean is true for cluster {}, which is removed and made anew, and not for {}, which is kept: run them apart, ./etcd.yml -l {first}",
            replaced.join(" and "),
            kept.join(" and ")
        ));
    }
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
        let ids: Vec<u64> = cluster
            .members
            .iter()
            .map(|member| etcd_ops::datadir::founding_member_id(std::slice::from_ref(&member.peer_url), &cluster.token))
            .collect();
        let founding = etcd_ops::hex(etcd_ops::datadir::founding_cluster_id(&ids));
        Self { cluster, seen, live, reasons, joining, founding }
    }

    /// Whether every host of the run serves as it is configured, or has looked at its cluster. Where one has joined and
    /// the run was cut off, it serves, and yet those outside of the run may not know of it.
    fn is_known(&self) -> bool {
        let all_in_run = self.outside().next().is_none();
        let settled = |member: &Member, seen: &Observed| seen.is_settled(member) && (all_in_run || !member.joins);
        self.members_seen().all(|(member, seen)| settled(member, seen) || seen.looked())
    }

    fn outside(&self) -> impl Iterator<Item = &String> {
        self.cluster.hosts.iter().filter(|host| !self.seen.contains_key(host.as_str()))
    }

    fn members_seen(&self) -> impl Iterator<Item = (&Member, &Observed)> {
        self.cluster.members.iter().filter_map(|member| Some((member, self.seen.get(member.host.as_str())?)))
    }

    /// A host that is to join has no certificate yet to look with.
    fn ask(&self) -> impl Iterator<Item = String> {
        let joins = self.members_seen().any(|(member, seen)| member.joins && !seen.serving);
        self.outside().filter(move |_| joins).cloned()
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

    fn fresh(&self) -> impl Iterator<Item = &Member> {
        self.members_seen().filter(|(_, seen)| seen.data.state == "absent").map(|(member, _)| member)
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

    fn without_systemd(&self) -> impl Iterator<Item = String> {
        self.seen.iter().filter_map(|(host, seen)| {
            let reason = seen.unit.error.as_deref()?;
            Some(format!("{host} cannot run a member, which takes systemd: {reason}; leave it out, or correct that"))
        })
    }

    fn unreadable(&self) -> impl Iterator<Item = String> {
        self.seen.iter().filter(|(_, seen)| seen.data.state == "unreadable").map(|(host, seen)| {
            let reason = seen.data.reason.as_deref().unwrap_or_default();
            format!(
                "the data directory {} of {host} cannot be read as a member's ({reason}): it is left alone; repair it, or move it aside if its data is not needed: mv {0} {0}.old",
                self.data_dir(host)
            )
        })
    }

    fn too_old(&self) -> impl Iterator<Item = String> {
        self.seen.iter().filter_map(|(host, seen)| {
            let version: Version = seen.version.as_deref()?.parse().ok()?;
            let (major, minor) = KNOWN.oldest;
            (version.series() < KNOWN.oldest)
                .then(|| format!("etcd {version} on {host} is too old: install {major}.{minor} or newer first"))
        })
    }

    /// Another version on a host that has data is an upgrade or a downgrade.
    fn other_versions(&self) -> impl Iterator<Item = String> {
        self.with_data().filter(|(member, seen)| seen.other_version(member.version.as_deref())).map(|(member, seen)| {
            format!(
                "{} has etcd {}, and etcd_version asks for {}: this release does not upgrade members; set etcd_version to what is installed, or leave it out",
                member.host,
                seen.version.as_deref().unwrap_or_default(),
                member.version.as_deref().unwrap_or_default()
            )
        })
    }

    fn version_warnings(&self) -> Vec<String> {
        let newer = |(host, seen): (&&str, &Observed)| {
            let version: Version = seen.version.as_deref()?.parse().ok()?;
            let (major, minor) = KNOWN.newest;
            (version.series() > KNOWN.newest).then(|| {
                format!("etcd {version} on {host} is newer than {major}.{minor}, the newest this release knows: its configuration is checked as that of {major}.{minor}")
            })
        };
        self.seen.iter().filter_map(newer).collect()
    }

    /// Data of another cluster, or of a member that the live cluster has removed.
    fn foreign_data(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let wanted = self.reference();
        for (member, seen) in self.with_data() {
            let host = &member.host;
            let data_dir = self.data_dir(host);
            let cluster = seen.data.cluster_id.as_deref().unwrap_or_default();
            let id = seen.data.member_id.as_deref().unwrap_or_default();
            if Some(cluster) != wanted.as_deref() {
                problems.push(format!(
                    "{data_dir} of {host} holds a member of another cluster ({cluster}, not {}): it is left alone; move it aside if its data is not needed: mv {data_dir} {data_dir}.old",
                    wanted.as_deref().unwrap_or("that of its peers")
                ));
                continue;
            }
            if let Some(live) = &self.live
                && !member.joins
                && !live.members.iter().any(|known| known.id == id)
            {
                problems.push(format!(
                    "{data_dir} of {host} belongs to member {id}, which was removed from cluster {cluster}: it is left alone; to join the host anew, which moves it aside: ./etcd.yml -l {host} -e etcd_init=existing; to clean up: ./etcd-rm.yml -l {host}"
                ));
            }
        }
        problems
    }

    /// Data of one member on two hosts: whatever both say in its name, the others would believe.
    fn copies(&self) -> Vec<String> {
        let id = |seen: &Observed| seen.data.member_id.clone();
        let whose = |host: &str, id: &str| {
            let listed = |other: &&Member| {
                self.live.as_ref().and_then(|live| live.by_url(&other.peer_url)).is_some_and(|known| known.id == id)
            };
            let holds = |other: &&Member| {
                self.seen.get(other.host.as_str()).is_some_and(|seen| seen.data.member_id.as_deref() == Some(id))
            };
            self.cluster.members.iter().filter(|other| other.host != host).find(|other| listed(other) || holds(other))
        };
        let copy = |(member, seen): (&Member, &Observed)| {
            let id = id(seen)?;
            let other = whose(&member.host, &id)?;
            Some(format!(
                "{data_dir} of {host} holds the data of member {id}, which is that of {}: two processes may never run as one member; correct etcd_address where it is the wrong one, or move the copy aside: mv {data_dir} {data_dir}.old",
                other.host,
                data_dir = self.data_dir(&member.host),
                host = member.host,
            ))
        };
        self.with_data().filter_map(copy).collect()
    }

    /// The id the hosts' data must have: the live cluster's; without one, what most hosts with data agree on.
    fn reference(&self) -> Option<String> {
        if let Some(live) = &self.live {
            return Some(live.id.clone());
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, seen) in self.with_data() {
            *counts.entry(seen.data.cluster_id.as_deref().unwrap_or_default()).or_default() += 1;
        }
        // The inventory's own id wins a tie.
        let best = counts.into_iter().max_by_key(|(id, count)| (*count, *id == self.founding));
        best.map(|(id, _)| id.to_owned())
    }

    /// A fresh host beside a running cluster: never a second cluster.
    fn fresh_beside_live(&self, live: &Live) -> Vec<String> {
        let mut problems = Vec::new();
        for member in self.fresh() {
            let host = &member.host;
            match live.by_url(&member.peer_url) {
                Some(known) if known.started => problems.push(format!(
                    "{host} is member {} ({}) of the running cluster {}, but its data directory {} is empty: its data is lost, and etcd would refuse to start; replace it: ./etcd-rm.yml -l {host}, then ./etcd.yml -l {host} -e etcd_init=existing",
                    known.name, known.id, self.cluster.name, self.data_dir(host)
                )),
                None if let Some(known) = live.named(member) => problems.push(format!(
                    "{host} is {} in the inventory and has no data, but {} ({}) of cluster {} is a member at {} already: correct etcd_address, etcd_peer_port or etcd_seq; if it is what {host} was before, take it out first: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{}\"]}}'",
                    member.peer_url,
                    known.name,
                    known.id,
                    self.cluster.name,
                    known.peer_urls.join(","),
                    known.id,
                )),
                Some(_) | None if member.joins => {}
                // A founding member whose start was cut short.
                Some(known) if known.id == etcd_ops::hex(self.founding_id(member)) => {}
                Some(_) | None => problems.push(format!(
                    "{host} has no data, etcd_init is new, and its peers already run cluster {} ({}): a second cluster is never made; to join it: ./etcd.yml -l {host} -e etcd_init=existing; to start over, destroy it first: ./etcd-rm.yml",
                    self.cluster.name, live.id
                )),
            }
        }
        problems
    }

    fn founding_id(&self, member: &Member) -> u64 {
        etcd_ops::datadir::founding_member_id(std::slice::from_ref(&member.peer_url), &self.cluster.token)
    }

    /// Whether `etcd_clean` is set to replace what is there.
    fn cleans(&self) -> bool {
        self.instances().any(|member| member.clean == Some(true) && !member.safeguard)
    }

    /// Hosts with something of a member on them.
    fn instances(&self) -> impl Iterator<Item = &Member> {
        let there = |seen: &Observed| seen.data.state != "absent" || seen.unit.active_state == "active";
        self.members_seen().filter(move |(_, seen)| there(seen)).map(|(member, _)| member)
    }

    /// A cluster is replaced as a whole.
    fn partly_cleaned(&self) -> Option<String> {
        let out: Vec<&str> =
            self.cluster.hosts.iter().map(String::as_str).filter(|host| !self.seen.contains_key(host)).collect();
        (!out.is_empty()).then(|| {
            format!(
                "etcd_clean is true, which removes cluster {} and makes a new one, but {} is unreachable or left out by -l: run it for all its hosts, or leave etcd_clean unset",
                self.cluster.name,
                out.join(" and ")
            )
        })
    }

    /// What somebody wants to be neither kept nor replaced.
    fn kept(&self, starts: bool) -> Option<String> {
        let hosts: Vec<&str> =
            self.instances().filter(|member| member.clean.is_some()).map(|member| member.host.as_str()).collect();
        (starts && !hosts.is_empty()).then(|| {
            let clean = self.instances().all(|member| member.clean == Some(true));
            let (cause, remedy) = if clean {
                ("etcd_clean is true and so is etcd_safeguard", "-e etcd_safeguard=false")
            } else {
                ("etcd_clean is false", "-e etcd_clean=true")
            };
            format!(
                "{cause}, and there is an instance of cluster {} on {}: to keep it and bring it to its desired state, leave etcd_clean unset; to remove it and make a new one: {remedy}",
                self.cluster.name,
                hosts.join(", ")
            )
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

    /// A fresh host, and no running cluster to be seen from this run's hosts.
    fn fresh_without_live(&self) -> Vec<String> {
        let fresh: Vec<&Member> = self.fresh().collect();
        if fresh.is_empty() {
            return Vec::new();
        }
        let names = fresh.iter().map(|member| member.host.as_str()).collect::<Vec<_>>().join(", ");
        if fresh.iter().any(|member| member.joins) {
            let reasons =
                if self.reasons.is_empty() { String::new() } else { format!(" ({})", self.reasons.join("; ")) };
            return vec![format!(
                "{names}: etcd_init is existing, but no running cluster {} can be reached{reasons}: bring its members up first, or leave etcd_init at new to make a cluster",
                self.cluster.name
            )];
        }
        if let Some(problem) = self.missing_founders(&names).or_else(|| self.already_answering()) {
            return vec![problem];
        }
        self.half_founded(&names).into_iter().collect()
    }

    /// A cluster is founded by all its members at once.
    fn missing_founders(&self, fresh: &str) -> Option<String> {
        let absent: Vec<&str> = self
            .cluster
            .members
            .iter()
            .map(|member| member.host.as_str())
            .filter(|host| !self.seen.contains_key(host))
            .collect();
        if absent.is_empty() {
            return None;
        }
        let answering = self.answering();
        let seen = if answering.is_empty() {
            String::new()
        } else {
            format!(" (something already answers on {})", answering.join(", "))
        };
        Some(format!(
            "cluster {} cannot be made on {fresh} without {}, which are unreachable or left out by -l{seen}: run ./etcd.yml for all its hosts; to join {fresh} to a running cluster: -e etcd_init=existing",
            self.cluster.name,
            absent.join(", ")
        ))
    }

    fn answering(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.seen.values().flat_map(|seen| seen.answering.clone()).collect();
        order::sort(&mut urls);
        urls.dedup();
        urls
    }

    /// Something listens where a fresh member would.
    fn already_answering(&self) -> Option<String> {
        let taken: Vec<String> = self
            .fresh()
            .filter(|member| {
                let own = [&member.client_url, &member.peer_url];
                self.seen.values().any(|seen| seen.answering.iter().any(|url| own.contains(&url)))
            })
            .map(|member| format!("{} ({})", member.client_url, member.host))
            .collect();
        (!taken.is_empty()).then(|| {
            format!(
                "something already answers on {}, though the data directory there is empty: is it an etcd with another data directory (etcd_data)? stop it, or correct etcd_data or etcd_port",
                taken.join(", ")
            )
        })
    }

    /// Some hosts have data and some have none, and the cluster is down.
    fn half_founded(&self, fresh: &str) -> Option<String> {
        let holders: Vec<(&Member, &Observed)> = self.with_data().collect();
        if holders.is_empty()
            || holders
                .iter()
                .all(|(_, seen)| !seen.data.had_leader && seen.data.cluster_id.as_deref() == Some(&self.founding))
        {
            return None;
        }
        let hosts = holders.iter().map(|(member, _)| member.host.as_str()).collect::<Vec<_>>().join(",");
        Some(format!(
            "{fresh} has no data, while {hosts} holds that of cluster {}, which has been in use and is down: making members anew could lose it; start what has data first: ./etcd.yml -l {hosts}, then run again",
            holders.first().and_then(|(_, seen)| seen.data.cluster_id.clone()).unwrap_or_default()
        ))
    }
}

pub(crate) fn read<'a>(
    cluster: &'a Cluster,
    observed: &BTreeMap<String, Value>,
    findings: &mut Findings,
) -> BTreeMap<&'a str, Observed> {
    let mut seen = BTreeMap::new();
    for member in &cluster.members {
        let Some(value) = observed.get(&member.host) else { continue };
        match serde_json::from_value(value.clone()) {
            Ok(of_host) => drop(seen.insert(member.host.as_str(), of_host)),
            Err(error) => {
                findings.problems.push(format!("what {} says of itself makes no sense: {error}", member.host));
            }
        }
    }
    seen
}
