//! What a data directory says of the member it belongs to: the ids in the first record of its write-ahead log.

/// The mark of data that is about to go on alone.
mod alone;
/// The write-ahead log.
mod log;

pub use alone::{is_marked_alone, mark_alone, unmark_alone};
pub use log::{LogEnd, applied, log_end};

use ansible_protocol::order;
use log::{Entry, Metadata, Snapshot, read_record, segments};
use prost::Message;
use serde::Serialize;
use sha1::{Digest, Sha1};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Whose data a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The member's id.
    #[serde(serialize_with = "as_hex")]
    pub member_id: u64,
    /// The cluster's id.
    #[serde(serialize_with = "as_hex")]
    pub cluster_id: u64,
    /// Whether the cluster ever had a leader: more entries than the founding members; or the data comes from a
    /// snapshot. `false` means that the bootstrap never finished, so nothing was ever written.
    pub had_leader: bool,
    /// Whether etcd itself began the log, and no restore. Not known, and `false`, once its beginning is gone.
    #[serde(skip)]
    pub by_etcd: bool,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "member {} of cluster {}", crate::hex(self.member_id), crate::hex(self.cluster_id))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_hex<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::hex(*id))
}

/// Whether the log of a member is left in a directory of its own, while the rest of its data is gone: whoever starts there is that
/// member again.
#[must_use]
pub fn left_log(data_dir: &Path, wal_dir: Option<&Path>) -> bool {
    let member = data_dir.join("member");
    let apart = wal_dir.filter(|wal| !wal.starts_with(&member));
    apart.is_some_and(|wal| matches!(member.try_exists(), Ok(false)) && observe_log(wal) != DataDir::Absent)
}

/// What is at a data directory's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DataDir {
    /// Nothing, or a directory without a `member` directory.
    Absent,
    /// A member's data.
    Member(Identity),
    /// A `member` directory from which no identity can be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for DataDir {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => formatter.write_str("no data"),
            Self::Member(identity) => write!(formatter, "data of {identity}"),
            Self::Unreadable { reason } => write!(formatter, "data of which cannot be told whose it is: {reason}"),
        }
    }
}

/// Looks at a data directory.
#[must_use]
pub fn observe(data_dir: &Path, wal_dir: Option<&Path>) -> DataDir {
    let member = data_dir.join("member");
    match member.try_exists() {
        Ok(false) => return DataDir::Absent,
        Ok(true) => {}
        Err(error) => return DataDir::Unreadable { reason: format!("{}: {error}", member.display()) },
    }
    let wal = wal_dir.map_or_else(|| member.join("wal"), Path::to_path_buf);
    match read_identity(&wal) {
        Ok(Some(identity)) => DataDir::Member(identity),
        // etcd makes `member` before it writes the log: a bootstrap that was cut short this early holds nothing.
        Ok(None) if is_empty_tree(&member) => DataDir::Absent,
        Ok(None) => DataDir::Unreadable { reason: format!("{} holds no write-ahead log", wal.display()) },
        Err(error) => DataDir::Unreadable { reason: format!("{}: {error}", wal.display()) },
    }
}

/// Looks at a write-ahead log by itself, as it is left where the `member` directory beside it is gone.
#[must_use]
pub fn observe_log(wal: &Path) -> DataDir {
    match read_identity(wal) {
        Ok(Some(identity)) => DataDir::Member(identity),
        Ok(None) if segments(wal).is_ok_and(|segments| segments.is_empty()) => DataDir::Absent,
        Ok(None) => DataDir::Unreadable { reason: format!("{} does not say whose log it is", wal.display()) },
        Err(error) => DataDir::Unreadable { reason: format!("{}: {error}", wal.display()) },
    }
}

/// Whether the tree holds no file but what etcd makes before its log, without anything in it.
fn is_empty_tree(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().all(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_empty_tree(&entry.path()),
        Ok(_) => match entry.file_name().to_str() {
            Some("db") => is_unused_db(&entry.path()),
            name => matches!(name, Some("0.tmp" | "tmp")),
        },
        Err(_) => false,
    })
}

/// Whether the database holds nothing yet: a start that fails while it looks for its cluster (`member count is
/// unequal`) leaves one without the bucket of members. Without that look, a log that is kept in another directory
/// would make a member's data seem absent.
fn is_unused_db(db: &Path) -> bool {
    // etcd allocates 16 MiB ahead.
    let small = std::fs::metadata(db).is_ok_and(|metadata| metadata.len() <= 64 << 20);
    let needle = b"members";
    small && std::fs::read(db).is_ok_and(|bytes| !bytes.windows(needle.len()).any(|window| window == needle))
}

fn read_identity(wal: &Path) -> std::io::Result<Option<Identity>> {
    let segments = segments(wal)?;
    let Some(first) = segments.first() else { return Ok(None) };
    let mut metadata = None;
    // Every segment repeats the metadata; an older one than the first has been purged only after many entries.
    let whole = first.to_string_lossy().contains("0000000000000000-0000000000000000");
    let (mut led, mut copied) = (false, false);
    let mut founders = 0;
    let mut reader = BufReader::new(File::open(first)?);
    while let Some(record) = read_record(&mut reader)? {
        match record.kind {
            1 => metadata = Metadata::decode(record.data.as_slice()).ok(),
            2 => {
                let entry = Entry::decode(record.data.as_slice()).unwrap_or_default();
                // The founding entries are configuration changes of term 1; the first leader's come later.
                if entry.term > 1 || (entry.kind == 0 && entry.index > founders) {
                    led = true;
                }
                founders = founders.max(entry.index);
            }
            // Every log begins with one of index 0.
            5 => copied = Snapshot::decode(record.data.as_slice()).is_ok_and(|snapshot| snapshot.index > 0),
            _ => {}
        }
        if (led || copied) && metadata.is_some() {
            break;
        }
    }
    Ok(metadata.map(|metadata| Identity {
        member_id: metadata.node_id,
        cluster_id: metadata.cluster_id,
        had_leader: led || copied || !whole || segments.len() > 1,
        by_etcd: whole && !copied,
    }))
}

/// The id etcd gives a founding member: it follows from its peer URLs and the cluster's token
/// (`computeMemberID` in `server/etcdserver/api/membership/member.go`).
#[must_use]
pub fn founding_member_id(peer_urls: &[String], token: &str) -> u64 {
    let mut urls = peer_urls.to_vec();
    order::sort(&mut urls);
    first_eight(&Sha1::digest(format!("{}{token}", urls.concat())))
}

/// The id of a cluster founded by these members (`genID` in `server/etcdserver/api/membership/cluster.go`).
#[must_use]
pub fn founding_cluster_id(member_ids: &[u64]) -> u64 {
    let mut ids = member_ids.to_vec();
    order::sort(&mut ids);
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    first_eight(&Sha1::digest(bytes))
}

fn first_eight(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}
