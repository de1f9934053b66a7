//! Clusters without a quorum: brought back where that is possible, and else only as the user decides.

use super::Recovery;
use super::case::Case;
use super::remains::{Found, Remains, told};
use crate::alone::left_alone;
use crate::identity::Member;
use crate::observed::{Observed, Trouble};
use etcd_ops::guard::quorum;

/// What goes back to a snapshot.
const GO_BACK: &str = "./etcd-recover.yml -e etcd_snapshot=FILE";

impl Case<'_> {
    /// Returns why nothing at all may be done.
    pub(super) fn lost(&self, recovery: &mut Recovery) -> Vec<String> {
        let name = &self.cluster.name;
        // Who is not let in cannot tell whether there is a quorum.
        if let Some(problem) = self.shut_out() {
            return vec![problem];
        }
        let remains = match self.remains() {
            Ok(remains) => remains,
            Err(problem) => return vec![problem],
        };
        // Whoever was to go on alone does so, or nobody starts it.
        let nobody_named = self.request.from.is_empty() && self.request.snapshot.is_empty();
        if let Some(problem) = left_alone(self.cluster, &self.seen, false).filter(|_| nobody_named) {
            return vec![problem];
        }
        let finishes = self.wants_data_of().and_then(|member| self.seen(member)).is_some_and(Observed::may_be_alone);
        // Before anything is said to be lost, everybody has had a try: the inventory may name more hosts than ever were members.
        let idle: Vec<&Found<'_>> = remains.whole.iter().filter(|found| !finishes && self.is_idle(**found)).collect();
        if !idle.is_empty() {
            self.bring_up(&remains, &idle, recovery);
            return vec![];
        }
        let unmounted: Vec<String> = self.members_seen().filter_map(|(member, _)| self.unmounted(member)).collect();
        if !unmounted.is_empty() {
            return unmounted;
        }
        let unreachable = self.unreachable();
        if remains.whole.is_empty() {
            return self.no_data(&remains, recovery);
        }
        let voters = self.voters(&remains);
        let finishing = self.wants_data_of().filter(|_| finishes);
        if let Some(problem) = self.has_enough(&remains, voters, finishing) {
            return vec![problem];
        }
        let mut found = format!(
            "cluster {name} has lost its quorum: of {voters} members, data is left on {}",
            told(&remains.whole)
        );
        if !remains.damaged.is_empty() {
            found = format!("{found}, it is damaged on {}", told(&remains.damaged));
        }
        if let Some(away) = self.away() {
            found = format!("{found}, and {away}");
        }
        if !self.request.snapshot.is_empty() {
            self.go_back(found, recovery);
            return vec![];
        }
        let Some(from) = self.wants_data_of() else {
            return vec![self.ways(&found, &remains)];
        };
        let problems = self.go_on_problems(from, &remains, &unreachable);
        if problems.is_empty() {
            recovery.found.push(found);
            self.go_on(from, &remains, &unreachable, recovery);
        }
        problems
    }

    /// A restore that was cut off is gone on with by the role that began it.
    pub(super) fn finish_restore(&self, recovery: &mut Recovery) -> Vec<String> {
        if let Some(problem) = self.shut_out() {
            return vec![problem];
        }
        self.go_back(format!("a restore of cluster {} was cut off", self.cluster.name), recovery);
        vec![]
    }

    /// Whether its member has its data, does not run, and was not started by this run. A lone one is not to be.
    fn is_idle(&self, (member, seen): Found<'_>) -> bool {
        self.tried(member).is_none() && seen.unit.active_state != "active" && !seen.may_be_alone()
    }

    /// A member that answers, but not to us.
    fn shut_out(&self) -> Option<String> {
        let (host, reason) = self.seen.iter().find_map(|(host, seen)| {
            // Without a certificate of its own, a host has nobody to blame but itself.
            let asks = seen.unit.active_state == "active" || seen.certificate.is_object();
            let refused = |kind: &str| kind == "auth" || (kind == "tls" && asks);
            let of_all = seen.cluster_error.as_ref().filter(|error| error["kind"].as_str().is_some_and(refused));
            let members = seen.cluster.iter().flat_map(|live| &live.members);
            let mut of_one =
                members.filter_map(|listed| listed.error.as_ref()).filter(|error: &&Trouble| refused(&error.kind));
            let reason =
                of_all.and_then(|error| error["reason"].as_str()).or_else(|| Some(of_one.next()?.reason.as_str()));
            reason.map(|reason| (*host, reason))
        })?;
        Some(format!(
            "whether cluster {} has a quorum cannot be asked from {host}, for an etcd runs that does not let it in: {reason}; correct that first",
            self.cluster.name,
        ))
    }

    /// Why members that have their data, and are a quorum, are not given up. What may be a lone member's data adds nothing to
    /// theirs; where it is gone on with (`finishing`), they have not been started.
    fn has_enough(&self, remains: &Remains<'_>, voters: usize, finishing: Option<&Member>) -> Option<String> {
        let name = &self.cluster.name;
        let sure = remains.whole.iter().copied().filter(|(_, seen)| !seen.may_be_alone());
        let voting: Vec<Found<'_>> = sure.filter(|found| self.votes(remains, *found)).collect();
        let reason = |(member, seen): &Found<'_>| {
            let tried = self.tried(member).map(|tried| tried.msg.trim_end_matches('.'));
            Some(format!("{}: {}", member.host, tried.or_else(|| seen.cluster_trouble())?))
        };
        let reasons = || voting.iter().filter_map(reason).collect::<Vec<_>>().join("; ");
        let runs = |(member, seen): &&Found<'_>| self.tried(member).is_none() && seen.unit.active_state == "active";
        let running = voting.iter().filter(runs).count();
        if running >= quorum(voters) {
            return Some(format!(
                "cluster {name} has no leader, though {running} of its {voters} members run with their data, which is a quorum: look for what keeps them apart (network, certificates, clocks), as no recovery would help ({})",
                reasons()
            ));
        }
        (voting.len() >= quorum(voters) && !self.forced("replace")).then(|| {
            if let Some(from) = finishing {
                return format!(
                    "{} was to go on alone, but {} have their data as well, which is a quorum of cluster {name} without it: to have these started first, and go on with one of them if they do not serve: -e etcd_recover_from=HOST with one of them; to go on with {0} all the same: -e etcd_force=replace -e etcd_recover_from={0}",
                    from.host,
                    told(&voting)
                );
            }
            format!(
                "cluster {name} does not serve, though {} of its {voters} members have their data, which is a quorum, and nothing says that it is damaged: correct what keeps them from starting ({}), then run ./etcd-recover.yml again; to go on with the data of one of them all the same: -e etcd_force=replace -e etcd_recover_from=HOST",
                voting.len(),
                reasons()
            )
        })
    }

    fn no_data(&self, remains: &Remains<'_>, recovery: &mut Recovery) -> Vec<String> {
        let name = &self.cluster.name;
        let away = self.away();
        let bare = |seen: &Observed| !seen.certificate.is_object() && !seen.data.left_wal;
        if self.seen.values().all(bare) && away.is_none() && remains.damaged.is_empty() {
            return vec![format!("there is no cluster {name} yet, and nothing to recover: ./etcd.yml makes it")];
        }
        let mut found = match &away {
            None => format!("all data of cluster {name} is lost: no host has any that is of use"),
            Some(away) => {
                format!("cluster {name} does not serve, no host that could be looked at has data of it, and {away}")
            }
        };
        if !remains.damaged.is_empty() {
            found = format!("{found}; that of {} is damaged", told(&remains.damaged));
        }
        if !self.request.snapshot.is_empty() {
            self.go_back(found, recovery);
            return vec![];
        }
        let ways = if away.is_some() {
            format!("bring these back first; if their data is lost as well: {GO_BACK}")
        } else if remains.damaged.is_empty() {
            format!("go back to a snapshot: {GO_BACK}; to begin with an empty cluster: ./etcd.yml")
        } else {
            format!(
                "go back to a snapshot: {GO_BACK}; the database of a damaged member may do: FILE is HOST:DATA_DIR/member/snap/db then, with -e etcd_force=unhashed"
            )
        };
        vec![format!("{found}; {ways}")]
    }

    fn go_back(&self, found: String, recovery: &mut Recovery) {
        recovery.found.push(found);
        recovery.intends.push(format!(
            "cluster {}: go back to the snapshot {}, on all its hosts; the data that is there is moved aside and kept",
            self.cluster.name, self.request.snapshot
        ));
        recovery.restore.clone_from(&self.cluster.name);
    }

    /// Members with their data are started, and nothing else is done to them.
    fn bring_up(&self, remains: &Remains<'_>, idle: &[&Found<'_>], recovery: &mut Recovery) {
        let hosts: Vec<&str> = idle.iter().map(|(member, _)| member.host.as_str()).collect();
        recovery.found.push(format!(
            "cluster {} does not serve, and data of it is left on {}",
            self.cluster.name,
            told(&remains.whole)
        ));
        let then = match (self.request.snapshot.as_str(), self.request.from.as_str()) {
            ("", "") => "if they are not, say what the ways on are".to_owned(),
            (snapshot, "") => format!("if they are not, go back to the snapshot {snapshot}"),
            (_, from) => {
                format!("if they are not, go on with the data of {from} alone, and let the others join it again")
            }
        };
        recovery.intends.push(format!(
            "{}: start the members, and wait until they serve; nothing else is done while they may be enough; {then}",
            hosts.join(", ")
        ));
        recovery.start.extend(hosts.into_iter().map(ToOwned::to_owned));
    }

    fn ways(&self, found: &str, remains: &Remains<'_>) -> String {
        let newest = remains.whole.iter().max_by_key(|(_, seen)| seen.newness());
        let newest = newest.map_or("HOST", |(member, _)| member.host.as_str());
        let back =
            if self.away().is_none() { String::new() } else { "bring these back first, if you can; ".to_owned() };
        format!(
            "{found}; {back}to go back to a snapshot: {GO_BACK}; to go on with what {newest} has, which may lack the newest writes: ./etcd-recover.yml -e etcd_recover_from={newest}"
        )
    }
}
