//! What may be removed. Data goes only with a member that is proved to be out of its cluster, or with all of the cluster.

use crate::Findings;
use crate::identity::{Cluster, Inventory, Member, says};
use crate::observed::Observed;
use crate::safety::read;
use etcd_ops::membership::{Roster, Seat, address};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is to be removed, and which steps of it the run's tags select.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// The hosts of the run.
    hosts: Vec<String>,
    /// Members that are not in the inventory any more, by name, address or id; then the run's own hosts stay.
    members: Option<Vec<String>>,
    /// Whether members leave their cluster, and whether data is deleted.
    leave: bool,
    data: bool,
    /// Whether a cluster that ends is saved first, where the inventory wants that.
    snapshot: bool,
}

/// What a run that removes is about, as far as the inventory tells.
#[derive(Debug, Serialize)]
pub(crate) struct Scope<'a> {
    /// The clusters of which nothing is to be left.
    ends: Vec<&'a str>,
    /// Hosts outside of the run that are to be asked for their clusters.
    ask: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    pub(crate) fn of(inventory: &Inventory, clusters: &'a BTreeMap<String, Cluster>) -> Self {
        let stays = |host: &&String| !inventory.play_hosts.contains(*host);
        let outside = |cluster: &'a Cluster| cluster.hosts.iter().filter(stays).map(String::as_str);
        let ends = clusters.values().filter(|cluster| outside(cluster).next().is_none());
        Self {
            ends: ends.map(|cluster| cluster.name.as_str()).collect(),
            ask: clusters.values().flat_map(outside).collect(),
        }
    }
}

/// Hosts that nobody is to remove by mistake.
pub(crate) fn safeguard(inventory: &Inventory) -> Option<String> {
    let guarded = |host: &&String| {
        inventory.hosts.get(*host).is_some_and(|variables| says(variables, "etcd_safeguard") == Some(true))
    };
    let hosts: Vec<&str> = inventory.play_hosts.iter().filter(guarded).map(String::as_str).collect();
    (!hosts.is_empty()).then(|| {
        format!(
            "etcd_safeguard is true on {}, so nothing is removed: to remove it all the same: -e etcd_safeguard=false",
            hosts.join(", ")
        )
    })
}

/// What is done.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Removal {
    /// Each host to be cleaned up.
    hosts: BTreeMap<String, Going>,
    /// Who leaves a cluster that goes on, in this order.
    leaving: Vec<Leaving>,
    /// Where each cluster that ends is saved first.
    snapshots: Vec<Snapshot>,
}

/// One host.
#[derive(Debug, Serialize)]
struct Going {
    /// Whether it can be cleaned up now.
    reachable: bool,
    /// Whether, once all members have left that are to, nothing of it is part of a cluster that goes on.
    gone: bool,
    /// Whether its cluster ends with it.
    ends: bool,
    /// What is done to it then.
    cleans: bool,
    deletes_data: bool,
    removes_packages: bool,
    /// Whose data it holds.
    member_id: Option<String>,
    cluster_id: Option<String>,
}

/// One member that leaves.
#[derive(Debug, Serialize)]
struct Leaving {
    cluster: String,
    cluster_id: String,
    /// The host that says so to the cluster.
    speaker: String,
    id: String,
    label: String,
    forced: bool,
}

#[derive(Debug, Serialize)]
struct Snapshot {
    cluster: String,
    host: String,
}

/// One cluster of the run.
struct Case<'a> {
    cluster: &'a Cluster,
    request: &'a Request,
    /// The hosts of the run that answered, and members outside of it that did.
    seen: BTreeMap<&'a str, Observed>,
    outside: BTreeMap<&'a str, Observed>,
    /// The cluster as somebody sees it who sees a leader.
    view: Option<&'a Value>,
    roster: Option<Roster>,
}

/// Judges every cluster of the run.
pub(crate) fn judge(
    clusters: &BTreeMap<String, Cluster>,
    request: &Request,
    observed: &BTreeMap<String, Value>,
    outside: &BTreeMap<String, Value>,
    findings: &mut Findings,
) -> Removal {
    let mut removal = Removal::default();
    for cluster in clusters.values() {
        let case = Case::new(cluster, request, observed, outside, findings);
        if let Some(members) = &request.members {
            case.take_out_named(members, &mut removal, findings);
        } else if case.going().count() == cluster.members.len() {
            case.end(&mut removal, findings);
        } else {
            case.shrink(&mut removal, findings);
        }
    }
    removal
}

