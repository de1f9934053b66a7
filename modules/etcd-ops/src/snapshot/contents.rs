//! What etcd keeps in its database, as far as a snapshot's report needs it.
//!
//! The bucket `key` holds one record for every change of a key: its name is the revision (8 bytes, `_`, 8 bytes for
//! the place within the transaction, and `t` where the key was deleted), its value an `mvccpb.KeyValue`.

use super::Damage;
use super::bolt::Bolt;
use super::tree::{Bucket, Walk};
use crate::membership::parse_id;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The revision that a cluster restored from it begins with.
    pub revision: i64,
    /// How many keys there are at that revision.
    pub total_keys: u64,
    /// The version the cluster agreed on, such as `3.6.0`; unknown while it had not agreed on any.
    pub cluster_version: Option<String>,
    /// The cluster's members.
    pub members: Vec<SavedMember>,
    /// Whether a cluster restored from it asks for users and passwords.
    pub auth: bool,
    /// The names of its users, in their order.
    pub users: Vec<String>,
    /// The names of its roles, in their order.
    pub roles: Vec<String>,
    /// The alarms that were raised, such as `NOSPACE`: a cluster restored from it begins with them.
    pub alarms: BTreeSet<String>,
}

/// A member as etcd has noted it in the bucket `members`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedMember {
    /// Its id.
    pub id: u64,
    /// Its name; empty when it had never started.
    pub name: String,
    /// Where the others reached it.
    pub peer_urls: Vec<String>,
}

impl SavedMember {
    /// The id is the record's name, and the rest JSON, of which nothing is demanded: etcd does not read it when it restores.
    fn read(name: &[u8], value: &[u8]) -> Option<Self> {
        let noted: Value = serde_json::from_slice(value).unwrap_or_default();
        let urls = noted["peerURLs"].as_array().into_iter().flatten();
        Some(Self {
            id: parse_id(&String::from_utf8_lossy(name))?,
            name: noted["name"].as_str().unwrap_or_default().to_owned(),
            peer_urls: urls.filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        })
    }
}

/// Up to which revision older changes are gone, and are to go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compaction {
    pub(super) finished: i64,
    pub(super) scheduled: i64,
}

impl Contents {
    /// Reads the whole database, and thereby checks its structure. Keys are counted only when that is asked for: in the
    /// middle of a compaction, where a restore leaves a database, it takes memory.
    pub(super) fn read(bolt: &Bolt<'_>, counts: bool) -> Result<Self, Damage> {
        let mut walk = Walk::new(bolt);
        let buckets = walk.buckets()?;
        let find = |name: &[u8]| buckets.iter().find(|bucket| bucket.name == name);
        let (Some(meta), Some(keys)) = (find(b"meta"), find(b"key")) else {
            return Err(Damage::structure("it is a bbolt database, but not of etcd"));
        };
        let compaction = compaction(&mut walk, meta)?;
        let mut count = Count { counts, compaction, last: 1, live: 0, unsettled: HashSet::new() };
        walk.entries(keys, &mut |name, value| count.add(name, value))?;
        let (mut cluster_version, mut members) = (None, Vec::new());
        let (mut auth, mut users, mut roles, mut alarms) = (false, Vec::new(), Vec::new(), BTreeSet::new());
        let name = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        for bucket in buckets.iter().filter(|bucket| !matches!(bucket.name.as_slice(), b"meta" | b"key")) {
            walk.entries(bucket, &mut |key, value| {
                match (bucket.name.as_slice(), key) {
                    (b"cluster", b"clusterVersion") => {
                        cluster_version = Some(String::from_utf8_lossy(value).into_owned());
                    }
                    (b"auth", b"authEnabled") => auth = value == [1],
                    (b"authUsers", user) => users.push(name(user)),
                    (b"authRoles", role) => roles.push(name(role)),
                    (b"alarm", alarm) => alarms.extend(alarm_of(alarm)),
                    (b"members", id) => members.extend(SavedMember::read(id, value)),
                    _ => {}
                }
                Ok(())
            })?;
        }
        let revision = count.last.max(compaction.finished).max(compaction.scheduled);
        Ok(Self { revision, total_keys: count.total()?, cluster_version, members, auth, users, roles, alarms })
    }
}

/// The kind of alarm that an `etcdserverpb.AlarmMember` tells of, by which the records of the bucket `alarm` are named.
fn alarm_of(message: &[u8]) -> Option<String> {
    let (mut kind, mut rest) = (0, message);
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        let (number, after) = varint(after)?;
        if tag == 2 << 3 {
            kind = number;
        }
        rest = after;
    }
    match kind {
        0 => None,
        1 => Some("NOSPACE".to_owned()),
        2 => Some("CORRUPT".to_owned()),
        other => Some(format!("number {other}")),
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

/// The entry of the log that was applied last.
pub(super) fn applied(bolt: &Bolt<'_>) -> Result<Option<u64>, Damage> {
    let mut walk = Walk::new(bolt);
    let buckets = walk.buckets()?;
    let Some(meta) = buckets.iter().find(|bucket| bucket.name == b"meta") else { return Ok(None) };
    let mut found = None;
    walk.entries(meta, &mut |key, value| {
        if key == b"consistent_index" {
            found = value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Counts the keys that are there at the end, in constant memory unless a compaction is under way.
struct Count {
    counts: bool,
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
        // A record without anything in it marks the revision that a restore begins with, and is no key.
        if !self.counts || value.is_empty() {
            return Ok(());
        }
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
pub(super) struct Record {
    pub(super) revision: i64,
    pub(super) deletes: bool,
}

impl Record {
    pub(super) fn of(name: &[u8]) -> Result<Self, Damage> {
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
pub(super) struct KeyValue<'a> {
    pub(super) key: &'a [u8],
    /// 1 for the change that made the key, then counted up.
    version: u64,
}

/// Reads the message's fields, the last of them being the value, which is passed over.
pub(super) fn key_value(message: &[u8]) -> Result<KeyValue<'_>, Damage> {
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

    #[test_case(b"8e9e05c52164694d", br#"{"id":1,"peerURLs":["http://a:1","http://b:1"],"name":"a","clientURLs":[]}"#, Some(("a", 2)); "a member")]
    #[test_case(b"8e9e05c52164694d", br#"{"id":1,"peerURLs":["http://a:1"]}"#, Some(("", 1)); "one that has never started")]
    #[test_case(b"8e9e05c52164694d", b"{", Some(("", 0)); "one of which nothing can be read")]
    #[test_case(b"member", b"{}", None; "no id")]
    fn reads_members(name: &[u8], value: &[u8], wanted: Option<(&str, usize)>) {
        let read = SavedMember::read(name, value);
        assert_eq!(read.as_ref().map(|member| (member.name.as_str(), member.peer_urls.len())), wanted);
        assert!(read.is_none_or(|member| member.id == 0x8e9e_05c5_2164_694d));
    }

    #[test_case(b"\x08\x96\x01\x10\x01", Some("NOSPACE"); "no space")]
    #[test_case(b"\x08\x96\x01\x10\x02", Some("CORRUPT"); "other data")]
    #[test_case(b"\x08\x96\x01\x10\x07", Some("number 7"); "a kind of the future")]
    #[test_case(b"\x08\x96\x01", None; "no alarm")]
    #[test_case(b"\x10", None; "cut short")]
    fn reads_alarms(name: &[u8], wanted: Option<&str>) {
        assert_eq!(alarm_of(name).as_deref(), wanted);
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
