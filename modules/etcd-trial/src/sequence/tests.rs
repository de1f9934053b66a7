//! What the world says of itself, and sequences of any seed in any world.

use super::generate::sequence;
use super::step::{Hosts, Run, Step};
use super::world::{Disk, Expected, HOSTS, Refusal, World};
use proptest::prelude::*;

fn hosts(numbers: &[u8]) -> Hosts {
    numbers.iter().copied().collect()
}

fn starts() -> impl Strategy<Value = World> {
    (proptest::sample::subsequence((1..=HOSTS).collect::<Vec<_>>(), 1..=usize::from(HOSTS)), any::<bool>())
        .prop_map(|(members, wants_all)| World::new(&hosts(&members), wants_all))
}

/// The worlds before each step, and the one after the last.
fn worlds(start: &World, steps: &[Step]) -> Vec<World> {
    let mut worlds = vec![start.clone()];
    for step in steps {
        worlds.push(worlds[worlds.len() - 1].after(step));
    }
    worlds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_seed_repeats_its_sequence(seed: u64, start in starts()) {
        prop_assert_eq!(sequence(seed, &start), sequence(seed, &start));
    }

    /// However it goes, the cluster can always be brought back, and at the end it is.
    #[test]
    fn a_sequence_ends_as_the_next_one_begins(seed: u64, start in starts()) {
        let steps = sequence(seed, &start);
        let worlds = worlds(&start, &steps);
        for (step, world) in steps.iter().zip(&worlds) {
            prop_assert!(world.can_recover(), "before {step}: {world:?}");
        }
        let end = worlds.last().unwrap();
        prop_assert!(end.is_settled() && end.has_quorum(), "{end:?}");
        prop_assert_eq!(end.expect(&Run::Refresh), Expected::Done);
        prop_assert_eq!(steps.last(), Some(&Step::Run(Run::Refresh, None)));
    }

    /// No run that is accepted takes the quorum away, and none that is refused changes the cluster.
    #[test]
    fn runs_keep_the_quorum(seed: u64, start in starts()) {
        let steps = sequence(seed, &start);
        let worlds = worlds(&start, &steps);
        for (step, pair) in steps.iter().zip(worlds.windows(2)) {
            let Step::Run(run, killed) = step else { continue };
            let seats = |world: &World| (1..=HOSTS).map(|host| (world.host(host).seat, world.host(host).disk)).collect::<Vec<_>>();
            match pair[0].expect(run) {
                Expected::Done => {
                    let refreshes = *run == Run::Refresh;
                    prop_assert!(refreshes || pair[0].has_quorum(), "{step}: {:?}", pair[0]);
                    prop_assert!(pair[1].has_quorum(), "{step}: {:?}", pair[1]);
                }
                Expected::Refused(_) => {
                    prop_assert_eq!(seats(&pair[0]), seats(&pair[1]));
                    prop_assert_eq!(*killed, None);
                }
            }
        }
    }

    /// Nothing happens to a host to which it has happened already, and a removal never names all of the inventory.
    #[test]
    fn every_step_makes_sense(seed: u64, start in starts()) {
        let steps = sequence(seed, &start);
        prop_assert!((3..=12).contains(&steps.len()), "{}", steps.len());
        for (step, world) in steps.iter().zip(worlds(&start, &steps)) {
            let sensible = match step {
                Step::Wipe(host) | Step::Anew(host) => world.host(*host).serves(),
                Step::PowerCut(host) | Step::Cut(host) => world.host(*host).is_reachable(),
                Step::PowerOn(hosts) => hosts.iter().all(|host| !world.host(*host).powered),
                Step::Mend(hosts) => hosts.iter().all(|host| world.host(*host).powered && !world.host(*host).plugged),
                Step::Run(Run::Remove(going), _) => {
                    let listed = world.hosts(|host| host.listed);
                    !going.is_empty() && going.is_subset(&listed) && *going != listed
                }
                Step::Run(Run::Add(joining), _) => {
                    let idle = |host: &u8| world.host(*host).seat.is_some() && world.host(*host).disk == Disk::Data;
                    !joining.is_empty() && joining.iter().all(|host| !idle(host) || world.learners().contains(host))
                }
                Step::Run(Run::Learn(host), _) => world.host(*host).seat.is_none(),
                Step::Run(Run::Refresh, _) => world.hosts(|host| !host.is_reachable()).is_empty(),
            };
            prop_assert!(sensible, "{step}: {world:?}");
        }
    }
}

