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
}

/// Who uses a cluster.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Usage {
    pub(crate) leases: Leases,
    /// In words, such as `Patroni cluster pg-main in /service`.
    pub(crate) clients: Vec<String>,
    /// Whether all keys were looked at.
    pub(crate) complete: bool,
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
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Live {
    pub(crate) id: String,
    pub(crate) leader: Option<String>,
    pub(crate) members: Vec<LiveMember>,
    /// Who uses it, where that was asked.
    pub(crate) usage: Option<Usage>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LiveMember {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) peer_urls: Vec<String>,
    #[serde(default)]
    pub(crate) is_learner: bool,
    pub(crate) started: bool,
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
