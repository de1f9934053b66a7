//! What was found on the hosts, and what their members say of their cluster.

use crate::Findings;
use crate::identity::{Cluster, Member};
use crate::variables::is_wanted_version;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The part of `etcd_info`'s result that decides.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Observed {
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) unit: Unit,
    pub(crate) data: Data,
    #[serde(default)]
    pub(crate) serving: bool,
    /// Whether its member only learns, as far as it says so itself.
    #[serde(default)]
    pub(crate) learner: bool,
    #[serde(default)]
    pub(crate) pending: Vec<String>,
    pub(crate) cluster: Option<Live>,
    pub(crate) cluster_error: Option<Value>,
    #[serde(default)]
    pub(crate) answering: Vec<String>,
    /// What a restore has noted on the host.
    pub(crate) restore: Option<Value>,
    /// Null where the host has none.
    #[serde(default)]
    pub(crate) certificate: Value,
}

/// Who uses a cluster.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Usage {
    pub(crate) leases: Leases,
    /// In words, such as `Patroni cluster pg-main in /service`.
    pub(crate) clients: Vec<String>,
    /// Whether all keys were looked at.
    pub(crate) complete: bool,
    /// The newest revision by then.
    #[serde(default)]
    pub(crate) revision: i64,
}

/// Leases that have not expired.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Leases {
    pub(crate) count: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Unit {
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) active_state: String,
    #[serde(default)]
    pub(crate) unit_file_state: String,
    #[serde(default)]
    pub(crate) need_daemon_reload: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Data {
    #[serde(default)]
    pub(crate) state: String,
    pub(crate) member_id: Option<String>,
    pub(crate) cluster_id: Option<String>,
    #[serde(default)]
    pub(crate) had_leader: bool,
    pub(crate) reason: Option<String>,
    /// How far its log goes, where that was asked.
    pub(crate) log: Option<Log>,
    /// Whether a log is left in a directory of its own, though the data is gone.
    #[serde(default)]
    pub(crate) left_wal: bool,
    /// Whether it was to go on alone, and has not served since.
    #[serde(default)]
    pub(crate) alone: bool,
    /// Where something is to be mounted and is not: what lies there instead says nothing of the member.
    pub(crate) unmounted: Option<String>,
}

/// How far a log goes.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Log {
    pub(crate) term: u64,
    pub(crate) index: u64,
    /// How much of it the log says to be committed.
    pub(crate) commit: Option<u64>,
    /// How much of it is in the database.
    pub(crate) applied: Option<u64>,
}

impl Log {
    /// What is known to be committed, and what a member keeps that goes on alone.
    pub(crate) fn kept(&self) -> Option<u64> {
        self.commit.max(self.applied)
    }

