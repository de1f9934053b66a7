//! Restoring a whole cluster from a snapshot, or putting back what that has moved aside.
//!
//! What a restore is about is noted on every host before the first member is stopped ([`Note`]), and etcd does not start
//! there until all hosts are done. So a run that was cut off anywhere is gone on with by the next one, with the same
//! token, or undone.

/// What the hosts have foretold, and whether it fits together.
mod agreed;
/// Putting the old data back.
mod back;
/// What earlier runs have begun.
mod begun;
/// Where a snapshot is.
mod file;
/// Whether cluster and snapshot are fit for it.
mod fit;
/// Going to the snapshot.
mod forward;
/// What a restore has noted on a host.
mod note;
/// Whether the cluster is what it is to be.
mod proof;

pub(crate) use agreed::{Foretold, agree};
pub(crate) use file::Named;
use note::Note;
pub(crate) use note::under_way;
pub(crate) use proof::prove;

use crate::Findings;
use crate::identity::Cluster;
use crate::observed::{Live, Observed, read};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// The hosts of the run.
    hosts: Vec<String>,
    /// Whether the old data is to come back.
    #[serde(default)]
    rollback: bool,
    /// The time of the run, as names of files have it.
    time: String,
    /// By how much revisions are raised above the highest one that is known; 0 for not at all.
    #[serde(default)]
    bump: i64,
    /// Whether a recovery has found that the cluster has no quorum: members without a leader are used by nobody.
    #[serde(default)]
    recovers: bool,
    snapshot: Option<Snapshot>,
    unverified: Option<Unverified>,
}

/// Why the snapshot that was named could not be found whole.
#[derive(Debug, Deserialize)]
struct Unverified {
    /// The host it was looked for on; nothing for this machine.
    host: String,
    msg: String,
    /// The failure's `kind`, and its `trouble`, what is wrong with a file that was read; each empty where it has none.
    #[serde(default)]
    kind: String,
    #[serde(default)]
    trouble: String,
}

impl Unverified {
    /// What is wrong, where, and what else can be asked for.
    fn told(&self) -> String {
        let place = if self.host.is_empty() { "this machine" } else { &self.host };
        let next = match (self.kind.as_str(), self.trouble.as_str()) {
            (_, "without_hash") => ", which is -e etcd_force=unhashed here",
            ("io", _) => {
                "; etcd_snapshot=FILE is one on this machine, etcd_snapshot=HOST:/FILE one on a host of the inventory"
            }
            _ => "",
        };
        format!("on {place}: {}{next}", self.msg)
    }
}

/// A snapshot that was found whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Snapshot {
    path: String,
    sha256: String,
    size: u64,
    revision: i64,
    total_keys: u64,
    auth: bool,
    users: Vec<String>,
    roles: Vec<String>,
    /// The version that its cluster had agreed on.
    #[serde(default)]
    cluster_version: Option<String>,
    /// The members of its cluster, as far as they are known.
    #[serde(default)]
    members: Vec<Saved>,
    /// The alarms that were raised when it was taken, with which a cluster begins that is restored from it.
    #[serde(default)]
    alarms: Vec<String>,
    /// Whether it ends with the SHA-256 of its database.
    #[serde(default = "yes")]
    sealed: bool,
}

fn yes() -> bool {
    true
}

/// A member of the cluster that was saved.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
struct Saved {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    peer_urls: Vec<String>,
}

impl Snapshot {
    /// The saved cluster's members, in words.
    fn members(&self) -> String {
        let label = |member: &Saved| {
            let name = if member.name.is_empty() { &member.id } else { &member.name };
            format!("{name} at {}", member.peer_urls.join(","))
        };
        self.members.iter().map(label).collect::<Vec<_>>().join(", ")
    }
}

/// What is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Plan {
    cluster: String,
    rollback: bool,
    /// Whether members are stopped and data is moved; all of it has been done already otherwise.
    moves: bool,
    /// Whether the restored cluster has served before this run.
    served: bool,
    /// The restored cluster.
    token: String,
    cluster_id: String,
    initial_cluster: String,
    /// By how much revisions are raised, and the one that the restored cluster begins with.
    bump: u64,
    revision: Option<i64>,
    /// When it began.
    time: String,
    /// What is noted on each host.
    notes: BTreeMap<String, Note>,
    /// Hosts that had no data before the restore, and are to have none again.
    empty: Vec<String>,
    /// Where the data is, or will be, that was there before.
    asides: Vec<String>,
    snapshot: Option<Snapshot>,
    /// What is about to happen, for whoever may still stop it.
    prompt: String,
    /// How it is with the cluster as long as nothing has been moved, and what to do when something fails after that.
    otherwise: String,
    next: String,
}

/// One cluster, what was found of it, and what earlier runs have noted.
struct Case<'a> {
    cluster: &'a Cluster,
    request: &'a Request,
    seen: BTreeMap<&'a str, Observed>,
    notes: BTreeMap<&'a str, Note>,
}

/// Judges the run.
pub(crate) fn judge(
    clusters: &BTreeMap<String, Cluster>,
    request: &Request,
    observed: &BTreeMap<String, Value>,
    findings: &mut Findings,
) -> Plan {
    let names: Vec<&str> = clusters.keys().map(String::as_str).collect();
    let [cluster] = clusters.values().collect::<Vec<_>>()[..] else {
        findings.problems.push(format!(
            "the run has the hosts of clusters {}, and a snapshot is of one: name it with -l, as in ./etcd-restore.yml -l {}",
            names.join(" and "),
            names.first().unwrap_or(&"etcd")
        ));
        return Plan::default();
    };
    let seen = read(cluster, observed, findings);
    let mut notes = BTreeMap::new();
    for (host, seen) in &seen {
        match note::read(seen.restore.as_ref()) {
            Ok(note) => notes.extend(note.map(|note| (*host, note))),
            Err(problem) => findings.problems.push(format!(
                "what a restore has noted on {host} cannot be read ({problem}): look at it, and remove it only if no restore was under way"
            )),
        }
    }
    let case = Case { cluster, request, seen, notes };
    findings.problems.extend(case.guarded().into_iter().chain(case.incomplete()).chain(case.unfit()));
    if request.rollback { case.roll_back(findings) } else { case.restore(findings) }
}

impl Case<'_> {
    fn name(&self) -> &str {
        &self.cluster.name
    }

    fn forced(&self, word: &str) -> bool {
        self.cluster.members.iter().any(|member| member.is_forced(word))
    }

    /// The cluster as somebody sees it that has a leader.
    fn live(&self) -> Option<&Live> {
        self.seen.values().filter_map(|seen| seen.cluster.as_ref()).find(|live| live.leader.is_some())
    }

    /// Whether the host's data is of that cluster.
    fn holds(&self, host: &str, cluster_id: &str) -> bool {
        self.seen.get(host).is_some_and(|seen| seen.data.cluster_id.as_deref() == Some(cluster_id))
    }

    fn all_hold(&self, cluster_id: &str) -> bool {
        self.cluster.hosts.iter().all(|host| self.holds(host, cluster_id))
    }

    /// Whether a cluster that was restored has been started: its first term is the restore's own.
    fn was_started(&self, cluster_id: &str) -> bool {
        let live = self.live().is_some_and(|live| live.id == cluster_id);
        let later = |seen: &Observed| seen.data.log.is_some_and(|log| log.term > 1);
        live || self.seen.iter().any(|(host, seen)| self.holds(host, cluster_id) && later(seen))
    }
}
