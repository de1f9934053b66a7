//! What there is, and what becomes of it.

use super::step::{Hosts, Run, Step, listed};

/// How many hosts there are.
pub const HOSTS: u8 = 5;

/// A host's place in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// With a vote.
    Voter,
    /// Without.
    Learner,
}

/// What a host's disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nothing of etcd's.
    Empty,
    /// The data of a member; where the host has no seat, of one that was removed.
    Data,
}

/// One host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Whether the inventory lists it.
    pub listed: bool,
    /// Its place in the cluster.
    pub seat: Option<Seat>,
    /// What it holds.
    pub disk: Disk,
    /// Whether it has power.
    pub powered: bool,
    /// Whether its cable is plugged in.
    pub plugged: bool,
}

impl Host {
    /// Whether others reach it.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.powered && self.plugged
    }

    /// Whether its member can do its work.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.seat.is_some() && self.disk == Disk::Data && self.is_reachable()
    }

    /// Whether it is a member whose data is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.seat.is_some() && self.disk == Disk::Empty
    }
}

/// All hosts, and what their etcd is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    hosts: [Host; HOSTS as usize],
    /// Whether etcd adds a member only while it is connected to all voters, as it did before 3.5.30 and 3.6.11.
    wants_all: bool,
}

/// What is going to come of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It does what it is for.
    Done,
    /// It changes nothing, and says why.
    Refused(Refusal),
}

/// Why nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody can work on a host that is not there.
    Unreachable,
    /// The cluster decides nothing.
    NoQuorum,
    /// The cluster would be gone.
    OnlyVoter,
    /// The voters that stay would be too few.
    BelowQuorum,
    /// Another voter is down.
    NoReserve,
    /// The host is a member that would start without its data.
    DataLost(Hosts),
    /// There is a learner already.
    SecondLearner,
    /// A voter is down, and etcd wants it connected before there is one more.
    VoterDown,
    /// Hosts of the inventory are not what it says: without data, with that of a removed member, with lost data.
    Differs {
        /// Without a seat, and without data.
        fresh: Hosts,
        /// Without a seat, but with data.
        stale: Hosts,
        /// With a seat, and without data.
        lost: Hosts,
    },
}

