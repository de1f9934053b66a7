//! A real snapshot, damaged at random, again and again: every damage is found.

use crate::say;
use anyhow::{Context, Result, bail, ensure};
use etcd_ops::snapshot::{Snapshot, verify};
use etcd_testbed::{Cluster, Options, Version};
use etcd_trial::chance::Chance;
use etcd_trial::executable::{arguments, call, succeed};
use etcd_trial::filled::varied;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How many damages a point stands for.
const DAMAGES: u32 = 60;
/// One in so many is shown to the executable as well; the rest to what it is made of.
const SHOWN: u32 = 20;
const PASSWORD: &str = "S3cret!";
const PAGE: u64 = 4096;

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// This bit is another one.
    Bit(u64),
    /// Only so many bytes are left.
    End(u64),
    /// This page holds nothing.
    Zeroed(u64),
    /// This page holds what that one does.
    Overwritten(u64, u64),
}

/// Damages snapshots of all versions of etcd, as many times as the points stand for, and copies of databases.
pub(crate) fn run(points: u32, seed: u64) -> Result<()> {
    let versions = u32::try_from(Version::ALL.len())?;
    for (version, place) in Version::ALL.into_iter().zip(0..) {
        let mut chance = Chance::new(seed + place);
        let sample = Sample::make(version, &mut chance)?;
        let series = version.series();
        let count = (points * DAMAGES).div_ceil(versions);
        for number in 0..count {
            sample.snapshot.damage(&mut chance, number, pick_for_snapshot)?;
        }
        let mut accepted = 0;
        for number in 0..count / 4 {
            accepted += u32::from(sample.copy.damage(&mut chance, number, pick_for_copy)?);
        }
        say(&format!(
            "corruption {series}  {count} damages to a snapshot of {} bytes, all found; {} to a copy without hash, {accepted} of \
             them where nothing is",
            sample.snapshot.whole.len(),
            count / 4,
        ));
    }
    Ok(())
}

/// Files of one cluster.
struct Sample {
    snapshot: Subject,
    copy: Subject,
    _cluster: Cluster,
}

impl Sample {
    fn make(version: Version, chance: &mut Chance) -> Result<Self> {
        let cluster = Cluster::start(version, 1, Options::auth(PASSWORD));
        varied(&cluster, Some(PASSWORD), chance)?;
        let path = cluster.directory().join("saved.db");
        succeed("etcd_snapshot", &arguments(&cluster, Some(PASSWORD), &json!({ "path": path })))?;
        let snapshot = Subject::new(version, path, false)?;
        cluster.member(0).stop();
        let path = cluster.directory().join("db");
        fs::copy(cluster.member(0).data_dir().join("member/snap/db"), &path)?;
        let refused = verify(&path, false).err().context("a copy without hash is taken without being asked for")?;
        ensure!(refused.details.get("trouble") == Some(&json!("without_hash")), "{refused}");
        Ok(Self { snapshot, copy: Subject::new(version, path, true)?, _cluster: cluster })
    }
}

/// A file that is damaged.
struct Subject {
    version: Version,
    path: PathBuf,
    file: File,
    whole: Vec<u8>,
    found: Snapshot,
    without_hash: bool,
}

