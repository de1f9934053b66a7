//! A cluster that `etcd_clean` replaces: all of it, by one run.

use super::{Case, Scope};
use crate::identity::Member;
use crate::observed::Observed;

impl Case<'_> {
    /// Whether `etcd_clean` is set to replace what is there, and nobody guards any of it.
    pub(super) fn cleans(&self) -> bool {
        let guarded = self.cluster.members.iter().any(|member| member.safeguard);
        !guarded && self.instances().any(|member| member.clean == Some(true))
    }

    /// Hosts with something of a member on them.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Member> {
        let there = |seen: &Observed| seen.data.state != "absent" || seen.unit.active_state == "active";
        self.members_seen().filter(move |(_, seen)| there(seen)).map(|(member, _)| member)
    }

    /// A cluster is replaced as a whole.
    pub(super) fn partly_cleaned(&self) -> Option<String> {
        let out: Vec<&str> = self.outside().collect();
        (!out.is_empty()).then(|| {
            format!(
                "etcd_clean is true, which removes cluster {} and makes a new one, but {} is unreachable or left out by -l: run it for all its hosts, or leave etcd_clean unset",
                self.cluster.name,
                out.join(" and ")
            )
        })
    }

    /// It is made anew by the run that removes it.
    pub(super) fn not_made_anew(&self, scope: Scope) -> Option<String> {
        (!scope.makes_anew).then(|| {
            format!(
                "etcd_clean is true, which removes cluster {} and makes a new one, but the run's tags leave out some of what that takes: run it without tags, or leave etcd_clean unset",
                self.cluster.name
            )
        })
    }

    /// What somebody wants to be neither kept nor replaced.
    pub(super) fn kept(&self, starts: bool) -> Option<String> {
        let hosts: Vec<&str> =
            self.instances().filter(|member| member.clean.is_some()).map(|member| member.host.as_str()).collect();
        (starts && !hosts.is_empty()).then(|| {
            let clean = self.instances().all(|member| member.clean == Some(true));
            let (cause, remedy) = if clean {
                ("etcd_clean is true and so is etcd_safeguard", "-e etcd_safeguard=false")
            } else {
                ("etcd_clean is false", "-e etcd_clean=true")
            };
            format!(
                "{cause}, and there is an instance of cluster {} on {}: to keep it and bring it to its desired state, leave etcd_clean unset; to remove it and make a new one: {remedy}",
                self.cluster.name,
                hosts.join(", ")
            )
        })
    }
}

/// One cluster is replaced, and no other with it that is to be kept.
pub(super) fn replaced_beside_kept(replaced: &[&str], kept: &[&str]) -> Option<String> {
    let first = replaced.first().filter(|_| !kept.is_empty())?;
    Some(format!(
        "etcd_clean is true for cluster {}, which is removed and made anew, and not for {}, which is kept: run them apart, ./etcd.yml -l {first}",
        replaced.join(" and "),
        kept.join(" and ")
    ))
}
