//! What is wrong with a cluster, and what puts it right. Whoever still has a quorum keeps it, and its data.

/// One cluster, and who knows what of it.
mod case;
/// Members whose data differs.
mod compared;
/// Going on with the data of one member.
mod going_on;
/// Clusters without a quorum.
mod lost;
/// What each host of a running cluster needs.
mod need;
/// What data is left of a cluster.
mod remains;
/// Members that are made anew.
mod replace;
/// Clusters that have a quorum.
mod running;

use crate::Findings;
use crate::identity::Cluster;
use crate::leaving::Leaving;
use crate::restoring::under_way;
use case::Case;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is asked for, and what is known beside what the hosts say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    /// The host whose data a cluster without quorum goes on with; empty where nobody has named one.
    from: String,
    /// The snapshot that the user wants to go back to; empty without.
    snapshot: String,
    /// What came of starting members, by host.
    tried: BTreeMap<String, Tried>,
    /// What kept hosts that were reached from being looked at.
    failed: BTreeMap<String, String>,
    /// What the members' data amounts to, for each cluster that was asked.
    hashes: BTreeMap<String, Option<Hashes>>,
    /// The hosts of the run; all, where that is not said.
    hosts: Option<Vec<String>>,
    /// Whether this run has changed something already.
    again: bool,
    /// Whether it has done so as often as one run does.
    last: bool,
}

/// Words of `etcd_force` that are meant for one cluster, or one member.
const FOR_ONE: &[&str] = &["replace", "unreachable", "remove", "damaged"];

/// A member that was to start and does not serve.
#[derive(Clone, Debug, Default, Deserialize)]
struct Tried {
    #[serde(default)]
    msg: String,
    /// Whether its log says that its data is damaged.
    #[serde(default)]
    damaged: bool,
}

/// The hash of all keys at one revision, by the member's id.
#[derive(Clone, Debug, Deserialize)]
struct Hashes {
    revision: i64,
    members: BTreeMap<String, u32>,
    /// Each member's own newest revision, where that is known.
    #[serde(default)]
    revisions: BTreeMap<String, i64>,
}

/// What was found, and what is done about it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Recovery {
    /// In words: what was found, what will be done, and what is left for somebody else to do.
    found: Vec<String>,
    intends: Vec<String>,
    left: Vec<String>,
    /// Whether anything is done.
    acts: bool,
    /// For each cluster whose members' data is to be compared, the host to ask.
    compare: BTreeMap<String, String>,
    /// Hosts whose member may only have to be started.
    start: Vec<String>,
    /// Hosts whose member must not run any more.
    stop: BTreeMap<String, Stop>,
    /// Alarms that are over.
    disarm: Vec<At>,
    /// Who leaves its cluster, in this order.
    leaving: Vec<Leaving>,
    /// Hosts whose data is moved aside, and whose that is.
    aside: BTreeMap<String, Whose>,
    /// Hosts that go on alone.
    alone: Vec<String>,
    /// Hosts that join.
    join: Vec<String>,
    /// Clusters that are out of space.
    space: Vec<At>,
    /// The cluster that goes back to the snapshot, which is what role `etcd_restore` does; empty without.
    restore: String,
}

/// A cluster, and the host through which it is spoken to.
#[derive(Debug, Serialize)]
struct At {
    cluster: String,
    host: String,
}

/// How a member ends.
#[derive(Debug, Serialize)]
struct Stop {
    /// At once, for there is nobody to hand over to.
    kill: bool,
}

/// Whose data it is; unknown where it cannot be read.
#[derive(Debug, Serialize)]
struct Whose {
    member_id: Option<String>,
    cluster_id: Option<String>,
    unreadable: bool,
}

