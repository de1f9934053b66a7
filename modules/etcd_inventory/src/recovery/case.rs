//! One cluster, and who knows what of it.

use super::{Request, Tried, Whose};
use crate::Findings;
use crate::identity::{Cluster, Member};
use crate::observed::{Live, LiveMember, Observed, read};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// One cluster of the run.
pub(super) struct Case<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) request: &'a Request,
    /// The hosts that answered.
    pub(super) seen: BTreeMap<&'a str, Observed>,
    /// The cluster as those see it who have a leader, all taken together; none where nobody has.
    pub(super) live: Option<Live>,
    /// The same as one of them has put it.
    pub(super) view: Option<&'a Value>,
}

impl<'a> Case<'a> {
    /// Fails where nobody can tell which cluster this is.
    pub(super) fn new(
        cluster: &'a Cluster,
        request: &'a Request,
        observed: &'a BTreeMap<String, Value>,
        findings: &mut Findings,
    ) -> Result<Self, String> {
        let seen = read(cluster, observed, findings);
        let leading = leading(cluster, &seen)?;
        let view = leading.and_then(|host| Some(&observed.get(host)?["cluster"]));
        let live = leading.and_then(|host| together(&seen, host));
        Ok(Self { cluster, request, seen, live, view })
    }

    pub(super) fn seen(&self, member: &Member) -> Option<&Observed> {
        self.seen.get(member.host.as_str())
    }

    /// Hosts that nothing is known of.
    fn unseen(&self) -> impl Iterator<Item = &'a str> {
        self.cluster.hosts.iter().map(String::as_str).filter(|host| !self.seen.contains_key(host))
    }

    /// Hosts that do not answer over SSH.
    pub(super) fn unreachable(&self) -> Vec<&'a str> {
        self.unseen().filter(|host| self.failure(host).is_none()).collect()
    }

    /// Hosts that answer, and that cannot be looked at.
    pub(super) fn failed(&self) -> Vec<&'a str> {
        self.unseen().filter(|host| self.failure(host).is_some()).collect()
    }

    /// What kept the host from being looked at, though it answers.
    fn failure(&self, host: &str) -> Option<&'a str> {
        self.request.failed.get(host).map(|cause| cause.trim_end_matches('.'))
    }

    /// Why nothing is known of a host, to follow its name.
    pub(super) fn why_unseen(&self, host: &str) -> String {
        self.failure(host)
            .map_or_else(|| "cannot be reached over SSH".to_owned(), |cause| format!("cannot be looked at ({cause})"))
    }

    /// All hosts that nothing is known of, and why; none where there are none.
    pub(super) fn away(&self) -> Option<String> {
        let mut told: Vec<String> =
            self.failed().iter().map(|host| format!("{host} {}", self.why_unseen(host))).collect();
        let unreachable = self.unreachable().join(", ");
        if !unreachable.is_empty() {
            told.insert(0, format!("{unreachable} cannot be reached over SSH"));
        }
        (!told.is_empty()).then(|| told.join(", and "))
    }

    pub(super) fn forced(&self, word: &str) -> bool {
        self.cluster.members.iter().any(|member| member.is_forced(word))
    }

    pub(super) fn tried(&self, member: &Member) -> Option<&Tried> {
        self.request.tried.get(&member.host)
    }

    pub(super) fn wants_data_of(&self) -> Option<&'a Member> {
        self.cluster.members.iter().find(|member| member.host == self.request.from)
    }

    pub(super) fn restore(&self) -> String {
        let file = if self.request.snapshot.is_empty() { "FILE" } else { &self.request.snapshot };
        format!("./etcd-restore.yml -e etcd_snapshot={file}")
    }

    /// Whose data there is to be moved aside; none where there is none.
    pub(super) fn whose(&self, member: &Member) -> Option<Whose> {
        let data = &self.seen(member)?.data;
        (data.state != "absent" || data.left_wal).then(|| Whose {
            member_id: data.member_id.clone(),
            cluster_id: data.cluster_id.clone(),
            unreadable: data.member_id.is_none(),
        })
    }

    /// Where a disk may be missing, and with it the member's data.
    pub(super) fn unmounted(&self, member: &Member) -> Option<String> {
        self.seen(member)?.unmounted(&member.host)
    }

    /// A host that answers, whose member serves, and that sees most of the others.
    pub(super) fn speaker(&self, live: &Live, wanted: &dyn Fn(&LiveMember) -> bool) -> Option<&str> {
        let serves = |member: &&Member| {
            let listed = live.by_url(&member.peer_url);
            self.seen(member).is_some()
                && listed.is_some_and(|listed| listed.healthy && !listed.is_learner && wanted(listed))
        };
        let sees = |member: &&Member| self.seen(member).and_then(|seen| seen.cluster.as_ref()).map_or(0, Live::healthy);
        let speaker = self.cluster.members.iter().filter(serves).min_by_key(|member| Reverse(sees(member)));
        speaker.map(|member| member.host.as_str())
    }
}

