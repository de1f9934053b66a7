use super::{Roster, Seat, Standing};
use crate::version::Version;
use crate::{guard, hex};
use ansible_protocol::{ErrorKind, Failure};

impl Roster {
    /// Whether a member may be added.
    ///
    /// # Errors
    ///
    /// Kind `quorum_risk` when too few voters serve, or a voter is added where there is only one; kind `conflict` when
    /// there is a learner already.
    pub fn add(&self, learner: bool) -> Result<(), Failure> {
        let what = "a member cannot be added";
        self.decides(what)?;
        let voters = self.voters().count();
        if let (true, Some(other)) = (learner, self.seats.iter().find(|seat| !seat.voter)) {
            let state =
                if other.standing == Standing::Unstarted { "has not started yet" } else { "is a learner still" };
            return Err(Failure::new(
                ErrorKind::Conflict,
                format!(
                    "a learner cannot be added: {} {state}, and etcd allows one learner at a time; wait until it is \
                     promoted, or take it out: bin/etcd-rm {}",
                    other.label,
                    other.address()
                ),
            ));
        }
        if !learner && voters == 1 {
            let msg = "a voter is not added to a cluster of one member, which could decide nothing until the new one has \
                       started: add it as a learner, and promote it then";
            return Err(Failure::new(ErrorKind::QuorumRisk, msg));
        }
        let serving = self.serving().count();
        let wants_all = !self.counts_a_quorum_of_peers();
        let wanted = if wants_all { voters } else { guard::quorum(voters + 1) };
        if voters > 1 && serving < wanted {
            let rule = if wants_all {
                format!("this version of etcd wants all {voters} voters connected first")
            } else {
                format!("{serving} of {} voters would be below the quorum of {wanted}", voters + 1)
            };
            return Err(self.refusal(&format!("{what}, because {rule}"), None));
        }
        Ok(())
    }

    /// Whether this learner may be made a voter, as far as the quorum goes; how far it has caught up only its leader
    /// knows.
    ///
    /// # Errors
    ///
    /// Kind `conflict` when it is no learner, or has never started; `quorum_risk` when too few voters would serve.
    pub fn promote(&self, id: u64) -> Result<(), Failure> {
        let seat = self.known(id)?;
        let what = format!("member {} cannot be promoted", seat.label);
        if seat.voter {
            return Err(Failure::new(ErrorKind::Conflict, format!("{what}: it is a voter already")));
        }
        if seat.standing == Standing::Unstarted {
            let msg = format!("{what}: it has never started; start etcd on it, then run it again");
            return Err(Failure::new(ErrorKind::Conflict, msg));
        }
        self.decides(&what)?;
        let voters = self.voters().count() + 1;
        let serving = self.serving().count() + usize::from(seat.serves());
        if serving < guard::quorum(voters) {
            let why = format!("{what}, because {serving} of {voters} voters would be below the quorum");
            return Err(self.refusal(&format!("{why} of {}", guard::quorum(voters)), Some(seat)));
        }
        Ok(())
    }

    /// Whether the peer URLs of this member may be changed.
    ///
    /// # Errors
    ///
    /// Kind `version_gate` for a learner before 3.5.31 and 3.6.12: it may become a voter by that; `quorum_risk` when too
    /// few voters serve.
    pub fn update(&self, id: u64) -> Result<(), Failure> {
        let seat = self.known(id)?;
        let what = format!("the peer URLs of member {} cannot be changed", seat.label);
        self.decides(&what)?;
        if seat.voter || self.keeps_learners() {
            return Ok(());
        }
        let version = self.version.map_or_else(|| "of unknown version".to_owned(), |version| version.to_string());
        let msg = format!(
            "{what}: it is a learner, and etcd {version} may make it a voter by that, which 3.5.31, 3.6.12 and 3.7 no \
             longer do; promote it first, or remove it and let it join again"
        );
        Err(Failure::new(ErrorKind::VersionGate, msg))
    }

    /// Whether this member may be removed while all that stay are well.
    ///
    /// # Errors
    ///
    /// As [`Roster::remove_forced`], and kind `quorum_risk` while another voter does not serve; that message names the
    /// override.
    pub fn remove(&self, id: u64) -> Result<(), Failure> {
        self.remove_forced(id)?;
        self.spare(&[id])
    }

