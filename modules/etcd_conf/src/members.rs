//! `initial-cluster` against the member's own name and URLs. Pure.

use crate::contradictions::{PEER_URL, text, urls};
use crate::url::Url;
use ansible_protocol::{Object, order};
use etcd_ops::catalogue::{Problem, pairs};
use std::collections::BTreeMap;

const KEY: &str = "initial-cluster";
const ADVERTISED: &str = "initial-advertise-peer-urls";

/// Finds names and URLs that do not fit together.
pub(crate) fn check(config: &Object, problems: &mut Vec<Problem>) {
    let Some(cluster) = text(config, KEY) else { return };
    let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
    let mut refuse = |what: String| problems.push(Problem::refusal(KEY, what));
    let mut seen: Vec<Url> = Vec::new();
    let mut broken = false;
    for (name, url) in pairs(cluster) {
        match Url::parse(&url) {
            Err(_) if url.is_empty() => refuse(format!("has {name} without URL; it wants name=URL,name=URL")),
            Err(error) => refuse(format!("is wrong for {name}: {error}")),
            Ok(url) => {
                if seen.contains(&url) {
                    refuse(format!("has {} twice", url.text));
                }
                seen.push(url.clone());
                members.entry(name).or_default().push(url);
                continue;
            }
        }
        broken = true;
    }
    if broken {
        return;
    }
    let own_name = text(config, "name").unwrap_or("default");
    let Some(own) = members.get(own_name) else {
        let others: Vec<&str> = members.keys().map(String::as_str).collect();
        return refuse(format!("does not have this member, {own_name}: it has {}", others.join(", ")));
    };
    // A name that occurs twice is one member with two URLs, if all members have two; otherwise two members.
    for (name, theirs) in members.iter().filter(|(_, theirs)| theirs.len() > own.len()) {
        let times = if theirs.len() == 2 { "twice".into() } else { format!("{} times", theirs.len()) };
        refuse(format!("has the name {name} {times}: give each member its own name"));
    }
    if let Some(what) = mismatch(config, own_name, own) {
        problems.push(Problem::refusal(ADVERTISED, what));
    }
}

/// Whether the member advertises something else than the cluster expects of it. Names may stand for addresses, so
/// where there are names, only schemes and ports are compared.
fn mismatch(config: &Object, name: &str, own: &[Url]) -> Option<String> {
    let (mut advertised, bad) = urls(config, ADVERTISED);
    if !bad.is_empty() {
        return None;
    }
    if advertised.is_empty() {
        advertised.extend(Url::parse(PEER_URL).ok());
    }
    let by_name = own.iter().chain(&advertised).any(|url| !url.is_ip());
    let facts = |urls: &[Url]| {
        let fact = |url: &Url| {
            let host = if by_name { String::new() } else { url.host.clone() };
            (url.scheme.clone(), host, url.port)
        };
        let mut facts: Vec<_> = urls.iter().map(fact).collect();
        order::sort(&mut facts);
        facts
    };
    if facts(own) == facts(&advertised) {
        return None;
    }
    let list = |urls: &[Url]| urls.iter().map(|url| url.text.as_str()).collect::<Vec<_>>().join(",");
    Some(format!("is {}, but {KEY} has {} for {name}", list(&advertised), list(own)))
}
