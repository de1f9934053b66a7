//! Hosts and variables become clusters of named members with URLs.

use crate::{Findings, variables};
use ansible_protocol::{Object, nearest, order};
use etcd_ops::catalogue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// The variables a host may set, with their defaults.
const DEFAULT_CLUSTER: &str = "etcd";
const DEFAULT_CLIENT_PORT: u16 = 2379;
const DEFAULT_PEER_PORT: u16 = 2380;
pub(crate) const DEFAULT_DATA_DIR: &str = "/data/etcd";

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
            findings.problems.push(missing_group(params, &name));
            continue;
        };
        findings.problems.extend(outsiders(params, &name, hosts));
        for (host, variables) in hosts.iter().filter_map(|host| Some((host, params.hosts.get(host)?))) {
            findings.problems.extend(variables::problems(host, variables));
        }
        findings.problems.extend(unlike(params, &name, hosts));
        let members: Vec<Member> = hosts.iter().filter_map(|host| member(params, &name, host, findings)).collect();
        let token = hosts.iter().find_map(|host| token(params.hosts.get(host)?)).unwrap_or_else(|| name.clone());
        let cluster = Cluster::new(name.clone(), token, members);
        findings.problems.extend(duplicates(&cluster));
        findings.warnings.extend(advice(params, &cluster));
        clusters.insert(name, cluster);
    }
    findings.problems.extend(shared_addresses(&clusters));
    let empty = Object::new();
    if let Some(host) = params.play_hosts.first() {
        let defaults = [
            ("etcd_clean", String::new()),
            ("etcd_cluster", DEFAULT_CLUSTER.to_owned()),
            ("etcd_data", DEFAULT_DATA_DIR.to_owned()),
            ("etcd_force", String::new()),
            ("etcd_init", "new".to_owned()),
            ("etcd_learner", "false".to_owned()),
            ("etcd_peer_port", DEFAULT_PEER_PORT.to_string()),
            ("etcd_port", DEFAULT_CLIENT_PORT.to_string()),
            ("etcd_rm_data", "true".to_owned()),
            ("etcd_rm_pkg", "false".to_owned()),
            ("etcd_rm_snapshot", "true".to_owned()),
            ("etcd_rm_snapshot_dir", "/var/backups/etcd".to_owned()),
            ("etcd_safeguard", "false".to_owned()),
        ];
        let of = params.hosts.get(host).unwrap_or(&empty);
        findings.problems.extend(variables::play_only(&params.play, host, of, &defaults));
    }
    clusters
}

fn cluster_of(params: &Inventory, host: &str) -> String {
    let named = params.hosts.get(host).and_then(|variables| text(variables, "etcd_cluster"));
    named.unwrap_or_else(|| DEFAULT_CLUSTER.into())
}

