use crate::scene::{Data, Log, Member, Scene, keys, texts};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

fn log() -> impl Strategy<Value = Log> {
    let position = || proptest::option::of(1u64..4);
    (1u64..3, 1u64..5, position(), position())
}

/// Members of which so many run.
fn members() -> impl Strategy<Value = Vec<Member>> {
    select(vec![0.1, 0.8, 0.95]).prop_flat_map(|run| proptest::collection::vec(member(run), 1..6))
}

fn member(run: f64) -> impl Strategy<Value = Member> {
    let data = select(vec![Data::Whole, Data::Whole, Data::Whole, Data::Whole, Data::Gone, Data::Unreadable]);
    let data = (proptest::bool::weighted(run), data)
        .prop_map(|(runs, data)| if runs { (true, Data::Whole) } else { (false, data) });
    let flags = (
        proptest::bool::weighted(0.95),
        proptest::bool::weighted(0.95),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.9),
        proptest::bool::weighted(0.03),
    );
    let rare = (
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.03),
        proptest::option::weighted(0.01, select(vec!["restoring", "returning"])),
        proptest::option::weighted(0.03, select(vec!["auth", "tls"])),
        proptest::bool::weighted(0.1),
        select(vec!["c1", "c1", "c1", "c1", "c1", "c1", "c1", "ff"]),
        proptest::bool::weighted(0.1),
    );
    let tried = proptest::option::weighted(0.8, proptest::bool::weighted(0.3));
    let hash = proptest::bool::weighted(0.2).prop_map(u32::from);
    let revision = select(vec![Some(8), Some(9), Some(9), Some(9), Some(9)]);
    (data, log(), flags, rare, tried, hash, revision).prop_map(
        |((runs, data), log, flags, rare, tried, hash, revision)| {
            let (reachable, listed, learner, enabled, certificate, failed) = flags;
            let reachable = reachable && !failed;
            let (left_wal, unmounted, restoring, shut_out, cut_off, of, alone) = rare;
            Member {
                // Who runs is in the list, and has its data.
                runs: runs && listed && of == "c1" && !unmounted,
                reachable,
                failed: failed.then_some("x"),
                data,
                log,
                of,
                holds: None,
                listed,
                learner,
                enabled,
                certificate,
                left_wal: left_wal && data == Data::Gone,
                unmounted,
                // Whoever runs again serves, and is in no doubt.
                alone: alone && !runs,
                restoring,
                tried,
                hash,
                revision,
                shut_out,
                cut_off,
            }
        },
    )
}

/// How new a member's data is.
fn newness(member: &Member) -> (Option<u64>, u64, u64) {
    let (term, index, commit, applied) = member.log;
    (commit.max(applied), term, index)
}

/// A plan, by the numbers of the hosts.
struct Plan {
    stop: Vec<usize>,
    aside: Vec<usize>,
    alone: Vec<usize>,
    join: Vec<usize>,
    start: Vec<usize>,
    leaving: usize,
    restores: bool,
}

impl Plan {
    fn read(plan: &Value) -> Self {
        let at = |host: &String| host.rsplit('.').next().unwrap().parse::<usize>().unwrap() - 1;
        let all = |hosts: Vec<String>| hosts.iter().map(at).collect();
        Self {
            stop: all(keys(&plan["stop"])),
            aside: all(keys(&plan["aside"])),
            alone: all(texts(&plan["alone"])),
            join: all(texts(&plan["join"])),
            start: all(texts(&plan["start"])),
            leaving: plan["leaving"].as_array().unwrap().len(),
            restores: plan["restore"] != "",
        }
    }

    fn touched(&self) -> impl Iterator<Item = &usize> {
        self.stop.iter().chain(&self.aside).chain(&self.alone).chain(&self.join).chain(&self.start)
    }

    fn acts(&self) -> bool {
        self.touched().next().is_some()
    }
}

/// Nobody is touched that cannot be reached, no data moves that may be in use, and no disk is taken for empty that is missing.
fn is_careful(scene: &Scene, plan: &Plan) -> Result<(), TestCaseError> {
    let members = &scene.members;
    for index in plan.touched() {
        prop_assert!(members[*index].reachable && !members[*index].unmounted);
    }
    prop_assert!(plan.aside.iter().all(|index| plan.stop.contains(index)));
    // Those who may only have to be started are, before anything else is done.
    prop_assert!(plan.start.is_empty() || plan.stop.is_empty() && plan.alone.is_empty() && plan.join.is_empty());
    // What may be a lone member's data is not started beside the others.
    prop_assert!(!plan.start.iter().any(|index| members[*index].alone && members[*index].data == Data::Whole));
    // A restore is gone on with by nobody else.
    let fenced = members.iter().any(|member| member.reachable && member.restoring.is_some());
    prop_assert!(!(fenced && plan.acts()));
    Ok(())
}

