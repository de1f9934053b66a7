//! Whose turn it is to take the snapshot. Pure: what a member sees, and how long it has waited, make one step.

use std::time::Duration;

/// What this member is in its cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Me {
    /// It leads.
    pub(crate) leads: bool,
    /// It votes and serves. One that does not never takes the snapshot.
    pub(crate) able: bool,
}

/// What the cluster's keys say. Times are seconds since 1970, by the clock of whoever wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When the last backup was finished.
    pub(crate) last: Option<i64>,
    /// When somebody could not take it.
    pub(crate) failed: Option<i64>,
    /// Somebody takes it now.
    pub(crate) claimed: bool,
    /// The cluster refuses writes for want of space, so it can neither be claimed nor recorded.
    pub(crate) no_space: bool,
}

/// How patient the members are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Runs that begin so soon after a backup are for the same one.
    pub(crate) window: Duration,
    /// How long the leader has to claim; and whoever claims has to show signs of life.
    pub(crate) grace: Duration,
    /// How long one member may take, with its copies. It ends by itself then.
    pub(crate) timeout: Duration,
}

/// How long this run has waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited {
    /// When it began, in seconds since 1970.
    pub(crate) begun: i64,
    /// The time now, likewise.
    pub(crate) now: i64,
    /// Since it began.
    pub(crate) since_begin: Duration,
    /// Since there was no claim that counts; 0 while there is one.
    pub(crate) unclaimed: Duration,
    /// Since the claim that there is was first seen.
    pub(crate) claimed: Duration,
    /// There was a claim in this run, and it is over.
    pub(crate) released: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It has been taken.
    Done,
    /// Claim it, and take it.
    Take,
    /// Take it without a claim, as every member does then.
    TakeUnclaimed,
    /// Look again.
    Wait,
    /// Whoever claimed it is too slow, and this member cannot take it.
    Slow,
    /// Nobody takes it.
    Nobody,
}