impl Subject {
    fn new(version: Version, path: PathBuf, without_hash: bool) -> Result<Self> {
        let found = verify(&path, without_hash).map_err(|failure| anyhow::anyhow!("before any damage: {failure}"))?;
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { version, whole: fs::read(&path)?, path, file, found, without_hash })
    }

    /// One damage, what is said of it, and its repair. Says whether it was accepted, where that is right.
    fn damage(&self, chance: &mut Chance, number: u32, pick: fn(&mut Chance, &[u8]) -> Damage) -> Result<bool> {
        let damage = pick(chance, &self.whole);
        self.inflict(damage)?;
        let accepted = self.judge(damage, number.is_multiple_of(SHOWN)).or_else(|error| {
            let kept = std::env::temp_dir().join(format!("etcd-campaign-{number}.db"));
            fs::copy(&self.path, &kept)?;
            bail!("{} {damage:?}: {error:#}; the file is {}", self.version.series(), kept.display())
        })?;
        self.file.write_all_at(&self.whole, 0)?;
        Ok(accepted)
    }

    fn inflict(&self, damage: Damage) -> Result<()> {
        let page = |page: u64| -> Result<&[u8]> {
            let start = usize::try_from(page * PAGE)?;
            self.whole.get(start..start + usize::try_from(PAGE)?).context("a whole page")
        };
        match damage {
            Damage::Bit(bit) => {
                let at = usize::try_from(bit / 8)?;
                self.file.write_all_at(&[self.whole[at] ^ (1 << (bit % 8))], bit / 8)?;
            }
            Damage::End(length) => self.file.set_len(length)?,
            Damage::Zeroed(number) => self.file.write_all_at(&vec![0; page(number)?.len()], number * PAGE)?,
            Damage::Overwritten(number, by) => self.file.write_all_at(page(by)?, number * PAGE)?,
        }
        Ok(())
    }

    fn judge(&self, damage: Damage, shown: bool) -> Result<bool> {
        self.refused(shown, false)?;
        // What lost just its SHA-256 is a copy.
        let is_copy =
            self.without_hash || matches!(damage, Damage::End(length) if self.whole.len() as u64 - length == 32);
        if !is_copy {
            if matches!(damage, Damage::Bit(_)) {
                self.refused(shown, true)?;
            }
            return Ok(false);
        }
        let Ok(found) = verify(&self.path, true) else {
            return self.refused(shown, true).map(|()| false);
        };
        ensure!(found.contents == self.found.contents, "taken for {:?}", found.contents);
        if shown {
            let said = succeed("etcd_snapshot", &options(&self.path, true))?;
            ensure!(said["warnings"].to_string().contains("has no SHA-256"), "no warning: {said}");
        }
        Ok(true)
    }

    fn refused(&self, shown: bool, without_hash: bool) -> Result<()> {
        let failure = verify(&self.path, without_hash).err().context("not found")?;
        ensure!(failure.details.contains_key("trouble"), "{failure}");
        if shown {
            let said = call("etcd_snapshot", &options(&self.path, without_hash))?;
            ensure!(said["failed"] == true, "not found by the executable: {said}");
        }
        Ok(())
    }
}

fn options(path: &Path, without_hash: bool) -> Value {
    json!({ "state": "verified", "path": path, "without_hash": without_hash })
}

/// Mostly anywhere; the beginning, which leads to all the rest, and the end more often than their size deserves.
fn pick_for_snapshot(chance: &mut Chance, whole: &[u8]) -> Damage {
    let size = whole.len() as u64;
    let bits = 8 * size;
    match chance.number() % 10 {
        0 => Damage::Bit(chance.number() % (2 * PAGE * 8)),
        1 => Damage::Bit(bits - 1 - chance.number() % (32 * 8)),
        2..7 => Damage::Bit(chance.number() % bits),
        7 => Damage::End(size - 1 - chance.number() % 64),
        _ => Damage::End(chance.number() % size),
    }
}

/// Pages that are, or once were, parts of trees.
fn pick_for_copy(chance: &mut Chance, whole: &[u8]) -> Damage {
    let header = |page: u64| {
        let at = usize::try_from(page * PAGE).ok()?;
        let id = whole.get(at..)?.first_chunk().map(|id| u64::from_le_bytes(*id))?;
        let kind = whole.get(at + 8..)?.first_chunk().map(|kind| u16::from_le_bytes(*kind))?;
        Some((id, kind))
    };
    let pages = whole.len() as u64 / PAGE;
    let mut page = || loop {
        let page = 2 + chance.number() % (pages - 2);
        if matches!(header(page), Some((id, 1 | 2)) if id == page) {
            return page;
        }
    };
    let (one, other) = (page(), page());
    if one == other || one % 2 == 0 { Damage::Zeroed(one) } else { Damage::Overwritten(one, other) }
}
