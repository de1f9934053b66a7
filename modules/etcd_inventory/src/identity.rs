//! Hosts and variables become clusters of named members with URLs.

/// What concerns a cluster's hosts together.
mod group;
/// One member, from its host's variables.
mod member;

use crate::Findings;
use crate::variables::{self, text};
use ansible_protocol::{Object, order};
use etcd_ops::{datadir, defaults};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// The inventory, as far as it concerns the run.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The hosts of each group that an `etcd_cluster` names.
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    /// Each host's variables.
    pub(crate) hosts: BTreeMap<String, Object>,
    /// The hosts of this run.
    pub(crate) play_hosts: Vec<String>,
    /// The same variables as a task of the play sees them on the first of these hosts.
    pub(crate) play: Object,
    /// The directory of the authorities, where a host's variables name none.
    pub(crate) pki_dir: PathBuf,
}

/// One member as the inventory describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) client_url: String,
    pub(crate) peer_url: String,
    client_port: u16,
    pub(crate) data_dir: String,
    pub(crate) joins: bool,
    /// Whether it stays a learner when it joins.
    pub(crate) learns: bool,
    /// The directory of the write-ahead log, where it is not inside of the data directory.
    pub(crate) wal_dir: Option<String>,
    /// The version of etcd that is asked for.
    pub(crate) version: Option<String>,
    /// The refusals to override.
    pub(crate) forced: Vec<String>,
    /// Whether its data is kept when it is removed, and whether a cluster it is in is saved before it is.
    pub(crate) keeps_data: bool,
    pub(crate) saves: bool,
    /// Whether its packages are removed with it.
    pub(crate) removes_packages: bool,
    /// Whether what runs is to be replaced, or is to end the run; none where it is to be kept as it is.
    pub(crate) clean: Option<bool>,
    pub(crate) safeguard: bool,
    seq: u32,
}

impl Member {
    /// Whether a refusal is overridden for this host.
    pub(crate) fn is_forced(&self, word: &str) -> bool {
        self.forced.iter().any(|forced| forced == word)
    }
}

/// One cluster as the inventory describes it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) initial_cluster: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) endpoints: Vec<String>,
    /// The name that belongs to each peer URL.
    names: BTreeMap<String, String>,
    pub(crate) members: Vec<Member>,
}

impl Cluster {
    fn new(name: String, token: String, mut members: Vec<Member>) -> Self {
        order::sort_by_key(&mut members, |member| member.seq);
        let list = |of: fn(&Member) -> &String| members.iter().map(|member| of(member).clone()).collect();
        let entries: Vec<String> =
            members.iter().map(|member| format!("{}={}", member.name, member.peer_url)).collect();
        Self {
            name,
            token,
            initial_cluster: entries.join(","),
            hosts: list(|member| &member.host),
            endpoints: list(|member| &member.client_url),
            names: order::map(members.iter().map(|member| (member.peer_url.clone(), member.name.clone()))),
            members,
        }
    }

    /// The id that a member has which was there when the cluster was founded, as etcdctl prints it.
    pub(crate) fn founding_member_id(&self, member: &Member) -> String {
        etcd_ops::hex(self.founder(member))
    }

    /// The id of a cluster founded from the inventory as it stands.
    pub(crate) fn founding_id(&self) -> String {
        let ids: Vec<u64> = self.members.iter().map(|member| self.founder(member)).collect();
        etcd_ops::hex(datadir::founding_cluster_id(&ids))
    }

    fn founder(&self, member: &Member) -> u64 {
        datadir::founding_member_id(std::slice::from_ref(&member.peer_url), &self.token)
    }
}

/// One host for the playbook: its member, and what it needs to know of its cluster.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host<'a> {
    name: &'a str,
    address: IpAddr,
    client_url: &'a str,
    peer_url: &'a str,
    /// What follows from all this in etcd's configuration file.
    config: Value,
    wal_dir: String,
    /// Whether `wal_dir` is elsewhere than in the data directory.
    has_wal_dir: bool,
    /// The refusals to override.
    forced: &'a [String],
    /// The cluster's client URLs, the member's own first.
    endpoints: Vec<&'a str>,
    /// Where anything that answers would be a member: all URLs of the cluster, the member's own first.
    probe: Vec<&'a str>,
    ca_dir: PathBuf,
    /// The authority's certificate in PEM; none where it is still to be made.
    ca_certificate: Option<String>,
}

