//! Whatever the inventory is and however hosts are named.

use super::tests::request;
use super::*;
use crate::inventory;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Members with a host name or an address of their own as name, and the ways to name them.
#[derive(Clone, Debug)]
struct Host {
    name: String,
    variables: Value,
    spellings: Vec<String>,
}

fn host(cluster: usize, seq: usize, kind: u8) -> Host {
    let (v4, v6) = (format!("10.1.{cluster}.{seq}"), format!("fd00::{cluster}:{seq}"));
    let long = format!("[FD00:0:0:0:0:0:{cluster:04X}:{seq:04x}]");
    let common = json!({ "etcd_seq": seq, "etcd_cluster": format!("c{cluster}") });
    let with = |name: &str, value: &str| {
        let mut variables = common.clone();
        variables[name] = json!(value);
        variables
    };
    let named = format!("host-{cluster}-{seq}");
    let (name, variables, spellings) = match kind {
        0 => (v4.clone(), common.clone(), vec![v4.clone(), format!("::ffff:{v4}")]),
        1 => (v6.clone(), common.clone(), vec![v6, long]),
        2 => (named.clone(), with("ansible_host", &v4), vec![named, v4]),
        _ => (named.clone(), with("etcd_address", &v6), vec![named, v6, long]),
    };
    Host { name, variables, spellings }
}

/// The hosts of each cluster.
type Clusters = Vec<Vec<Host>>;
/// Some of them, each with its cluster and one of its spellings.
type Picked = Vec<(usize, Host, String)>;

/// One to three clusters of one to five members, and some of the members in one of their spellings each.
fn choices() -> impl Strategy<Value = (Clusters, Picked)> {
    let cluster = |at: usize| {
        prop::collection::vec(0..4_u8, 1..6)
            .prop_map(move |kinds| kinds.into_iter().enumerate().map(|(seq, kind)| host(at, seq + 1, kind)).collect())
    };
    let clusters: Vec<_> = (1..=3).map(cluster).collect();
    (clusters, 1..4_usize)
        .prop_map(|(clusters, count): (Vec<Vec<Host>>, usize)| clusters.into_iter().take(count).collect::<Vec<_>>())
        .prop_flat_map(|clusters| {
            let all: Vec<(usize, Host)> = clusters
                .iter()
                .enumerate()
                .flat_map(|(at, members)| members.iter().map(move |host| (at, host.clone())))
                .collect();
            let count = all.len();
            let picked = subsequence(all, 1..=count).prop_shuffle();
            (Just(clusters), picked, any::<prop::sample::Index>())
        })
        .prop_map(|(clusters, picked, spelling)| {
            let spelled = |(at, host): (usize, Host)| {
                let text = spelling.get(&host.spellings).clone();
                (at, host, text)
            };
            (clusters, picked.into_iter().map(spelled).collect())
        })
}

fn json_of(clusters: &[Vec<Host>]) -> Value {
    let mut json = json!({ "_meta": { "hostvars": {} }, "etcd": { "children": [] } });
    for (at, members) in clusters.iter().enumerate() {
        let group = format!("c{}", at + 1);
        json["etcd"]["children"].as_array_mut().unwrap().push(json!(group));
        json[group.as_str()] = json!({ "hosts": members.iter().map(|host| host.name.clone()).collect::<Vec<_>>() });
        for host in members {
            json["_meta"]["hostvars"][host.name.as_str()] = host.variables.clone();
        }
    }
    json
}

