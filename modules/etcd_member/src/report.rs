use crate::params::{Desired, State};
use crate::plan::target;
use ansible_protocol::{Diff, Outcome, order};
use etcd_ops::hex;
use etcd_ops::membership::address;
use etcd_ops::view::{ClusterView, MemberView};
use serde_json::Value;
use std::cmp::Ordering;

/// The result: what was, what is, and what was done in between.
pub(crate) fn outcome(before: &ClusterView, after: &ClusterView, desired: &Desired, actions: &[&str]) -> Outcome {
    let shown = if desired.state == State::Absent { before } else { after };
    let member = target(shown, desired).ok().flatten();
    let mut outcome = Outcome::new(!actions.is_empty())
        .with("member", member.map(value))
        .with("members", after.members.iter().map(value).collect::<Vec<_>>())
        .with("initial_cluster", initial_cluster(after, desired))
        .with("cluster_id", hex(after.id))
        .with("actions", actions);
    outcome.diff.push(Diff::of("members", text(before, desired), text(after, desired)));
    if let Some(voter) = member.filter(|member| desired.learner && desired.state != State::Absent && member.is_voter())
    {
        outcome.warn(format!("{} votes already and goes on voting: etcd has no way back to a learner", voter.label()));
    }
    outcome
}

fn value(member: &MemberView) -> Value {
    let mut value = member.to_value();
    // Only in a prediction.
    if member.id == 0 {
        value["id"] = Value::Null;
    }
    value
}

/// `name=url,…` of all members.
pub(crate) fn initial_cluster(view: &ClusterView, desired: &Desired) -> String {
    let pairs = named(view, desired).into_iter();
    let pairs = pairs.flat_map(|(name, member)| member.peer_urls.iter().map(move |url| format!("{name}={url}")));
    pairs.collect::<Vec<_>>().join(",")
}

fn text(view: &ClusterView, desired: &Desired) -> String {
    let line = |(name, member): (String, &MemberView)| {
        let role = if member.is_learner { "learner" } else { "voter" };
        format!("{name} {} {role}\n", member.peer_urls.join(","))
    };
    named(view, desired).into_iter().map(line).collect()
}

/// The members by name, each with a name of its own: etcd would take two of the same name for one with many URLs.
fn named<'a>(view: &'a ClusterView, desired: &Desired) -> Vec<(String, &'a MemberView)> {
    let own = target(view, desired).ok().flatten().map(|member| member.id);
    let mut named: Vec<(String, &MemberView)> = Vec::new();
    let first = view.members.iter().filter(|member| Some(member.id) == own);
    for member in first.chain(view.members.iter().filter(|member| Some(member.id) != own)) {
        let name = if Some(member.id) == own {
            name(member, desired, desired.name.as_ref())
        } else {
            name(member, desired, None)
        };
        let taken = named.iter().any(|(other, _)| *other == name);
        named.push((if taken { hex(member.id) } else { name }, member));
    }
    order::sort_by(&mut named, |(one, a), (other, b)| natural(one, other).then_with(|| a.peer_urls.cmp(&b.peer_urls)));
    named
}

fn name(member: &MemberView, desired: &Desired, own: Option<&String>) -> String {
    if !member.name.is_empty() {
        return member.name.clone();
    }
    let told = desired.names.iter().find(|(url, _)| member.peer_urls.iter().any(|own| address::same_url(own, url)));
    own.or(told.map(|(_, name)| name)).cloned().unwrap_or_else(|| hex(member.id))
}

/// By letter, but numbers by their value: `etcd-2` before `etcd-10`.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one, other);
    loop {
        let digits = |text: &str| text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        let (number, other_number) = (digits(a), digits(b));
        let order = if number > 0 && other_number > 0 {
            let (x, y) = (a[..number].trim_start_matches('0'), b[..other_number].trim_start_matches('0'));
            (a, b) = (&a[number..], &b[other_number..]);
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            let (mut rest, mut other_rest) = (a.chars(), b.chars());
            let order = rest.next().cmp(&other_rest.next());
            (a, b) = (rest.as_str(), other_rest.as_str());
            order
        };
        if order.is_ne() || (a.is_empty() && b.is_empty()) {
            // The same in value is still not the same.
            return order.then_with(|| one.cmp(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_order_of_names(names in proptest::collection::vec("[a-c-]{0,2}[0-9]{0,3}[a-c]?", 1..6)) {
            let mut sorted = names.clone();
            sorted.sort_by(|one, other| natural(one, other));
            let mut reversed: Vec<String> = names.into_iter().rev().collect();
            reversed.sort_by(|one, other| natural(one, other));
            prop_assert_eq!(&sorted, &reversed);
            for (place, one) in sorted.iter().enumerate() {
                prop_assert!(sorted[place..].iter().all(|other| natural(one, other).is_le()));
            }
        }

        #[test]
        fn numbers_by_value(one: u32, other: u32) {
            prop_assert_eq!(natural(&format!("etcd-{one}"), &format!("etcd-{other}")), one.cmp(&other));
        }
    }
}
