use ansible_protocol::{ErrorKind, Failure};

/// What etcd says when it does not change the membership. It tells a member that was removed from one that never was
/// only in its log: to clients both are not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooManyLearners,
    NotInSync,
    NotLearner,
    NotFound,
    Unhealthy,
    NotEnoughStarted,
    IdExists,
    PeerUrlExists,
    NotLeader,
}

impl Refusal {
    const ALL: [Self; 9] = [
        Self::TooManyLearners,
        // Begins like the next one.
        Self::NotInSync,
        Self::NotLearner,
        Self::NotFound,
        Self::Unhealthy,
        Self::NotEnoughStarted,
        Self::IdExists,
        Self::PeerUrlExists,
        Self::NotLeader,
    ];

    /// The refusal in an error's text, which is the same from 3.4 to 3.7.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| text.contains(refusal.text()))
    }

    fn text(self) -> &'static str {
        match self {
            Self::TooManyLearners => "too many learner members in cluster",
            Self::NotInSync => "can only promote a learner member which is in sync with leader",
            Self::NotLearner => "can only promote a learner member",
            Self::NotFound => "member not found",
            Self::Unhealthy => "unhealthy cluster",
            Self::NotEnoughStarted => "re-configuration failed due to not enough started members",
            Self::IdExists => "member ID already exist",
            Self::PeerUrlExists => "Peer URLs already exists",
            Self::NotLeader => "not leader",
        }
    }

    /// The failure of what was tried, such as `promote etcd-2 (8e9e…)`.
    pub(crate) fn explain(self, what: &str, endpoint: &str) -> Failure {
        let (kind, cause) = match self {
            Self::TooManyLearners => (
                ErrorKind::Conflict,
                "etcd allows one learner at a time, and there is one by now; wait until it is promoted, then run it again",
            ),
            Self::NotInSync => (
                ErrorKind::Timeout,
                "it has not caught up with its leader; run it again, with a longer timeout if its data is large",
            ),
            Self::NotLearner => (ErrorKind::Conflict, "it is a voter already; see etcdctl member list"),
            Self::NotFound => (
                ErrorKind::Conflict,
                "such a member is not in the list, or has been removed from it for good; see etcdctl member list, then \
                 run it again",
            ),
            Self::Unhealthy => (
                ErrorKind::QuorumRisk,
                "that member has not been connected to enough of its peers for five seconds; see that all members run \
                 and reach each other's peer URLs, then run it again",
            ),
            Self::NotEnoughStarted => (
                ErrorKind::QuorumRisk,
                "too few of the voters have ever started; start etcd on those that etcdctl member list shows as \
                 unstarted, or remove them first",
            ),
            Self::IdExists => (
                ErrorKind::Conflict,
                "a member with the same peer URLs was added in the same second; see etcdctl member list, then run it again",
            ),
            Self::PeerUrlExists => (
                ErrorKind::Conflict,
                "another member has one of these peer URLs; see etcdctl member list, and remove it first",
            ),
            Self::NotLeader => (ErrorKind::NoLeader, "leadership has just moved; run it again"),
        };
        Failure::new(kind, format!("cannot {what} on {endpoint}: {cause} (etcd: {})", self.text()))
    }
}
