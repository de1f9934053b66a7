//! What a cluster that was restored from a database has to answer: how many keys, the hash of all of them, users and
//! roles.
//!
//! The hash is that of etcd's call `HashKV` at the newest revision (`server/storage/mvcc/hash.go`): CRC-32C over the
//! bucket's name, then name and value of each record. Of what is compacted, or is to be, only the newest record of a
//! key counts, and none that deletes it; where no key is left, all of them count. From 3.4.34 and 3.5.16 on a deletion
//! at the revision of the compaction never counts; versions before remove it, so the hash is the same.

use super::Damage;
use super::bolt::Bolt;
use super::contents::{Compaction, Contents, Record, compaction, key_value};
use super::tree::Walk;
use crate::rpc::auth::Permission;
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many keys are looked at in one walk through the database; what is beyond takes further walks, not memory.
const AT_ONCE: u64 = 1 << 18;

/// What a cluster that begins with this database answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fingerprint {
    /// The revision that it begins with.
    pub revision: i64,
    /// How many keys there are at that revision.
    pub total_keys: u64,
    /// `HashKV` at that revision. Not known in the middle of a compaction that leaves no key, or is at this very
    /// revision: the answer changes until it is done.
    pub hash: Option<u32>,
    /// Users, roles and whether anybody has to log in.
    pub access: Access,
}

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// Whether users must log in.
    pub enabled: bool,
    /// The roles of each user, in the order of their names.
    pub users: BTreeMap<String, Vec<String>>,
    /// What each role may do, in the order of the keys.
    pub roles: BTreeMap<String, Vec<Permission>>,
}

/// A user as it is stored, `authpb.User`.
#[derive(Clone, PartialEq, prost::Message)]
struct User {
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
}

/// A role as it is stored, `authpb.Role`.
#[derive(Clone, PartialEq, prost::Message)]
struct Role {
    #[prost(message, repeated, tag = "2")]
    permissions: Vec<Permission>,
}

impl Fingerprint {
    /// Reads the database that the file begins with: a snapshot's, or a member's own.
    ///
    /// # Errors
    ///
    /// When it is no database of etcd, or contradicts itself.
    pub fn read(file: &File) -> Result<Self, Damage> {
        Self::read_by(file, AT_ONCE)
    }

    fn read_by(file: &File, at_once: u64) -> Result<Self, Damage> {
        let bolt = Bolt::open(file)?.ok_or_else(|| Damage::structure("it does not begin with a bbolt database"))?;
        let contents = Contents::read(&bolt, true)?;
        let hash = hash(&bolt, &contents, at_once)?;
        let Contents { revision, total_keys, .. } = contents;
        Ok(Self { revision, total_keys, hash, access: Access::read(&bolt)? })
    }
}

