//! What may be done to a cluster's membership. All is pure: the members as they are, a verdict out.
//!
//! The verdicts hold etcd's own rules, those of `strict-reconfig-check` among them, and are stricter where etcd would
//! let a cluster lose its reserve. What they refuse, they explain; what they let pass, etcd lets pass too, but for
//! peers that it takes five seconds to count as connected.

/// URLs and addresses, whatever their spelling.
pub mod address;
/// etcd's own judgement, as its source has it.
#[cfg(test)]
mod model;
/// The order in which several members go.
mod order;
/// One change at a time.
mod rules;
/// The rules against a model of etcd's.
#[cfg(test)]
mod tests;

use crate::version::Version;
use crate::view::{ClusterView, Health, MemberView};
use crate::{guard, hex};
use ansible_protocol::{ErrorKind, Failure};
use serde::Deserialize;
use serde_json::Value;

/// How a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Serving,
    /// It has started once and does not serve: why.
    Down(String),
    /// It is in the list but has never started.
    Unstarted,
}

/// One member, as far as the membership goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its id.
    pub id: u64,
    /// Its name; empty while it has never started.
    pub name: String,
    /// What messages call it.
    pub label: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// Whether it votes.
    pub voter: bool,
    /// How it is.
    pub standing: Standing,
}

impl Seat {
    /// Whether it serves.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.standing == Standing::Serving
    }

    /// `etcd-3 (2b59…) is down (https://… does not answer)`.
    #[must_use]
    pub fn trouble(&self) -> String {
        match &self.standing {
            Standing::Serving => format!("{} serves", self.label),
            Standing::Down(reason) => format!("{} is down ({reason})", self.label),
            Standing::Unstarted => format!("{} has never started", self.label),
        }
    }

    /// Whether its peers reach it there.
    #[must_use]
    pub fn is_at(&self, peer_url: &str) -> bool {
        self.peer_urls.iter().any(|url| address::same_url(url, peer_url))
    }

    /// The host of its first peer URL, by which bin/etcd-rm finds it; the inventory may call it otherwise.
    #[must_use]
    pub fn address(&self) -> String {
        self.peer_urls.iter().find_map(|url| address::host(url)).unwrap_or_else(|| hex(self.id))
    }
}

/// A cluster's members at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// The members.
    pub seats: Vec<Seat>,
    /// The leader's id.
    pub leader: Option<u64>,
    /// The oldest version of those that answer.
    pub version: Option<Version>,
}

impl From<&ClusterView> for Roster {
    fn from(view: &ClusterView) -> Self {
        let versions = view.members.iter().filter_map(|member| member.status.as_ref()?.version.parse().ok());
        Self { seats: view.members.iter().map(Seat::from).collect(), leader: view.leader, version: versions.min() }
    }
}

impl From<&MemberView> for Seat {
    fn from(member: &MemberView) -> Self {
        Self {
            id: member.id,
            name: member.name.clone(),
            label: member.label(),
            peer_urls: member.peer_urls.clone(),
            client_urls: member.client_urls.clone(),
            voter: member.is_voter(),
            standing: match &member.health {
                Health::Healthy => Standing::Serving,
                Health::Unstarted => Standing::Unstarted,
                Health::Unhealthy(_, reason) => Standing::Down(reason.clone()),
            },
        }
    }
}

/// The part of [`ClusterView::to_value`] that counts here.
#[derive(Deserialize)]
struct Cluster {
    leader: Option<String>,
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    id: String,
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
    is_learner: bool,
    started: bool,
    healthy: bool,
    error: Option<Trouble>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Trouble {
    reason: String,
}

#[derive(Deserialize)]
struct Status {
    version: String,
}

impl Roster {
    /// The roster in a cluster as results show it.
    ///
    /// # Errors
    ///
    /// Kind `invalid_option` when the value is something else.
    pub fn from_value(value: &Value) -> Result<Self, Failure> {
        let strange = |error: &dyn std::fmt::Display| {
            Failure::invalid_option(format!("this is not a cluster as etcd_info shows it: {error}"))
        };
        let cluster = Cluster::deserialize(value).map_err(|error| strange(&error))?;
        let id = |text: &str| u64::from_str_radix(text, 16).map_err(|_| strange(&format!("{text:?} is not an id")));
        let versions =
            cluster.members.iter().filter_map(|member| member.status.as_ref()?.version.parse::<Version>().ok());
        let version = versions.min();
        let leader = cluster.leader.as_deref().map(id).transpose()?;
        let seats = cluster.members.into_iter().map(|member| {
            let id = id(&member.id)?;
            Ok(member.seat(id))
        });
        Ok(Self { seats: seats.collect::<Result<_, Failure>>()?, leader, version })
    }

    /// The member with this id.
    #[must_use]
    pub fn seat(&self, id: u64) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.id == id)
    }

    /// The members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|seat| seat.voter)
    }

    /// The voters that serve.
    pub fn serving(&self) -> impl Iterator<Item = &Seat> {
        self.voters().filter(|seat| seat.serves())
    }

    /// How many voters it takes to decide.
    #[must_use]
    pub fn quorum(&self) -> usize {
        guard::quorum(self.voters().count())
    }

    /// The one member that is meant: by its exact name, by one of its peer URLs, by its address (the host of a peer or
    /// client URL), or by its id in hexadecimal.
    ///
    /// # Errors
    ///
    /// Kind `conflict` when it could be several, naming them.
    pub fn find(&self, identity: &str) -> Result<Option<&Seat>, Failure> {
        let identity = identity.trim();
        if identity.is_empty() {
            return Ok(None);
        }
        let found: Vec<&Seat> = self.seats.iter().filter(|seat| seat.is_called(identity)).collect();
        if found.len() > 1 {
            let labels: Vec<&str> = found.iter().map(|seat| seat.label.as_str()).collect();
            let msg = format!("\"{identity}\" could be any of {}: give the id of the one meant", labels.join(", "));
            return Err(Failure::new(ErrorKind::Conflict, msg));
        }
        Ok(found.first().copied())
    }
}

impl Seat {
    fn is_called(&self, identity: &str) -> bool {
        let urls = || self.peer_urls.iter().chain(&self.client_urls);
        self.name == identity
            || parse_id(identity) == Some(self.id)
            || self.peer_urls.iter().any(|url| address::same_url(url, identity))
            || urls().filter_map(|url| address::host(url)).any(|host| address::same_host(&host, identity))
    }
}

impl Member {
    fn seat(self, id: u64) -> Seat {
        let name = if self.name.is_empty() { self.peer_urls.join(",") } else { self.name.clone() };
        Seat {
            id,
            label: format!("{name} ({})", hex(id)),
            name: self.name,
            peer_urls: self.peer_urls,
            client_urls: self.client_urls,
            voter: !self.is_learner,
            standing: match (self.healthy, self.started) {
                (true, _) => Standing::Serving,
                (false, false) => Standing::Unstarted,
                (false, true) => Standing::Down(self.error.map_or_else(String::new, |error| error.reason)),
            },
        }
    }
}

/// An id as etcdctl prints it, with or without `0x`.
#[must_use]
pub fn parse_id(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}
