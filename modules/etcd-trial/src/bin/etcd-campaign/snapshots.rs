//! The executable is killed while it saves, deletes old snapshots and restores, by the clock and between any two system
//! calls: whatever has a snapshot's name is one, the last good one is never lost, and a data directory is the old one,
//! or none, or the new one; the next run finishes what was begun.

use crate::kill::Whole;
use crate::kills::Kills;
use crate::restores::Restores;
use crate::saves::Saves;
use crate::say;
use anyhow::{Context, Result};
use etcd_testbed::{Cluster, Options, Version};
use etcd_trial::chance::Chance;
use etcd_trial::filled::varied;

/// Root's.
pub(crate) const PASSWORD: &str = "S3cret!";

/// Each point is one kill of each kind on each version of etcd. Returns those on 3.5 and later ones.
pub(crate) fn run(points: u32, seed: u64) -> Result<Kills> {
    let mut kills = Kills::default();
    for (version, place) in Version::ALL.into_iter().zip(0..) {
        let (series, mut chance) = (version.series(), Chance::new(seed + place));
        let source = Cluster::start(version, 1, Options::auth(PASSWORD));
        varied(&source, Some(PASSWORD), &mut chance)?;

        let mut saves = Saves::new(&source)?;
        let whole = Whole::of(|| saves.whole())?;
        for part in 0..points {
            let kill = whole.kill(&mut chance, part, points);
            saves
                .round(&mut chance, kill)
                .with_context(|| format!("save {series}, point {part}, {kill:?} of {whole:?}"))?;
        }
        say(&format!("save    {series}  {}", saves.told()));

        let mut restores = Restores::new(&source, version)?;
        let whole = Whole::of(|| restores.whole())?;
        for part in 0..points {
            let kill = whole.kill(&mut chance, part, points);
            let done = restores.round(&mut chance, kill);
            done.with_context(|| format!("restore {series}, point {part}, {kill:?} of {whole:?}"))?;
        }
        restores.finish()?;
        say(&format!("restore {series}  {}", restores.told()));
        if version != Version::V3_4 {
            kills.executable += saves.killed + restores.killed();
        }
    }
    Ok(kills)
}
