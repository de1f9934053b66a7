//! A cluster that ends: nothing of it is left, nobody uses it, and it is saved first.

use super::{Case, Removal, Snapshot, labels};
use crate::Findings;
use crate::identity::Member;
use crate::observed::{in_use, most_common};
use etcd_ops::membership::Seat;

impl Case<'_> {
    /// The cluster goes, with all its members.
    pub(super) fn end(&self, removal: &mut Removal, findings: &mut Findings) {
        findings.problems.extend(self.strangers());
        findings.problems.extend(self.out_of_reach());
        findings.problems.extend(self.in_use());
        let founding = self.cluster.founding_id();
        findings.problems.extend(self.foreign_data(self.id().or_else(|| most_common(&self.seen, &founding))));
        match self.saved_from() {
            Ok(host) => {
                let cluster = || self.cluster.name.clone();
                removal.snapshots.extend(host.map(|host| Snapshot { cluster: cluster(), host }));
            }
            Err(problem) => findings.problems.push(problem),
        }
        removal.hosts.extend(self.going().map(|member| (member.host.clone(), self.host(member, true, true))));
    }

    /// Members that the inventory does not know would be left without a quorum.
    fn strangers(&self) -> Option<String> {
        let known = |seat: &&Seat| self.cluster.members.iter().any(|member| self.is_seat_of(seat, member));
        let seats: Vec<&Seat> = self.roster.as_ref()?.seats.iter().filter(|seat| !known(seat)).collect();
        (!seats.is_empty()).then(|| {
            format!(
                "cluster {} has members that the inventory does not name, {}: add them to the inventory, or take them out first: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{}\"]}}'",
                self.cluster.name,
                labels(seats.iter().copied()),
                seats.iter().map(|seat| etcd_ops::hex(seat.id)).collect::<Vec<_>>().join("\", \"")
            )
        })
    }

    /// Hosts that cannot be cleaned up, while their members may go on serving.
    fn out_of_reach(&self) -> Option<String> {
        let unseen = self.going().filter(|member| !self.seen.contains_key(member.host.as_str()));
        let alive = unseen.filter(|member| match &self.roster {
            Some(_) => self.seat(member).is_some_and(Seat::serves),
            None => true,
        });
        let hosts: Vec<&str> = alive.map(|member| member.host.as_str()).collect();
        (!hosts.is_empty() && !self.forced("unreachable")).then(|| {
            format!(
                "{} cannot be reached over SSH, and may go on serving cluster {}: bring it back; to remove the others all the same: -e etcd_force=unreachable",
                hosts.join(" and "),
                self.cluster.name
            )
        })
    }

    fn in_use(&self) -> Option<String> {
        if self.forced("in_use") { None } else { in_use(&self.cluster.name, &self.seen, "remove it") }
    }

    /// Where the last snapshot is taken: on the leader's host, or on any other that serves.
    fn saved_from(&self) -> Result<Option<String>, String> {
        let wants = self.request.saves() && self.going().any(|member| member.saves);
        let holds = self.seen.values().any(|seen| seen.data.state == "member");
        if !wants || !holds {
            return Ok(None);
        }
        let leads = |member: &Member| {
            let leader = self.roster.as_ref().and_then(|roster| roster.leader);
            leader.is_some() && self.seat(member).map(|seat| seat.id) == leader
        };
        let serves = |member: &&Member| self.seen.get(member.host.as_str()).is_some_and(|seen| seen.serving);
        let host = self.going().filter(serves).max_by_key(|member| leads(member));
        host.map(|member| Some(member.host.clone())).ok_or_else(|| {
            format!(
                "no member of cluster {} serves, so its last snapshot cannot be taken: start it first (./etcd.yml); to remove it without one, or where an interrupted run has taken it already: -e etcd_rm_snapshot=false",
                self.cluster.name
            )
        })
    }
}
