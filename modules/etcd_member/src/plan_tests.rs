use crate::params::{Desired, State};
use crate::plan::{Step, after, next, predict};
use crate::report::{initial_cluster, outcome};
use ansible_protocol::{ErrorKind, Failure};
use etcd_ops::guard::quorum;
use etcd_ops::view::{ClusterView, Health, MemberView, Status};
use proptest::prelude::*;
use test_case::test_case;

fn member(id: u64, is_learner: bool, health: Health, version: &str) -> MemberView {
    let started = health != Health::Unstarted;
    let status = Status {
        version: version.into(),
        db_size: 0,
        db_size_in_use: 0,
        leader: 1,
        raft_term: 1,
        raft_index: 1,
        raft_applied_index: id,
        errors: vec![],
    };
    MemberView {
        id,
        name: if started { format!("etcd-{id}") } else { String::new() },
        peer_urls: vec![url(id)],
        client_urls: if started { vec![format!("https://10.0.0.{id}:2379")] } else { vec![] },
        is_learner,
        status: health.is_healthy().then_some(status),
        health,
    }
}

fn url(id: u64) -> String {
    format!("https://10.0.0.{id}:2380")
}

fn down() -> Health {
    Health::Unhealthy(ErrorKind::Unreachable, "no answer".into())
}

fn view(members: Vec<MemberView>, leader: usize) -> ClusterView {
    let voters = members.iter().filter(|member| member.is_voter()).count();
    let serving: Vec<u64> = members
        .iter()
        .filter(|member| member.is_voter() && member.health.is_healthy())
        .map(|member| member.id)
        .collect();
    let leader = (serving.len() >= quorum(voters)).then(|| serving[leader % serving.len()]);
    ClusterView { id: 0xc1, members, leader, auth: None, endpoint: "https://10.0.0.1:2379".into() }
}

/// Voters 1 to 3 that serve, led by the first.
fn three() -> ClusterView {
    view((1..=3).map(|id| member(id, false, Health::Healthy, "3.6.16")).collect(), 0)
}

fn desired(state: State, id: u64) -> Desired {
    Desired {
        state,
        name: Some(format!("etcd-{id}")),
        peer_urls: vec![url(id)],
        id: None,
        learner: false,
        cluster_id: None,
        names: vec![],
        force: false,
    }
}

fn clusters() -> impl Strategy<Value = ClusterView> {
    let versions = ["3.4.23", "3.5.29", "3.5.35", "3.6.11", "3.6.16", "3.7.3"];
    let member = (proptest::bool::weighted(0.15), 0u8..10);
    (proptest::collection::vec(member, 1..8), 0..8usize, 0..versions.len()).prop_map(
        move |(members, leader, version)| {
            let health = |state| match state {
                0..=6 => Health::Healthy,
                7 | 8 => down(),
                _ => Health::Unstarted,
            };
            let members = members.into_iter().enumerate().map(|(index, (learner, state))| {
                self::member(index as u64 + 1, index > 0 && learner, health(state), versions[version])
            });
            view(members.collect(), leader)
        },
    )
}

fn wishes() -> impl Strategy<Value = Desired> {
    let states = [State::Announced, State::Present, State::Absent];
    (0..3usize, 1..10u64, any::<bool>(), any::<bool>(), 0..4u8).prop_map(move |(state, id, learner, force, which)| {
        let mut desired = Desired { learner, force, ..desired(states[state], id) };
        match which {
            0 => desired.name = None,
            1 => desired.peer_urls = vec![],
            2 => desired.peer_urls.push(format!("https://192.168.0.{id}:2380")),
            _ => {}
        }
        desired
    })
}

