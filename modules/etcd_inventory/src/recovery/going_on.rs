//! Going on with the data of one member, where a quorum is lost for good.

use super::case::Case;
use super::remains::{Remains, told};
use super::{Recovery, Stop};
use crate::identity::Member;
use crate::observed::Observed;

impl Case<'_> {
    /// Why it may not be gone on with this host's data.
    pub(super) fn go_on_problems(&self, from: &Member, remains: &Remains<'_>, unreachable: &[&str]) -> Vec<String> {
        let name = &self.cluster.name;
        let Some((_, own)) = remains.whole.iter().find(|(member, _)| member.host == from.host) else {
            return vec![self.of_no_use(from, remains)];
        };
        let mut problems = Vec::new();
        // What a start alone has appended makes nothing newer.
        let newer = remains.whole.iter().filter(|(_, seen)| !seen.may_be_alone() && seen.newness() > own.newness());
        if let Some((member, seen)) = newer.max_by_key(|(_, seen)| seen.newness()) {
            problems.push(format!(
                "{} has newer data of cluster {name} than {} ({}, and {} only {}): ./etcd-recover.yml -e etcd_recover_from={0}",
                member.host,
                from.host,
                seen.log(),
                from.host,
                own.log(),
            ));
        }
        if own.data.log.is_none() {
            problems
                .push(format!("the log of {} does not say how new its data is: look at its data directory", from.host));
        }
        let may_be_newer = |seen: &Observed| seen.data.log.is_none() || seen.newness() > own.newness();
        let damaged: Vec<_> = remains.damaged.iter().copied().filter(|(_, seen)| may_be_newer(seen)).collect();
        if !damaged.is_empty() && !self.forced("damaged") && !self.forced("replace") {
            problems.push(format!(
                "the data of {} is damaged, and may be newer than that of {} ({}): see whether it can be repaired, or go back to its database with ./etcd-recover.yml -e etcd_snapshot=HOST:DATA_DIR/member/snap/db -e etcd_force=unhashed; to go on without it: -e etcd_force=damaged",
                told(&damaged),
                from.host,
                own.log()
            ));
        }
        let alive = self.alive_elsewhere();
        if !alive.is_empty() {
            problems.push(format!(
                "etcd still runs as {} of cluster {name}, on a host that cannot be reached or looked at, or is not in the inventory: bring the host back, or stop etcd there, before {} goes on alone",
                alive.join(" and "),
                from.host
            ));
        }
        let failed = self.failed().into_iter().map(|host| {
            format!(
                "{host} {}, and may have newer data: correct that, then run ./etcd-recover.yml again; etcd_force=unreachable does not do, for the host answers",
                self.why_unseen(host)
            )
        });
        problems.extend(failed);
        if !unreachable.is_empty() && !self.forced("unreachable") {
            problems.push(format!(
                "{} cannot be reached over SSH, may have newer data, and may come back and form a cluster of the same name beside the new one: bring them back first; if they are gone for good, or will be kept off the network until they are wiped: -e etcd_force=unreachable",
                unreachable.join(", ")
            ));
        }
        problems
    }

    fn of_no_use(&self, from: &Member, remains: &Remains<'_>) -> String {
        let why = match (self.seen(from), self.tried(from).filter(|tried| tried.damaged)) {
            (None, _) => self.why_unseen(&from.host),
            (Some(_), Some(tried)) => format!("has data that is damaged ({})", tried.msg),
            (Some(seen), None) => format!("has no data of it ({})", seen.data.state),
        };
        let hosts: Vec<&str> = remains.whole.iter().map(|(member, _)| member.host.as_str()).collect();
        format!(
            "cluster {} cannot go on with the data of {}, which {why}: name one that has some, {}",
            self.cluster.name,
            from.host,
            hosts.join(" or ")
        )
    }

    /// Everybody is stopped, one goes on alone, and once it serves, the others join it.
    pub(super) fn go_on(&self, from: &Member, remains: &Remains<'_>, unreachable: &[&str], recovery: &mut Recovery) {
        let is_foreign = |member: &Member| remains.foreign.iter().any(|(other, _)| other.host == member.host);
        let log = remains.whole.iter().find(|(member, _)| member.host == from.host).map(|(_, seen)| seen.log());
        let mut others = Vec::new();
        let was_made = |member: &Member, seen: &Observed| seen.was_made() || self.is_listed(remains, member);
        for (member, seen) in self.members_seen().filter(|(member, _)| !is_foreign(member)) {
            // To make a host a member that never was one is not this run's affair.
            if !was_made(member, seen) {
                continue;
            }
            if member.host == from.host {
                recovery.stop.insert(member.host.clone(), Stop { kill: false });
            } else {
                self.clear(member, recovery);
                others.push(member.host.clone());
            }
        }
        recovery.alone.push(from.host.clone());
        let then = if others.is_empty() {
            String::new()
        } else {
            format!("; once it serves, move the data of the others aside, and let {} join again", others.join(", "))
        };
        recovery.intends.push(format!(
            "cluster {}: stop all members, and go on with what {} has ({}) as the only member{then}",
            self.cluster.name,
            from.host,
            log.unwrap_or_default(),
        ));
        recovery.join.extend(others);
        recovery.left.extend(remains.foreign.iter().map(|(member, seen)| {
            format!(
                "{0} of {1} holds a member of another cluster ({2}, {3}): move it aside if its data is not needed (mv {0} {0}.old), then run ./etcd-recover.yml again",
                member.data_dir,
                member.host,
                seen.data.cluster_id.as_deref().unwrap_or("unknown"),
                seen.log()
            )
        }));
        recovery.left.extend(unreachable.iter().map(|host| {
            format!(
                "{host} cannot be reached, and holds data of the cluster as it was: before it may speak to the others again, stop etcd there and move its data aside (systemctl disable --now etcd; mv {0} {0}.old), then run ./etcd-recover.yml again",
                self.cluster.members.iter().find(|member| member.host == **host).map_or("", |member| member.data_dir.as_str())
            )
        }));
    }
}
