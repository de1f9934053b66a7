//! What concerns a cluster's hosts together: who they are, and what they must have alike, or each for itself.

use super::member::token;
use super::{Cluster, Inventory, cluster_of};
use crate::variables::{says, text};
use ansible_protocol::{Object, nearest, order};
use std::collections::BTreeMap;

pub(super) fn missing_group(params: &Inventory, name: &str) -> String {
    let members: Vec<&str> =
        params.play_hosts.iter().filter(|host| cluster_of(params, host) == name).map(String::as_str).collect();
    let hint = nearest(name, params.groups.keys().map(String::as_str))
        .map(|near| format!(" (did you mean {near}?)"))
        .unwrap_or_default();
    format!(
        "etcd_cluster is {name} on {}, but the inventory has no group {name}{hint}: name the group after the cluster, or set etcd_cluster to the group's name",
        members.join(", ")
    )
}

/// Hosts on which `etcd_cluster` and the group disagree.
pub(super) fn outsiders(params: &Inventory, name: &str, hosts: &[String]) -> Vec<String> {
    let outside = params.play_hosts.iter().filter(|host| cluster_of(params, host) == name && !hosts.contains(host));
    let inside = hosts.iter().filter(|host| cluster_of(params, host) != name);
    outside
        .map(|host| format!("{host} has etcd_cluster {name} but is not in the group {name}: add it to the group"))
        .chain(inside.map(|host| {
            let other = cluster_of(params, host);
            format!("{host} is in the group {name} but has etcd_cluster {other}: set etcd_cluster to {name} in the group's vars, or move the host")
        }))
        .collect()
}

/// What all members of a cluster must have alike, or etcd would not make one, or not keep it together.
pub(super) fn unlike(params: &Inventory, name: &str, hosts: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let differ = |unset: &str, of: &dyn Fn(&Object) -> Option<String>| {
        let values = order::set(hosts.iter().filter_map(|host| params.hosts.get(host)).map(of));
        (values.len() > 1).then(|| {
            let texts: Vec<String> =
                values.into_iter().map(|value| value.unwrap_or_else(|| unset.to_owned())).collect();
            texts.join(" and ")
        })
    };
    for variable in ["etcd_election_timeout", "etcd_heartbeat_interval"] {
        if let Some(values) = differ("the default", &|variables| text(variables, variable)) {
            problems.push(format!("{variable} is {values} in cluster {name}: all members need the same"));
        }
    }
    if let Some(values) = differ("unset", &|variables| says(variables, "etcd_clean").map(|clean| clean.to_string())) {
        problems
            .push(format!("etcd_clean is {values} in cluster {name}: a cluster is replaced as a whole, or not at all"));
    }
    if let Some(values) = differ("the default", &token) {
        problems.push(format!("initial-cluster-token is {values} in cluster {name}: all members need the same"));
    }
    problems
}

pub(super) fn duplicates(cluster: &Cluster) -> Vec<String> {
    let mut by_seq: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for member in &cluster.members {
        by_seq.entry(member.seq).or_default().push(&member.host);
    }
    by_seq
        .into_iter()
        .filter(|(_, hosts)| hosts.len() > 1)
        .map(|(seq, hosts)| {
            format!(
                "etcd_seq {seq} is given to {} of cluster {}: give each member a number of its own",
                hosts.join(" and "),
                cluster.name
            )
        })
        .collect()
}

/// Two members that would listen on the same address and port.
pub(super) fn shared_addresses(clusters: &BTreeMap<String, Cluster>) -> Vec<String> {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for member in clusters.values().flat_map(|cluster| &cluster.members) {
        for url in [member.client_url.as_str(), member.peer_url.as_str()] {
            if let Some(other) = taken.insert(url, &member.host)
                && other != member.host
            {
                problems.push(format!(
                    "{other} and {} would both listen on {url}: correct etcd_address or the ports",
                    member.host
                ));
            }
        }
    }
    problems
}

/// What is allowed but unwise.
pub(super) fn advice(params: &Inventory, cluster: &Cluster) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = cluster.members.len();
    if count > 0 && count.is_multiple_of(2) {
        let tolerated = count - (count / 2 + 1);
        warnings.push(format!(
            "cluster {} has {count} members: it survives the loss of {tolerated}, no more than with {}; use an odd number",
            cluster.name,
            count - 1
        ));
    }
    let mut variables = cluster.members.iter().filter_map(|member| params.hosts.get(&member.host));
    if variables.any(|variables| says(variables, "default_password") == Some(true)) {
        warnings.push(format!("cluster {} keeps the default root password: set etcd_root_password", cluster.name));
    }
    warnings
}
