use super::{Roster, Seat, Standing};
use crate::guard;

/// A cluster as etcd judges it, by the rules of its own source: who has started, and who is connected.
#[derive(Clone, Debug)]
pub(super) struct Etcd {
    members: Vec<Peer>,
    /// Whether adding wants all voters connected, as it did before 3.5.30 and 3.6.11.
    wants_all: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Peer {
    id: u64,
    voter: bool,
    started: bool,
    up: bool,
}

impl Etcd {
    pub(super) fn of(roster: &Roster) -> Self {
        let peer = |seat: &Seat| Peer {
            id: seat.id,
            voter: seat.voter,
            started: seat.standing != Standing::Unstarted,
            up: seat.serves(),
        };
        let newer = ["3.5.30", "3.5.31", "3.6.11", "3.7.0"].map(|text| text.parse().unwrap());
        let wants_all = roster.version.is_none_or(|version| !newer.contains(&version));
        Self { members: roster.seats.iter().map(peer).collect(), wants_all }
    }

    fn voters(&self) -> impl Iterator<Item = &Peer> {
        self.members.iter().filter(|peer| peer.voter)
    }

    fn up(&self) -> usize {
        self.voters().filter(|peer| peer.up).count()
    }

    /// Whether enough voters are up to go on.
    pub(super) fn has_quorum(&self) -> bool {
        self.up() > self.voters().count() / 2
    }

    pub(super) fn add(&mut self, learner: bool) -> Result<(), &'static str> {
        let (voters, started) = (self.voters().count(), self.voters().filter(|peer| peer.started).count());
        let quorum = guard::quorum(voters + 1);
        let restoring = started == 1 && voters == 1;
        if !learner && !restoring && started < quorum {
            return Err("not enough started members");
        }
        let connected = if self.wants_all { self.up() == voters } else { voters == 1 || self.up() >= quorum };
        if !connected {
            return Err("unhealthy cluster");
        }
        if learner && self.members.iter().any(|peer| !peer.voter) {
            return Err("too many learner members");
        }
        if !self.has_quorum() {
            return Err("no leader");
        }
        self.members.push(Peer { id: 99, voter: !learner, started: false, up: false });
        Ok(())
    }

    pub(super) fn promote(&mut self, id: u64) -> Result<(), &'static str> {
        let (voters, started) = (self.voters().count() + 1, self.voters().filter(|peer| peer.started).count() + 1);
        let has_quorum = self.has_quorum();
        let peer = self.members.iter_mut().find(|peer| peer.id == id).ok_or("member not found")?;
        if !peer.voter && !peer.started {
            return Err("in sync with leader");
        }
        if started < voters / 2 + 1 {
            return Err("not enough started members");
        }
        if peer.voter {
            return Err("can only promote a learner member");
        }
        if !has_quorum {
            return Err("no leader");
        }
        peer.voter = true;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: u64) -> Result<(), &'static str> {
        let peer = self.members.iter().find(|peer| peer.id == id).ok_or("member not found")?;
        if peer.voter {
            let stay = || self.voters().filter(|peer| peer.id != id);
            let quorum = stay().count() / 2 + 1;
            if stay().filter(|peer| peer.started).count() < quorum {
                return Err("not enough started members");
            }
            if peer.up && self.up() - 1 < quorum {
                return Err("unhealthy cluster");
            }
        }
        if !self.has_quorum() {
            return Err("no leader");
        }
        self.members.retain(|peer| peer.id != id);
        Ok(())
    }
}