/// Whether the voters that serve can decide.
fn has_quorum(view: &ClusterView) -> bool {
    let voters = view.voters().count();
    view.voters().filter(|member| member.health.is_healthy()).count() >= quorum(voters)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Taking the steps reaches the state, then there is nothing more to do, and at no step is the quorum lost.
    #[test]
    fn steps_reach_the_state_and_keep_the_quorum(before in clusters(), desired in wishes()) {
        let Ok((steps, end)) = predict(&before, &desired) else { return Ok(()) };
        prop_assert!(steps.len() <= 4, "{:?}", steps);
        prop_assert_eq!(next(&end, &desired).unwrap(), Step::Done);
        let mut now = before.clone();
        for step in &steps {
            prop_assert_eq!(next(&now, &desired).unwrap(), *step);
            now = after(now, *step, &desired);
            // Waiting changes nothing; what is done is done by a quorum.
            prop_assert!(step.word().is_none() || has_quorum(&now), "after {:?}", step);
            if let Step::Remove(id) = step {
                prop_assert!(before.members.iter().any(|member| member.id == *id) && now.leader != Some(*id));
            }
        }
        let found = crate::plan::target(&end, &desired).unwrap();
        prop_assert_eq!(found.is_some(), desired.state != State::Absent);
        if let (State::Present, Some(member)) = (desired.state, found) {
            prop_assert!(member.health != Health::Unstarted && (member.is_voter() || desired.learner));
        }
        // Whoever is not meant stays as it was.
        let others = |view: &ClusterView| -> Vec<String> {
            let meant = crate::plan::target(view, &desired).unwrap().map(|member| member.id);
            view.members.iter().filter(|member| Some(member.id) != meant).map(|member| format!("{member:?}")).collect()
        };
        prop_assert_eq!(others(&before), others(&end));
    }

    /// What is refused would be refused again; force never lets less pass.
    #[test]
    fn force_lets_more_pass(before in clusters(), desired in wishes()) {
        let careful = predict(&before, &Desired { force: false, ..desired.clone() });
        let forced = predict(&before, &Desired { force: true, ..desired.clone() });
        if let Ok((steps, _)) = careful {
            prop_assert_eq!(steps, forced.unwrap().0);
        } else if let Ok((_, end)) = forced {
            prop_assert!(desired.state == State::Absent && has_quorum(&end));
        }
    }
}

fn refused(view: &ClusterView, desired: &Desired) -> Failure {
    next(view, desired).unwrap_err()
}

#[test]
fn a_learner_keeps_its_urls_where_a_change_could_promote_it() {
    for (version, allowed) in [("3.4.23", false), ("3.7.0", true)] {
        let members = vec![member(1, false, Health::Healthy, version), member(2, true, Health::Healthy, version)];
        let desired = Desired { id: Some(2), peer_urls: vec![url(9)], ..desired(State::Announced, 2) };
        let step = next(&view(members, 0), &desired).map_err(|failure| failure.kind);
        assert_eq!(step, if allowed { Ok(Step::Update(2)) } else { Err(ErrorKind::VersionGate) });
    }
}

#[test]
fn whoever_is_meant_must_be_certain() {
    let cases: [(Desired, &str); 6] = [
        (
            Desired { peer_urls: vec![url(2)], ..desired(State::Present, 9) },
            "the peer URL https://10.0.0.2:2380 belongs to etcd-2 (2), not to etcd-9: correct name or peer_urls, or remove \
             that member first: bin/etcd-rm 10.0.0.2",
        ),
        (
            Desired { peer_urls: vec![url(9)], ..desired(State::Present, 2) },
            "etcd-2 (2) is at https://10.0.0.2:2380 and not at https://10.0.0.9:2380: give another name, correct peer_urls, \
             or give its id if that is the one meant",
        ),
        (
            Desired { peer_urls: vec![url(3)], ..desired(State::Absent, 2) },
            "etcd-2 could be etcd-2 (2) at https://10.0.0.2:2380 or etcd-3 (3) at https://10.0.0.3:2380: remove those that \
             are not meant, or give id",
        ),
        (
            Desired { id: Some(3), ..desired(State::Absent, 2) },
            "the id 3 is that of etcd-3 (3), not of etcd-2: correct id or name",
        ),
        (
            Desired { id: Some(0xa), ..desired(State::Present, 9) },
            "cluster c1 has no member a: ids are etcd's to give; leave id out",
        ),
        (
            Desired { peer_urls: vec![], ..desired(State::Present, 9) },
            "etcd-9 is not a member yet: give peer_urls, with which it is to join",
        ),
    ];
    for (desired, wanted) in cases {
        assert_eq!(refused(&three(), &desired).msg, wanted);
    }
    // A member that is down may have moved, but is not removed by another one's URL.
    let mut moved = three();
    moved.members[1].health = down();
    let elsewhere = Desired { peer_urls: vec![url(9)], ..desired(State::Present, 2) };
    assert_eq!(next(&moved, &elsewhere).unwrap(), Step::Update(2));
    assert_eq!(refused(&moved, &Desired { state: State::Absent, ..elsewhere }).kind, ErrorKind::Conflict);
}

#[test_case(State::Announced, &[Step::Announce]; "announced")]
#[test_case(State::Present, &[Step::Announce, Step::AwaitStart(0), Step::Promote(0)]; "present")]
#[test_case(State::Withdrawn, &[]; "withdrawn")]
#[test_case(State::Absent, &[]; "absent")]
fn a_stranger(state: State, wanted: &[Step]) {
    assert_eq!(predict(&three(), &desired(state, 4)).unwrap().0, wanted);
}

