//! What a restore has noted on a host, in `/var/lib/etcd-restore/restore.json`.

use crate::identity::Cluster;
use crate::observed::Observed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// One restore, as it concerns one host.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Note {
    pub(super) cluster: String,
    pub(super) phase: Phase,
    /// The restored cluster's. Of two restores of a cluster, the later one's is the greater one, for it has its time.
    pub(super) token: String,
    pub(super) cluster_id: String,
    pub(super) initial_cluster: String,
    /// The file it comes from, as it was named, its digest, and whether it had no hash of its own.
    pub(super) snapshot: String,
    pub(super) sha256: String,
    #[serde(default)]
    pub(super) unhashed: bool,
    /// When it began, as the names of what was moved aside have it. One that takes the place of another one that was cut
    /// off keeps that one's time, and what was there before that one.
    pub(super) time: String,
    /// What was in the data directory before: `absent`, `member` or `unreadable`, and whose it was.
    pub(super) former: String,
    pub(super) former_member_id: Option<String>,
    pub(super) former_cluster_id: Option<String>,
    /// Whether that was to go on alone, and had not served since.
    #[serde(default)]
    pub(super) former_alone: bool,
    /// Where it is, or will be: the data, its log, and what restores that were cut off had put there.
    #[serde(default)]
    pub(super) asides: Vec<String>,
    /// By how much revisions are raised: the same for all members, however often the run is cut off.
    #[serde(default)]
    pub(super) bump: u64,
    /// The revision that the restored cluster begins with.
    pub(super) revision: Option<i64>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Not all hosts are known to have the restored data; etcd does not start.
    Restoring,
    /// They have, and etcd may start.
    Starting,
    /// It was proved to be whole.
    Restored,
    /// The old data is being put back; etcd does not start.
    Returning,
    /// It is back on all hosts, and etcd may start.
    Returned,
}

impl Note {
    /// Whether etcd may not start, because not all hosts are done.
    pub(super) fn fenced(&self) -> bool {
        matches!(self.phase, Phase::Restoring | Phase::Returning)
    }

    /// The options that go on with it.
    pub(super) fn same_again(&self, cluster: &Cluster, seen: &BTreeMap<&str, Observed>) -> String {
        let unhashed = if self.unhashed { " -e etcd_force=unhashed" } else { "" };
        format!("-e etcd_snapshot={}{unhashed}", self.moved(cluster, seen).as_ref().unwrap_or(&self.snapshot))
    }

    /// A member's own database as the snapshot was moved aside with the data it is of.
    fn moved(&self, cluster: &Cluster, seen: &BTreeMap<&str, Observed>) -> Option<String> {
        let (host, path) = self.snapshot.split_once(":/")?;
        let member = cluster.members.iter().find(|member| member.host == host)?;
        let seen = seen.get(host)?;
        let own = read(seen.restore.as_ref()).ok()??;
        let aside = own.asides.first()?;
        if seen.data.member_id == own.former_member_id {
            return None;
        }
        // A mount point stays, and what moves is inside of it.
        let data_dir = Path::new(&member.data_dir);
        let inside = Path::new(aside).starts_with(data_dir);
        let from = if inside { data_dir.join("member") } else { data_dir.to_owned() };
        let rest = Path::new("/").join(path).strip_prefix(from).ok()?.to_owned();
        Some(format!("{host}:{}", Path::new(aside).join(rest).display()))
    }
}

/// Reads a note.
pub(super) fn read(noted: Option<&Value>) -> Result<Option<Note>, String> {
    let Some(noted) = noted.filter(|noted| !noted.is_null()) else { return Ok(None) };
    if let Some(problem) = noted["error"].as_str() {
        return Err(problem.to_owned());
    }
    serde_json::from_value(noted.clone()).map(Some).map_err(|error| error.to_string())
}

/// Hosts on which a restore is under way, of which no member is to be started by anything else.
pub(crate) fn under_way(cluster: &Cluster, seen: &BTreeMap<&str, Observed>) -> Option<String> {
    let name = &cluster.name;
    let mut last: Option<(&str, Note)> = None;
    for (host, observed) in seen {
        match read(observed.restore.as_ref()) {
            Ok(Some(note)) if note.fenced() => {
                if last.as_ref().is_none_or(|(_, last)| note.token > last.token) {
                    last = Some((host, note));
                }
            }
            Ok(_) => {}
            Err(problem) => {
                return Some(format!(
                    "what a restore of cluster {name} has noted on {host} cannot be read ({problem}): ./etcd-restore.yml says what to do about it"
                ));
            }
        }
    }
    let (host, note) = last?;
    Some(if note.phase == Phase::Returning {
        format!(
            "cluster {name} is being put back to what it was before its restore, which was cut off on {host}: finish that: ./etcd-restore.yml -t etcd_rollback"
        )
    } else {
        format!(
            "a restore of cluster {name} is under way on {host} and was cut off: finish it: ./etcd-restore.yml {}, or put the old data back: ./etcd-restore.yml -t etcd_rollback",
            note.same_again(cluster, seen)
        )
    })
}
