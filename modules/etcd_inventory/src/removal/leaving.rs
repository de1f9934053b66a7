//! Members that leave a cluster that goes on: who they are, in which order they go, and through whom.

use super::{Case, Leaving, Removal, labels};
use crate::Findings;
use crate::identity::Member;
use etcd_ops::membership::Roster;

impl<'a> Case<'a> {
    /// Who has left the inventory already.
    pub(super) fn take_out_named(&self, members: &[&str], removal: &mut Removal, findings: &mut Findings) {
        if members.is_empty() {
            findings.problems.push(
                "etcd_rm_members is an empty list: name the members to take out, or leave it unset to remove the hosts of the run".into(),
            );
            return;
        }
        let Some(roster) = &self.roster else {
            findings.problems.push(self.unseen());
            return;
        };
        let mut ids = Vec::new();
        for name in members {
            match roster.find(name) {
                Err(failure) => findings.problems.push(failure.msg),
                Ok(None) => findings.warnings.push(format!(
                    "{name} is no member of cluster {}, so there is nothing to take out; its members are {}",
                    self.cluster.name,
                    labels(roster.seats.iter())
                )),
                Ok(Some(seat)) => match self.cluster.members.iter().find(|member| self.is_seat_of(seat, member)) {
                    Some(member) => findings.problems.push(format!(
                        "{name} is the host {} of the inventory: ./etcd-rm.yml -l {}, which cleans it up as well",
                        member.host, member.host
                    )),
                    None => ids.push(seat.id),
                },
            }
        }
        self.leave(roster, &ids, removal, findings);
    }

    /// Some of the cluster's members go, the cluster goes on.
    pub(super) fn shrink(&self, removal: &mut Removal, findings: &mut Findings) {
        let Some(roster) = &self.roster else {
            findings.problems.push(self.unseen());
            return;
        };
        let ids: Vec<u64> = self.going().filter_map(|member| Some(self.seat(member)?.id)).collect();
        findings.problems.extend(self.going().filter_map(|member| self.elsewhere(member, roster)));
        findings.problems.extend(self.going().filter_map(|member| self.contradicted(member, roster)));
        findings.problems.extend(self.foreign_data(self.id()));
        let left = |member: &Member| self.request.leaves() || self.seat(member).is_none();
        if self.request.deletes() {
            let stays = self.going().filter(|member| !left(member) && !member.keeps_data);
            findings.problems.extend(stays.map(|member| {
                format!("{0} is still a member of cluster {1}, and its data is not deleted before it has left: ./etcd-rm.yml -l {0}", member.host, self.cluster.name)
            }));
        }
        self.leave(roster, &ids, removal, findings);
        removal.hosts.extend(self.going().map(|member| (member.host.clone(), self.host(member, left(member), false))));
    }

    /// A member of the same name at another address: is it this one, or is there another?
    fn elsewhere(&self, member: &Member, roster: &Roster) -> Option<String> {
        let other =
            roster.seats.iter().find(|seat| seat.name == member.name).filter(|_| self.seat(member).is_none())?;
        let id = etcd_ops::hex(other.id);
        Some(format!(
            "{} is {} in the inventory, but member {} of cluster {} is at {}: correct etcd_address or etcd_peer_port; if it is that one that is to go: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{id}\"]}}'",
            member.host,
            member.peer_url,
            other.label,
            self.cluster.name,
            other.peer_urls.join(","),
        ))
    }

    /// A host whose data is of another member than its address: which of the two would leave, and whose data would go?
    fn contradicted(&self, member: &Member, roster: &Roster) -> Option<String> {
        let id = self.seen.get(member.host.as_str())?.data.member_id.as_deref()?;
        let of_data = roster.seats.iter().find(|seat| etcd_ops::hex(seat.id) == id)?;
        let contradicts = |other: &Member| {
            let seat = roster.seats.iter().find(|seat| seat.is_at(&other.peer_url));
            seat.is_some_and(|seat| (seat.id == of_data.id) != (other.host == member.host))
        };
        self.cluster.members.iter().any(contradicts).then(|| {
            format!(
                "{} is {} in the inventory, and {} on it is the data of {} at {}: correct etcd_address, or move the data aside if it is a copy: mv {2} {2}.old",
                member.host,
                member.peer_url,
                member.data_dir,
                of_data.label,
                of_data.peer_urls.join(","),
            )
        })
    }

    fn leave(&self, roster: &Roster, ids: &[u64], removal: &mut Removal, findings: &mut Findings) {
        if !self.request.leaves() || ids.is_empty() {
            return;
        }
        let forced = self.forced("remove");
        let order = match roster.removal_order(ids, forced) {
            Ok(order) => order,
            Err(failure) => {
                findings.problems.push(failure.msg);
                return;
            }
        };
        let Some(speaker) = self.speaker(&order) else {
            findings.problems.push(format!(
                "none of the members of cluster {} that stay can be reached over SSH and serves: bring one back first",
                self.cluster.name
            ));
            return;
        };
        let cluster_id = self.id().unwrap_or_default().to_owned();
        // Each is judged anew when its turn comes; a member that is down is then no reason against it, if it goes too.
        let down = |id: &u64| roster.seat(*id).is_some_and(|seat| seat.voter && !seat.serves());
        let seats = order.iter().enumerate().filter_map(|(turn, id)| Some((turn, roster.seat(*id)?)));
        removal.leaving.extend(seats.map(|(turn, seat)| Leaving {
            cluster: self.cluster.name.clone(),
            cluster_id: cluster_id.clone(),
            speaker: speaker.to_owned(),
            id: etcd_ops::hex(seat.id),
            label: seat.label.clone(),
            forced: forced || order[turn + 1..].iter().any(down),
        }));
    }

    /// Somebody who stays, and serves, to speak to the cluster through.
    fn speaker(&self, going: &[u64]) -> Option<&'a str> {
        let mut members = self.cluster.members.iter();
        let stays = |member: &&Member| self.seat(member).is_some_and(|seat| seat.serves() && !going.contains(&seat.id));
        let answers =
            |host: &str| self.outside.get(host).or_else(|| self.seen.get(host)).is_some_and(|seen| seen.serving);
        members.find(|member| stays(member) && answers(&member.host)).map(|member| member.host.as_str())
    }

    fn unseen(&self) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for (host, seen) in self.outside.iter().chain(&self.seen) {
            reasons.extend(seen.cluster_trouble().map(|reason| format!("{host}: {reason}")));
        }
        let reasons = if reasons.is_empty() { "no host answers".to_owned() } else { reasons.join("; ") };
        format!(
            "nobody can be asked who leads cluster {} ({reasons}): without a quorum no member can be removed; bring the others back first; to remove the whole cluster: ./etcd-rm.yml",
            self.cluster.name
        )
    }
}