#[test]
fn only_a_learner_that_never_started_is_withdrawn() {
    let steps = |learner: bool, health: Health| {
        let mut view = three();
        (view.members[1].is_learner, view.members[1].health) = (learner, health);
        predict(&view, &desired(State::Withdrawn, 2)).unwrap().0
    };
    assert_eq!(steps(true, Health::Unstarted), [Step::Remove(2)]);
    for (learner, health) in
        [(true, Health::Healthy), (true, down()), (false, Health::Unstarted), (false, down()), (false, Health::Healthy)]
    {
        assert_eq!(steps(learner, health.clone()), [], "{learner} {health:?}");
    }
}

#[test]
fn an_empty_host_never_takes_the_place_of_a_member_that_had_data() {
    let mut lost = three();
    lost.members[1].health = down();
    let elsewhere = Desired { peer_urls: vec![url(9)], ..desired(State::Announced, 2) };
    let failure = refused(&lost, &elsewhere);
    assert_eq!(failure.kind, ErrorKind::Conflict);
    assert!(failure.msg.contains("etcd_rm_members\": [\"2\"]"), "{failure}");
}

#[test]
fn the_leader_hands_over_before_it_goes() {
    let (steps, end) = predict(&three(), &desired(State::Absent, 1)).unwrap();
    assert_eq!(steps, [Step::MoveLeadership(1), Step::Remove(1)]);
    assert_eq!((end.leader, end.members.len()), (Some(3), 2));
}

#[test]
fn the_list_is_in_order_and_names_everybody() {
    let mut before = three();
    before.members[0].name = "etcd-10".into();
    before.members[1].peer_urls.push("https://192.168.0.2:2380".into());
    before.members.push(member(0xab, false, Health::Unstarted, ""));
    let mut wish = desired(State::Announced, 4);
    let list = |wish: &Desired| initial_cluster(&predict(&before, wish).unwrap().1, wish);
    let start = "etcd-2=https://10.0.0.2:2380,etcd-2=https://192.168.0.2:2380,etcd-3=https://10.0.0.3:2380,etcd-4=https://10.0.0.4:2380";
    assert_eq!(list(&wish), format!("ab=https://10.0.0.171:2380,{start},etcd-10=https://10.0.0.1:2380"));
    wish.names = vec![("https://10.0.0.171:2380/".into(), "etcd-11".into())];
    assert_eq!(list(&wish), format!("{start},etcd-10=https://10.0.0.1:2380,etcd-11=https://10.0.0.171:2380"));
    // Two of one name would be one member to etcd.
    wish.names = vec![(url(0xab), "etcd-4".into())];
    assert_eq!(list(&wish), format!("ab=https://10.0.0.171:2380,{start},etcd-10=https://10.0.0.1:2380"));
}

#[test]
fn the_difference_is_the_list() {
    let wish = desired(State::Present, 4);
    let (_, end) = predict(&three(), &wish).unwrap();
    let outcome = outcome(&three(), &end, &wish, &["announced", "promoted"]);
    let diff = &outcome.diff[0];
    assert_eq!(diff.after, format!("{}etcd-4 https://10.0.0.4:2380 voter\n", diff.before));
    assert_eq!(outcome.values["member"]["id"], serde_json::Value::Null);
    assert!(outcome.changed && outcome.warnings.is_empty());
    let voter = Desired { learner: true, ..desired(State::Present, 3) };
    assert_eq!(
        crate::report::outcome(&three(), &three(), &voter, &[]).warnings,
        ["etcd-3 (3) votes already and goes on voting: etcd has no way back to a learner"]
    );
}

#[test]
fn a_learner_that_is_behind_says_how_far() {
    let mut members = three().members;
    members.push(member(4, true, Health::Healthy, "3.6.16"));
    let index = |member: &mut MemberView, index| member.status.as_mut().unwrap().raft_index = index;
    index(&mut members[0], 4500);
    index(&mut members[3], 12);
    let failure = crate::apply::behind(&view(members, 0), 4, 55);
    assert_eq!(failure.kind, ErrorKind::Timeout);
    assert_eq!(
        failure.msg,
        "learner etcd-4 (4) is not in sync with its leader after 55 s: it has log entry 12 of 4500; it stays a learner and \
         goes on catching up; run it again, with a longer timeout"
    );
}