proptest! {
    /// However they are spelled, exactly the members that are meant are removed, and a whole cluster is never hidden.
    #[test]
    fn exactly_the_chosen_members_are_removed((clusters, picked) in choices()) {
        let texts: Vec<&str> = picked.iter().map(|(_, _, text)| text.as_str()).collect();
        let plan = plan(&request(Action::Remove, None, &texts), &inventory::read(&json_of(&clusters))).unwrap();
        let names: BTreeSet<&str> = picked.iter().map(|(_, host, _)| host.name.as_str()).collect();
        prop_assert_eq!(plan.runs.len(), 1);
        prop_assert_eq!(&plan.runs[0].words[0], "-l");
        prop_assert_eq!(plan.runs[0].words[1].split(',').collect::<BTreeSet<_>>(), names.clone());
        let whole: Vec<String> = clusters
            .iter()
            .enumerate()
            .filter(|(_, members)| members.iter().all(|host| names.contains(host.name.as_str())))
            .map(|(at, _)| format!("c{}", at + 1))
            .collect();
        prop_assert_eq!(plan.whole_clusters(), whole);
        for change in &plan.changes {
            let size = clusters[change.cluster[1..].parse::<usize>().unwrap() - 1].len();
            prop_assert_eq!(change.chosen.len() + change.others.len(), size);
            prop_assert!(change.chosen.iter().all(|member| names.contains(member.host.as_str())));
            prop_assert!(change.others.iter().all(|member| !names.contains(member.host.as_str())));
        }
    }

    /// Adding runs for exactly the chosen members, unless of some cluster nobody is left to join.
    #[test]
    fn adding_needs_somebody_to_join((clusters, picked) in choices()) {
        let texts: Vec<&str> = picked.iter().map(|(_, _, text)| text.as_str()).collect();
        let planned = plan(&request(Action::Add, None, &texts), &inventory::read(&json_of(&clusters)));
        let whole = clusters.iter().enumerate().filter(|(at, members)| {
            picked.iter().filter(|(cluster, ..)| cluster == at).count() == members.len()
        });
        match planned {
            Err(problems) => prop_assert_eq!(problems.len(), whole.count()),
            Ok(plan) => {
                prop_assert_eq!(whole.count(), 0);
                let names: BTreeSet<&str> = picked.iter().map(|(_, host, _)| host.name.as_str()).collect();
                prop_assert_eq!(plan.runs[0].words[1].split(',').collect::<BTreeSet<_>>(), names);
                prop_assert_eq!(&plan.runs[0].words[2..], ["-e", "etcd_init=existing"]);
            }
        }
    }

    /// One wrong word among right ones, and nothing is planned; the message names it.
    #[test]
    fn one_wrong_word_stops_everything((clusters, picked) in choices(), bad in "[0-9]{1,3}(\\.[0-9]{1,3}){0,2}|[g-z]{1,9}", at: prop::sample::Index) {
        let mut texts: Vec<&str> = picked.iter().map(|(_, _, text)| text.as_str()).collect();
        texts.insert(at.index(texts.len() + 1), &bad);
        let problems = plan(&request(Action::Remove, None, &texts), &inventory::read(&json_of(&clusters))).unwrap_err();
        prop_assert!(matches!(&problems[..], [one] if one.contains(&bad)), "{problems:?}");
    }

    /// A member that is given twice, in whatever spellings, is noticed.
    #[test]
    fn a_member_given_twice_is_noticed((clusters, picked) in choices(), which: prop::sample::Index, how: prop::sample::Index) {
        let mut texts: Vec<&str> = picked.iter().map(|(_, _, text)| text.as_str()).collect();
        let (_, host, _) = which.get(&picked);
        let again: &String = how.get(&host.spellings);
        texts.push(again);
        let problems = plan(&request(Action::Remove, None, &texts), &inventory::read(&json_of(&clusters))).unwrap_err();
        prop_assert!(matches!(&problems[..], [one] if one.contains(&host.name) && one.contains("given twice")), "{problems:?}");
    }

    /// Addresses that the inventory does not have never become hosts of a run.
    #[test]
    fn gone_members_are_only_named_to_their_cluster((clusters, picked) in choices(), last in 1..255_u8) {
        let gone = format!("10.9.9.{last}");
        let mut texts: Vec<&str> = picked.iter().map(|(_, _, text)| text.as_str()).collect();
        texts.insert(0, &gone);
        let planned = plan(&request(Action::Remove, None, &texts), &inventory::read(&json_of(&clusters)));
        let whole = clusters.len() == 1 && clusters[0].len() == picked.len();
        prop_assert_eq!(planned.is_ok(), clusters.len() == 1 && !whole, "{:?}", planned);
        if let Ok(plan) = planned {
            prop_assert!(!plan.runs[1].words.join(" ").contains(&gone));
            let variable = format!(r#"{{"etcd_rm_members":["{gone}"]}}"#);
            prop_assert_eq!(&plan.runs[0].words, &["-l", "c1", "-e", variable.as_str()]);
        }
    }
}