/// The next step.
pub(crate) fn decide(me: Me, seen: Seen, waited: Waited, patience: Patience) -> Step {
    // A time far in the future is that of a clock that was wrong.
    let window = i64::try_from(patience.window.as_secs()).unwrap_or(i64::MAX);
    let of_this_run = |at: Option<i64>| {
        at.is_some_and(|at| at > waited.begun.saturating_sub(window) && at <= waited.now.saturating_add(window))
    };
    if of_this_run(seen.last) {
        Step::Done
    } else if seen.no_space && me.able {
        Step::TakeUnclaimed
    } else if seen.claimed {
        // Whoever is alive has given up by then, so nobody stands behind a claim that is older.
        let over = patience.timeout + patience.grace * 2;
        match waited.claimed {
            claimed if me.able && claimed > over => Step::Take,
            claimed if claimed > over + patience.grace * 3 => Step::Slow,
            _ => Step::Wait,
        }
    } else if !me.able {
        if waited.unclaimed > patience.grace * 3 { Step::Nobody } else { Step::Wait }
    } else if me.leads || waited.released || of_this_run(seen.failed) || waited.since_begin >= patience.grace {
        Step::Take
    } else {
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    const NOW: i64 = 1_800_000_000;
    const PATIENCE: Patience = Patience {
        window: Duration::from_secs(300),
        grace: Duration::from_secs(30),
        timeout: Duration::from_secs(600),
    };

    fn waited(seconds: u64) -> Waited {
        let since_begin = Duration::from_secs(seconds);
        let now = NOW + i64::try_from(seconds).unwrap();
        Waited { begun: NOW, now, since_begin, unclaimed: since_begin, claimed: Duration::ZERO, released: false }
    }

    #[test_case(-299, true; "just before this run")]
    #[test_case(-300, false; "that was another run")]
    #[test_case(5, true; "while this one waited")]
    #[test_case(310, true; "by a clock that is ahead")]
    #[test_case(311, false; "by a clock that is wrong")]
    fn a_backup_counts_for_runs_that_begin_within_the_window(at: i64, done: bool) {
        for leads in [true, false] {
            let seen = Seen { last: Some(NOW + at), ..Seen::default() };
            let step = decide(Me { leads, able: true }, seen, waited(10), PATIENCE);
            let otherwise = if leads { Step::Take } else { Step::Wait };
            assert_eq!(step, if done { Step::Done } else { otherwise });
        }
    }

    #[test_case(true, true, Step::TakeUnclaimed; "leader")]
    #[test_case(false, true, Step::TakeUnclaimed; "follower")]
    #[test_case(false, false, Step::Wait; "learner")]
    fn without_space_everybody_takes_one(leads: bool, able: bool, wanted: Step) {
        for claimed in [true, false] {
            let seen = Seen { no_space: true, claimed, ..Seen::default() };
            assert_eq!(decide(Me { leads, able }, seen, waited(10), PATIENCE), wanted);
        }
    }

    #[test]
    fn whoever_waits_comes_to_an_end() {
        let follower = Me { leads: false, able: true };
        assert_eq!(decide(follower, Seen::default(), waited(29), PATIENCE), Step::Wait);
        assert_eq!(decide(follower, Seen::default(), waited(30), PATIENCE), Step::Take);
        let learner = Me { leads: false, able: false };
        assert_eq!(decide(learner, Seen::default(), waited(90), PATIENCE), Step::Wait);
        assert_eq!(decide(learner, Seen::default(), waited(91), PATIENCE), Step::Nobody);
        let seen = Seen { claimed: true, ..Seen::default() };
        let claimed = |seconds| Waited { claimed: Duration::from_secs(seconds), ..waited(900) };
        for (me, seconds, end) in [(follower, 660, Step::Take), (learner, 750, Step::Slow)] {
            assert_eq!(decide(me, seen, claimed(seconds), PATIENCE), Step::Wait);
            assert_eq!(decide(me, seen, claimed(seconds + 1), PATIENCE), end);
        }
    }

    /// What happens to a member that takes the snapshot.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        /// It takes so many seconds.
        Takes(u64),
        /// It cannot, and says so after so many seconds.
        Fails(u64),
        /// It is killed after so many seconds, and its claim ends when the lease does.
        Dies(u64),
        /// It never comes to an end, and neither does its claim.
        Hangs,
    }

    #[derive(Clone, Debug)]
    struct Actor {
        starts: u64,
        able: bool,
        fate: Fate,
        skew: i64,
        /// Whose claim there is, and when it first saw that; since when there is none; whether one is over.
        first: Option<(usize, u64)>,
        unclaimed_since: Option<u64>,
        released: bool,
        taking_since: Option<u64>,
        end: Option<Step>,
    }

    prop_compose! {
        fn actors()(
            all in prop::collection::vec((0..20_u64, prop::bool::weighted(0.8), 0..4_u8, 1..200_u64, -20..20_i64), 1..6)
        ) -> Vec<Actor> {
            all.into_iter().map(|(starts, able, fate, seconds, skew)| Actor {
                starts, able, skew,
                fate: [Fate::Takes(seconds), Fate::Fails(seconds), Fate::Dies(seconds), Fate::Hangs][usize::from(fate)],
                first: None, unclaimed_since: None, released: false, taking_since: None, end: None,
            }).collect()
        }
    }

    proptest! {
        /// Members whose clocks differ a little, some of which fail, die or hang: they all come to an end, exactly one takes
        /// the snapshot if anybody is able to, nobody who is not able does, and all others know.
        #[test]
        fn one_takes_it(mut actors in actors(), leader: prop::sample::Index) {
            let leader = leader.index(actors.len());
            let (mut last, mut failed, mut claim): (Option<i64>, Option<i64>, Option<(usize, u64)>) = (None, None, None);
            let mut taken = 0;
            for second in 0..5_000_u64 {
                claim = claim.filter(|(_, until)| *until > second);
                for (index, actor) in actors.iter_mut().enumerate() {
                    if actor.end.is_some() || second < actor.starts {
                        continue;
                    }
                    let clock = NOW + actor.skew + i64::try_from(second).unwrap();
                    if let Some(since) = actor.taking_since {
                        let (seconds, lives) = match actor.fate {
                            Fate::Takes(seconds) | Fate::Fails(seconds) => (seconds, true),
                            Fate::Dies(seconds) => (seconds, second - since < seconds),
                            Fate::Hangs => continue,
                        };
                        if lives {
                            claim = Some((index, second + 30));
                        }
                        if second - since >= seconds {
                            actor.end = Some(Step::Take);
                            match actor.fate {
                                Fate::Takes(_) => { taken += 1; last = Some(clock); claim = None; }
                                Fate::Fails(_) => { failed = Some(clock); claim = None; }
                                Fate::Dies(_) | Fate::Hangs => {}
                            }
                        }
                        continue;
                    }
                    let claimed = claim.is_some();
                    let (known, owner) = (actor.first.map(|(owner, _)| owner), claim.map(|(owner, _)| owner));
                    if known != owner {
                        actor.released |= known.is_some();
                        actor.first = owner.map(|owner| (owner, second));
                    }
                    if claimed {
                        actor.unclaimed_since = None;
                    } else {
                        actor.unclaimed_since.get_or_insert(second);
                    }
                    let since = |at: Option<u64>| Duration::from_secs(at.map_or(0, |at| second - at));
                    let waited = Waited {
                        begun: NOW + actor.skew + i64::try_from(actor.starts).unwrap(),
                        now: clock,
                        since_begin: Duration::from_secs(second - actor.starts),
                        unclaimed: since(actor.unclaimed_since),
                        claimed: since(actor.first.map(|(_, at)| at)),
                        released: actor.released,
                    };
                    let me = Me { leads: index == leader, able: actor.able };
                    match decide(me, Seen { last, failed, claimed, no_space: false }, waited, PATIENCE) {
                        Step::Wait => {}
                        Step::Take => {
                            prop_assert!(actor.able && (claim.is_none() || waited.claimed > PATIENCE.timeout));
                            let until = if matches!(actor.fate, Fate::Hangs) { u64::MAX } else { second + 30 };
                            claim = Some((index, until));
                            actor.taking_since = Some(second);
                        }
                        end => actor.end = Some(end),
                    }
                }
            }
            let hangs = |actor: &Actor| matches!(actor.fate, Fate::Hangs) && actor.taking_since.is_some();
            prop_assert!(actors.iter().all(|actor| actor.end.is_some() || hangs(actor)), "{actors:?}");
            let could = actors.iter().any(|actor| actor.able && matches!(actor.fate, Fate::Takes(_)));
            prop_assert_eq!(taken, usize::from(could), "{:?}", actors);
            let hung = actors.iter().any(hangs);
            for actor in &actors {
                let tried = actor.taking_since.is_some();
                let ended = match actor.end {
                    Some(Step::Done) => could,
                    Some(Step::Nobody) => !could,
                    Some(Step::Slow) => !could && hung,
                    _ => tried,
                };
                prop_assert!(ended, "{actor:?}");
            }
        }
    }
}
