//! What the user is told before and afterwards.

use crate::address;
use crate::inventory::Member;
use crate::plan::{Change, Gone, Plan};
use crate::request::Action;
use ansible_protocol::order;

/// All problems in one message.
pub(crate) fn refusal(action: Action, problems: &[String]) -> String {
    let name = action.name();
    match problems {
        [one] => format!("{name}: {one}. Nothing was run."),
        _ => {
            let lines: Vec<String> = problems.iter().map(|problem| format!("  - {problem}")).collect();
            format!("{name}: nothing was run, for {} reasons:\n{}", problems.len(), lines.join("\n"))
        }
    }
}

/// What is about to happen.
pub(crate) fn before(plan: &Plan, commands: &[String]) -> String {
    let mut lines = Vec::new();
    for change in &plan.changes {
        match plan.action {
            Action::Add => joining(change, &mut lines),
            Action::Remove => leaving(change, &mut lines),
        }
    }
    lines.extend(plan.gone.iter().map(departed));
    lines.push(if commands.len() > 1 {
        "Commands, each after the success of the one before:".into()
    } else {
        "Command:".into()
    });
    lines.extend(commands.iter().map(|command| format!("  {command}")));
    lines.join("\n")
}

fn joining(change: &Change, lines: &mut Vec<String>) {
    let cluster = &change.cluster;
    let joins = if change.chosen.len() == 1 { "joins" } else { "join" };
    lines.push(format!(
        "Cluster {cluster}: {} {joins} the {} in the inventory.",
        members(change.chosen.len()),
        change.others.len()
    ));
    for member in &change.chosen {
        let how = if member.learner { "joins as a learner and stays one" } else { "joins" };
        lines.push(format!("  {}: {how}", label(member)));
    }
    lines.push(format!("  beside {}", labels(&change.others)));
    let all: Vec<&Member> = change.others.iter().chain(&change.chosen).collect();
    lines.push(format!("Then cluster {cluster} has {}.", arithmetic(&all)));
    lines.extend(advice(cluster, &all));
}

fn leaving(change: &Change, lines: &mut Vec<String>) {
    let cluster = &change.cluster;
    if change.is_whole() {
        let all = if change.chosen.len() == 1 {
            "its only member".to_owned()
        } else {
            format!("all {} members", change.chosen.len())
        };
        lines.push(format!(
            "The WHOLE cluster {cluster} is removed, {all}, and what is stored in it is lost to everyone who uses it."
        ));
    } else {
        let size = change.chosen.len() + change.others.len();
        let are = if change.chosen.len() == 1 { "is" } else { "are" };
        lines.push(format!("Cluster {cluster}: {} of {} {are} removed.", change.chosen.len(), members(size)));
    }
    for member in &change.chosen {
        lines.push(format!("  {}: {}", label(member), deletions(member)));
    }
    let guarded: Vec<&str> =
        change.chosen.iter().filter(|member| member.safeguard).map(|member| member.host.as_str()).collect();
    if !guarded.is_empty() {
        lines.push(format!("Note: etcd_safeguard is on for {}, and the playbook stops at it before anything is changed; to remove all the same: -- -e etcd_safeguard=false", guarded.join(", ")));
    }
    if change.is_whole() {
        lines.push(format!("Nothing remains of cluster {cluster}."));
        return;
    }
    let rest: Vec<&Member> = change.others.iter().collect();
    lines.push(format!(
        "  {} in the cluster: {}",
        if rest.len() == 1 { "stays" } else { "stay" },
        labels(&change.others)
    ));
    lines.push(format!("Then cluster {cluster} has {}.", arithmetic(&rest)));
    lines.extend(advice(cluster, &rest));
}

/// What removing a member deletes on its host.
fn deletions(member: &Member) -> String {
    let data = &member.data_dir;
    let packages = if member.deletes_packages { ", and etcd's packages are removed" } else { "" };
    if member.deletes_data {
        format!("etcd is stopped, its data ({data}) and its configuration are deleted{packages}")
    } else {
        format!("etcd is stopped, its configuration is deleted, its data stays in {data}{packages}")
    }
}

fn departed(gone: &Gone) -> String {
    let addresses: Vec<String> = gone.addresses.iter().map(ToString::to_string).collect();
    format!(
        "Cluster {}: what the inventory does not have any more is taken out of the member list, and its host is left alone: {}\n  the members in the inventory stay: {}",
        gone.cluster,
        addresses.join(", "),
        labels(&gone.members)
    )
}

/// A member by name, address and, where it is another one, host.
fn label(member: &Member) -> String {
    let name = member.name.clone().unwrap_or_else(|| format!("host {}", member.host));
    let address = member.address.map_or_else(|| "address unknown".to_owned(), |address| address.to_string());
    let is_same = member.address.is_some() && address::parse(&member.host) == member.address;
    let host = if is_same || member.name.is_none() { String::new() } else { format!(", host {}", member.host) };
    format!("{name} ({address}{host})")
}

fn labels(members: &[Member]) -> String {
    members.iter().map(label).collect::<Vec<_>>().join(", ")
}

fn members(count: usize) -> String {
    if count == 1 { "1 member".into() } else { format!("{count} members") }
}

fn voters(members: &[&Member]) -> usize {
    members.iter().filter(|member| !member.learner).count()
}

