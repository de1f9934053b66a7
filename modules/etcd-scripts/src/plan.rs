//! What is to be run, or why not. Pure: from the arguments and the inventory alone.

use crate::inventory::{Cluster, Inventory, Member};
use crate::request::{Action, Request};
use crate::target::{self, Chosen};
use ansible_protocol::{nearest, order};
use std::net::IpAddr;

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) action: Action,
    /// The clusters that change, in the order of their names.
    pub(crate) changes: Vec<Change>,
    /// Members that the inventory does not have any more.
    pub(crate) gone: Option<Gone>,
    /// One after the other, each only after the one before has succeeded.
    pub(crate) runs: Vec<Run>,
}

/// One cluster that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) cluster: String,
    /// Those that join, or are removed.
    pub(crate) chosen: Vec<Member>,
    /// The others.
    pub(crate) others: Vec<Member>,
}

impl Change {
    /// Whether all members are chosen.
    pub(crate) fn is_whole(&self) -> bool {
        self.others.is_empty()
    }
}

/// Members to be taken out of a cluster whose hosts are not in the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) cluster: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// The cluster's members that stay.
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Playbook {
    Etcd,
    EtcdRemove,
}

/// One call of ansible-playbook, without what every call has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) playbook: Playbook,
    pub(crate) words: Vec<String>,
}

impl Plan {
    /// The clusters of which nothing remains.
    pub(crate) fn whole_clusters(&self) -> Vec<&str> {
        let removed = self.changes.iter().filter(|change| self.action == Action::Remove && change.is_whole());
        removed.map(|change| change.cluster.as_str()).collect()
    }
}

/// Decides what is to be run.
///
/// # Errors
///
/// Returns all problems there are.
pub(crate) fn plan(request: &Request, inventory: &Inventory) -> Result<Plan, Vec<String>> {
    let mut problems = request.options.problems.clone();
    if inventory.problems.is_empty() && inventory.clusters.is_empty() {
        let hint = if request.inventories.is_empty() { "give the inventory with -i, or " } else { "" };
        problems.push(format!(
            "the inventory has no hosts in a group named etcd: {hint}put the members into it, each with its etcd_seq"
        ));
        return Err(problems);
    }
    problems.extend(inventory.problems.iter().cloned());
    let named = request.cluster.as_deref().and_then(|name| named_cluster(inventory, name, &mut problems));
    let (chosen, unknown) = target::choose(request, inventory, &mut problems);
    let mut changes = if request.targets.is_empty() {
        whole_cluster(request, inventory, named, &mut problems)
    } else {
        changes(request, chosen, &mut problems)
    };
    order::sort_by(&mut changes, |one, other| one.cluster.cmp(&other.cluster));
    let gone =
        if unknown.is_empty() { None } else { gone(request, inventory, named, unknown, &changes, &mut problems) };
    let concerned = changes.iter().map(|change| &change.cluster).chain(gone.iter().map(|gone| &gone.cluster));
    for name in order::set(concerned) {
        problems.extend(inventory.clusters.get(name).into_iter().flat_map(|cluster| cluster.problems.iter().cloned()));
    }
    problems.extend(changes.iter().flat_map(|change| change_problems(request.action, change)));
    if !problems.is_empty() {
        return Err(problems);
    }
    let runs = runs(request, inventory, &changes, gone.as_ref());
    Ok(Plan { action: request.action, changes, gone, runs })
}

fn named_cluster<'a>(inventory: &'a Inventory, name: &str, problems: &mut Vec<String>) -> Option<&'a Cluster> {
    let found = inventory.clusters.get(name);
    if found.is_none() {
        let near = nearest(name, inventory.clusters.keys().map(String::as_str));
        let hint = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
        problems.push(format!("there is no cluster {name}{hint} (the inventory has: {})", inventory.cluster_names()));
    }
    found
}

fn changes(request: &Request, chosen: Chosen<'_>, problems: &mut Vec<String>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, (cluster, members)) in chosen {
        if let Some(wanted) = request.cluster.as_deref().filter(|wanted| *wanted != name) {
            let hosts: Vec<&str> = members.iter().map(|member| member.host.as_str()).collect();
            problems.push(format!("{} is in cluster {name}, not in {wanted}: leave out --cluster", hosts.join(", ")));
        }
        let (chosen, others) = cluster.members.iter().cloned().partition(|member| members.contains(&member));
        changes.push(Change { cluster: name.to_owned(), chosen, others });
    }
    changes
}

