//! What a run does, or why it does not.

use super::step::Hosts;

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