/// How many votes there are, how many a decision needs, and how many may be lost.
fn arithmetic(all: &[&Member]) -> String {
    let voters = voters(all);
    let learners = all.len() - voters;
    let note = if learners > 0 { format!(", {learners} of them without a vote") } else { String::new() };
    if voters == 0 {
        return format!("{}{note}: without a voter it cannot go on", members(all.len()));
    }
    let quorum = voters / 2 + 1;
    let lost = match voters - quorum {
        0 => "none".to_owned(),
        some => some.to_string(),
    };
    format!("{}{note}: {quorum} make a quorum, it survives the loss of {lost}", members(all.len()))
}

fn advice(cluster: &str, all: &[&Member]) -> Option<String> {
    let voters = voters(all);
    (voters > 0 && voters.is_multiple_of(2)).then(|| {
        format!(
            "Warning: {voters} voters make cluster {cluster} survive no more than {} would: use an odd number.",
            voters - 1
        )
    })
}

/// What the countdown stands before.
pub(crate) fn warning(plan: &Plan) -> String {
    let whole = plan.whole_clusters();
    let chosen: Vec<&Member> = plan.changes.iter().flat_map(|change| &change.chosen).collect();
    let gone = plan.gone.iter().flat_map(|gone| &gone.addresses).map(ToString::to_string);
    let names: Vec<String> = chosen.into_iter().map(|member| member.host.clone()).chain(gone).collect();
    match (plan.action, &whole[..]) {
        (Action::Add, _) => format!("Adding {}", names.join(", ")),
        (Action::Remove, []) => format!("Removing {}", names.join(", ")),
        (Action::Remove, _) => format!("REMOVING THE WHOLE CLUSTER {}", whole.join(", ")),
    }
}

/// Why the whole cluster is not removed where nobody can stop it.
pub(crate) fn unattended(plan: &Plan) -> String {
    format!(
        "removing the whole cluster {} counts down on a terminal, and there is none: if you mean it, give --yes and --cluster",
        plan.whole_clusters().join(", ")
    )
}

/// What is left to do. `configure` makes the command that writes configuration, for one cluster or for all.
pub(crate) fn after(plan: &Plan, configure: &dyn Fn(&[&str]) -> String) -> String {
    let mut lines = vec!["Done. What is left to do:".to_owned()];
    match plan.action {
        Action::Add => added(configure, &mut lines),
        Action::Remove => removed(plan, configure, &mut lines),
    }
    for (cluster, remaining) in outcome(plan) {
        if remaining.is_empty() {
            lines.push(format!("- whoever used cluster {cluster}, Patroni and vip-manager too, needs another one before they are restarted"));
            continue;
        }
        let endpoints: Vec<String> = remaining.iter().map(|member| endpoint(member)).collect();
        lines.push(format!("- Patroni, where it uses cluster {cluster}: ./pgsql.yml -t pg_conf, then reload patroni"));
        lines.push("- vip-manager, likewise: ./pgsql.yml -t pg_vip_config, then restart vip-manager".into());
        lines.push(format!("  both with these endpoints, which are all of cluster {cluster}: {}", endpoints.join(",")));
    }
    lines.join("\n")
}

fn added(configure: &dyn Fn(&[&str]) -> String, lines: &mut Vec<String>) {
    lines.push(
        "- nothing on other members that could be reached: this run has refreshed their configuration and etcdctl's environment".into(),
    );
    lines.push(format!("  to check it: {}", configure(&["-t", "etcd_conf", "--check", "--diff"])));
}

fn removed(plan: &Plan, configure: &dyn Fn(&[&str]) -> String, lines: &mut Vec<String>) {
    let hosts: Vec<&str> =
        plan.changes.iter().flat_map(|change| &change.chosen).map(|member| member.host.as_str()).collect();
    if !hosts.is_empty() {
        lines.push(format!("- take {} out of the inventory", hosts.join(", ")));
    }
    if outcome(plan).iter().any(|(_, remaining)| !remaining.is_empty()) {
        let then = if hosts.is_empty() { "" } else { "then " };
        lines.push(format!("- {then}refresh the other members: {}", configure(&["-t", "etcd_conf"])));
    }
}

/// The clusters of the plan, each with the members it has afterwards.
fn outcome(plan: &Plan) -> Vec<(&str, Vec<&Member>)> {
    let mut clusters: Vec<(&str, Vec<&Member>)> = Vec::new();
    for change in &plan.changes {
        let mut remaining: Vec<&Member> = change.others.iter().collect();
        if plan.action == Action::Add {
            remaining.extend(&change.chosen);
            order::sort_by_key(&mut remaining, |member| member.seq.unwrap_or(u32::MAX));
        }
        clusters.push((&change.cluster, remaining));
    }
    if let Some(gone) = plan.gone.as_ref().filter(|gone| clusters.iter().all(|(name, _)| *name != gone.cluster)) {
        clusters.push((&gone.cluster, gone.members.iter().collect()));
    }
    clusters
}

fn endpoint(member: &Member) -> String {
    let address = member.address.map(|address| address::with_port(address, member.port));
    format!("https://{}", address.unwrap_or_else(|| format!("{}:{}", member.host, member.port)))
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
