//! Clusters and members, as the inventory has them.
//!
//! A cluster is the group that `etcd_cluster` names (`etcd` unless set), of the hosts in the group `etcd`: these are the
//! hosts that the playbooks look at.

use crate::address;
use ansible_protocol::{Object, order};
use etcd_ops::defaults;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The group of all members.
const ETCD: &str = "etcd";

/// What `ansible-inventory --list` says, as far as it concerns etcd.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// All hosts that are no members, with the addresses they have.
    pub(crate) others: BTreeMap<String, Vec<IpAddr>>,
    /// What keeps the clusters from being known.
    pub(crate) problems: Vec<String>,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// In the order of their numbers.
    pub(crate) members: Vec<Member>,
    /// What keeps its members from being known.
    pub(crate) problems: Vec<String>,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) host: String,
    /// Its name in the cluster.
    pub(crate) name: Option<String>,
    pub(crate) seq: Option<u32>,
    /// The address etcd listens on.
    pub(crate) address: Option<IpAddr>,
    /// All addresses that the inventory has for the host: its name, `ansible_host`, `etcd_address`.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) port: u16,
    /// Whether it stays a learner, which has no vote.
    pub(crate) learner: bool,
    pub(crate) data_dir: String,
    /// Whether removing it deletes its data.
    pub(crate) deletes_data: bool,
    /// Whether removing it removes etcd's packages.
    pub(crate) deletes_packages: bool,
    pub(crate) safeguard: bool,
}

impl Inventory {
    /// All members of all clusters.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Cluster, &Member)> {
        self.clusters.values().flat_map(|cluster| cluster.members.iter().map(move |member| (cluster, member)))
    }

    /// The clusters' names, for messages.
    pub(crate) fn cluster_names(&self) -> String {
        self.clusters.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The only cluster there is.
    pub(crate) fn only_cluster(&self) -> Option<&Cluster> {
        self.clusters.values().next().filter(|_| self.clusters.len() == 1)
    }
}

impl Cluster {
    /// The highest number that a member has.
    pub(crate) fn last_seq(&self) -> u32 {
        self.members.iter().filter_map(|member| member.seq).max().unwrap_or(0)
    }
}

/// Reads what `ansible-inventory --list` prints.
pub(crate) fn read(json: &Value) -> Inventory {
    let groups = json.as_object().cloned().unwrap_or_default();
    let variables = json.pointer("/_meta/hostvars").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut inventory = Inventory::default();
    let mut names = BTreeSet::new();
    let candidates = hosts_of(&groups, ETCD);
    for host in &candidates {
        match cluster_of(&variables, host) {
            Ok(name) => names.extend([name]),
            Err(problem) => inventory.problems.push(problem),
        }
    }
    for name in names {
        let cluster = cluster(&groups, &variables, &candidates, &name);
        inventory.clusters.insert(name, cluster);
    }
    let members = order::set(inventory.members().map(|(_, member)| member.host.clone()));
    let all = groups.values().flat_map(|group| texts(group, "hosts")).chain(variables.keys().map(String::as_str));
    let others = all.filter(|host| !members.contains(*host));
    inventory.others = order::map(others.map(|host| (host.to_owned(), addresses(host, &object(&variables, host)))));
    inventory
}

fn cluster(groups: &Object, variables: &Object, candidates: &[String], name: &str) -> Cluster {
    let mut problems = Vec::new();
    let hosts = hosts_of(groups, name);
    if hosts.is_empty() {
        problems.push(format!("etcd_cluster is {name} on some host, but the inventory has no group {name} with hosts: name the group after the cluster, or set etcd_cluster to the group's name"));
    }
    for host in candidates.iter().filter(|host| !hosts.contains(host)) {
        if cluster_of(variables, host).as_deref() == Ok(name) && !hosts.is_empty() {
            problems
                .push(format!("{host} has etcd_cluster {name} but is not in the group {name}: add it to the group"));
        }
    }
    for host in &hosts {
        if let Ok(other) = cluster_of(variables, host)
            && other != name
        {
            problems.push(format!("{host} is in the group {name} but has etcd_cluster {other}: set etcd_cluster to {name} in the group's vars, or move the host"));
        }
        if !candidates.contains(host) {
            problems.push(format!("{host} is in the group {name} but not in the group {ETCD}, whose hosts are all that the playbooks look at: make {name} a child of {ETCD}"));
        }
    }
    let mut members: Vec<Member> = hosts.iter().map(|host| member(name, host, &object(variables, host))).collect();
    order::sort_by_key(&mut members, |member| member.seq.unwrap_or(u32::MAX));
    Cluster { name: name.to_owned(), members, problems }
}