impl Refusal {
    /// What the run's output must say: of each group one. HOST stands in it for the address of a host.
    #[must_use]
    pub fn says(&self, address: impl Fn(u8) -> String) -> Vec<Vec<String>> {
        let one = |texts: &[&str]| vec![texts.iter().map(ToString::to_string).collect::<Vec<_>>()];
        let each = |hosts: &Hosts, text: &str| -> Vec<Vec<String>> {
            hosts.iter().map(|host| vec![text.replace("HOST", &address(*host))]).collect()
        };
        let lost = |hosts: &Hosts| {
            each(hosts, "its data is lost, and etcd would refuse to start; replace it: ./etcd-rm.yml -l HOST")
        };
        match self {
            Self::Unreachable => one(&["UNREACHABLE!"]),
            Self::NoQuorum => one(&[
                "without a quorum no member can be removed",
                "no running cluster etcd can be reached",
                "the cluster has no leader",
                "too few voters serve",
            ]),
            Self::OnlyVoter => one(&["it is the only voter, and the cluster with its data would be gone"]),
            Self::BelowQuorum => one(&["remaining voters would be below the quorum"]),
            Self::NoReserve => one(&["the cluster would have no reserve while it shrinks"]),
            Self::DataLost(hosts) => lost(hosts),
            Self::SecondLearner => one(&["etcd allows one learner at a time"]),
            Self::VoterDown => one(&["voters connected first", "voters would be below the quorum of"]),
            Self::Differs { fresh, stale, lost: without } => {
                let mut all = each(fresh, "HOST has no data, etcd_init is new, and its peers already run cluster");
                all.extend(each(stale, "of HOST belongs to member"));
                all.extend(lost(without));
                all
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoQuorum => "no quorum",
            Self::OnlyVoter => "only voter",
            Self::BelowQuorum => "below quorum",
            Self::NoReserve => "no reserve",
            Self::DataLost(_) => "data lost",
            Self::SecondLearner => "second learner",
            Self::VoterDown => "voter down",
            Self::Differs { .. } => "inventory differs",
        }
    }
}

fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl World {
    /// A healthy cluster of these hosts, as the inventory lists it.
    #[must_use]
    pub fn new(members: &Hosts, wants_all: bool) -> Self {
        let host = |number: usize| {
            let member = members.iter().any(|host| usize::from(*host) == number + 1);
            Host {
                listed: member,
                seat: member.then_some(Seat::Voter),
                disk: if member { Disk::Data } else { Disk::Empty },
                powered: true,
                plugged: true,
            }
        };
        Self { hosts: std::array::from_fn(host), wants_all }
    }

    /// One host.
    #[must_use]
    pub fn host(&self, number: u8) -> &Host {
        &self.hosts[usize::from(number) - 1]
    }

    fn host_mut(&mut self, number: u8) -> &mut Host {
        &mut self.hosts[usize::from(number) - 1]
    }

    /// The hosts of which something is true.
    #[must_use]
    pub fn hosts(&self, wanted: impl Fn(&Host) -> bool) -> Hosts {
        (1..=HOSTS).filter(|number| wanted(self.host(*number))).collect()
    }

    /// The members with a vote.
    #[must_use]
    pub fn voters(&self) -> Hosts {
        self.hosts(|host| host.seat == Some(Seat::Voter))
    }

    /// The voters that do their work.
    #[must_use]
    pub fn serving(&self) -> Hosts {
        self.hosts(|host| host.seat == Some(Seat::Voter) && host.serves())
    }

    /// The members without a vote.
    #[must_use]
    pub fn learners(&self) -> Hosts {
        self.hosts(|host| host.seat == Some(Seat::Learner))
    }

    /// Whether the cluster decides anything.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.serving().len() >= quorum(self.voters().len())
    }

    /// Whether it would, were all hosts powered and plugged in.
    #[must_use]
    pub fn can_recover(&self) -> bool {
        let intact = self.hosts(|host| host.seat == Some(Seat::Voter) && host.disk == Disk::Data);
        intact.len() >= quorum(self.voters().len())
    }