/// A quorum keeps its majority, and what it holds.
fn keeps_the_quorum(scene: &Scene, plan: &Plan) -> Result<(), TestCaseError> {
    let members = &scene.members;
    prop_assert!(plan.alone.is_empty() && !plan.restores);
    prop_assert!(plan.aside.iter().all(|index| members[*index].data != Data::Whole || members[*index].of == "c1"));
    let voters = members.iter().filter(|member| member.listed && !member.learner).count();
    let serving = |index: &usize| members[*index].runs && !members[*index].learner;
    let stay = (0..members.len()).filter(|index| serving(index) && !plan.stop.contains(index)).count();
    prop_assert!(plan.stop.is_empty() || stay > voters.saturating_sub(plan.leaving) / 2);
    // Whoever serves and goes differs from a majority, and one goes at a time.
    let alarmed = scene.alarm.is_some_and(|(kind, _)| kind == "CORRUPT");
    let held = |member: &Member| (member.hash, member.revision.filter(|_| alarmed));
    let like = |member: &Member| {
        let others = members.iter().filter(|other| other.runs && !other.learner && held(other) == held(member));
        others.count() > voters / 2
    };
    let odd = plan.stop.iter().filter(|index| members[**index].runs);
    prop_assert!(
        odd.clone().all(|index| !like(&members[*index]) && members.iter().any(|other| other.runs && like(other)))
    );
    prop_assert!(odd.count() < 2);
    // Whoever is made anew is made from what the majority holds.
    if !plan.join.is_empty() {
        prop_assert!(scene.compares || stay < 2);
        let leader = (0..members.len()).find(serving);
        let asked = |index: &usize| members[*index].shut_out.is_none() || Some(*index) == leader;
        let sources = (0..members.len()).filter(|index| serving(index) && asked(index) && !plan.stop.contains(index));
        prop_assert!(sources.clone().count() < 2 && !alarmed || sources.clone().all(|index| like(&members[index])));
    }
    Ok(())
}

/// Without a quorum only the newest data goes on, and only where the user named it and nobody can come back unasked.
fn goes_on_with_the_newest(scene: &Scene, plan: &Plan, from: Option<usize>, force: &str) -> Result<(), TestCaseError> {
    let members = &scene.members;
    let Some(index) = plan.alone.first() else { return Ok(()) };
    let own = &members[*index];
    prop_assert_eq!(Some(*index), from);
    prop_assert!(own.data == Data::Whole && own.tried != Some(true) && !plan.aside.contains(index));
    prop_assert!(members.iter().all(|member| member.failed.is_none()));
    prop_assert!(force == "unreachable" || members.iter().all(|member| member.reachable));
    prop_assert!(!members.iter().any(|member| member.reachable && member.unmounted));
    for member in
        members.iter().filter(|member| member.reachable && (member.data == Data::Unreadable || member.of == own.of))
    {
        let damaged = member.data == Data::Unreadable || member.tried == Some(true);
        let counts = member.data != Data::Gone && !(damaged && ["damaged", "replace"].contains(&force));
        let newer = member.data == Data::Unreadable || !member.alone && newness(member) > newness(own);
        prop_assert!(!(counts && newer));
        let tried = member.runs || member.tried.is_some() || own.alone || member.alone;
        prop_assert!(member.data != Data::Whole || damaged || tried);
    }
    // What is another cluster's stays where it is.
    prop_assert!(plan.aside.iter().all(|other| members[*other].data != Data::Whole || members[*other].of == own.of));
    // Nobody who runs is overridden: not a quorum, and not one that is only out of reach.
    let running = || members.iter().filter(|member| member.runs);
    prop_assert!(!scene.has_quorum() || running().all(|member| !member.reachable));
    let told = running().any(|member| member.reachable && !member.cut_off);
    prop_assert!(!told || running().all(|member| member.reachable));
    prop_assert!(running().all(|member| member.shut_out.is_none() || !member.reachable && !told));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever has happened.
    #[test]
    fn nothing_is_thrown_away(
        members in members(),
        from in proptest::option::of(0usize..6),
        force in select(vec!["", "", "unreachable", "replace", "remove", "damaged"]),
        alarm in proptest::option::of((select(vec!["CORRUPT", "NOSPACE"]), 0usize..6)),
        compares in proptest::bool::weighted(0.9),
        snapshot in proptest::bool::weighted(0.2),
    ) {
        let mut scene = Scene::new(&members).set("etcd_force", force);
        scene.alarm = alarm.filter(|(_, of)| *of <= members.len());
        scene.compares = compares;
        let from = from.filter(|index| *index < members.len());
        if let Some(index) = from {
            let host = scene.host(index);
            scene = scene.ask("from", host);
        } else if snapshot {
            scene = scene.ask("snapshot", "/x.db");
        }
        let Ok(judged) = scene.judge() else { return Ok(()) };
        let plan = Plan::read(&judged);
        is_careful(&scene, &plan)?;
        if scene.has_quorum() && members.iter().any(|member| member.reachable && member.shut_out.is_none()) {
            keeps_the_quorum(&scene, &plan)?;
        }
        goes_on_with_the_newest(&scene, &plan, from, force)?;
    }
}
