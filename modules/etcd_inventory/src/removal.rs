//! What may be removed. Data goes only with a member that is proved to be out of its cluster, or with all of the cluster.

/// A cluster that ends.
mod ending;
/// Members that leave a cluster that goes on.
mod leaving;

use crate::Findings;
use crate::identity::{Cluster, Inventory, Member};
use crate::leaving::Leaving;
use crate::observed::{Observed, read};
use crate::steps::Steps;
use crate::variables::says;
use etcd_ops::membership::{Roster, Seat};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is to be removed, and which steps of it the run's tags select.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// The hosts of the run.
    hosts: Vec<String>,
    /// Members that are not in the inventory any more, by name, address or id; then the run's own hosts stay.
    members: Option<Members>,
    /// What the run's tags select, unless it is `all` of it whatever they are.
    steps: Steps,
    all: bool,
}

/// In a list, or in one text with commas, as they come from the command line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Members {
    Text(String),
    List(Vec<String>),
}

impl Members {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split(',').map(str::trim).collect(),
            Self::List(names) => names.iter().map(|name| name.trim()).collect(),
        }
    }
}

impl Request {
    /// Whether members leave their cluster.
    fn leaves(&self) -> bool {
        self.all || self.steps.leave
    }

    /// Whether data is deleted.
    fn deletes(&self) -> bool {
        self.all || self.steps.data
    }

    /// Whether a cluster that ends is saved first, where the inventory wants that.
    fn saves(&self) -> bool {
        self.all || self.steps.snapshot
    }
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
    /// Whether its etcd is stopped whatever that means for others.
    forced: bool,
    /// What is done to it then.
    cleans: bool,
    deletes_data: bool,
    removes_packages: bool,
    /// Whose data it holds.
    member_id: Option<String>,
    cluster_id: Option<String>,
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
            case.take_out_named(&members.names(), &mut removal, findings);
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

    /// The running cluster's id.
    fn id(&self) -> Option<&'a str> {
        self.view.and_then(|view| view["id"].as_str())
    }

    fn seat(&self, member: &Member) -> Option<&Seat> {
        let seen = self.seen.get(member.host.as_str()).or_else(|| self.outside.get(member.host.as_str()));
        let id = seen.and_then(|seen| seen.data.member_id.as_deref());
        let holds = |seat: &Seat| id.is_some_and(|id| id == etcd_ops::hex(seat.id));
        self.roster.as_ref()?.seats.iter().find(|seat| seat.is_at(&member.peer_url) || holds(seat))
    }

    fn is_seat_of(&self, seat: &Seat, member: &Member) -> bool {
        self.seat(member).is_some_and(|other| other.id == seat.id)
    }

    fn host(&self, member: &Member, gone: bool, ends: bool) -> Going {
        let seen = self.seen.get(member.host.as_str());
        let cleans = gone && seen.is_some() && self.request.deletes();
        Going {
            reachable: seen.is_some(),
            gone,
            ends,
            forced: gone || member.forced.iter().any(|word| word == "restart"),
            cleans,
            deletes_data: cleans && !member.keeps_data,
            removes_packages: gone && seen.is_some() && member.removes_packages,
            member_id: seen.and_then(|seen| seen.data.member_id.clone()),
            cluster_id: seen.and_then(|seen| seen.data.cluster_id.clone()),
        }
    }

    /// Data that is not this cluster's, or cannot be told whose it is.
    fn foreign_data(&self, own: Option<&str>) -> Vec<String> {
        let deleted = self.going().filter(|member| self.request.deletes() && !member.keeps_data);
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
}

fn labels<'a>(seats: impl Iterator<Item = &'a Seat>) -> String {
    seats.map(|seat| seat.label.as_str()).collect::<Vec<_>>().join(", ")
}
