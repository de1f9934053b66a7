//! The write-ahead log, and how far the data goes that it belongs to.
//!
//! Format, from etcd's `server/storage/wal`: segments `SEQ-INDEX.wal` of frames; a frame is a little-endian 64-bit
//! length whose upper byte holds the padding, then a protobuf `Record { 1: type, 2: crc, 3: data }`. Type 1 is
//! `Metadata { 1: node id, 2: cluster id }`, type 2 a raft `Entry { 2: term, 3: index }`, type 3 the raft `HardState
//! { 3: commit }`, type 5 the `Snapshot { 1: index }` that the log continues from.

use crate::snapshot;
use ansible_protocol::order;
use prost::Message;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// How far a member's data goes. Of two members, the one that knows more to be committed has data that the other one lacks;
/// beyond that, the one whose log goes further, by term first, has all that the other one can have committed (raft, section
/// 5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LogEnd {
    /// The term of the last entry of the log.
    pub term: u64,
    /// Its index.
    pub index: u64,
    /// The index up to which the log says that all members have agreed. etcd writes it down with the next entry, so that what
    /// is killed may know less than it has applied.
    pub commit: Option<u64>,
    /// The index up to which the database has applied the log; none where it cannot be read.
    pub applied: Option<u64>,
}

/// How far the member's data goes; none where there is no log to be read. Each part is read to its end, or to where it is
/// damaged; also while etcd writes to it.
#[must_use]
pub fn log_end(data_dir: &Path, wal_dir: Option<&Path>) -> Option<LogEnd> {
    let wal = wal_dir.map_or_else(|| data_dir.join("member/wal"), Path::to_path_buf);
    let (mut end, mut commit) = (None, None);
    for segment in segments(&wal).ok()?.iter().rev() {
        // One that cannot be opened is passed over: an older one says something, too.
        let (its_end, its_commit) = read_segment(segment).unwrap_or_default();
        end = end.or(its_end);
        commit = commit.or(its_commit);
        if end.is_some() && commit.is_some() {
            break;
        }
    }
    let (term, index) = end?;
    Some(LogEnd { term, index, commit, applied: applied(&data_dir.join("member/snap/db")) })
}

/// Up to which entry of the log the database has applied it; none where that cannot be read.
#[must_use]
pub fn applied(db: &Path) -> Option<u64> {
    snapshot::read_applied(&File::open(db).ok()?).ok().flatten()
}

type Place = (u64, u64);

/// Term and index of the segment's last entry, and the last commit.
fn read_segment(segment: &Path) -> std::io::Result<(Option<Place>, Option<u64>)> {
    let mut reader = BufReader::new(File::open(segment)?);
    let (mut end, mut commit) = (None, None);
    while let Some(record) = read_record(&mut reader)? {
        match record.kind {
            // A later record replaces what an earlier one had at its index, and all after it.
            2 => {
                let entry = Entry::decode(record.data.as_slice()).unwrap_or_default();
                end = Some((entry.term, entry.index));
            }
            3 => commit = HardState::decode(record.data.as_slice()).ok().map(|state| state.commit).or(commit),
            5 => {
                let copied = Snapshot::decode(record.data.as_slice()).unwrap_or_default();
                // etcd also notes those that it makes of entries that are here.
                end = end.filter(|(_, index)| *index >= copied.index).or(Some((copied.term, copied.index)));
            }
            _ => {}
        }
    }
    Ok((end, commit))
}

/// The log's files, oldest first.
pub(super) fn segments(wal: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut segments: Vec<PathBuf> = match std::fs::read_dir(wal) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    order::sort(&mut segments);
    Ok(segments)
}

/// The next record; none at the end, which is zeroes since segments are allocated ahead.
pub(super) fn read_record(reader: &mut impl Read) -> std::io::Result<Option<Record>> {
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
pub(super) struct Record {
    #[prost(int64, tag = "1")]
    pub(super) kind: i64,
    #[prost(uint32, tag = "2")]
    crc: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(uint64, tag = "1")]
    pub(super) node_id: u64,
    #[prost(uint64, tag = "2")]
    pub(super) cluster_id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entry {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(uint64, tag = "2")]
    pub(super) term: u64,
    #[prost(uint64, tag = "3")]
    pub(super) index: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Snapshot {
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
    #[prost(uint64, tag = "2")]
    pub(super) term: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct HardState {
    #[prost(uint64, tag = "3")]
    commit: u64,
}