fn missing_group(params: &Inventory, name: &str) -> String {
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
fn outsiders(params: &Inventory, name: &str, hosts: &[String]) -> Vec<String> {
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

fn member(params: &Inventory, cluster: &str, host: &str, findings: &mut Findings) -> Option<Member> {
    let empty = Object::new();
    let variables = params.hosts.get(host).unwrap_or(&empty);
    let seq = sequence(host, variables);
    let address = address(host, variables);
    let client_port = port(host, variables, "etcd_port", DEFAULT_CLIENT_PORT);
    let peer_port = port(host, variables, "etcd_peer_port", DEFAULT_PEER_PORT);
    let joins = init(host, variables);
    let mut ok = |result: Result<Value, String>| result.map_err(|problem| findings.problems.push(problem)).ok();
    let checked = [
        ok(seq.clone().map(Value::from)),
        ok(address.clone().map(|address| address.to_string().into())),
        ok(client_port.clone().map(Value::from)),
        ok(peer_port.clone().map(Value::from)),
        ok(joins.clone().map(Value::from)),
    ];
    if checked.iter().any(Option::is_none) {
        return None;
    }
    let (seq, address, client_port, peer_port) = (seq.ok()?, address.ok()?, client_port.ok()?, peer_port.ok()?);
    if client_port == peer_port {
        findings
            .problems
            .push(format!("etcd_port and etcd_peer_port of {host} are both {client_port}: they must differ"));
        return None;
    }
    Some(Member {
        host: host.to_owned(),
        name: format!("{cluster}-{seq}"),
        client_url: url(address, client_port),
        peer_url: url(address, peer_port),
        address,
        client_port,
        data_dir: text(variables, "etcd_data").unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
        joins: joins.ok()?,
        learns: says(variables, "etcd_learner") == Some(true),
        wal_dir: wal_dir(variables),
        version: text(variables, "etcd_version"),
        forced: variables::forced(variables),
        keeps_data: says(variables, "etcd_rm_data") == Some(false),
        clean: says(variables, "etcd_clean"),
        safeguard: says(variables, "etcd_safeguard") == Some(true),
        removes_packages: says(variables, "etcd_rm_pkg") == Some(true),
        saves: says(variables, "etcd_rm_snapshot") != Some(false),
        seq,
    })
}

fn url(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(v4) => format!("https://{v4}:{port}"),
        IpAddr::V6(v6) => format!("https://[{v6}]:{port}"),
    }
}

/// A variable's value as text; none when it is not set or empty.
pub(crate) fn text(variables: &Object, name: &str) -> Option<String> {
    match variables.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn wal_dir(variables: &Object) -> Option<String> {
    let extra = variables.get("etcd_config_extra")?.as_object()?;
    text(&catalogue::normalise(extra), "wal-dir")
}

/// The `initial-cluster-token` a host asks for.
fn token(variables: &Object) -> Option<String> {
    variables.get("etcd_config_extra")?.get("initial-cluster-token")?.as_str().map(ToOwned::to_owned)
}

fn sequence(host: &str, variables: &Object) -> Result<u32, String> {
    let example = format!("write {host}: {{ etcd_seq: 1 }} with a number of its own for each member");
    let Some(given) = text(variables, "etcd_seq") else {
        return Err(format!("etcd_seq is not set on {host}: {example}"));
    };
    match given.parse() {
        Ok(seq) if seq > 0 || given == "0" => Ok(seq),
        _ => Err(format!("etcd_seq of {host} is {given:?}, not a whole number: {example}")),
    }
}

fn address(host: &str, variables: &Object) -> Result<IpAddr, String> {
    let sources = ["etcd_address", "ansible_host"].iter().filter_map(|name| Some((*name, text(variables, name)?)));
    let (source, given) = sources.into_iter().next().unwrap_or(("name", host.to_owned()));
    let parsed = given.trim_matches(['[', ']']).parse::<IpAddr>();
    match parsed {
        Ok(address) if address.is_unspecified() || address.is_multicast() || address.is_loopback() => Err(format!(
            "the address of {host} is {given}, where no other member can reach it: set etcd_address to its own address"
        )),
        Ok(address) => Ok(address),
        Err(_) if source == "etcd_address" => {
            Err(format!("etcd_address of {host} is {given:?}: etcd listens on IP addresses only, give one"))
        }
        Err(_) => Err(format!(
            "{host} has no usable address ({given:?} is no IP address): set etcd_address to its IP address"
        )),
    }
}

fn port(host: &str, variables: &Object, name: &str, default: u16) -> Result<u16, String> {
    let Some(given) = variables.get(name).filter(|value| !value.is_null()) else { return Ok(default) };
    let parsed = text(variables, name).and_then(|text| text.parse().ok()).filter(|port| *port > 0);
    parsed.ok_or_else(|| format!("{name} of {host} is {given}, not a port from 1 to 65535"))
}

fn init(host: &str, variables: &Object) -> Result<bool, String> {
    match text(variables, "etcd_init").as_deref() {
        None | Some("new") => Ok(false),
        Some("existing") => Ok(true),
        Some(other) => {
            let hint = nearest(other, ["new", "existing"].into_iter());
            let hint = hint.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            Err(format!("etcd_init of {host} is {other:?}, neither new nor existing{hint}"))
        }
    }
}

/// What all members of a cluster must have alike, or etcd would not make one, or not keep it together.
fn unlike(params: &Inventory, name: &str, hosts: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let differ = |of: &dyn Fn(&Object) -> Option<String>| {
        let values = order::set(hosts.iter().filter_map(|host| params.hosts.get(host)).map(of));
        (values.len() > 1).then(|| {
            let texts: Vec<String> =
                values.into_iter().map(|value| value.unwrap_or_else(|| "the default".into())).collect();
            texts.join(" and ")
        })
    };
    for variable in ["etcd_election_timeout", "etcd_heartbeat_interval"] {
        if let Some(values) = differ(&|variables| text(variables, variable)) {
            problems.push(format!("{variable} is {values} in cluster {name}: all members need the same"));
        }
    }
    if let Some(values) = differ(&|variables| says(variables, "etcd_clean").map(|clean| clean.to_string())) {
        let values = values.replace("the default", "unset");
        problems
            .push(format!("etcd_clean is {values} in cluster {name}: a cluster is replaced as a whole, or not at all"));
    }
    if let Some(values) = differ(&token) {
        problems.push(format!("initial-cluster-token is {values} in cluster {name}: all members need the same"));
    }
    problems
}

fn duplicates(cluster: &Cluster) -> Vec<String> {
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
fn shared_addresses(clusters: &BTreeMap<String, Cluster>) -> Vec<String> {
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
fn advice(params: &Inventory, cluster: &Cluster) -> Vec<String> {
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

/// Whether a variable says yes or no, in any of the words Ansible takes for it.
pub(crate) fn says(variables: &Object, name: &str) -> Option<bool> {
    variables.get(name).and_then(ansible_protocol::boolean)
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
            "listen-client-urls": format!("{},{}", member.client_url, url(Ipv4Addr::LOCALHOST.into(), member.client_port)),
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