    /// The greater, the newer. What is not known to be committed counts only where the rest is equal; of that, what raft calls up
    /// to date: a later term counts more than a longer log.
    pub(crate) fn newness(&self) -> (Option<u64>, u64, u64) {
        (self.kept(), self.term, self.index)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Live {
    pub(crate) id: String,
    pub(crate) leader: Option<String>,
    pub(crate) members: Vec<LiveMember>,
    #[serde(default)]
    pub(crate) alarms: Vec<Alarm>,
    /// Who uses it, where that was asked.
    pub(crate) usage: Option<Usage>,
    /// Each member's hash, and what the cluster holds, where that was asked.
    pub(crate) hashes: Option<Hashes>,
    pub(crate) contents: Option<Contents>,
    pub(crate) auth: Option<String>,
}

/// An alarm of a cluster.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) kind: String,
    /// The member it names; etcd does not always know whom to blame.
    pub(crate) member_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Hashes {
    pub(crate) revision: i64,
    pub(crate) members: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Contents {
    pub(crate) revision: i64,
    /// None where that revision has been compacted.
    pub(crate) keys: Option<u64>,
    pub(crate) users: Vec<String>,
    pub(crate) roles: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LiveMember {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) peer_urls: Vec<String>,
    #[serde(default)]
    pub(crate) is_learner: bool,
    pub(crate) started: bool,
    #[serde(default)]
    pub(crate) healthy: bool,
    /// Whether the alarm CORRUPT names it.
    #[serde(default)]
    pub(crate) corrupt: bool,
    /// Why it does not serve.
    pub(crate) error: Option<Trouble>,
    pub(crate) status: Option<Status>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Trouble {
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Status {
    /// The alarms that it knows of, as etcd words them.
    #[serde(default)]
    pub(crate) errors: Vec<String>,
    /// How far its log goes.
    #[serde(default)]
    pub(crate) raft_term: u64,
    #[serde(default)]
    pub(crate) raft_index: u64,
}

impl Observed {
    /// Whether the member serves with what it is configured for, and will do so after a boot; and votes, if it is to.
    pub(crate) fn is_settled(&self, member: &Member) -> bool {
        let unit = &self.unit;
        let up = unit.active_state == "active" && unit.unit_file_state == "enabled" && !unit.need_daemon_reload;
        up && (!self.learner || member.learns) && self.serving && self.pending.is_empty() && self.data.state == "member"
    }

    /// Whether the host has looked at its cluster, and not only at itself.
    pub(crate) fn looked(&self) -> bool {
        self.cluster.is_some() || self.cluster_error.is_some()
    }

    /// Where a disk may be missing, and with it the member's data.
    pub(crate) fn unmounted(&self, host: &str) -> Option<String> {
        let path = self.data.unmounted.as_ref()?;
        Some(format!(
            "{path} of {host} is to be mounted and is not, so its member's data may be on a disk that is missing: mount it (mount {path}), then run the same command again; if that disk is gone for good, take it out of /etc/fstab first"
        ))
    }

    /// Why the host does not know its cluster.
    pub(crate) fn cluster_trouble(&self) -> Option<&str> {
        match (&self.cluster, &self.cluster_error) {
            (None, Some(error)) => error["reason"].as_str(),
            (Some(live), _) if live.leader.is_none() => Some("its cluster has no leader"),
            _ => None,
        }
    }

    /// Whether another version than the installed one is asked for.
    pub(crate) fn other_version(&self, wanted: Option<&str>) -> bool {
        let installed = self.version.as_deref();
        installed.zip(wanted).is_some_and(|(installed, wanted)| !is_wanted_version(installed, wanted))
    }
}

/// What was found on each of a cluster's hosts that answered.
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

/// The cluster whose data most hosts hold; of two, the one that the inventory would found.
pub(crate) fn most_common<'a>(seen: &'a BTreeMap<&str, Observed>, founding: &str) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for id in seen.values().filter_map(|seen| seen.data.cluster_id.as_deref()) {
        *counts.entry(id).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(id, count)| (*count, *id == founding)).map(|(id, _)| id)
}

/// Who uses a cluster, and how to `act` all the same, such as `remove it`.
pub(crate) fn in_use(name: &str, seen: &BTreeMap<&str, Observed>, act: &str) -> Option<String> {
    let Some(usage) = seen.values().find_map(|seen| seen.cluster.as_ref()?.usage.as_ref()) else {
        // What does not run is used by nobody; what runs may be.
        let (host, seen) = seen.iter().find(|(_, seen)| seen.unit.active_state == "active")?;
        let reason = seen.cluster_trouble().unwrap_or("it does not say");
        return Some(format!(
            "etcd runs on {host}, and it cannot be told who uses cluster {name} ({reason}): correct that, or stop it first; to {act} all the same: -e etcd_force=in_use"
        ));
    };
    let leases = usage.leases.count;
    let mut users = usage.clients.clone();
    if leases > 0 {
        users.push(format!("{leases} live lease{}", if leases == 1 { "" } else { "s" }));
    }
    let cause = match (users.is_empty(), usage.complete) {
        (true, true) => return None,
        (true, false) => "has so many keys that not all could be looked at for who uses it".to_owned(),
        (false, _) => format!("is in use, by {}", users.join(", ")),
    };
    Some(format!("cluster {name} {cause}: stop what uses it first; to {act} all the same: -e etcd_force=in_use"))
}