/// What is never tried is not proved: over some seeds, each thing happens, and each refusal.
#[test]
fn everything_happens() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let members: Hosts = (1..=1 + u8::try_from(seed % 5).unwrap()).collect();
        let start = World::new(&members, false);
        let steps = sequence(seed, &start);
        for (step, world) in steps.iter().zip(worlds(&start, &steps)) {
            let kind = match step {
                Step::Run(run, killed) => {
                    let kind = match run {
                        Run::Add(hosts) if hosts.len() > 1 => "add several",
                        Run::Add(hosts) if hosts.is_subset(&world.learners()) => "promote",
                        Run::Add(hosts) if hosts.iter().all(|host| world.host(*host).disk == Disk::Data) => "add again",
                        Run::Add(_) => "add",
                        Run::Learn(_) => "learn",
                        Run::Remove(hosts) if hosts.len() > 1 => "remove several",
                        Run::Remove(hosts) if hosts.iter().all(|host| !world.host(*host).is_reachable()) => {
                            "remove dead"
                        }
                        Run::Remove(hosts) if hosts.iter().all(|host| world.host(*host).is_lost()) => "remove lost",
                        Run::Remove(_) => "remove",
                        Run::Refresh => "refresh",
                    };
                    let refusal = match world.expect(run) {
                        Expected::Done if killed.is_some() => "killed",
                        Expected::Done => "done",
                        Expected::Refused(refusal) => refusal.name(),
                    };
                    seen.insert(refusal.to_owned());
                    kind
                }
                Step::Wipe(_) => "wipe",
                Step::Anew(_) => "anew",
                Step::PowerCut(_) => "power-cut",
                Step::PowerOn(_) => "power-on",
                Step::Cut(_) => "cut",
                Step::Mend(_) => "mend",
            };
            seen.insert(kind.to_owned());
        }
    }
    let wanted = [
        "add",
        "add again",
        "add several",
        "promote",
        "learn",
        "remove",
        "remove several",
        "remove dead",
        "remove lost",
        "refresh",
        "wipe",
        "anew",
        "power-cut",
        "power-on",
        "cut",
        "mend",
        "done",
        "killed",
        "unreachable",
        "no quorum",
        "only voter",
        "below quorum",
        "no reserve",
        "data lost",
        "second learner",
        "voter down",
        "inventory differs",
    ];
    let missing: Vec<&str> = wanted.into_iter().filter(|kind| !seen.contains(*kind)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn etcd_before_3_5_30_wants_all_voters_before_there_is_one_more() {
    let three = hosts(&[1, 2, 3, 4]);
    let down = Step::Cut(4);
    let add = Run::Add(hosts(&[5]));
    assert_eq!(World::new(&three, true).after(&down).expect(&add), Expected::Refused(Refusal::VoterDown));
    assert_eq!(World::new(&three, false).after(&down).expect(&add), Expected::Done);
}

#[test]
fn a_host_that_was_down_when_it_left_stays_in_the_inventory_until_it_is_cleaned_up() {
    let removed = World::new(&hosts(&[1, 2, 3]), false).after(&Step::PowerCut(3));
    let remove = Step::Run(Run::Remove(hosts(&[3])), None);
    let removed = removed.after(&remove).after(&Step::PowerOn(hosts(&[3])));
    let differs = Refusal::Differs { fresh: Hosts::new(), stale: hosts(&[3]), lost: Hosts::new() };
    assert_eq!(removed.expect(&Run::Refresh), Expected::Refused(differs));
    assert!(removed.after(&remove).is_settled());
}