fn member(cluster: &str, host: &str, variables: &Object) -> Member {
    let addresses = addresses(host, variables);
    let given = ["etcd_address", "ansible_host"].iter().find_map(|name| text(variables, name));
    let seq: Option<u32> = text(variables, "etcd_seq").and_then(|text| text.parse().ok());
    let flag = |name: &str, default: bool| truth(variables.get(name)).unwrap_or(default);
    Member {
        host: host.to_owned(),
        name: seq.map(|seq| format!("{cluster}-{seq}")),
        seq,
        address: address::parse(given.as_deref().unwrap_or(host)),
        addresses,
        port: text(variables, "etcd_port").and_then(|text| text.parse().ok()).unwrap_or(defaults::CLIENT_PORT),
        learner: flag("etcd_learner", false),
        data_dir: text(variables, "etcd_data").unwrap_or_else(|| defaults::DATA_DIR.into()),
        deletes_data: flag("etcd_rm_data", true),
        deletes_packages: flag("etcd_rm_pkg", false),
        safeguard: flag("etcd_safeguard", false),
    }
}

fn addresses(host: &str, variables: &Object) -> Vec<IpAddr> {
    let texts = ["ansible_host", "etcd_address"].iter().filter_map(|name| text(variables, name));
    let mut addresses: Vec<IpAddr> =
        std::iter::once(host.to_owned()).chain(texts).filter_map(|text| address::parse(&text)).collect();
    order::sort(&mut addresses);
    addresses.dedup();
    addresses
}

/// The hosts of a group and of the groups in it, in the inventory's order.
fn hosts_of(groups: &Object, group: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    let mut known = BTreeSet::new();
    let mut visited = BTreeSet::new();
    let mut pending = vec![group];
    while let Some(name) = pending.pop() {
        let (true, Some(group)) = (visited.insert(name), groups.get(name)) else { continue };
        hosts.extend(texts(group, "hosts").filter(|host| known.insert(*host)).map(ToOwned::to_owned));
        let children: Vec<&str> = texts(group, "children").collect();
        pending.extend(children.into_iter().rev());
    }
    hosts
}

fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The cluster of a host in the group `etcd`.
fn cluster_of(variables: &Object, host: &str) -> Result<String, String> {
    let named = text(&object(variables, host), "etcd_cluster").unwrap_or_else(|| defaults::CLUSTER.into());
    if named.contains("{{") || named.contains("{%") {
        return Err(format!(
            "etcd_cluster of {host} is the template {named}, which only a playbook can evaluate: write the cluster's name into the inventory"
        ));
    }
    Ok(named)
}

fn object(variables: &Object, host: &str) -> Object {
    variables.get(host).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A variable's value as text; none when it is not set or empty.
fn text(variables: &Object, name: &str) -> Option<String> {
    let value = variables.get(name)?;
    // Where it comes from a service, it is marked so.
    match value.get("__ansible_unsafe").unwrap_or(value) {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A variable's value as Ansible's `bool` filter takes it; none when it is not set, or a template.
fn truth(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => Some(number.as_i64() == Some(1)),
        Value::String(text) if text.contains("{{") => None,
        Value::String(text) => Some(["1", "true", "yes", "on", "y", "t"].contains(&text.to_lowercase().as_str())),
        _ => None,
    }
}
