//! Clusters are damaged and recovered again and again, while the controller is killed and hosts lose power. The next run
//! finishes what was begun: all hosts are members of one cluster again, and each has all that was there before, or all
//! that the snapshot has; and at no time is there anybody who is served the one, and anybody who is served the other.

use crate::bed::{Campaign, Dark, Moment, Play};
use crate::damage::{DAMAGES, Damage, Entry, LATER, QUOTA};
use crate::kills::Kills;
use crate::watching::{HOSTS, judge, name, names};
use crate::writer::Writer;
use crate::{evidence, say};
use anyhow::{Context, Result, ensure};
use etcd_trial::chance::Chance;
use std::time::Duration;

/// How long users write what is to be there in the end.
const WRITING: Duration = Duration::from_secs(2);
/// Until it has looked at the hosts nothing is at stake.
const LOOKED: u64 = 5;
/// What every run is told.
const WORDS: [&str; 4] = ["--skip-tags", "etcd_pause", "-e", QUOTA];
/// What is said where a run that was cut off has got so far that the rest goes without.
const ON_ITS_OWN: [&str; 2] = ["leave etcd_recover_from out", "leave etcd_snapshot out"];

impl Campaign {
    /// Each point has the seed after that of the one before, and the next damage.
    pub(crate) fn recover(&self, points: u32, seed: u64) -> Result<Kills> {
        self.fresh_hosts(u8::try_from(HOSTS)?)?;
        let made = self.play(&Play { playbook: "etcd.yml", inventory: None, words: &WORDS[2..] })?;
        ensure!(made.succeeded, "etcd.yml failed:\n{}", made.text);
        let writer = Writer::start(self, &name(0), None)?;
        std::thread::sleep(WRITING);
        let keys = writer.stop()?.acknowledged;
        let mut kills = Kills::default();
        for point in 0..points {
            let seed = seed.wrapping_add(point.into());
            let damage = DAMAGES[usize::try_from(seed % DAMAGES.len() as u64)?];
            let (told, more) = self.recovered(damage, seed, keys).with_context(|| {
                format!("{damage:?}\n{}\n{}", evidence::of(self, &names()), self.again("recover", 1, seed))
            })?;
            kills += more;
            say(&format!("recover {:>2}/{points}  {} seed {seed}: {damage:?}, {told}", point + 1, self.etcd));
        }
        Ok(kills)
    }

    fn recovered(&self, damage: Damage, seed: u64, keys: usize) -> Result<(String, Kills)> {
        let mut chance = Chance::new(seed);
        let kept = usize::try_from(chance.number() % HOSTS as u64)?;
        // A key of its own: a member that joins goes through all that was written, and may say what was there once.
        let entry = Entry { key: format!("/generation/{seed}"), value: format!("round-{seed}") };
        self.etcdctl(&name(kept), &["put", &entry.key, &entry.value])?;
        self.settled(&entry.key, &entry.value, Some(keys))?;
        let before = self.view(&name(kept))?.cluster;
        let given = self.damage(damage, kept, &entry)?;
        let mut words = WORDS.to_vec();
        words.extend(given.iter().flat_map(|given| ["-e", given.as_str()]));
        let task = LOOKED + chance.number() % (damage.tasks() - LOOKED);
        let moment = Moment::Task(task, Duration::from_millis(chance.number() % 400));
        let dark = Dark::perhaps(&mut chance);
        let ((mut told, kills), answers) = self.watched(&entry.key, || {
            let killed = self.killed_play(&recover(&words), moment, dark.as_ref())?;
            killed.is_fair()?;
            let mut told = killed.told;
            let next = self.play(&recover(&words))?;
            if !next.succeeded {
                let goes = ON_ITS_OWN.iter().any(|said| next.text.contains(said));
                ensure!(goes, "{told}: the next run failed:\n{}", next.text);
                let last = self.play(&recover(&WORDS))?;
                ensure!(last.succeeded, "{told}: the run after that failed:\n{}", last.text);
                told.push_str(", finished without");
            }
            self.settled(&entry.key, &entry.value, Some(keys)).with_context(|| told.clone())?;
            Ok((told, killed.kills))
        })?;
        let old = if matches!(damage, Damage::Everything | Damage::Back) { LATER } else { &entry.value };
        // A member with other data serves it until it is found.
        if damage != Damage::Differs {
            judge(&answers, before, old, &entry.value).with_context(|| told.clone())?;
        }
        told.push_str(&format!("; {} answers", answers.len()));
        self.etcdctl(&name(kept), &["put", &entry.key, "over"]).context("it takes no writes")?;
        let script = "rm -rf /data/etcd.*; ! grep -rq force-new-cluster /etc/etcd /run/etcd";
        for host in names() {
            self.hosts(&["exec", &self.bed, &host, "sh", "-c", script])?;
        }
        Ok((told, kills))
    }
}

fn recover<'a>(words: &'a [&'a str]) -> Play<'a> {
    Play { playbook: "etcd-recover.yml", inventory: None, words }
}