/// Without addresses: all of the cluster that is named, or of the only one; which must be named where nothing is asked.
fn whole_cluster(
    request: &Request,
    inventory: &Inventory,
    named: Option<&Cluster>,
    problems: &mut Vec<String>,
) -> Vec<Change> {
    let cluster = if request.cluster.is_some() { named } else { inventory.only_cluster() };
    if cluster.is_none() && request.cluster.is_none() && !inventory.clusters.is_empty() {
        problems.push(format!(
            "the inventory has several clusters, {}: say which to remove with --cluster NAME",
            inventory.cluster_names()
        ));
    }
    // A list of addresses may turn out empty in somebody's script.
    if let (true, None, Some(cluster)) = (request.yes, &request.cluster, cluster) {
        problems.push(format!(
            "without addresses the whole cluster {0} is meant, and --yes would not count down: name it as well, --cluster {0}, or give the addresses of the members that are to go",
            cluster.name
        ));
    }
    let whole = |cluster: &Cluster| Change {
        cluster: cluster.name.clone(),
        chosen: cluster.members.clone(),
        others: Vec::new(),
    };
    cluster.map(whole).into_iter().collect()
}

/// The members that have been taken out of the inventory.
fn gone(
    request: &Request,
    inventory: &Inventory,
    named: Option<&Cluster>,
    addresses: Vec<IpAddr>,
    changes: &[Change],
    problems: &mut Vec<String>,
) -> Option<Gone> {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let texts = texts.join(", ");
    let cluster = if request.cluster.is_some() { named } else { inventory.only_cluster() };
    let Some(cluster) = cluster else {
        if request.cluster.is_none() {
            problems.push(format!("{texts} is not in the inventory{}, and it has several clusters, {}: say of which it was a member with --cluster NAME", target::near(inventory, &texts), inventory.cluster_names()));
        }
        return None;
    };
    // It could be one of these after all.
    let hidden: Vec<&str> =
        cluster.members.iter().filter(|member| member.address.is_none()).map(|member| member.host.as_str()).collect();
    if !hidden.is_empty() {
        problems.push(format!("whether {texts} is in the inventory cannot be told, for the address of {} is unknown: set etcd_address, or give the host's name", hidden.join(", ")));
    }
    if changes.iter().any(|change| change.cluster == cluster.name && change.is_whole()) {
        problems.push(format!("{texts} is not in the inventory, but all that are in it are given, and with them goes the whole cluster {}: leave {texts} out", cluster.name));
    }
    let leaves = |member: &Member| changes.iter().any(|change| change.chosen.contains(member));
    let members = cluster.members.iter().filter(|member| !leaves(member)).cloned().collect();
    Some(Gone { cluster: cluster.name.clone(), addresses, members })
}

fn change_problems(action: Action, change: &Change) -> Vec<String> {
    let mut problems = Vec::new();
    if action == Action::Add && change.is_whole() {
        problems.push(format!("all members of cluster {} are given, so there is none to join: name only the new ones, or run etcd.yml to create the cluster", change.cluster));
    }
    for member in &change.chosen {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        if crate::address::parse(&member.host).is_none() && !member.host.chars().all(plain) {
            problems.push(format!(
                "the name of host {:?} would mean something else to ansible-playbook -l: rename it",
                member.host
            ));
        }
    }
    problems
}

fn runs(request: &Request, inventory: &Inventory, changes: &[Change], gone: Option<&Gone>) -> Vec<Run> {
    let hosts: Vec<&str> =
        changes.iter().flat_map(|change| &change.chosen).map(|member| member.host.as_str()).collect();
    let limit = |pattern: String| vec!["-l".to_owned(), pattern];
    let mut runs = Vec::new();
    let mut add = |playbook: Playbook, mut words: Vec<String>| {
        if request.check {
            words.extend(["--check".to_owned(), "--diff".to_owned()]);
        }
        words.extend(request.options.words.iter().cloned());
        runs.push(Run { playbook, words });
    };
    // First: a member that has left the inventory may be down, and in the way of the others.
    if let Some(gone) = gone {
        let members: Vec<String> = gone.addresses.iter().map(ToString::to_string).collect();
        let variable = serde_json::json!({ "etcd_rm_members": members }).to_string();
        add(Playbook::EtcdRemove, limit(gone.cluster.clone()).into_iter().chain(["-e".to_owned(), variable]).collect());
    }
    match request.action {
        Action::Add => {
            let init = ["-e".to_owned(), "etcd_init=existing".to_owned()];
            add(Playbook::Etcd, limit(hosts.join(",")).into_iter().chain(init).collect());
        }
        Action::Remove if request.targets.is_empty() && inventory.clusters.len() == 1 && request.cluster.is_none() => {
            add(Playbook::EtcdRemove, Vec::new());
        }
        Action::Remove if request.targets.is_empty() => {
            let groups: Vec<&str> = changes.iter().map(|change| change.cluster.as_str()).collect();
            add(Playbook::EtcdRemove, limit(groups.join(",")));
        }
        Action::Remove if !hosts.is_empty() => add(Playbook::EtcdRemove, limit(hosts.join(","))),
        Action::Remove => {}
    }
    runs
}

#[cfg(test)]
#[path = "plan_properties.rs"]
mod properties;
#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