impl<'a> Case<'a> {
    fn new(
        cluster: &'a Cluster,
        request: &'a Request,
        observed: &'a BTreeMap<String, Value>,
        outside: &'a BTreeMap<String, Value>,
        findings: &mut Findings,
    ) -> Self {
        let views = cluster.hosts.iter().filter_map(|host| observed.get(host).or_else(|| outside.get(host)));
        let view = views.map(|seen| &seen["cluster"]).find(|view| !view["leader"].is_null());
        let roster = view.and_then(|view| {
            let read = Roster::from_value(view);
            read.map_err(|failure| findings.problems.push(failure.msg)).ok()
        });
        let seen = read(cluster, observed, findings);
        let outside = read(cluster, outside, findings);
        Self { cluster, request, seen, outside, view, roster }
    }

    /// The members that are to go.
    fn going(&self) -> impl Iterator<Item = &'a Member> {
        self.cluster.members.iter().filter(|member| self.request.hosts.contains(&member.host))
    }

    fn forced(&self, word: &str) -> bool {
        self.cluster.members.iter().any(|member| member.forced.iter().any(|forced| forced == word))
    }

    fn seat(&self, member: &Member) -> Option<&Seat> {
        let seen = self.seen.get(member.host.as_str()).or_else(|| self.outside.get(member.host.as_str()));
        let id = seen.and_then(|seen| seen.data.member_id.as_deref());
        self.roster.as_ref()?.seats.iter().find(|seat| {
            seat.peer_urls.iter().any(|url| address::same_url(url, &member.peer_url))
                || id.is_some_and(|id| id == etcd_ops::hex(seat.id))
        })
    }

    /// Somebody who stays, and serves, to speak to the cluster through.
    fn speaker(&self, going: &[u64]) -> Option<&'a str> {
        let mut members = self.cluster.members.iter();
        let stays = |member: &&Member| self.seat(member).is_some_and(|seat| seat.serves() && !going.contains(&seat.id));
        let answers =
            |host: &str| self.outside.get(host).or_else(|| self.seen.get(host)).is_some_and(|seen| seen.serving);
        members.find(|member| stays(member) && answers(&member.host)).map(|member| member.host.as_str())
    }

    /// Who has left the inventory already.
    fn take_out_named(&self, members: &[String], removal: &mut Removal, findings: &mut Findings) {
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

    fn is_seat_of(&self, seat: &Seat, member: &Member) -> bool {
        self.seat(member).is_some_and(|other| other.id == seat.id)
    }

    /// Some of the cluster's members go, the cluster goes on.
    fn shrink(&self, removal: &mut Removal, findings: &mut Findings) {
        let Some(roster) = &self.roster else {
            findings.problems.push(self.unseen());
            return;
        };
        let ids: Vec<u64> = self.going().filter_map(|member| Some(self.seat(member)?.id)).collect();
        findings.problems.extend(self.going().filter_map(|member| self.elsewhere(member, roster)));
        findings.problems.extend(self.going().filter_map(|member| self.contradicted(member, roster)));
        findings.problems.extend(self.foreign_data(self.view.and_then(|view| view["id"].as_str())));
        let left = |member: &Member| self.request.leave || self.seat(member).is_none();
        if self.request.data {
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
        let at = |url: &str| {
            roster.seats.iter().find(|seat| seat.peer_urls.iter().any(|other| address::same_url(other, url)))
        };
        let contradicts = |other: &Member| match at(&other.peer_url) {
            Some(seat) => (seat.id == of_data.id) != (other.host == member.host),
            None => false,
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
        if !self.request.leave || ids.is_empty() {
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
        let cluster_id = self.view.and_then(|view| view["id"].as_str()).unwrap_or_default().to_owned();
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

    /// The cluster goes, with all its members.
    fn end(&self, removal: &mut Removal, findings: &mut Findings) {
        findings.problems.extend(self.strangers());
        findings.problems.extend(self.out_of_reach());
        findings.problems.extend(self.in_use());
        findings.problems.extend(self.foreign_data(self.most_common_cluster()));
        match self.saved_from() {
            Ok(host) => {
                let cluster = || self.cluster.name.clone();
                removal.snapshots.extend(host.map(|host| Snapshot { cluster: cluster(), host }));
            }
            Err(problem) => findings.problems.push(problem),
        }
        removal.hosts.extend(self.going().map(|member| (member.host.clone(), self.host(member, true, true))));
    }

    fn host(&self, member: &Member, gone: bool, ends: bool) -> Going {
        let seen = self.seen.get(member.host.as_str());
        let cleans = gone && seen.is_some() && self.request.data;
        Going {
            reachable: seen.is_some(),
            gone,
            ends,
            cleans,
            deletes_data: cleans && !member.keeps_data,
            removes_packages: gone && seen.is_some() && member.removes_packages,
            member_id: seen.and_then(|seen| seen.data.member_id.clone()),
            cluster_id: seen.and_then(|seen| seen.data.cluster_id.clone()),
        }
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
        if self.forced("in_use") {
            return None;
        }
        let name = &self.cluster.name;
        let Some(usage) = self.seen.values().find_map(|seen| seen.cluster.as_ref()?.usage.as_ref()) else {
            // What does not run is used by nobody; what runs may be.
            let (host, seen) = self.seen.iter().find(|(_, seen)| seen.unit.active_state == "active")?;
            let reason = seen.cluster_trouble().unwrap_or("it does not say");
            return Some(format!(
                "etcd runs on {host}, and it cannot be told who uses cluster {name} ({reason}): correct that, or stop it first; to remove it all the same: -e etcd_force=in_use"
            ));
        };
        let leases = usage.leases.count;
        let mut users = usage.clients.clone();
        if leases > 0 {
            users.push(format!("{leases} live lease{}", if leases == 1 { "" } else { "s" }));
        }
        let cause = match (users.is_empty(), usage.complete) {
            (true, true) => return None,
            (true, false) => "has so many keys that not all could be looked at for who uses it".to_owned(),
            (false, _) => format!("is in use, by {}", users.join(", ")),
        };
        Some(format!(
            "cluster {name} {cause}: stop what uses it first; to remove it all the same: -e etcd_force=in_use"
        ))
    }

    /// Where the last snapshot is taken: on the leader's host, or on any other that serves.
    fn saved_from(&self) -> Result<Option<String>, String> {
        let wants = self.request.snapshot && self.going().any(|member| member.saves);
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

    fn most_common_cluster(&self) -> Option<&str> {
        if let Some(id) = self.view.and_then(|view| view["id"].as_str()) {
            return Some(id);
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for id in self.seen.values().filter_map(|seen| seen.data.cluster_id.as_deref()) {
            *counts.entry(id).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id)
    }

    /// Data that is not this cluster's, or cannot be told whose it is.
    fn foreign_data(&self, own: Option<&str>) -> Vec<String> {
        let deleted = self.going().filter(|member| self.request.data && !member.keeps_data);
        let judged = deleted.filter_map(|member| {
            let seen = self.seen.get(member.host.as_str())?;
            let (host, data_dir) = (&member.host, &member.data_dir);
            let cause = match (seen.data.state.as_str(), seen.data.cluster_id.as_deref()) {
                ("unreadable", _) => {
                    format!("cannot be read as a member's ({})", seen.data.reason.as_deref().unwrap_or_default())
                }
                ("member", Some(id)) if Some(id) != own => format!("holds a member of another cluster ({id})"),
                _ => return None,
            };
            Some(format!(
                "{data_dir} of {host} {cause}: it is left alone; to keep it and remove the rest: -e etcd_rm_data=false; to move it aside: mv {data_dir} {data_dir}.old"
            ))
        });
        judged.collect()
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

fn labels<'a>(seats: impl Iterator<Item = &'a Seat>) -> String {
    seats.map(|seat| seat.label.as_str()).collect::<Vec<_>>().join(", ")
}
