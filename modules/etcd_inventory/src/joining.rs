//! Who joins a running cluster, in which order, and with which list of members.

use crate::identity::{Cluster, Member};
use crate::observed::{Live, LiveMember, Observed};
use ansible_protocol::order;
use etcd_ops::membership::address;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How a host becomes a member of the running cluster.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Entry {
    /// In which wave, counted from 0: one host of each cluster at a time.
    pub(crate) wave: usize,
    /// Whether it is still to be started: a learner that has been is only promoted.
    pub(crate) starts: bool,
    /// Whether it holds the data of a member that was removed.
    pub(crate) stale: bool,
    /// The members that there will be then, as etcd wants them at the first start.
    #[serde(skip)]
    pub(crate) initial_cluster: String,
}

/// What a cluster's new hosts do.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// Those that join, or have only been learning so far.
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Members outside of the run, whose files are to name those that join, or have joined.
    pub(crate) neighbours: Vec<String>,
}

impl Joining {
    /// Pure. `seen` are the hosts of this run.
    pub(crate) fn of(cluster: &Cluster, seen: &BTreeMap<&str, Observed>, live: &Live) -> Self {
        let candidate = |member: &&Member| {
            seen.get(member.host.as_str()).is_some_and(|seen| {
                let absent = seen.data.state == "absent" && member.joins && !live.has_started(member);
                absent || seen.is_stale(member, live) || live.only_learns(seen) && !member.learns
            })
        };
        let mut candidates: Vec<&Member> = cluster.members.iter().filter(candidate).collect();
        // A cluster has one learner at a time: those that go on voting come first. Stable: by their numbers.
        order::sort_by_key(&mut candidates, |member| member.learns);
        let mut urls = order::set(live.members.iter().flat_map(LiveMember::urls));
        let mut joining = Self::default();
        for (wave, member) in candidates.into_iter().enumerate() {
            let Some(seen) = seen.get(member.host.as_str()) else { continue };
            urls.insert(&member.peer_url);
            let stale = seen.is_stale(member, live);
            let entry = Entry {
                wave,
                starts: seen.data.state == "absent" || stale,
                stale,
                initial_cluster: initial_cluster(cluster, live, &urls),
            };
            joining.entries.insert(member.host.clone(), entry);
        }
        // Also where it has joined already: an earlier run may have been cut off before it wrote their files.
        let has_joined = |member: &Member| member.joins && seen.contains_key(member.host.as_str());
        if !joining.entries.is_empty() || cluster.members.iter().any(has_joined) {
            let outside = cluster.members.iter().filter(|member| !seen.contains_key(member.host.as_str()));
            joining.neighbours =
                outside.filter(|member| live.has_started(member)).map(|member| member.host.clone()).collect();
        }
        joining
    }
}

/// The members with these peer URLs: those of the inventory in the order of their numbers, then the others by name.
fn initial_cluster(cluster: &Cluster, live: &Live, urls: &BTreeSet<&str>) -> String {
    let named = cluster.members.iter().filter(|member| urls.contains(member.peer_url.as_str()));
    let mut entries: Vec<(String, &str)> =
        named.map(|member| (live.name_of(member), member.peer_url.as_str())).collect();
    let mut others: Vec<(String, &str)> = live
        .members
        .iter()
        .flat_map(|known| known.urls().map(|url| (known.listed_name(), url)))
        .filter(|(_, url)| entries.iter().all(|(_, listed)| listed != url))
        .collect();
    order::sort(&mut others);
    entries.extend(others);
    entries.into_iter().map(|(name, url)| format!("{name}={url}")).collect::<Vec<_>>().join(",")
}

impl Observed {
    /// Whether the host, which is to join, holds the data of a member that its cluster has removed.
    fn is_stale(&self, member: &Member, live: &Live) -> bool {
        let data = &self.data;
        let removed = data.member_id.as_ref().is_some_and(|id| live.members.iter().all(|known| known.id != *id));
        member.joins && data.state == "member" && data.cluster_id.as_ref() == Some(&live.id) && removed
    }
}

impl Live {
    pub(crate) fn has_started(&self, member: &Member) -> bool {
        self.by_url(&member.peer_url).is_some_and(|known| known.started)
    }

    pub(crate) fn by_url(&self, peer_url: &str) -> Option<&LiveMember> {
        self.members.iter().find(|known| known.urls().any(|url| address::same_url(url, peer_url)))
    }

    /// A member that has the name which another host is to have.
    pub(crate) fn named(&self, member: &Member) -> Option<&LiveMember> {
        self.members.iter().find(|known| known.name == member.name)
    }

    /// Whether the host's data is that of a learner.
    fn only_learns(&self, seen: &Observed) -> bool {
        let of_host = |known: &&LiveMember| seen.data.member_id.as_ref() == Some(&known.id);
        self.members.iter().find(of_host).is_some_and(|known| known.is_learner)
    }

    /// The name a member has in the cluster; before it has started, the one it is going to have.
    fn name_of(&self, member: &Member) -> String {
        let known = self.by_url(&member.peer_url).map(|known| known.name.as_str()).filter(|name| !name.is_empty());
        known.unwrap_or(&member.name).to_owned()
    }
}

impl LiveMember {
    fn urls(&self) -> impl Iterator<Item = &str> {
        self.peer_urls.iter().map(String::as_str)
    }

    /// Its name; etcd compares the URLs only, so any other will do for one that has none yet.
    fn listed_name(&self) -> String {
        if self.name.is_empty() { format!("member-{}", self.id) } else { self.name.clone() }
    }
}