/// Diagnoses every cluster of the run.
pub(crate) fn judge(
    clusters: &BTreeMap<String, Cluster>,
    request: &Request,
    observed: &BTreeMap<String, Value>,
    findings: &mut Findings,
) -> Recovery {
    let mut recovery = Recovery::default();
    let known = clusters.values().any(|cluster| cluster.hosts.contains(&request.from));
    if !request.from.is_empty() && !known {
        findings.problems.push(format!(
            "etcd_recover_from is {}, which is no member of the run's clusters: name the host as the inventory does",
            request.from
        ));
    }
    let left_out = clusters.values().flat_map(|cluster| &cluster.hosts);
    let left_out: Vec<&str> = left_out
        .filter(|host| request.hosts.as_ref().is_some_and(|hosts| !hosts.contains(host)))
        .map(String::as_str)
        .collect();
    if !left_out.is_empty() {
        // Who is not asked may be the one that matters.
        findings.problems.push(format!(
            "what is wrong with a cluster is found out on all of its hosts, and the run leaves {} out: run it without -l",
            left_out.join(", ")
        ));
        return recovery;
    }
    findings.problems.extend(request.ambiguous(clusters));
    if !findings.problems.is_empty() {
        return recovery;
    }
    let mut blocked = Vec::new();
    for cluster in clusters.values() {
        let case = match Case::new(cluster, request, observed, findings) {
            Ok(case) => case,
            Err(problem) => {
                blocked.push((&cluster.name, problem));
                continue;
            }
        };
        let problems = match (&case.live, under_way(cluster, &case.seen)) {
            (None, Some(_)) if !request.snapshot.is_empty() => case.finish_restore(&mut recovery),
            (_, Some(problem)) => vec![problem],
            (Some(live), None) => case.running(live, &mut recovery),
            (None, None) => case.lost(&mut recovery),
        };
        blocked.extend(problems.into_iter().map(|problem| (&cluster.name, problem)));
    }
    recovery.acts = recovery.does_something();
    // What has been done is not undone by what cannot be, and what can be done for one cluster does not wait for another one.
    if request.again || recovery.acts || !recovery.compare.is_empty() {
        let alone = |name: &str| {
            if clusters.len() > 1 { format!(" (cluster {name} by itself: -l {name})") } else { String::new() }
        };
        recovery.left.extend(blocked.into_iter().map(|(name, problem)| format!("{problem}{}", alone(name))));
    } else {
        findings.problems.extend(blocked.into_iter().map(|(_, problem)| problem));
    }
    if request.last && recovery.acts { recovery.given_up() } else { recovery }
}

impl Recovery {
    fn does_something(&self) -> bool {
        !(self.start.is_empty()
            && self.stop.is_empty()
            && self.disarm.is_empty()
            && self.leaving.is_empty()
            && self.aside.is_empty()
            && self.alone.is_empty()
            && self.join.is_empty()
            && self.space.is_empty())
    }

    /// What one run has not come to.
    fn given_up(mut self) -> Self {
        self.left.push(format!(
            "this run has done what one run does, and all is not well yet ({}); still to be done: {}; run ./etcd-recover.yml again",
            self.found.join("; "),
            self.intends.join("; ")
        ));
        Self { found: self.found, left: self.left, ..Self::default() }
    }
}

impl Request {
    /// What cannot be done together.
    fn ambiguous(&self, clusters: &BTreeMap<String, Cluster>) -> Option<String> {
        let names: Vec<&str> = clusters.keys().map(String::as_str).collect();
        let several = names.len() > 1;
        let first = names.first().copied().unwrap_or("etcd");
        if !self.snapshot.is_empty() && !self.from.is_empty() {
            return Some("etcd_snapshot goes back to a snapshot, and etcd_recover_from goes on with the data of a survivor: leave one of them out".into());
        }
        if several && !self.snapshot.is_empty() {
            return Some(format!(
                "the run has the hosts of clusters {}, and a snapshot is of one: name it with -l, as in ./etcd-recover.yml -l {first} -e etcd_snapshot={}",
                names.join(" and "),
                self.snapshot
            ));
        }
        let members = || clusters.values().flat_map(|cluster| &cluster.members);
        let word = FOR_ONE.iter().find(|word| members().all(|member| member.is_forced(word)))?;
        several.then(|| {
            format!(
                "etcd_force={word} is given for clusters {} at once, and is meant for one: name it with -l, as in ./etcd-recover.yml -l {first} -e etcd_force={word}, or set it in the variables of the host that is meant",
                names.join(" and ")
            )
        })
    }
}