/// The clusters that the run's hosts belong to, with all their members.
pub(crate) fn clusters(params: &Inventory, findings: &mut Findings) -> BTreeMap<String, Cluster> {
    let mut names: Vec<String> = params.play_hosts.iter().map(|host| cluster_of(params, host)).collect();
    order::sort(&mut names);
    names.dedup();
    let mut clusters = BTreeMap::new();
    for name in names {
        let Some(hosts) = params.groups.get(&name) else {
            findings.problems.push(group::missing_group(params, &name));
            continue;
        };
        findings.problems.extend(group::outsiders(params, &name, hosts));
        for (host, variables) in hosts.iter().filter_map(|host| Some((host, params.hosts.get(host)?))) {
            findings.problems.extend(variables::problems(host, variables));
        }
        findings.problems.extend(group::unlike(params, &name, hosts));
        let members: Vec<Member> =
            hosts.iter().filter_map(|host| member::read(params, &name, host, findings)).collect();
        let token =
            hosts.iter().find_map(|host| member::token(params.hosts.get(host)?)).unwrap_or_else(|| name.clone());
        let cluster = Cluster::new(name.clone(), token, members);
        findings.problems.extend(group::duplicates(&cluster));
        findings.warnings.extend(group::advice(params, &cluster));
        clusters.insert(name, cluster);
    }
    findings.problems.extend(group::shared_addresses(&clusters));
    findings.problems.extend(play_only(params));
    clusters
}

/// Variables that the first host of the run has otherwise in the play.
fn play_only(params: &Inventory) -> Vec<String> {
    let Some(host) = params.play_hosts.first() else { return Vec::new() };
    let defaults = [
        ("etcd_clean", String::new()),
        ("etcd_cluster", defaults::CLUSTER.to_owned()),
        ("etcd_data", defaults::DATA_DIR.to_owned()),
        ("etcd_force", String::new()),
        ("etcd_init", "new".to_owned()),
        ("etcd_learner", "false".to_owned()),
        ("etcd_peer_port", defaults::PEER_PORT.to_string()),
        ("etcd_port", defaults::CLIENT_PORT.to_string()),
        ("etcd_rm_data", "true".to_owned()),
        ("etcd_rm_pkg", "false".to_owned()),
        ("etcd_rm_snapshot", "true".to_owned()),
        ("etcd_rm_snapshot_dir", "/var/backups/etcd".to_owned()),
        ("etcd_safeguard", "false".to_owned()),
    ];
    let empty = Object::new();
    variables::play_only(&params.play, host, params.hosts.get(host).unwrap_or(&empty), &defaults)
}

fn cluster_of(params: &Inventory, host: &str) -> String {
    let named = params.hosts.get(host).and_then(|variables| text(variables, "etcd_cluster"));
    named.unwrap_or_else(|| defaults::CLUSTER.into())
}

/// Each host for the playbook.
pub(crate) fn hosts<'a>(params: &Inventory, clusters: &'a BTreeMap<String, Cluster>) -> BTreeMap<&'a str, Host<'a>> {
    let members = clusters.values().flat_map(|cluster| cluster.members.iter().map(move |member| (cluster, member)));
    order::map(members.map(|(cluster, member)| (member.host.as_str(), host(params, cluster, member))))
}

fn host<'a>(params: &Inventory, cluster: &'a Cluster, member: &'a Member) -> Host<'a> {
    let own_first = || {
        let others = cluster.members.iter().filter(|other| other.host != member.host);
        std::iter::once(member).chain(others)
    };
    let pki_dir = params.hosts.get(&member.host).and_then(|variables| text(variables, "etcd_pki_dir"));
    let pki_dir = pki_dir.and_then(|text| variables::full_path(&text));
    let ca_dir = pki_dir.unwrap_or_else(|| params.pki_dir.clone()).join("ca");
    Host {
        name: &member.name,
        address: member.address,
        client_url: &member.client_url,
        peer_url: &member.peer_url,
        config: json!({
            "name": member.name,
            "data-dir": member.data_dir,
            "listen-client-urls": format!("{},{}", member.client_url, member::url(Ipv4Addr::LOCALHOST.into(), member.client_port)),
            "listen-peer-urls": member.peer_url,
            "advertise-client-urls": member.client_url,
            "initial-advertise-peer-urls": member.peer_url,
            "initial-cluster": cluster.initial_cluster,
            "initial-cluster-token": cluster.token,
        }),
        wal_dir: member.wal_dir.clone().unwrap_or_else(|| format!("{}/member/wal", member.data_dir)),
        has_wal_dir: member.wal_dir.is_some(),
        forced: &member.forced,
        endpoints: own_first().map(|member| member.client_url.as_str()).collect(),
        probe: own_first().flat_map(|member| [member.client_url.as_str(), member.peer_url.as_str()]).collect(),
        ca_certificate: std::fs::read_to_string(ca_dir.join("ca.crt")).ok(),
        ca_dir,
    }
}

/// The directories in which an authority is still to be made, or cannot be read.
pub(crate) fn missing_authorities<'a>(hosts: &'a BTreeMap<&str, Host<'_>>) -> BTreeSet<&'a Path> {
    let missing = hosts.values().filter(|host| host.ca_certificate.is_none());
    order::set(missing.map(|host| host.ca_dir.as_path()))
}
