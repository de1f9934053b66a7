//! Data that is there: whose it is. What is not the cluster's, or cannot be told, is left alone.

use super::Case;
use crate::identity::Member;
use crate::observed::{Observed, most_common};

impl Case<'_> {
    pub(super) fn unreadable(&self) -> impl Iterator<Item = String> {
        self.seen.iter().filter(|(_, seen)| seen.data.state == "unreadable").map(|(host, seen)| {
            let reason = seen.data.reason.as_deref().unwrap_or_default();
            format!(
                "the data directory {} of {host} cannot be read as a member's ({reason}): it is left alone; repair it, or move it aside if its data is not needed: mv {0} {0}.old",
                self.data_dir(host)
            )
        })
    }

    /// Data of another cluster, or of a member that the live cluster has removed.
    pub(super) fn foreign_data(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let wanted = self.reference();
        for (member, seen) in self.with_data() {
            let host = &member.host;
            let data_dir = self.data_dir(host);
            let cluster = seen.data.cluster_id.as_deref().unwrap_or_default();
            let id = seen.data.member_id.as_deref().unwrap_or_default();
            if Some(cluster) != wanted {
                problems.push(format!(
                    "{data_dir} of {host} holds a member of another cluster ({cluster}, not {}): it is left alone; move it aside if its data is not needed: mv {data_dir} {data_dir}.old",
                    wanted.unwrap_or("that of its peers")
                ));
                continue;
            }
            if let Some(live) = &self.live
                && !member.joins
                && !live.members.iter().any(|known| known.id == id)
            {
                problems.push(format!(
                    "{data_dir} of {host} belongs to member {id}, which was removed from cluster {cluster}: it is left alone; to join the host anew, which moves it aside: ./etcd.yml -l {host} -e etcd_init=existing; to clean up: ./etcd-rm.yml -l {host}"
                ));
            }
        }
        problems
    }

    /// The id the hosts' data must have: the live cluster's; without one, what most hosts with data agree on.
    fn reference(&self) -> Option<&str> {
        self.live.as_ref().map(|live| live.id.as_str()).or_else(|| most_common(&self.seen, &self.founding))
    }

    /// Data of one member on two hosts: whatever both say in its name, the others would believe.
    pub(super) fn copies(&self) -> Vec<String> {
        let whose = |host: &str, id: &str| {
            let listed = |other: &&Member| {
                self.live.as_ref().and_then(|live| live.by_url(&other.peer_url)).is_some_and(|known| known.id == id)
            };
            let holds = |other: &&Member| {
                self.seen.get(other.host.as_str()).is_some_and(|seen| seen.data.member_id.as_deref() == Some(id))
            };
            self.cluster.members.iter().filter(|other| other.host != host).find(|other| listed(other) || holds(other))
        };
        let copy = |(member, seen): (&Member, &Observed)| {
            let id = seen.data.member_id.as_deref()?;
            let other = whose(&member.host, id)?;
            Some(format!(
                "{data_dir} of {host} holds the data of member {id}, which is that of {}: two processes may never run as one member; correct etcd_address where it is the wrong one, or move the copy aside: mv {data_dir} {data_dir}.old",
                other.host,
                data_dir = self.data_dir(&member.host),
                host = member.host,
            ))
        };
        self.with_data().filter_map(copy).collect()
    }
}
