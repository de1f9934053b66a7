//! What earlier runs have begun, and what this one makes of it.

use super::note::Phase;
use super::{Case, Note, Snapshot};
use crate::Findings;

/// What a run that is to restore does.
#[derive(Debug)]
pub(super) enum Way<'a> {
    /// Restores anew: nothing is under way.
    New,
    /// Goes on with what was cut off.
    On(&'a Note),
    /// Restores anew in place of what was cut off, and keeps what was there before that.
    Instead(&'a Note),
}

impl Case<'_> {
    /// The last restore or rollback that was cut off before all hosts were done.
    pub(super) fn cut_off(&self) -> Option<&Note> {
        self.notes.values().filter(|note| note.fenced()).max_by_key(|note| &note.token)
    }

    /// Whether a run that was cut off may still be at work on hosts, so that what is in a data directory now may not stay
    /// there: only the modules that move data notice that. While members serve, none has begun to, or all are done.
    pub(super) fn may_go_on(&self) -> bool {
        self.cut_off().is_some() && self.live().is_none()
    }

    /// The last restore whose members may start.
    fn starting(&self) -> Option<&Note> {
        self.notes.values().filter(|note| note.phase == Phase::Starting).max_by_key(|note| &note.token)
    }

    /// What the run does, with what speaks against it.
    pub(super) fn way(&self, snapshot: &Snapshot, findings: &mut Findings) -> Way<'_> {
        let anew = self.forced("restore");
        if let Some(note) = self.cut_off() {
            let problem =
                self.several().or_else(|| self.other_than(note, Some(snapshot))).or_else(|| self.part_lost(note));
            return match problem {
                None => Way::On(note),
                Some(_) if anew => Way::Instead(note),
                Some(problem) => {
                    findings.problems.push(problem);
                    Way::On(note)
                }
            };
        }
        let Some(note) = self.starting().filter(|note| self.is_same(note, snapshot)) else { return Way::New };
        // Where nothing is left of it, it may have been started and lost since.
        let left = self.cluster.hosts.iter().any(|host| self.holds(host, &note.cluster_id));
        if self.all_hold(&note.cluster_id) || (left && !self.was_started(&note.cluster_id)) {
            return Way::On(note);
        }
        findings.problems.extend(self.part_lost(note).filter(|_| left && !anew));
        Way::New
    }

    fn is_same(&self, note: &Note, snapshot: &Snapshot) -> bool {
        note.sha256 == snapshot.sha256 && note.initial_cluster == self.cluster.initial_cluster
    }

    /// Restores that know nothing of each other.
    fn several(&self) -> Option<String> {
        let mut fenced = self.notes.iter().filter(|(_, note)| note.fenced());
        let (host, first) = fenced.next()?;
        let (other, _) = fenced.find(|(_, note)| note.time != first.time)?;
        Some(format!(
            "{host} and {other} are each in the middle of another restore: to restore all hosts anew, and keep what was there before: -e etcd_force=restore"
        ))
    }

    /// What has begun is gone on with as it began.
    pub(super) fn other_than(&self, note: &Note, snapshot: Option<&Snapshot>) -> Option<String> {
        let name = self.name();
        let anew = "or restore this one in its place, which keeps what was there before: -e etcd_force=restore";
        if note.phase == Phase::Returning {
            return Some(format!(
                "cluster {name} is being rolled back to what it was before its restore: finish that first: ./etcd-restore.yml -t etcd_rollback, {anew}"
            ));
        }
        let cause = match snapshot {
            Some(snapshot) if note.sha256 != snapshot.sha256 => format!(
                "from another snapshot, {} (SHA-256 {}), and not from {}",
                note.snapshot, note.sha256, snapshot.path
            ),
            _ if note.initial_cluster != self.cluster.initial_cluster => {
                format!("with other members, {}, and not {}", note.initial_cluster, self.cluster.initial_cluster)
            }
            _ => return None,
        };
        Some(format!(
            "a restore of cluster {name} is under way {cause}: finish it as it began, with {}, or undo it first: ./etcd-restore.yml -t etcd_rollback, {anew}",
            self.same_again(note)
        ))
    }

    /// A member must not be made a second time with the same id beside others that have gone on: it has forgotten its votes.
    fn part_lost(&self, note: &Note) -> Option<String> {
        if !self.was_started(&note.cluster_id) {
            return None;
        }
        let lost: Vec<&str> =
            self.cluster.hosts.iter().map(String::as_str).filter(|host| !self.holds(host, &note.cluster_id)).collect();
        (!lost.is_empty()).then(|| {
            format!(
                "cluster {} was restored at {} and has been started since, and {} has no data of it any more: ./etcd-recover.yml makes such a member anew from the others; to restore all of them once more: -e etcd_force=restore",
                self.name(),
                note.time,
                lost.join(", ")
            )
        })
    }

    /// The options that go on with a restore.
    pub(super) fn same_again(&self, note: &Note) -> String {
        note.same_again(self.cluster, &self.seen)
    }

    /// How it is with the cluster as long as this run has stopped nothing.
    pub(super) fn otherwise(&self) -> String {
        match self.cut_off() {
            None => format!("cluster {} is as it was", self.name()),
            Some(note) => format!(
                "cluster {} is as the run has left it that was cut off, and etcd stays down on its hosts until that is finished, with {}, or undone, with -t etcd_rollback",
                self.name(),
                self.same_again(note)
            ),
        }
    }
}
