//! Going to the snapshot.

use super::begun::Way;
use super::note::Phase;
use super::{Case, Note, Plan, Snapshot};
use crate::Findings;
use crate::identity::Member;
use crate::observed::Observed;
use ansible_protocol::order;
use etcd_ops::snapshot::MAX_BUMP;
use etcd_ops::{datadir, hex};

impl Case<'_> {
    pub(super) fn restore(&self, findings: &mut Findings) -> Plan {
        if !u64::try_from(self.request.bump).is_ok_and(|bump| bump <= MAX_BUMP) {
            let bump = self.request.bump;
            findings
                .problems
                .push(format!("etcd_restore_bump is {bump}: it takes a whole number from 0 to {MAX_BUMP}"));
        }
        let Some(snapshot) = &self.request.snapshot else {
            findings.problems.push(self.no_snapshot());
            return Plan::default();
        };
        let way = self.way(snapshot, findings);
        if !snapshot.alarms.is_empty() {
            findings.warnings.push(format!(
                "snapshot {} was taken under the alarm {}, which the restored cluster begins with: with NOSPACE it does not write, and with CORRUPT it does not serve, until ./etcd-recover.yml has ended that",
                snapshot.path,
                snapshot.alarms.join(" and ")
            ));
        }
        findings.problems.extend(self.too_old(snapshot));
        if !matches!(way, Way::On(_)) {
            findings.problems.extend(self.strangers());
            findings.problems.extend(self.foreign(snapshot));
        }
        let begun = match way {
            Way::New => None,
            Way::On(note) | Way::Instead(note) => Some(note),
        };
        let token = match way {
            Way::On(note) => note.token.clone(),
            Way::New | Way::Instead(_) => format!(
                "{}-restored-{}-{}",
                self.name(),
                self.request.time,
                &snapshot.sha256[..8.min(snapshot.sha256.len())]
            ),
        };
        let (bump, revision) = match way {
            Way::On(note) => (note.bump, note.revision),
            Way::New | Way::Instead(_) => (self.bump(snapshot), None),
        };
        let revision = revision.unwrap_or_else(|| snapshot.revision.saturating_add_unsigned(bump));
        let cluster_id = self.restored_id(&token);
        let moves = self.may_go_on() || !self.all_hold(&cluster_id);
        if moves {
            findings.problems.extend(self.used(begun.is_some() || (self.request.recovers && self.live().is_none())));
        }
        let time = begun.map_or(&self.request.time, |note| &note.time).clone();
        let fresh = |host: &str| self.note(host, snapshot, &time);
        let note = |host: &str| Note {
            phase: Phase::Restoring,
            token: token.clone(),
            cluster_id: cluster_id.clone(),
            initial_cluster: self.cluster.initial_cluster.clone(),
            snapshot: snapshot.path.clone(),
            sha256: snapshot.sha256.clone(),
            unhashed: !snapshot.sealed,
            bump,
            revision: Some(revision),
            ..self.kept(host, begun).unwrap_or_else(|| fresh(host))
        };
        let notes = order::map(self.cluster.hosts.iter().map(|host| (host.clone(), note(host))));
        let asides = notes.iter().flat_map(|(host, note)| note.asides.iter().map(move |path| format!("{host}:{path}")));
        Plan {
            cluster: self.name().to_owned(),
            rollback: false,
            moves,
            served: self.live().is_some_and(|live| live.id == cluster_id),
            initial_cluster: self.cluster.initial_cluster.clone(),
            bump,
            revision: Some(revision),
            empty: Vec::new(),
            asides: asides.collect(),
            snapshot: Some(snapshot.clone()),
            prompt: self.prompt(&way, snapshot, &time),
            otherwise: self.otherwise(),
            next: "once that is corrected, run the same command again, or put the old data back: ./etcd-restore.yml -t etcd_rollback".into(),
            notes,
            cluster_id,
            token,
            time,
        }
    }

    /// Why there is no snapshot to restore from.
    fn no_snapshot(&self) -> String {
        match (&self.request.unverified, self.cut_off()) {
            (None, _) => "no snapshot is named: -e etcd_snapshot=FILE for one on this machine, or -e etcd_snapshot=HOST:/FILE for one on a host of the inventory; to undo a restore: -t etcd_rollback".into(),
            (Some(unverified), None) => unverified.told(),
            (Some(unverified), Some(note)) => format!(
                "{}; the restore of cluster {} that was cut off goes on with {}",
                unverified.told(),
                self.name(),
                self.same_again(note)
            ),
        }
    }

    /// By how much revisions are raised: clients must not see one a second time with other data, also not one that an
    /// earlier restore has raised.
    fn bump(&self, snapshot: &Snapshot) -> u64 {
        let live = self.seen.values().filter_map(|seen| Some(seen.cluster.as_ref()?.usage.as_ref()?.revision));
        let noted = self.notes.values().filter_map(|note| note.revision);
        let highest = live.chain(noted).max().unwrap_or(0).max(snapshot.revision);
        let above = highest.saturating_sub(snapshot.revision).saturating_add(self.request.bump);
        if self.request.bump == 0 { 0 } else { u64::try_from(above).unwrap_or_default().min(MAX_BUMP) }
    }

    fn restored_id(&self, token: &str) -> String {
        let founder = |member: &Member| datadir::founding_member_id(std::slice::from_ref(&member.peer_url), token);
        hex(datadir::founding_cluster_id(&self.cluster.members.iter().map(founder).collect::<Vec<_>>()))
    }

    /// The host's note of the restore that has begun: what was there before that is not there any more.
    fn kept(&self, host: &str, begun: Option<&Note>) -> Option<Note> {
        let begun = begun?;
        self.notes.get(host).filter(|note| note.fenced() || note.token == begun.token).cloned()
    }

    /// What a restore notes that finds the host as it is.
    fn note(&self, host: &str, snapshot: &Snapshot, time: &str) -> Note {
        let seen = self.seen.get(host);
        let data = seen.map(|seen| seen.data.clone()).unwrap_or_default();
        Note {
            cluster: self.name().to_owned(),
            phase: Phase::Restoring,
            token: String::new(),
            cluster_id: String::new(),
            initial_cluster: String::new(),
            snapshot: snapshot.path.clone(),
            sha256: snapshot.sha256.clone(),
            unhashed: !snapshot.sealed,
            time: time.to_owned(),
            former: data.state,
            former_member_id: data.member_id,
            former_cluster_id: data.cluster_id,
            former_alone: seen.is_some_and(Observed::may_be_alone),
            asides: Vec::new(),
            bump: 0,
            revision: None,
        }
    }

    fn prompt(&self, way: &Way<'_>, snapshot: &Snapshot, time: &str) -> String {
        let goes_on = match way {
            Way::New => "restores",
            Way::On(_) => "goes on to restore",
            Way::Instead(_) => "gives up the restore that was cut off, and restores",
        };
        let members = snapshot.members();
        let of = if members.is_empty() { members } else { format!(", of a cluster of {members}") };
        let mut dirs: Vec<&str> = self.cluster.members.iter().map(|member| member.data_dir.as_str()).collect();
        order::sort(&mut dirs);
        dirs.dedup();
        format!(
            "This {goes_on} cluster {} on {} from {} (revision {}, {} keys{of}). All its members stop; the data that is there is moved aside and kept as {}.MEMBER_ID.{time}. \
             Whenever the run is cut off, etcd stays down on all hosts until the same command has been run again, or ./etcd-restore.yml -t etcd_rollback, which puts the old data back",
            self.name(),
            self.cluster.hosts.join(", "),
            snapshot.path,
            snapshot.revision,
            snapshot.total_keys,
            dirs.join(" or "),
        )
    }
}
