//! Hosts without data: they make a cluster, all at once, or join the one that runs. A second one is never made.

use super::Case;
use crate::identity::Member;
use crate::observed::{Live, Observed};
use ansible_protocol::order;

impl Case<'_> {
    /// A fresh host beside a running cluster: never a second cluster.
    pub(super) fn fresh_beside_live(&self, live: &Live) -> Vec<String> {
        let mut problems = Vec::new();
        for member in self.fresh() {
            let host = &member.host;
            match live.by_url(&member.peer_url) {
                Some(known) if known.started => problems.push(format!(
                    "{host} is member {} ({}) of the running cluster {}, but its data directory {} is empty: its data is lost, and etcd would refuse to start; replace it: ./etcd-rm.yml -l {host}, then ./etcd.yml -l {host} -e etcd_init=existing",
                    known.name, known.id, self.cluster.name, self.data_dir(host)
                )),
                None if let Some(known) = live.named(member) => problems.push(format!(
                    "{host} is {} in the inventory and has no data, but {} ({}) of cluster {} is a member at {} already: correct etcd_address, etcd_peer_port or etcd_seq; if it is what {host} was before, take it out first: ./etcd-rm.yml -e '{{\"etcd_rm_members\": [\"{}\"]}}'",
                    member.peer_url,
                    known.name,
                    known.id,
                    self.cluster.name,
                    known.peer_urls.join(","),
                    known.id,
                )),
                Some(_) | None if member.joins => {}
                // A founding member whose start was cut short.
                Some(known) if known.id == self.cluster.founding_member_id(member) => {}
                Some(_) | None => problems.push(format!(
                    "{host} has no data, etcd_init is new, and its peers already run cluster {} ({}): a second cluster is never made; to join it: ./etcd.yml -l {host} -e etcd_init=existing; to start over, destroy it first: ./etcd-rm.yml",
                    self.cluster.name, live.id
                )),
            }
        }
        problems
    }

    /// A fresh host, and no running cluster to be seen from this run's hosts.
    pub(super) fn fresh_without_live(&self) -> Vec<String> {
        let fresh: Vec<&Member> = self.fresh().collect();
        if fresh.is_empty() {
            return Vec::new();
        }
        let names = fresh.iter().map(|member| member.host.as_str()).collect::<Vec<_>>().join(", ");
        if fresh.iter().any(|member| member.joins) {
            let reasons =
                if self.reasons.is_empty() { String::new() } else { format!(" ({})", self.reasons.join("; ")) };
            return vec![format!(
                "{names}: etcd_init is existing, but no running cluster {} can be reached{reasons}: bring its members up first, or leave etcd_init at new to make a cluster",
                self.cluster.name
            )];
        }
        if let Some(problem) = self.missing_founders(&names).or_else(|| self.already_answering()) {
            return vec![problem];
        }
        self.half_founded(&names).into_iter().collect()
    }

    /// A cluster is founded by all its members at once.
    fn missing_founders(&self, fresh: &str) -> Option<String> {
        let absent: Vec<&str> = self.outside().collect();
        if absent.is_empty() {
            return None;
        }
        let answering = self.answering();
        let seen = if answering.is_empty() {
            String::new()
        } else {
            format!(" (something already answers on {})", answering.join(", "))
        };
        Some(format!(
            "cluster {} cannot be made on {fresh} without {}, which are unreachable or left out by -l{seen}: run ./etcd.yml for all its hosts; to join {fresh} to a running cluster: -e etcd_init=existing",
            self.cluster.name,
            absent.join(", ")
        ))
    }

    fn answering(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.seen.values().flat_map(|seen| seen.answering.clone()).collect();
        order::sort(&mut urls);
        urls.dedup();
        urls
    }

    /// Something listens where a fresh member would.
    fn already_answering(&self) -> Option<String> {
        let taken: Vec<String> = self
            .fresh()
            .filter(|member| {
                let own = [&member.client_url, &member.peer_url];
                self.seen.values().any(|seen| seen.answering.iter().any(|url| own.contains(&url)))
            })
            .map(|member| format!("{} ({})", member.client_url, member.host))
            .collect();
        (!taken.is_empty()).then(|| {
            format!(
                "something already answers on {}, though the data directory there is empty: is it an etcd with another data directory (etcd_data)? stop it, or correct etcd_data or etcd_port",
                taken.join(", ")
            )
        })
    }

    /// Some hosts have data and some have none, and the cluster is down.
    fn half_founded(&self, fresh: &str) -> Option<String> {
        let holders: Vec<(&Member, &Observed)> = self.with_data().collect();
        if holders.is_empty()
            || holders
                .iter()
                .all(|(_, seen)| !seen.data.had_leader && seen.data.cluster_id.as_deref() == Some(&self.founding))
        {
            return None;
        }
        let hosts = holders.iter().map(|(member, _)| member.host.as_str()).collect::<Vec<_>>().join(",");
        Some(format!(
            "{fresh} has no data, while {hosts} holds that of cluster {}, which has been in use and is down: making members anew could lose it; start what has data first: ./etcd.yml -l {hosts}, then run again",
            holders.first().and_then(|(_, seen)| seen.data.cluster_id.clone()).unwrap_or_default()
        ))
    }

    fn fresh(&self) -> impl Iterator<Item = &Member> {
        self.members_seen().filter(|(_, seen)| seen.data.state == "absent").map(|(member, _)| member)
    }
}
