//! One member, from its host's variables: its name, and where it listens.

use super::{Inventory, Member};
use crate::Findings;
use crate::variables::{self, says, text};
use ansible_protocol::{Object, nearest};
use etcd_ops::{catalogue, defaults};
use serde_json::Value;
use std::net::IpAddr;

/// The member of a host, where its variables describe one.
pub(super) fn read(params: &Inventory, cluster: &str, host: &str, findings: &mut Findings) -> Option<Member> {
    let empty = Object::new();
    let variables = params.hosts.get(host).unwrap_or(&empty);
    let seq = sequence(host, variables);
    let address = address(host, variables);
    let client_port = port(host, variables, "etcd_port", defaults::CLIENT_PORT);
    let peer_port = port(host, variables, "etcd_peer_port", defaults::PEER_PORT);
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
        data_dir: text(variables, "etcd_data").unwrap_or_else(|| defaults::DATA_DIR.into()),
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

fn wal_dir(variables: &Object) -> Option<String> {
    let extra = variables.get("etcd_config_extra")?.as_object()?;
    text(&catalogue::normalise(extra), "wal-dir")
}

/// The `initial-cluster-token` a host asks for.
pub(super) fn token(variables: &Object) -> Option<String> {
    variables.get("etcd_config_extra")?.get("initial-cluster-token")?.as_str().map(ToOwned::to_owned)
}

pub(super) fn url(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(v4) => format!("https://{v4}:{port}"),
        IpAddr::V6(v6) => format!("https://[{v6}]:{port}"),
    }
}
