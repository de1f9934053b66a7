//! In which order members restart: one wave touches at most one member of each cluster, and the leader comes last.

use crate::identity::Cluster;
use ansible_protocol::order;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The part of `etcd_service`'s result that decides.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Restart {
    /// What a restart would pick up.
    pub(crate) restart_needed: Vec<String>,
    /// Whether the member leads.
    #[serde(default)]
    pub(crate) is_leader: bool,
}

/// The wave of each host that restarts, counted from 0.
pub(crate) fn order(
    clusters: &BTreeMap<String, Cluster>,
    restarts: &BTreeMap<String, Restart>,
) -> BTreeMap<String, usize> {
    let mut waves = BTreeMap::new();
    for cluster in clusters.values() {
        let mut due: Vec<(bool, &str)> = cluster
            .members
            .iter()
            .filter_map(|member| Some((restarts.get(&member.host)?, member.host.as_str())))
            .filter(|(restart, _)| !restart.restart_needed.is_empty())
            .map(|(restart, host)| (restart.is_leader, host))
            .collect();
        // Stable: followers keep the order of their numbers.
        order::sort_by_key(&mut due, |(leader, _)| *leader);
        waves.extend(due.into_iter().enumerate().map(|(wave, (_, host))| (host.to_owned(), wave)));
    }
    waves
}
