//! What can happen.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Hosts by their numbers, counted from 1.
pub type Hosts = BTreeSet<u8>;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A run of a playbook; first one that is killed after this time, where one is given.
    Run(Run, Option<Duration>),
    /// The host's data and configuration are gone.
    Wipe(u8),
    /// The host's disk is replaced by a new one with the bare system.
    Anew(u8),
    /// The plug is pulled.
    PowerCut(u8),
    /// All these boot again.
    PowerOn(Hosts),
    /// The network cable is unplugged.
    Cut(u8),
    /// All these are plugged in again.
    Mend(Hosts),
}

/// One run of a playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// Hosts join, or are promoted: `etcd.yml -l HOSTS -e etcd_init=existing`.
    Add(Hosts),
    /// A host joins as a learner, and stays one.
    Learn(u8),
    /// Hosts leave: `etcd-rm.yml -l HOSTS`.
    Remove(Hosts),
    /// `etcd.yml` for all that the inventory lists.
    Refresh,
}

impl Run {
    /// The hosts that it is limited to; none without limit.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        match self {
            Self::Add(hosts) | Self::Remove(hosts) => hosts.clone(),
            Self::Learn(host) => Hosts::from([*host]),
            Self::Refresh => Hosts::new(),
        }
    }
}

impl Step {
    /// Whether it takes something away that a cluster needs.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Wipe(_) | Self::Anew(_) | Self::PowerCut(_) | Self::Cut(_))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(hosts) => write!(out, "add {}", listed(hosts)),
            Self::Learn(host) => write!(out, "add {host} as learner"),
            Self::Remove(hosts) => write!(out, "remove {}", listed(hosts)),
            Self::Refresh => write!(out, "refresh"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run, None) => write!(out, "{run}"),
            Self::Run(run, Some(after)) => write!(out, "{run} (killed after {} ms, and again)", after.as_millis()),
            Self::Wipe(host) => write!(out, "wipe {host}"),
            Self::Anew(host) => write!(out, "make {host} anew"),
            Self::PowerCut(host) => write!(out, "power-cut {host}"),
            Self::PowerOn(hosts) => write!(out, "power-on {}", listed(hosts)),
            Self::Cut(host) => write!(out, "cut {host}"),
            Self::Mend(hosts) => write!(out, "mend {}", listed(hosts)),
        }
    }
}

/// The numbers with commas.
#[must_use]
pub fn listed(hosts: &Hosts) -> String {
    hosts.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
}
