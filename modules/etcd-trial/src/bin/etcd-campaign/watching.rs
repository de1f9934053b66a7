//! All members are asked all the while whose data they serve: at no time is there anybody who is served what was, and
//! anybody who is served what takes its place.

use crate::bed::Campaign;
use anyhow::{Context, Result, anyhow, ensure};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many hosts make the cluster.
pub(crate) const HOSTS: usize = 3;

/// Between two questions. Every answer takes a login, which costs a member a tenth of a second of computing.
const PAUSE: Duration = Duration::from_millis(300);

/// What a member said to somebody who asked it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) cluster: u64,
    pub(crate) value: String,
    /// When it was asked and when it had answered, since the beginning: it holds for some moment between.
    pub(crate) asked: Duration,
    pub(crate) answered: Duration,
}

/// The name of a host, counted from 0.
pub(crate) fn name(host: usize) -> String {
    format!("etcd-{}", host + 1)
}

/// All of them.
pub(crate) fn names() -> Vec<String> {
    (0..HOSTS).map(name).collect()
}

impl Campaign {
    /// Does something while all members are asked for the key all the time. Returns what they said.
    pub(crate) fn watched<T>(&self, key: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Answer>)> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| -> Result<Vec<Answer>> {
                let mut answers = Vec::new();
                let begin = Instant::now();
                while !over.load(Ordering::Relaxed) {
                    let asked: Vec<_> =
                        (0..HOSTS).map(|host| scope.spawn(move || self.answer(&name(host), key, begin))).collect();
                    for asked in asked {
                        answers.extend(asked.join().map_err(|_| anyhow!("could not ask"))?);
                    }
                    std::thread::sleep(PAUSE);
                }
                Ok(answers)
            });
            let done = work();
            over.store(true, Ordering::Relaxed);
            let answers = asking.join().map_err(|_| anyhow!("could not ask"))?;
            Ok((done?, answers?))
        })
    }

    /// What this host's member says itself, whatever the others may. A member that serves nobody gives no answer, and
    /// why it does not is of no interest here. Whoever would be given a linearizable answer is given this one, too.
    fn answer(&self, host: &str, key: &str, begin: Instant) -> Option<Answer> {
        let asked = begin.elapsed();
        let text = self.glance(host, &["get", key, "--consistency=s", "--write-out=fields"]).ok()?;
        let field = |name: &str| {
            let start = format!("\"{name}\" : ");
            text.lines().find_map(|line| Some(line.strip_prefix(&start)?.trim_matches('"').to_owned()))
        };
        let (cluster, value) = (field("ClusterID")?.parse().ok()?, field("Value")?);
        Some(Answer { cluster, value, asked, answered: begin.elapsed() })
    }

    /// All hosts are members of one cluster, and each has this itself; and so many keys, where that is known.
    pub(crate) fn settled(&self, key: &str, value: &str, keys: Option<usize>) -> Result<()> {
        let names = names();
        let members: BTreeSet<String> = names.iter().map(|name| crate::view::member(name, false)).collect();
        let clusters = self.agree(&names, Some(&members))?;
        ensure!(clusters.len() == 1, "not one cluster but {clusters:x?}");
        for name in &names {
            let found = self.etcdctl(name, &["get", key, "--print-value-only"])?;
            ensure!(found.trim() == value, "{name} has {} and not {value}", found.trim());
            if let Some(keys) = keys {
                let held = self.held(name).with_context(|| format!("{name} does not say how many keys it has"))?;
                ensure!(held == keys, "{name} has {held} keys and not {keys}");
            }
        }
        Ok(())
    }
}

/// The cluster of before answers with the old data, then another one with the new; or, where that was put back, the one
/// of before again. They never do by turns. Where the cluster stays the same one, so does its data.
pub(crate) fn judge(answers: &[Answer], before: u64, old: &str, new: &str) -> Result<()> {
    for answer in answers {
        let wanted = if answer.cluster == before { old } else { new };
        ensure!(answer.value == wanted, "cluster {:x} says {} and not {wanted}", answer.cluster, answer.value);
    }
    let (olds, news): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.cluster == before);
    let others: BTreeSet<u64> = news.iter().map(|answer| answer.cluster).collect();
    ensure!(others.len() <= 1, "beside cluster {before:x} there are {others:x?}");
    // The shortest time in which the new one must have served.
    let from = news.iter().map(|answer| answer.answered).min();
    let until = news.iter().map(|answer| answer.asked).max();
    let (Some(from), Some(until)) = (from, until.max(from)) else { return Ok(()) };
    ensure!(
        olds.is_empty() || olds.iter().any(|old| old.asked <= from),
        "the new cluster served at {from:?}, and only later the old one: {olds:?}"
    );
    let beside = olds.iter().find(|old| old.asked > from && old.answered < until);
    ensure!(
        beside.is_none(),
        "they serve by turns: the new cluster from {from:?} to {until:?}, and meanwhile the old one: {beside:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answers: &[(u64, &str)]) -> bool {
        let times = answers.iter().enumerate().map(|(second, answer)| (*answer, second as u64, second as u64));
        judged_at(&times.collect::<Vec<_>>())
    }

    fn judged_at(answers: &[((u64, &str), u64, u64)]) -> bool {
        let answer = |((cluster, value), asked, answered): &((u64, &str), u64, u64)| Answer {
            cluster: *cluster,
            value: (*value).to_owned(),
            asked: Duration::from_secs(*asked),
            answered: Duration::from_secs(*answered),
        };
        judge(&answers.iter().map(answer).collect::<Vec<_>>(), 1, "old", "new").is_ok()
    }

    #[test]
    fn an_answer_that_took_its_time_may_be_an_early_one() {
        assert!(judged_at(&[((1, "old"), 0, 9), ((2, "new"), 5, 6), ((2, "new"), 7, 8)]));
        assert!(judged_at(&[((1, "old"), 0, 1), ((2, "new"), 0, 5), ((1, "old"), 3, 4), ((2, "new"), 6, 7)]));
        assert!(!judged_at(&[((1, "old"), 0, 1), ((2, "new"), 2, 3), ((1, "old"), 4, 5), ((2, "new"), 6, 7)]));
    }

    #[test]
    fn the_old_data_and_the_new_are_served_one_after_the_other() {
        assert!(judged(&[]));
        assert!(judged(&[(1, "old"), (1, "old"), (2, "new")]));
        assert!(judged(&[(1, "old"), (2, "new"), (1, "old")]));
        assert!(!judged(&[(1, "old"), (2, "new"), (1, "old"), (2, "new")]));
        assert!(!judged(&[(1, "new")]));
        assert!(!judged(&[(2, "old")]));
        assert!(!judged(&[(2, "new"), (1, "old")]));
        assert!(!judged(&[(1, "old"), (2, "new"), (3, "new")]));
    }
}
