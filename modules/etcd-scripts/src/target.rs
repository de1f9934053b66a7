//! The hosts that the arguments mean.

use crate::address;
use crate::inventory::{Cluster, Inventory, Member};
use crate::request::{Action, Request};
use ansible_protocol::nearest;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What one argument means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target<'a> {
    /// A member in the inventory.
    Member(&'a Cluster, &'a Member),
    /// A host of the inventory that is in no cluster, and the address it was named by.
    Outsider(&'a str, Option<IpAddr>),
    /// An address that no host of the inventory has.
    Unknown(IpAddr),
}

/// Members by cluster.
pub(crate) type Chosen<'a> = BTreeMap<&'a str, (&'a Cluster, Vec<&'a Member>)>;

/// The members that the arguments name, by cluster, and the addresses that the inventory does not have.
pub(crate) fn choose<'a>(
    request: &Request,
    inventory: &'a Inventory,
    problems: &mut Vec<String>,
) -> (Chosen<'a>, Vec<IpAddr>) {
    let mut chosen: Chosen<'a> = BTreeMap::new();
    let mut unknown = Vec::new();
    let mut numbers = Numbers::default();
    for text in &request.targets {
        match find(inventory, text) {
            Err(problem) => problems.push(problem),
            Ok(Target::Outsider(host, address)) => problems.push(match request.action {
                Action::Add => {
                    format!("{host} is in the inventory, but in no etcd cluster: {}", numbers.line(inventory, host))
                }
                Action::Remove => outsider(inventory, host, address),
            }),
            Ok(Target::Unknown(address)) if unknown.contains(&address) => {
                problems.push(format!("{text} is given twice: once is enough"));
            }
            Ok(Target::Unknown(address)) => {
                unknown.push(address);
                if request.action == Action::Add {
                    let (host, near) = (address.to_string(), near(inventory, text));
                    let line = numbers.line(inventory, &host);
                    problems.push(format!("{host} is not in the inventory{near}: {line}"));
                }
            }
            Ok(Target::Member(cluster, member)) => {
                let (_, members) = chosen.entry(&cluster.name).or_insert((cluster, Vec::new()));
                if members.contains(&member) {
                    problems.push(format!("{text} is host {}, which is given twice: once is enough", member.host));
                    continue;
                }
                members.push(member);
                if request.action == Action::Add && member.seq.is_none() {
                    let next = numbers.next(cluster);
                    problems.push(format!(
                        "{0} has no etcd_seq: write {0}: {{ etcd_seq: {next} }} in the group {1}",
                        member.host, cluster.name
                    ));
                }
            }
        }
    }
    (chosen, if request.action == Action::Remove { unknown } else { Vec::new() })
}

/// Numbers for new members, each suggested once.
#[derive(Default)]
struct Numbers<'a>(BTreeMap<&'a str, u32>);

impl<'a> Numbers<'a> {
    fn next(&mut self, cluster: &'a Cluster) -> u32 {
        let last = self.0.entry(&cluster.name).or_insert_with(|| cluster.last_seq());
        *last = last.saturating_add(1);
        *last
    }

    /// What the inventory needs to have of a new member.
    fn line(&mut self, inventory: &'a Inventory, host: &str) -> String {
        let mut entry = |cluster: &'a Cluster| {
            format!("{host}: {{ etcd_seq: {} }} in the group {}", self.next(cluster), cluster.name)
        };
        format!("write {}", inventory.clusters.values().map(&mut entry).collect::<Vec<_>>().join(", or "))
    }
}

/// Finds what a text means: a host's name, or an address as its name, `ansible_host` or `etcd_address`.
fn find<'a>(inventory: &'a Inventory, text: &str) -> Result<Target<'a>, String> {
    let address = address::parse(text);
    let is_name = |host: &str| host == text || (address.is_some() && address::parse(host) == address);
    let named: Vec<_> = inventory.members().filter(|(_, member)| is_name(&member.host)).collect();
    let has = |addresses: &[IpAddr]| address.is_some_and(|address| addresses.contains(&address));
    let found = if named.is_empty() {
        inventory.members().filter(|(_, member)| has(&member.addresses)).collect()
    } else {
        named
    };
    match found[..] {
        [(cluster, member)] => return Ok(Target::Member(cluster, member)),
        [] => {}
        _ => {
            let hosts: Vec<&str> = found.iter().map(|(_, member)| member.host.as_str()).collect();
            return Err(format!("{text} is the address of {}: name the host that is meant", hosts.join(" and of ")));
        }
    }
    let other = inventory.others.iter().find(|(host, addresses)| is_name(host) || has(addresses));
    match (other, address) {
        (Some((host, _)), _) => Ok(Target::Outsider(host, address)),
        (None, None) => Err(format!(
            "{}, and no host of the inventory has that name{}",
            address::refusal(text),
            near(inventory, text)
        )),
        (None, Some(address)) if !address::is_reachable(address) => Err(format!(
            "{text} is no address that a member can have, other members cannot reach it: give the host's own"
        )),
        (None, Some(address)) => Ok(Target::Unknown(address)),
    }
}

/// A host that is to leave a cluster, and whose etcd the playbooks do not look at.
fn outsider(inventory: &Inventory, host: &str, address: Option<IpAddr>) -> String {
    let address = address.map_or_else(|| "its address".to_owned(), |address| address.to_string());
    let cluster = inventory.only_cluster().map_or("CLUSTER", |cluster| &cluster.name);
    format!(
        "{host} is in the inventory, but in no etcd cluster: put it back into the group of its cluster to remove it from there, or, to take the member out and leave the host alone, run etcd-rm.yml -l {cluster} -e '{{\"etcd_rm_members\": [\"{address}\"]}}'"
    )
}

/// The nearest known host or address, in brackets.
pub(crate) fn near(inventory: &Inventory, text: &str) -> String {
    let names = inventory.members().flat_map(|(_, member)| {
        std::iter::once(member.host.clone()).chain(member.addresses.iter().map(ToString::to_string))
    });
    let names: Vec<String> = names.collect();
    nearest(text, names.iter().map(String::as_str)).map(|near| format!(" (the nearest is {near})")).unwrap_or_default()
}