impl Access {
    fn read(bolt: &Bolt<'_>) -> Result<Self, Damage> {
        let mut walk = Walk::new(bolt);
        let mut found = Self::default();
        for bucket in walk.buckets()? {
            let strange = |name: &[u8]| {
                let name = String::from_utf8_lossy(name).into_owned();
                move |_| Damage::structure(format!("what it says of {name} cannot be read"))
            };
            match bucket.name.as_slice() {
                b"auth" => walk.entries(&bucket, &mut |key, value| {
                    if key == b"authEnabled" {
                        found.enabled = value == [1];
                    }
                    Ok(())
                })?,
                b"authUsers" => walk.entries(&bucket, &mut |key, value| {
                    let user = User::decode(value).map_err(strange(key))?;
                    found.add_user(&String::from_utf8_lossy(key), user.roles);
                    Ok(())
                })?,
                b"authRoles" => walk.entries(&bucket, &mut |key, value| {
                    let role = Role::decode(value).map_err(strange(key))?;
                    found.add_role(&String::from_utf8_lossy(key), role.permissions);
                    Ok(())
                })?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Adds a user with the roles that it has.
    pub fn add_user(&mut self, name: &str, mut roles: Vec<String>) {
        roles.sort_unstable();
        self.users.insert(name.to_owned(), roles);
    }

    /// Adds a role with what it may do. The role `root` may do everything, whatever is stored or answered.
    pub fn add_role(&mut self, name: &str, mut permissions: Vec<Permission>) {
        permissions.retain(|_| name != "root");
        permissions.sort_unstable_by(|a, b| (&a.key, &a.range_end).cmp(&(&b.key, &b.range_end)));
        self.roles.insert(name.to_owned(), permissions);
    }
}

/// What is called for each record: what its name says, its name and its value.
type Visit<'v> = dyn FnMut(Record, &[u8], &[u8]) -> Result<(), Damage> + 'v;

/// Visits all records in their order.
fn records(bolt: &Bolt<'_>, visit: &mut Visit<'_>) -> Result<(), Damage> {
    let mut walk = Walk::new(bolt);
    let buckets = walk.buckets()?;
    let keys = buckets.iter().find(|bucket| bucket.name == b"key");
    let keys = keys.ok_or_else(|| Damage::structure("it has no keys"))?;
    walk.entries(keys, &mut |name, value| visit(Record::of(name)?, name, value))
}

/// `HashKV` at the newest revision.
fn hash(bolt: &Bolt<'_>, contents: &Contents, at_once: u64) -> Result<Option<u32>, Damage> {
    let mut walk = Walk::new(bolt);
    let buckets = walk.buckets()?;
    let Compaction { finished, scheduled } = match buckets.iter().find(|bucket| bucket.name == b"meta") {
        Some(meta) => compaction(&mut walk, meta)?,
        None => Compaction::default(),
    };
    let (compacted, is_done) = (finished.max(scheduled), scheduled <= finished);
    // Such a compaction leaves its own hash behind, of what was there before.
    if !is_done && scheduled == contents.revision {
        return Ok(None);
    }
    let replaced = replaced(bolt, compacted, is_done, at_once)?;
    let (mut all, mut kept) = (Crc::default(), Crc::default());
    let (mut index, mut marked) = (0, false);
    all.add(b"key");
    kept.add(b"key");
    records(bolt, &mut |record, name, value| {
        let is_old = record.revision <= compacted;
        if !(record.deletes && record.revision == compacted) {
            all.add(name);
            all.add(value);
        }
        if !is_old || !(record.deletes || replaced.get(index)) {
            kept.add(name);
            kept.add(value);
        }
        // The mark that a restore leaves where it has raised revisions is a key to the hash, and to nothing else.
        marked |= value.is_empty() && !record.deletes;
        index += u64::from(is_old);
        Ok(())
    })?;
    Ok(if contents.total_keys > 0 || marked { Some(kept.0) } else { is_done.then_some(all.0) })
}

/// Which of the records up to the revision of the compaction, by their order, are followed by another one of their key.
fn replaced(bolt: &Bolt<'_>, compacted: i64, is_done: bool, at_once: u64) -> Result<Bits, Damage> {
    // Once a compaction is done, each key has one record up to there: only later ones can follow it.
    let may_follow = |record: Record| record.revision > compacted || !is_done;
    let (mut old, mut following) = (0, 0);
    records(bolt, &mut |record, _, _| {
        old += u64::from(record.revision <= compacted);
        following += u64::from(may_follow(record));
        Ok(())
    })?;
    let mut replaced = Bits::new(old)?;
    let parts = if old == 0 { 0 } else { following.div_ceil(at_once.max(1)) };
    for part in 0..parts {
        let number = |value: &[u8]| -> Result<Option<u64>, Damage> {
            let mut hasher = DefaultHasher::new();
            key_value(value)?.key.hash(&mut hasher);
            let number = hasher.finish();
            Ok((number % parts == part).then_some(number))
        };
        let (mut newest, mut index) = (HashMap::new(), 0_u64);
        records(bolt, &mut |record, _, value| {
            if may_follow(record)
                && let Some(number) = number(value)?
            {
                newest.insert(number, index);
            }
            index += 1;
            Ok(())
        })?;
        index = 0;
        records(bolt, &mut |record, _, value| {
            if record.revision <= compacted
                && let Some(number) = number(value)?
                && newest.get(&number).is_some_and(|newest| *newest != index)
            {
                replaced.set(index);
            }
            index += 1;
            Ok(())
        })?;
    }
    Ok(replaced)
}

/// As many bits.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u64) -> Result<Self, Damage> {
        let words = usize::try_from(count / 64 + 1).map_err(|_| Damage::structure("it has too many records"))?;
        Ok(Self(vec![0; words]))
    }

    fn at(index: u64) -> (usize, u64) {
        (usize::try_from(index / 64).unwrap_or(usize::MAX), 1 << (index % 64))
    }

    fn set(&mut self, index: u64) {
        let (word, bit) = Self::at(index);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn get(&self, index: u64) -> bool {
        let (word, bit) = Self::at(index);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// CRC-32C, Castagnoli's polynomial with its bits reversed.
#[derive(Clone, Copy, Default)]
struct Crc(u32);

impl Crc {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut rest, mut bit) = (byte as u32, 0);
            while bit < 8 {
                rest = (rest >> 1) ^ if rest & 1 == 1 { 0x82F6_3B78 } else { 0 };
                bit += 1;
            }
            table[byte] = rest;
            byte += 1;
        }
        table
    };

    fn add(&mut self, bytes: &[u8]) {
        self.0 = !bytes.iter().fold(!self.0, |sum, byte| {
            let [low, ..] = sum.to_le_bytes();
            (sum >> 8) ^ Self::TABLE[usize::from(low ^ byte)]
        });
    }
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
