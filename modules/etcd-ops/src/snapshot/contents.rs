//! What etcd keeps in its database, as far as a snapshot's report needs it.
//!
//! The bucket `key` holds one record for every change of a key: its name is the revision (8 bytes, `_`, 8 bytes for
//! the place within the transaction, and `t` where the key was deleted), its value an `mvccpb.KeyValue`.

use super::Damage;
use super::bolt::Bolt;
use super::tree::{Bucket, Walk};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The revision that a cluster restored from it begins with.
    pub revision: i64,
    /// How many keys there are at that revision.
    pub total_keys: u64,
    /// The version the cluster agreed on, such as `3.6.0`; unknown while it had not agreed on any.
    pub cluster_version: Option<String>,
}

/// Up to which revision older changes are gone, and are to go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compaction {
    pub(super) finished: i64,
    pub(super) scheduled: i64,
}

impl Contents {
    /// Reads the whole database, and thereby checks its structure.
    pub(super) fn read(bolt: &Bolt<'_>) -> Result<Self, Damage> {
        let mut walk = Walk::new(bolt);
        let buckets = walk.buckets()?;
        let find = |name: &[u8]| buckets.iter().find(|bucket| bucket.name == name);
        let (Some(meta), Some(keys)) = (find(b"meta"), find(b"key")) else {
            return Err(Damage::structure("it is a bbolt database, but not of etcd"));
        };
        let compaction = compaction(&mut walk, meta)?;
        let mut count = Count { compaction, last: 1, live: 0, unsettled: HashSet::new() };
        walk.entries(keys, &mut |name, value| count.add(name, value))?;
        let mut cluster_version = None;
        for bucket in buckets.iter().filter(|bucket| !matches!(bucket.name.as_slice(), b"meta" | b"key")) {
            let is_cluster = bucket.name == b"cluster";
            walk.entries(bucket, &mut |key, value| {
                if is_cluster && key == b"clusterVersion" {
                    cluster_version = Some(String::from_utf8_lossy(value).into_owned());
                }
                Ok(())
            })?;
        }
        let revision = count.last.max(compaction.finished).max(compaction.scheduled);
        Ok(Self { revision, total_keys: count.total()?, cluster_version })
    }
}

/// What the bucket `meta` says of compactions.
pub(super) fn compaction(walk: &mut Walk<'_>, meta: &Bucket) -> Result<Compaction, Damage> {
    let mut found = Compaction::default();
    walk.entries(meta, &mut |key, value| {
        match key {
            b"finishedCompactRev" => found.finished = Record::of(value)?.revision,
            b"scheduledCompactRev" => found.scheduled = Record::of(value)?.revision,
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// Counts the keys that are there at the end, in constant memory unless a compaction is under way.
struct Count {
    compaction: Compaction,
    last: i64,
    /// Keys that were there when the last compaction finished, and since then keys made less keys deleted.
    live: i64,
    /// While a compaction is under way: the keys that are there at its revision, as hashes.
    unsettled: HashSet<u64>,
}

impl Count {
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Damage> {
        let record = Record::of(name)?;
        self.last = record.revision;
        let Compaction { finished, scheduled } = self.compaction;
        if record.revision > finished.max(scheduled) {
            // Since then every change is here, the one that made the key among them.
            if record.deletes {
                self.live -= 1;
            } else if key_value(value)?.version == 1 {
                self.live += 1;
            }
        } else if scheduled <= finished {
            // Until then every key that was there has left one record.
            self.live += i64::from(!record.deletes);
        } else {
            let mut hasher = DefaultHasher::new();
            key_value(value)?.key.hash(&mut hasher);
            if record.deletes {
                self.unsettled.remove(&hasher.finish());
            } else {
                self.unsettled.insert(hasher.finish());
            }
        }
        Ok(())
    }

    fn total(&self) -> Result<u64, Damage> {
        let unsettled = i64::try_from(self.unsettled.len()).unwrap_or(i64::MAX);
        u64::try_from(self.live.saturating_add(unsettled))
            .map_err(|_| Damage::structure("more keys were deleted than made"))
    }
}

/// What a record's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    revision: i64,
    deletes: bool,
}

impl Record {
    fn of(name: &[u8]) -> Result<Self, Damage> {
        let strange = || Damage::structure("it has a record that is no revision");
        let (deletes, name) = match name {
            [name @ .., b't'] if name.len() == 17 => (true, name),
            name => (false, name),
        };
        let revision = name.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)).ok_or_else(strange)?;
        if name.len() != 17 || name[8] != b'_' || revision < 0 {
            return Err(strange());
        }
        Ok(Self { revision, deletes })
    }
}

/// The parts of an `mvccpb.KeyValue` that matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KeyValue<'a> {
    key: &'a [u8],
    /// 1 for the change that made the key, then counted up.
    version: u64,
}

/// Reads the message's fields, the last of them being the value, which is passed over.
fn key_value(message: &[u8]) -> Result<KeyValue<'_>, Damage> {
    let strange = || Damage::structure("it has a record that is no key with its value");
    let mut found = KeyValue::default();
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, after) = varint(rest).ok_or_else(strange)?;
        let (number, after) = varint(after).ok_or_else(strange)?;
        rest = match tag & 7 {
            0 => after,
            2 => {
                let length = usize::try_from(number).map_err(|_| strange())?;
                let (bytes, after) = after.split_at_checked(length).ok_or_else(strange)?;
                if tag >> 3 == 1 {
                    found.key = bytes;
                }
                after
            }
            _ => return Err(strange()),
        };
        if tag >> 3 == 4 {
            found.version = number;
        }
    }
    Ok(found)
}

/// Protocol buffers' variable-length number, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\0", Some((258, false)); "a change")]
    #[test_case(b"\0\0\0\0\0\0\0\x07_\0\0\0\0\0\0\0\x01t", Some((7, true)); "a deletion")]
    #[test_case(b"\0\0\0\0\0\0\0\x07-\0\0\0\0\0\0\0\x01", None; "another separator")]
    #[test_case(b"\xFF\0\0\0\0\0\0\x07_\0\0\0\0\0\0\0\x01", None; "a negative revision")]
    #[test_case(b"\0\0\0\0\0\0\0\x07_\0\0\0\0\0\0\0\x01x", None; "another mark")]
    #[test_case(b"", None; "nothing")]
    fn reads_names_of_records(name: &[u8], wanted: Option<(i64, bool)>) {
        let read = Record::of(name).ok();
        assert_eq!(read.map(|record| (record.revision, record.deletes)), wanted);
    }

    #[test_case(b"\x0a\x01k\x10\x05\x18\x07\x20\x03\x2a\x02ab\x30\x09", Some((b"k", 3)); "all fields")]
    #[test_case(b"\x0a\x01k", Some((b"k", 0)); "only a key")]
    #[test_case(b"", Some((b"", 0)); "nothing")]
    #[test_case(b"\x0a\x05k", None; "cut short")]
    #[test_case(b"\x0b\x01k", None; "another type")]
    #[test_case(b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", None; "an endless number")]
    fn reads_keys_and_versions(message: &[u8], wanted: Option<(&[u8], u64)>) {
        assert_eq!(key_value(message).ok().map(|found| (found.key, found.version)), wanted);
    }
}
