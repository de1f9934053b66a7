//! What data is left of a cluster, and how new it is.

use super::case::Case;
use crate::identity::Member;
use crate::observed::{Live, LiveMember, Log, Observed};
use std::collections::BTreeMap;

/// A host, and what was found on it.
pub(super) type Found<'a> = (&'a Member, &'a Observed);

/// The hosts with data, as far as they can be reached.
#[derive(Default)]
pub(super) struct Remains<'a> {
    /// The id of the cluster that counts; none where no host has data that can be read.
    pub(super) id: Option<&'a str>,
    /// Those whose data is not known to be damaged.
    pub(super) whole: Vec<Found<'a>>,
    /// Those whose data is damaged, or cannot be read.
    pub(super) damaged: Vec<Found<'a>>,
    /// Those that hold the data of another cluster.
    pub(super) foreign: Vec<Found<'a>>,
}

impl Case<'_> {
    /// Fails where the hosts hold data of several clusters, and none is that of most of them.
    pub(super) fn remains(&self) -> Result<Remains<'_>, String> {
        let id = self.own_id()?;
        let mut remains = Remains { id, ..Remains::default() };
        for (member, seen) in self.members_seen() {
            let found = (member, seen);
            let damaged = self.tried(member).is_some_and(|tried| tried.damaged);
            // What lies where a disk is missing is not the member's.
            if seen.data.unmounted.is_some() {
                continue;
            }
            match (seen.data.state.as_str(), seen.data.cluster_id.as_deref()) {
                ("member", of) if of != id => remains.foreign.push(found),
                ("member", _) if !damaged => remains.whole.push(found),
                ("member" | "unreadable", _) => remains.damaged.push(found),
                _ => {}
            }
        }
        Ok(remains)
    }

    pub(super) fn members_seen(&self) -> impl Iterator<Item = Found<'_>> {
        self.cluster.members.iter().filter_map(|member| Some((member, self.seen(member)?)))
    }

    /// The cluster of the data that the user names, or else of that on most hosts.
    fn own_id(&self) -> Result<Option<&str>, String> {
        let mut hosts: BTreeMap<&str, Vec<Found<'_>>> = BTreeMap::new();
        for (member, seen) in self.members_seen().filter(|(_, seen)| seen.data.unmounted.is_none()) {
            if let Some(id) = seen.data.cluster_id.as_deref() {
                hosts.entry(id).or_default().push((member, seen));
            }
        }
        let named = self.wants_data_of().and_then(|member| self.seen(member)?.data.cluster_id.as_deref());
        let all: usize = hosts.values().map(Vec::len).sum();
        let most = || hosts.iter().find(|(_, of_it)| of_it.len() > all / 2).map(|(id, _)| *id);
        if let Some(id) = named.or_else(most) {
            return Ok(Some(id));
        }
        if hosts.is_empty() {
            return Ok(None);
        }
        let told: Vec<String> = hosts.iter().map(|(id, of_it)| format!("{id} on {}", told(of_it))).collect();
        Err(format!(
            "the hosts of cluster {} hold data of several clusters, and none is that of most of them: {}; move aside what is not needed (mv DATA_DIR DATA_DIR.old), then run ./etcd-recover.yml again; or name whose data is the cluster's: -e etcd_recover_from=HOST",
            self.cluster.name,
            told.join(", ")
        ))
    }

    /// The list of this cluster that somebody has who has no leader.
    pub(super) fn listed(&self, remains: &Remains<'_>) -> Option<&Live> {
        // A lone member knows of nobody else.
        let mut lists = self.seen.values().filter(|seen| !seen.may_be_alone()).filter_map(|seen| seen.cluster.as_ref());
        lists.find(|live| remains.id == Some(live.id.as_str()))
    }

    /// How many members decide, as far as anybody knows: a host that was never made a member does not.
    pub(super) fn voters(&self, remains: &Remains<'_>) -> usize {
        if let Some(live) = self.listed(remains) {
            return live.members.iter().filter(|listed| !listed.is_learner).count();
        }
        let votes = |member: &&Member| !member.learns && self.seen(member).is_none_or(Observed::was_made);
        self.cluster.members.iter().filter(votes).count().max(1)
    }

    /// Whether somebody lists the member, who has no leader.
    pub(super) fn is_listed(&self, remains: &Remains<'_>, member: &Member) -> bool {
        self.listed(remains).is_some_and(|live| live.by_url(&member.peer_url).is_some())
    }

    /// Whether the member with this data decides.
    pub(super) fn votes(&self, remains: &Remains<'_>, (member, seen): Found<'_>) -> bool {
        let id = seen.data.member_id.as_deref();
        let listed =
            self.listed(remains).and_then(|live| live.members.iter().find(|known| Some(known.id.as_str()) == id));
        listed.map_or(!member.learns, |listed| !listed.is_learner)
    }

    /// Members that answer, and whose hosts cannot be reached over SSH: they run, whatever the others can see of them.
    pub(super) fn alive_elsewhere(&self) -> Vec<String> {
        let mut told: BTreeMap<&str, String> = BTreeMap::new();
        for live in self.seen.values().filter_map(|seen| seen.cluster.as_ref()) {
            let here = |listed: &LiveMember| {
                let holds = |seen: &Observed| seen.data.member_id.as_ref() == Some(&listed.id);
                let at = |member: &Member| live.by_url(&member.peer_url).is_some_and(|own| own.id == listed.id);
                self.seen.values().any(holds) || self.members_seen().any(|(member, _)| at(member))
            };
            for listed in live.members.iter().filter(|listed| !here(listed)) {
                if let Some(status) = &listed.status {
                    let log = Log { term: status.raft_term, index: status.raft_index, commit: None, applied: None };
                    told.insert(&listed.id, format!("{} ({})", listed.label(), log.told()));
                }
            }
        }
        told.into_values().collect()
    }
}

/// Hosts with how far their logs go.
pub(super) fn told(found: &[Found<'_>]) -> String {
    let told: Vec<String> = found.iter().map(|(member, seen)| format!("{} ({})", member.host, seen.log())).collect();
    told.join(" and ")
}

impl Observed {
    /// Whether the host was made a member once, as far as can be seen there: the inventory may name more than that.
    pub(super) fn was_made(&self) -> bool {
        self.data.state != "absent" || self.data.left_wal || self.certificate.is_object()
    }

    /// The greater, the newer; none where nobody can tell.
    pub(super) fn newness(&self) -> Option<(Option<u64>, u64, u64)> {
        self.data.log.map(|log| log.newness())
    }

    pub(super) fn log(&self) -> String {
        self.data.log.map_or_else(|| "no log".into(), |log| log.told())
    }
}

impl Log {
    fn told(&self) -> String {
        let beyond = self.kept().map_or(0, |kept| self.index.saturating_sub(kept));
        let beyond = if beyond == 0 {
            String::new()
        } else {
            format!(", the last {beyond} of which are not known to be committed")
        };
        format!("term {}, index {}{beyond}", self.term, self.index)
    }
}