    /// Whether all is as it should be, and the inventory says so.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let settled = |host: &Host| host.is_reachable() && host.listed == host.serves();
        self.hosts(settled).len() == usize::from(HOSTS) && self.learners().is_empty()
    }

    /// What comes of a run.
    #[must_use]
    pub fn expect(&self, run: &Run) -> Expected {
        let refusal = match run {
            Run::Add(hosts) => self.refuses_adding(hosts, false),
            Run::Learn(host) => self.refuses_adding(&Hosts::from([*host]), true),
            Run::Remove(hosts) => self.refuses_removing(hosts),
            Run::Refresh => self.differs(),
        };
        refusal.map_or(Expected::Done, Expected::Refused)
    }

    fn refuses_adding(&self, hosts: &Hosts, learner: bool) -> Option<Refusal> {
        let those = |wanted: fn(&Host) -> bool| -> Hosts {
            hosts.iter().copied().filter(|host| wanted(self.host(*host))).collect()
        };
        if !those(|host| !host.is_reachable()).is_empty() {
            return Some(Refusal::Unreachable);
        }
        if !self.has_quorum() {
            return Some(Refusal::NoQuorum);
        }
        let lost = those(Host::is_lost);
        if !lost.is_empty() {
            return Some(Refusal::DataLost(lost));
        }
        let promotes = !learner && hosts.iter().any(|host| self.learners().contains(host));
        let joins = those(|host| host.seat.is_none());
        let (voters, serving) = (self.voters().len(), self.serving().len());
        if promotes && serving + 1 < quorum(voters + 1) {
            return Some(Refusal::BelowQuorum);
        }
        if joins.is_empty() {
            return None;
        }
        if !promotes && !self.learners().is_empty() {
            return Some(Refusal::SecondLearner);
        }
        let enough = if self.wants_all { voters } else { quorum(voters + 1) };
        (voters > 1 && serving < enough).then_some(Refusal::VoterDown)
    }

    fn refuses_removing(&self, hosts: &Hosts) -> Option<Refusal> {
        if !self.has_quorum() {
            return Some(Refusal::NoQuorum);
        }
        let going: Hosts = hosts.intersection(&self.voters()).copied().collect();
        if going.is_empty() {
            return None;
        }
        // Those that are down go first, so that each one leaves with as many of the others serving as possible.
        let (mut voters, mut serving) = (self.voters().len(), self.serving().len());
        let (down, up): (Vec<u8>, Vec<u8>) = going.iter().partition(|host| !self.host(**host).serves());
        let reserve = self.voters().difference(&going).all(|host| self.host(*host).serves());
        for host in down.into_iter().chain(up) {
            if voters == 1 {
                return Some(Refusal::OnlyVoter);
            }
            voters -= 1;
            serving -= usize::from(self.host(host).serves());
            if serving < quorum(voters) {
                return Some(Refusal::BelowQuorum);
            }
            if !reserve {
                return Some(Refusal::NoReserve);
            }
        }
        None
    }

    /// What a run for all hosts of the inventory finds to be otherwise.
    fn differs(&self) -> Option<Refusal> {
        let fresh = self.hosts(|host| host.listed && host.seat.is_none() && host.disk == Disk::Empty);
        let stale = self.hosts(|host| host.listed && host.seat.is_none() && host.disk == Disk::Data);
        let lost = self.hosts(|host| host.listed && host.is_lost());
        let agrees = fresh.is_empty() && stale.is_empty() && lost.is_empty();
        (!agrees).then_some(Refusal::Differs { fresh, stale, lost })
    }

    /// What the inventory lists for a run, which may be more than it did before.
    pub fn list_for(&mut self, run: &Run) {
        for host in run.hosts() {
            self.host_mut(host).listed = true;
        }
    }

    /// The world after a step.
    #[must_use]
    pub fn after(&self, step: &Step) -> Self {
        let mut after = self.clone();
        match step {
            Step::Run(run, _) => after.run(run),
            Step::Wipe(host) => after.host_mut(*host).disk = Disk::Empty,
            Step::Anew(host) => {
                let host = after.host_mut(*host);
                *host = Host { disk: Disk::Empty, powered: true, plugged: true, ..*host };
            }
            Step::PowerCut(host) => after.host_mut(*host).powered = false,
            Step::PowerOn(hosts) => hosts.iter().for_each(|host| {
                let host = after.host_mut(*host);
                (host.powered, host.plugged) = (true, true);
            }),
            Step::Cut(host) => after.host_mut(*host).plugged = false,
            Step::Mend(hosts) => hosts.iter().for_each(|host| after.host_mut(*host).plugged = true),
        }
        after
    }

    fn run(&mut self, run: &Run) {
        let expected = self.expect(run);
        self.list_for(run);
        if expected != Expected::Done {
            return;
        }
        match run {
            Run::Add(hosts) => hosts.iter().for_each(|host| self.seat(*host, Seat::Voter)),
            Run::Learn(host) => self.seat(*host, Seat::Learner),
            Run::Remove(hosts) => hosts.iter().for_each(|number| {
                let host = self.host_mut(*number);
                host.seat = None;
                // What cannot be cleaned up yet stays in the inventory, until it can.
                if host.is_reachable() {
                    host.disk = Disk::Empty;
                    host.listed = false;
                }
            }),
            Run::Refresh => {}
        }
    }

    fn seat(&mut self, number: u8, seat: Seat) {
        let host = self.host_mut(number);
        host.seat = Some(seat);
        host.disk = Disk::Data;
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", listed(&self.voters()))?;
        let learners = self.learners();
        if learners.is_empty() { Ok(()) } else { write!(out, " learning {}", listed(&learners)) }
    }
}