/// The host whose view of the cluster with a leader shows most members that serve; none where nobody has a leader.
fn leading<'a>(cluster: &Cluster, seen: &BTreeMap<&'a str, Observed>) -> Result<Option<&'a str>, String> {
    let mut clusters: BTreeMap<&str, Vec<(&'a str, &Live)>> = BTreeMap::new();
    for (host, live) in seen.iter().filter_map(|(host, seen)| Some((*host, seen.cluster.as_ref()?))) {
        if live.leader.is_some() {
            clusters.entry(live.id.as_str()).or_default().push((host, live));
        }
    }
    let most = clusters.values().map(Vec::len).max().unwrap_or(0);
    let mut largest = clusters.values().filter(|views| views.len() == most);
    let Some(views) = largest.next() else { return Ok(None) };
    let best = views.iter().min_by_key(|(_, live)| Reverse(live.healthy()));
    // What one cluster was has become two where a member was made to go on alone while the others had a quorum.
    let two = best.and_then(|(host, live)| {
        let apart = |other: &Live| !(live.has(other.leader.as_deref()) && other.has(live.leader.as_deref()));
        let other = largest.next().and_then(|views| views.first());
        other.or_else(|| views.iter().find(|(_, other)| apart(other))).map(|other| ((host, live), other))
    });
    let Some(((host, live), (other_host, other))) = two else { return Ok(best.map(|(host, _)| *host)) };
    Err(format!(
        "the hosts of cluster {} serve in two clusters, one that {host} is in (id {}, led by {}) and one that {other_host} is in (id {}, led by {}), and nobody can tell which one is meant: on the hosts of the other one stop etcd and move its data aside, then run ./etcd-recover.yml again",
        cluster.name,
        live.id,
        live.leader.as_deref().unwrap_or_default(),
        other.id,
        other.leader.as_deref().unwrap_or_default(),
    ))
}

/// The cluster as the host sees it, and what others know better: a member serves if anybody says so, such as itself. That it could
/// be read through its leader is what it takes to be healthy, whatever else somebody does not see.
fn together(seen: &BTreeMap<&str, Observed>, host: &str) -> Option<Live> {
    let mut live = seen.get(host)?.cluster.clone()?;
    let others = seen.values().filter_map(|seen| seen.cluster.as_ref());
    for other in others.filter(|other| other.id == live.id) {
        for known in &mut live.members {
            let Some(same) = other.members.iter().find(|same| same.id == known.id) else { continue };
            let corrupt = known.corrupt || same.corrupt;
            if same.healthy && !known.healthy {
                known.clone_from(same);
            }
            known.corrupt = corrupt;
        }
        for alarm in &other.alarms {
            if !live.alarms.contains(alarm) {
                live.alarms.push(alarm.clone());
            }
        }
    }
    Some(live)
}

impl Live {
    /// How many members serve.
    fn healthy(&self) -> usize {
        self.members.iter().filter(|member| member.healthy).count()
    }

    fn has(&self, id: Option<&str>) -> bool {
        self.members.iter().any(|member| Some(member.id.as_str()) == id)
    }

    /// Whether there is such an alarm, whomever it names.
    pub(super) fn has_alarm(&self, kind: &str) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// Whether the alarm CORRUPT may be about this member.
    pub(super) fn accuses(&self, listed: &LiveMember) -> bool {
        let nobody = self.alarms.iter().any(|alarm| alarm.kind == "CORRUPT" && alarm.member_id.is_none());
        listed.corrupt || nobody
    }
}

impl LiveMember {
    pub(super) fn label(&self) -> String {
        let name = if self.name.is_empty() { self.peer_urls.join(",") } else { self.name.clone() };
        format!("{name} ({})", self.id)
    }

    /// Whether it knows of such an alarm, its own or another member's: so it has applied all that was written before.
    pub(super) fn tells_of(&self, kind: &str) -> bool {
        self.status.as_ref().is_some_and(|status| status.errors.iter().any(|text| text.contains(kind)))
    }
}