    /// Whether etcd, and arithmetic, let this member go.
    ///
    /// # Errors
    ///
    /// Kind `conflict` when there is no such member; `quorum_risk` when it is the only voter, when too few voters serve
    /// to decide it, or too few of those that stay.
    pub fn remove_forced(&self, id: u64) -> Result<(), Failure> {
        let seat = self.known(id)?;
        let what = format!("cannot remove member {}", seat.label);
        if seat.voter && self.voters().count() == 1 {
            let msg = format!(
                "{what}: it is the only voter, and the cluster with its data would be gone; to remove the whole \
                 cluster: ./etcd-rm.yml"
            );
            return Err(Failure::new(ErrorKind::QuorumRisk, msg));
        }
        self.decides(&what)?;
        if !seat.voter {
            return Ok(());
        }
        let voters = self.voters().count() - 1;
        let serving = self.serving().filter(|other| other.id != id).count();
        if serving < guard::quorum(voters) {
            let why = format!("{what}, because {serving} of {voters} remaining voters would be below the quorum");
            let why = format!("{why} of {}", guard::quorum(voters));
            return Err(self.refusal(&why, None));
        }
        Ok(())
    }

    /// Whether all voters that stay serve, when these go.
    pub(super) fn spare(&self, going: &[u64]) -> Result<(), Failure> {
        let Some(target) = going.iter().find_map(|id| self.seat(*id).filter(|seat| seat.voter)) else { return Ok(()) };
        let down: Vec<&Seat> = self.voters().filter(|seat| !seat.serves() && !going.contains(&seat.id)).collect();
        let Some(first) = down.first() else { return Ok(()) };
        let troubles: Vec<String> = down.iter().map(|seat| seat.trouble()).collect();
        let msg = format!(
            "cannot remove member {}: {}, and the cluster would have no reserve while it shrinks; {}, or remove it \
             first: bin/etcd-rm {}; to remove {} all the same: -e etcd_force=remove",
            target.label,
            troubles.join("; "),
            way_back(first),
            first.address(),
            target.label,
        );
        Err(Failure::new(ErrorKind::QuorumRisk, msg))
    }

    /// Whether the cluster can decide anything at all.
    fn decides(&self, what: &str) -> Result<(), Failure> {
        let (voters, serving) = (self.voters().count(), self.serving().count());
        if serving >= self.quorum() && self.leader.is_some() {
            return Ok(());
        }
        let cause = if self.leader.is_none() { "the cluster has no leader" } else { "too few voters serve" };
        let why = format!("{what}: {cause}, {serving} of {voters} voters serve and the quorum is {}", self.quorum());
        Err(self.refusal(&why, None))
    }

    /// The refusal, with everyone who is in the way, and how to go on.
    fn refusal(&self, why: &str, beside: Option<&Seat>) -> Failure {
        let beside = beside.into_iter().filter(|seat| !seat.serves());
        let down: Vec<&Seat> = self.voters().filter(|seat| !seat.serves()).chain(beside).collect();
        let troubles: Vec<String> = down.iter().map(|seat| seat.trouble()).collect();
        let way = match down.as_slice() {
            [] => "run it again once it has one".to_owned(),
            [one] => format!("{} first, then run it again", way_back(one)),
            [..] => "bring them back first, then run it again".to_owned(),
        };
        let troubles = troubles.iter().fold(String::new(), |text, trouble| format!("{text}; {trouble}"));
        Failure::new(ErrorKind::QuorumRisk, format!("{why}{troubles}; {way}"))
    }

    fn known(&self, id: u64) -> Result<&Seat, Failure> {
        self.seat(id).ok_or_else(|| {
            let labels: Vec<&str> = self.seats.iter().map(|seat| seat.label.as_str()).collect();
            let msg = format!("there is no member {}; the members are {}", hex(id), labels.join(", "));
            Failure::new(ErrorKind::Conflict, msg)
        })
    }

    /// Before 3.5.30 and 3.6.11 a member adds another one only while connected to all voters, since then to a quorum
    /// that counts the new one as down.
    fn counts_a_quorum_of_peers(&self) -> bool {
        self.has_fix(Version::new(3, 5, 30), Version::new(3, 6, 11))
    }

    /// Before 3.5.31 and 3.6.12 a learner whose peer URLs change may become a voter by that.
    fn keeps_learners(&self) -> bool {
        self.has_fix(Version::new(3, 5, 31), Version::new(3, 6, 12))
    }

    /// Whether all members have what came with these versions, and is in all of 3.7.
    fn has_fix(&self, of_3_5: Version, of_3_6: Version) -> bool {
        self.version.is_some_and(|version| match version.series() {
            (3, 5) => version >= of_3_5,
            (3, 6) => version >= of_3_6,
            series => series >= (3, 7),
        })
    }
}

fn way_back(seat: &Seat) -> String {
    match seat.standing {
        Standing::Unstarted => format!("start etcd on {}", seat.address()),
        _ => format!("bring {} back", seat.label),
    }
}
