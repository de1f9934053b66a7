//! A whole cluster is restored from a snapshot again and again, while the controller is killed and hosts lose power. The
//! next run finishes what was begun, or puts the old data back; and at no time is there anybody who is served what was,
//! and anybody who is served what was restored.

use crate::bed::{Campaign, Dark, Moment, Play};
use crate::kills::Kills;
use crate::watching::{HOSTS, judge, name, names};
use crate::writer::Writer;
use crate::{evidence, say};
use anyhow::{Context, Result, ensure};
use etcd_trial::chance::Chance;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A key that says whose data it is: that of the snapshot, or what was there before.
const KEY: &str = "/generation";
const SAVED: &str = "saved";
/// How long users write what the snapshot is to hold.
const WRITING: Duration = Duration::from_secs(3);

/// The cluster of which the snapshot is.
struct Saved {
    words: Vec<String>,
    keys: usize,
}

impl Campaign {
    /// Each point has the seed after that of the one before.
    pub(crate) fn restore(&self, points: u32, seed: u64) -> Result<Kills> {
        self.fresh_hosts(u8::try_from(HOSTS)?)?;
        let made = self.play(&Play { playbook: "etcd.yml", inventory: None, words: &[] })?;
        ensure!(made.succeeded, "etcd.yml failed:\n{}", made.text);
        let saved = self.saved()?;
        self.etcdctl(&name(0), &["put", KEY, "old"])?;
        // Watching takes its time, too.
        let (whole, _) = self.watched(KEY, || {
            let begin = Instant::now();
            self.finish(&saved.words())?;
            Ok(begin.elapsed())
        })?;
        self.settled(KEY, SAVED, Some(saved.keys))?;
        let mut kills = Kills::default();
        for point in 0..points {
            let seed = seed.wrapping_add(point.into());
            let (told, more) = self
                .round(&saved, seed, whole)
                .with_context(|| format!("{}\n{}", evidence::of(self, &names()), self.again("restore", 1, seed)))?;
            kills += more;
            say(&format!("restore {:>2}/{points}  {} seed {seed}: {told}", point + 1, self.etcd));
        }
        Ok(kills)
    }

    /// Has somebody write, and saves that to a file here.
    fn saved(&self) -> Result<Saved> {
        let writer = Writer::start(self, &name(0), None)?;
        std::thread::sleep(WRITING);
        let keys = writer.stop()?.acknowledged;
        self.etcdctl(&name(0), &["put", KEY, SAVED])?;
        self.etcdctl(&name(0), &["snapshot", "save", "/root/saved.db"])?;
        let file = self.work.join("saved.db");
        let mut read = Command::new(self.root.join("testbed/hosts"));
        read.args(["exec", &self.bed, &name(0), "cat", "/root/saved.db"]).stdin(Stdio::null());
        ensure!(read.stdout(File::create(&file)?).status()?.success(), "the snapshot cannot be fetched");
        let snapshot = format!("etcd_snapshot={}", file.display());
        let words = ["-e", &snapshot, "--skip-tags", "etcd_pause"].map(ToOwned::to_owned).to_vec();
        Ok(Saved { words, keys })
    }

    fn round(&self, saved: &Saved, seed: u64, whole: Duration) -> Result<(String, Kills)> {
        let mut chance = Chance::new(seed);
        let old = format!("old-{seed}");
        let before = self.view(&name(0))?.cluster;
        self.etcdctl(&name(0), &["put", KEY, &old])?;
        // Also by those that were not asked to write it.
        self.settled(KEY, &old, None)?;
        let noted = self.notes()?;
        // Until it has looked at the hosts nothing is at stake.
        let moment = whole / 3 + chance.moment(whole * 2 / 3, 0, 1);
        let dark = Dark::perhaps(&mut chance);
        let returns = chance.number().is_multiple_of(3);
        let words = saved.words();
        let ((told, kills), answers) = self.watched(KEY, || {
            let killed = self.killed_play(&restore(&words), Moment::After(moment), dark.as_ref())?;
            killed.is_fair()?;
            let mut told = format!("{}, {} ms", killed.told, moment.as_millis());
            // Where it has not begun, there is nothing of it to undo.
            let notes = self.notes()?;
            let begun = notes != noted;
            // Where it is done, the same command would do it once more.
            let done = begun && notes.iter().all(|note| note.contains("\"phase\": \"restored\""));
            if returns && begun {
                self.finish(&["-t", "etcd_rollback", "--skip-tags", "etcd_pause"]).with_context(|| told.clone())?;
                self.settled(KEY, &old, None).with_context(|| told.clone())?;
                told.push_str(", put back");
            } else {
                if !done {
                    self.finish(&words).with_context(|| told.clone())?;
                }
                self.settled(KEY, SAVED, Some(saved.keys)).with_context(|| told.clone())?;
            }
            Ok((told, killed.kills))
        })?;
        judge(&answers, before, &old, SAVED).with_context(|| told.clone())?;
        for host in names() {
            self.hosts(&["exec", &self.bed, &host, "sh", "-c", "rm -rf /data/etcd.*"])?;
        }
        Ok((format!("{told}; {} answers", answers.len()), kills))
    }

    fn finish(&self, words: &[&str]) -> Result<()> {
        let played = self.play(&restore(words))?;
        ensure!(played.succeeded, "the next run, with {}, failed:\n{}", words.join(" "), played.text);
        Ok(())
    }

    /// What the restores have noted on the hosts.
    fn notes(&self) -> Result<Vec<String>> {
        let script = "note=/var/lib/etcd-restore/restore.json; [ ! -e $note ] || cat $note";
        let note = |host: usize| self.hosts(&["exec", &self.bed, &name(host), "sh", "-c", script]);
        (0..HOSTS).map(note).collect()
    }
}

impl Saved {
    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

fn restore<'a>(words: &'a [&'a str]) -> Play<'a> {
    Play { playbook: "etcd-restore.yml", inventory: None, words }
}
