//! What is safe to do with what was found. One rule per kind of danger; each names the host, the cause and the way on.

use crate::Findings;
use crate::identity::{Cluster, Member};
use crate::variables::is_wanted_version;
use etcd_ops::version::{KNOWN, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The part of `etcd_info`'s result that decides.
#[derive(Clone, Debug, Default, Deserialize)]
struct Observed {
    version: Option<String>,
    #[serde(default)]
    unit: Unit,
    data: Data,
    #[serde(default)]
    serving: bool,
    #[serde(default)]
    pending: Vec<String>,
    cluster: Option<Live>,
    cluster_error: Option<Value>,
    #[serde(default)]
    answering: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Unit {
    error: Option<String>,
    #[serde(default)]
    active_state: String,
    #[serde(default)]
    unit_file_state: String,
    #[serde(default)]
    need_daemon_reload: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Data {
    #[serde(default)]
    state: String,
    member_id: Option<String>,
    cluster_id: Option<String>,
    #[serde(default)]
    had_leader: bool,
    reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Live {
    id: String,
    leader: Option<String>,
    members: Vec<LiveMember>,
}

#[derive(Clone, Debug, Deserialize)]
struct LiveMember {
    id: String,
    name: String,
    peer_urls: Vec<String>,
    started: bool,
}

impl Observed {
    /// Whether the member serves with what it is configured for, and will do so after a boot.
    fn settled(&self) -> bool {
        let unit = &self.unit;
        let up = unit.active_state == "active" && unit.unit_file_state == "enabled" && !unit.need_daemon_reload;
        up && self.serving && self.pending.is_empty() && self.data.state == "member"
    }

    /// Whether the host has looked at its cluster, and not only at itself.
    fn looked(&self) -> bool {
        self.cluster.is_some() || self.cluster_error.is_some()
    }

    /// Whether another version than the installed one is asked for.
    fn other_version(&self, wanted: Option<&str>) -> bool {
        let installed = self.version.as_deref();
        installed.zip(wanted).is_some_and(|(installed, wanted)| !is_wanted_version(installed, wanted))
    }
}

/// One cluster of the inventory beside what was found of it.
struct Case<'a> {
    cluster: &'a Cluster,
    seen: BTreeMap<&'a str, Observed>,
    live: Option<Live>,
    /// The id that a cluster founded from the inventory as it stands has.
    founding: String,
}

/// What one host is about to be.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Situation {
    /// Whether it is a founding member of its cluster.
    founds: bool,
    /// What belongs into its configuration.
    initial_cluster_state: &'static str,
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
    /// For each cluster the host that can speak for it.
    pub(crate) speakers: BTreeMap<String, String>,
}

/// Judges every cluster. Its hosts have to look at it only when the run starts members (`starts`) and not each of them
/// serves as it is configured: then all is well, as far as the run is concerned.
pub(crate) fn judge(
    clusters: &BTreeMap<String, Cluster>,
    observed: &BTreeMap<String, Value>,
    starts: bool,
    findings: &mut Findings,
) -> Verdict {
    let mut verdict = Verdict::default();
    for cluster in clusters.values() {
        let case = Case::new(cluster, observed, findings);
        if starts && case.seen.values().any(|seen| !seen.settled() && !seen.looked()) {
            verdict.look_closer = true;
        } else {
            findings.problems.extend(case.problems(starts));
            findings.warnings.extend(case.version_warnings());
        }
        for member in &cluster.members {
            let Some(seen) = case.seen.get(member.host.as_str()) else { continue };
            let founds = seen.data.state == "absent" && case.founds();
            // What nobody has looked at closely may be a running cluster's.
            let new = founds && (starts || !case.was_in_use());
            let situation = Situation {
                founds,
                initial_cluster_state: if new { "new" } else { "existing" },
                installs: seen.version.is_none() || seen.other_version(member.version.as_deref()),
                settled: seen.settled(),
            };
            verdict.situations.insert(member.host.clone(), situation);
        }
        verdict.speakers.extend(case.speaker(starts).map(|host| (cluster.name.clone(), host.to_owned())));
    }
    verdict
}

impl<'a> Case<'a> {
    fn new(cluster: &'a Cluster, observed: &BTreeMap<String, Value>, findings: &mut Findings) -> Self {
        let mut seen: BTreeMap<&str, Observed> = BTreeMap::new();
        for member in &cluster.members {
            let Some(value) = observed.get(&member.host) else { continue };
            match serde_json::from_value(value.clone()) {
                Ok(of_host) => drop(seen.insert(&member.host, of_host)),
                Err(error) => {
                    findings.problems.push(format!("what {} says of itself makes no sense: {error}", member.host));
                }
            }
        }
        // The view of whoever sees a leader counts; a member cut off from its cluster may know an old list.
        let views = || seen.values().filter_map(|seen| seen.cluster.clone());
        let live = views().find(|live| live.leader.is_some());
        let ids: Vec<u64> = cluster
            .members
            .iter()
            .map(|member| etcd_ops::datadir::founding_member_id(std::slice::from_ref(&member.peer_url), &cluster.token))
            .collect();
        let founding = etcd_ops::hex(etcd_ops::datadir::founding_cluster_id(&ids));
        Self { cluster, seen, live, founding }
    }

    fn data_dir(&self, host: &str) -> &str {
        let member = self.cluster.members.iter().find(|member| member.host == host);
        member.map_or("", |member| member.data_dir.as_str())
    }

    fn fresh(&self) -> impl Iterator<Item = &Member> {
        self.cluster
            .members
            .iter()
            .filter(|member| self.seen.get(member.host.as_str()).is_some_and(|seen| seen.data.state == "absent"))
    }

    fn with_data(&self) -> impl Iterator<Item = (&Member, &Observed)> {
        self.cluster
            .members
            .iter()
            .filter_map(|member| Some((member, self.seen.get(member.host.as_str())?)))
            .filter(|(_, seen)| seen.data.state == "member")
    }

    /// Whether the fresh hosts of this run are founding members: of a cluster that is about to be made, or of one whose
    /// making was cut short.
    fn founds(&self) -> bool {
        self.fresh().all(|member| !member.joins)
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
                && !live.members.iter().any(|known| known.id == id)
            {
                problems.push(format!(
                    "{data_dir} of {host} belongs to member {id}, which was removed from cluster {cluster}: it is left alone; move it aside, then join the host anew: mv {data_dir} {data_dir}.old; ./etcd.yml -l {host} -e etcd_init=existing"
                ));
            }
        }
        problems
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
            match live.members.iter().find(|known| known.peer_urls.contains(&member.peer_url)) {
                Some(known) if known.started => problems.push(format!(
                    "{host} is member {} ({}) of the running cluster {}, but its data directory {} is empty: its data is lost, and etcd would refuse to start; replace it: ./etcd-rm.yml -l {host}, then ./etcd.yml -l {host} -e etcd_init=existing",
                    known.name, known.id, self.cluster.name, self.data_dir(host)
                )),
                // A founding member whose start was cut short.
                Some(known) if known.id == etcd_ops::hex(self.founding_id(member)) && !member.joins => {}
                Some(_) | None if member.joins => problems.push(joining(host)),
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

    /// A fresh host, and no running cluster to be seen from this run's hosts.
    fn fresh_without_live(&self) -> Vec<String> {
        let fresh: Vec<&Member> = self.fresh().collect();
        if fresh.is_empty() {
            return Vec::new();
        }
        let names = fresh.iter().map(|member| member.host.as_str()).collect::<Vec<_>>().join(", ");
        if fresh.iter().any(|member| member.joins) {
            return vec![format!(
                "{names}: etcd_init is existing, but no running cluster {} can be reached: bring its members up first, or leave etcd_init at new to make a cluster",
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
        urls.sort();
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

fn joining(host: &str) -> String {
    format!(
        "{host}: joining a running cluster (etcd_init=existing) is not part of this release; leave the host out, or make a new cluster"
    )
}
