//! In which order members restart: one wave touches at most one member of each cluster, and the leader comes last.

use crate::identity::Cluster;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One host's part.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Restart {
    /// Whether it has something to restart for.
    pub(crate) needed: bool,
    /// Whether its member leads.
    pub(crate) leader: bool,
}

/// The wave of each host that restarts, counted from 0.
pub(crate) fn order(clusters: &[Cluster], restarts: &BTreeMap<String, Restart>) -> BTreeMap<String, usize> {
    let mut waves = BTreeMap::new();
    for cluster in clusters {
        let mut due: Vec<(bool, &str)> = cluster
            .members
            .iter()
            .filter_map(|member| Some((restarts.get(&member.host)?, member.host.as_str())))
            .filter(|(restart, _)| restart.needed)
            .map(|(restart, host)| (restart.leader, host))
            .collect();
        // Stable: followers keep the order of their numbers.
        due.sort_by_key(|(leader, _)| *leader);
        waves.extend(due.into_iter().enumerate().map(|(wave, (_, host))| (host.to_owned(), wave)));
    }
    waves
}
