//! What a data directory says of the member it belongs to: the ids in the first record of its write-ahead log.
//!
//! Format, from etcd's `server/storage/wal`: segments `SEQ-INDEX.wal` of frames; a frame is a little-endian 64-bit
//! length whose upper byte holds the padding, then a protobuf `Record { 1: type, 2: crc, 3: data }`. Type 1 is
//! `Metadata { 1: node id, 2: cluster id }`, type 2 a raft `Entry { 2: term, 3: index }`.

use ansible_protocol::order;
use prost::Message;
use serde::Serialize;
use sha1::{Digest, Sha1};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Whose data a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The member's id.
    #[serde(serialize_with = "as_hex")]
    pub member_id: u64,
    /// The cluster's id.
    #[serde(serialize_with = "as_hex")]
    pub cluster_id: u64,
    /// Whether the cluster ever had a leader: more entries than the founding members. `false` means that the
    /// bootstrap never finished, so nothing was ever written.
    pub had_leader: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_hex<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::hex(*id))
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

/// The log's files, oldest first.
fn segments(wal: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut segments: Vec<PathBuf> = match std::fs::read_dir(wal) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    order::sort(&mut segments);
    Ok(segments)
}

fn read_identity(wal: &Path) -> std::io::Result<Option<Identity>> {
    let segments = segments(wal)?;
    let Some(first) = segments.first() else { return Ok(None) };
    let mut metadata = None;
    // Every segment repeats the metadata; an older one than the first has been purged only after many entries.
    let mut had_leader = segments.len() > 1 || !first.to_string_lossy().contains("0000000000000000-0000000000000000");
    let mut founders = 0;
    let mut reader = BufReader::new(File::open(first)?);
    while let Some(record) = read_record(&mut reader)? {
        match record.kind {
            1 => metadata = Metadata::decode(record.data.as_slice()).ok(),
            2 => {
                let entry = Entry::decode(record.data.as_slice()).unwrap_or_default();
                // The founding entries are configuration changes of term 1; the first leader's come later.
                if entry.term > 1 || (entry.kind == 0 && entry.index > founders) {
                    had_leader = true;
                }
                founders = founders.max(entry.index);
            }
            _ => {}
        }
        if had_leader && metadata.is_some() {
            break;
        }
    }
    Ok(metadata.map(|metadata| Identity { member_id: metadata.node_id, cluster_id: metadata.cluster_id, had_leader }))
}

/// The next record; none at the end, which is zeroes since segments are allocated ahead.
fn read_record(reader: &mut impl Read) -> std::io::Result<Option<Record>> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let field = u64::from_le_bytes(length);
    let padding = if field >> 63 == 1 { (field >> 56) & 0x7 } else { 0 };
    let size = field & 0x00ff_ffff_ffff_ffff;
    if size == 0 || size > 64 << 20 {
        return Ok(None);
    }
    let mut frame = vec![0; usize::try_from(size + padding).unwrap_or(0)];
    match reader.read_exact(&mut frame) {
        // The last write was cut short, as by a power cut.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    frame.truncate(usize::try_from(size).unwrap_or(0));
    Ok(Record::decode(frame.as_slice()).ok())
}

#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(uint32, tag = "2")]
    crc: u32,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(uint64, tag = "1")]
    node_id: u64,
    #[prost(uint64, tag = "2")]
    cluster_id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
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
