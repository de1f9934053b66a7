//! Putting the old data back.

use super::note::Phase;
use super::{Case, Note, Plan};
use crate::Findings;
use etcd_ops::guard::quorum;
use std::collections::{BTreeMap, BTreeSet};

impl Case<'_> {
    pub(super) fn roll_back(&self, findings: &mut Findings) -> Plan {
        // What was cut off goes before what is over; of these, the last one counts.
        let unproved =
            || self.notes.values().filter(|note| note.phase != Phase::Restored).max_by_key(|note| &note.token);
        let last = || self.notes.values().max_by_key(|note| &note.time);
        let Some(note) = self.cut_off().or_else(unproved).or_else(last) else {
            findings.problems.push(format!(
                "no restore of cluster {} is noted on its hosts, so there is nothing to roll back",
                self.name()
            ));
            return Plan::default();
        };
        let mut notes = BTreeMap::new();
        for host in &self.cluster.hosts {
            // One that was to take the place of another one may have been cut off before it had noted that everywhere.
            match self.notes.get(host.as_str()).filter(|own| own.fenced() || own.token == note.token) {
                Some(own) => drop(notes.insert(host.clone(), Note { phase: Phase::Returning, ..own.clone() })),
                None if self.holds(host, &note.cluster_id) => findings.problems.push(format!(
                    "{host} holds restored data and no note of where the old one is: look for it beside its data directory; if it had none, for it joined since, take it out first: ./etcd-rm.yml -l {host}, and then out of the inventory"
                )),
                // It was not touched yet, or has its old data back already.
                None => {}
            }
        }
        let empty: Vec<String> =
            notes.iter().filter(|(_, own)| own.former == "absent").map(|(host, _)| host.clone()).collect();
        findings.problems.extend(self.too_few(note, &empty).or_else(|| self.of_several(&notes)));
        findings.problems.extend(self.lone(&notes));
        // A run that was cut off may be at work yet where the old data is still in its place.
        let moves = self.may_go_on() || notes.iter().any(|(host, own)| self.is_away(host, own));
        if moves {
            findings.problems.extend(self.used(self.cut_off().is_some()));
        }
        let without = if empty.is_empty() {
            String::new()
        } else {
            format!(
                " {} had none, and its member stays down until ./etcd-recover.yml makes it anew from the others.",
                empty.join(", ")
            )
        };
        let prompt = format!(
            "This puts back what the data of cluster {} was on {} before its restore of {}.{without} All its members stop; what they hold now is moved aside and kept",
            self.name(),
            self.cluster.hosts.join(", "),
            note.time
        );
        Plan {
            cluster: self.name().to_owned(),
            rollback: true,
            moves,
            served: false,
            notes,
            empty,
            asides: Vec::new(),
            token: note.token.clone(),
            cluster_id: note.cluster_id.clone(),
            initial_cluster: note.initial_cluster.clone(),
            bump: note.bump,
            revision: note.revision,
            time: note.time.clone(),
            snapshot: None,
            prompt,
            otherwise: self.otherwise(),
            next: "once that is corrected, run the same command again: ./etcd-restore.yml -t etcd_rollback".into(),
        }
    }

    /// Whether the old data has yet to come back. Where it has, it may have been replaced by others since.
    fn is_away(&self, host: &str, own: &Note) -> bool {
        let returned = self.notes.get(host).is_some_and(|note| note.phase == Phase::Returned);
        let data = self.seen.get(host).map(|seen| &seen.data);
        !returned && data.is_none_or(|data| data.state != own.former || data.member_id != own.former_member_id)
    }

    /// Hosts that had no data can have none put back: enough of the others must have had some.
    fn too_few(&self, note: &Note, empty: &[String]) -> Option<String> {
        let voters = self.cluster.members.len().max(note.initial_cluster.split(',').count());
        let had = self.cluster.members.len() - empty.len();
        (!empty.is_empty() && had < quorum(voters)).then(|| {
            format!(
                "{} had no data before the restore of {}, so there is none to put back, and what the others had is no quorum; restore the cluster: {}, or another snapshot: -e etcd_snapshot=FILE -e etcd_force=restore",
                empty.join(", "),
                note.time,
                self.same_again(note)
            )
        })
    }

    /// What was to go on alone must not be started beside the others.
    fn lone(&self, notes: &BTreeMap<String, Note>) -> Option<String> {
        let (host, own) = notes.iter().find(|(_, own)| own.former_alone)?;
        let aside = own.asides.first().map_or("what was moved aside", String::as_str);
        (self.cluster.members.len() > 1).then(|| {
            format!(
                "{host} was to go on alone before the restore of {}, and that was cut off or failed: what it held ({aside}) may be the data of a lone member, and is not started beside the others; go back to a snapshot: -e etcd_snapshot=FILE -e etcd_force=restore; {host}:{aside}/member/snap/db is one as well, with -e etcd_force=restore,unhashed",
                own.time
            )
        })
    }

    /// What comes back must be of one cluster.
    fn of_several(&self, notes: &BTreeMap<String, Note>) -> Option<String> {
        let former: BTreeSet<&String> = notes.values().filter_map(|note| note.former_cluster_id.as_ref()).collect();
        (former.len() > 1 && self.cut_off().is_some_and(|first| notes.values().any(|note| note.time != first.time))).then(|| {
            let former: Vec<&str> = former.iter().map(|id| id.as_str()).collect();
            format!(
                "what the hosts of cluster {} had before is of clusters {}, by restores that know nothing of each other: restore all hosts anew: -e etcd_snapshot=FILE -e etcd_force=restore",
                self.name(),
                former.join(" and ")
            )
        })
    }
}
