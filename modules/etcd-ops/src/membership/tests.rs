use super::model::Etcd;
use super::*;
use proptest::prelude::*;
use serde_json::json;
use test_case::test_case;

fn seat(id: u64, voter: bool, standing: Standing) -> Seat {
    let name = if standing == Standing::Unstarted { String::new() } else { format!("etcd-{id}") };
    Seat {
        id,
        label: format!("etcd-{id} ({id:x})"),
        name,
        peer_urls: vec![format!("https://10.0.0.{id}:2380")],
        client_urls: vec![format!("https://10.0.0.{id}:2379")],
        voter,
        standing,
    }
}

fn roster(members: &[(bool, u8)], leader: usize, version: Option<&str>) -> Roster {
    let standing = |state| match state {
        0..=5 => Standing::Serving,
        6 | 7 => Standing::Down("no answer".into()),
        _ => Standing::Unstarted,
    };
    let seats: Vec<Seat> = members
        .iter()
        .enumerate()
        // The first one votes: no cluster is without a voter.
        .map(|(index, (learner, state))| seat(index as u64 + 1, index == 0 || !learner, standing(*state)))
        .collect();
    let mut roster = Roster { seats, leader: None, version: version.map(|text| text.parse().unwrap()) };
    let serving: Vec<u64> = roster.serving().map(|seat| seat.id).collect();
    if serving.len() >= roster.quorum() {
        roster.leader = Some(serving[leader % serving.len()]);
    }
    roster
}

const VERSIONS: [Option<&str>; 9] = [
    None,
    Some("3.4.23"),
    Some("3.5.29"),
    Some("3.5.30"),
    Some("3.5.31"),
    Some("3.6.0"),
    Some("3.6.10"),
    Some("3.6.11"),
    Some("3.7.0"),
];

/// Clusters of one to nine members; most of the members vote and serve.
fn clusters() -> impl Strategy<Value = Roster> {
    let member = (proptest::bool::weighted(0.15), 0u8..10);
    (proptest::collection::vec(member, 1..10), 0..9usize, 0..VERSIONS.len())
        .prop_map(|(members, leader, version)| roster(&members, leader, VERSIONS[version]))
}

/// All orders of a few things.
fn permutations(ids: &[u64]) -> Vec<Vec<u64>> {
    if ids.is_empty() {
        return vec![vec![]];
    }
    let with = |index: usize| {
        let rest: Vec<u64> = ids.iter().copied().filter(|id| *id != ids[index]).collect();
        permutations(&rest).into_iter().map(move |mut order| {
            order.insert(0, ids[index]);
            order
        })
    };
    (0..ids.len()).flat_map(with).collect()
}

fn possible(mut etcd: Etcd, order: &[u64]) -> bool {
    order.iter().all(|id| etcd.remove(*id).is_ok() && etcd.has_quorum())
}

/// Whether a voter that is not among these does not serve.
fn another_is_down(roster: &Roster, going: &[u64]) -> bool {
    roster.voters().any(|seat| !seat.serves() && !going.contains(&seat.id))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// What is let pass, etcd lets pass, and the cluster goes on; what is refused, etcd refuses, or it would stop.
    #[test]
    fn adding(roster in clusters(), learner: bool) {
        let mut etcd = Etcd::of(&roster);
        let done = etcd.add(learner);
        match roster.add(learner) {
            Ok(()) => prop_assert!(done.is_ok() && etcd.has_quorum(), "{:?}", done),
            Err(failure) => {
                prop_assert!(done.is_err() || !etcd.has_quorum(), "{}", failure);
                let second = learner && roster.seats.iter().any(|seat| !seat.voter);
                prop_assert_eq!(failure.kind == ErrorKind::Conflict, second && roster.leader.is_some());
            }
        }
    }

    #[test]
    fn promoting(roster in clusters(), id in 1..10u64) {
        let mut etcd = Etcd::of(&roster);
        let done = etcd.promote(id);
        match roster.promote(id) {
            Ok(()) => prop_assert!(done.is_ok() && etcd.has_quorum(), "{:?}", done),
            Err(failure) => prop_assert!(done.is_err() || !etcd.has_quorum(), "{}", failure),
        }
    }

    #[test]
    fn removing(roster in clusters(), id in 1..10u64) {
        let mut etcd = Etcd::of(&roster);
        let votes = roster.seat(id).is_some_and(|seat| seat.voter);
        let done = etcd.remove(id);
        // By force everything that etcd allows and survives, and nothing else.
        prop_assert_eq!(roster.remove_forced(id).is_ok(), done.is_ok() && etcd.has_quorum(), "{:?}", done);
        let spared = !votes || !another_is_down(&roster, &[id]);
        let verdict = roster.remove(id);
        prop_assert_eq!(verdict.is_ok(), done.is_ok() && etcd.has_quorum() && spared, "{:?}", verdict);
        if let Err(failure) = verdict {
            let overridable = failure.msg.contains("-e etcd_force=remove");
            prop_assert_eq!(overridable, roster.remove_forced(id).is_ok(), "{}", failure);
        }
    }

    /// An order that is accepted keeps the quorum at every step; one is refused only where there is no other order.
    #[test]
    fn several_go_in_order(roster in clusters(), picks in proptest::collection::vec(1..10u64, 0..5)) {
        let mut going: Vec<u64> = picks.iter().copied().filter(|id| roster.seat(*id).is_some()).collect();
        going.sort_unstable();
        going.dedup();
        let voters = going.iter().filter_map(|id| roster.seat(*id)).any(|seat| seat.voter);
        match roster.removal_order(&going, false) {
            Ok(order) => {
                let mut all = order.clone();
                all.sort_unstable();
                prop_assert_eq!(all, going);
                prop_assert!(possible(Etcd::of(&roster), &order), "{:?}", order);
                let led = order.iter().position(|id| roster.leader == Some(*id));
                prop_assert!(led.is_none_or(|place| place + 1 == order.len()), "the leader goes last: {:?}", order);
            }
            Err(failure) => {
                let spared = !voters || !another_is_down(&roster, &going);
                let another_way = permutations(&going).iter().any(|order| possible(Etcd::of(&roster), order));
                prop_assert!(!(spared && another_way), "{}", failure);
            }
        }
        if picks.iter().any(|id| roster.seat(*id).is_none()) {
            prop_assert!(roster.removal_order(&picks, false).is_err());
        }
    }

    /// The JSON of a view says the same as the view.
    #[test]
    fn the_json_agrees_with_the_view(roster in clusters(), versions in proptest::collection::vec(0..VERSIONS.len(), 9)) {
        let view = view(&roster, &versions);
        let direct = Roster::from(&view);
        prop_assert_eq!(&Roster::from_value(&view.to_value()).unwrap(), &direct);
        prop_assert_eq!(direct.seats.len(), roster.seats.len());
        let known = view.members.iter().filter_map(|member| member.status.as_ref());
        prop_assert_eq!(direct.version, known.map(|status| status.version.parse().unwrap()).min());
    }

    /// A member is found by each of its own identities and by nobody else's.
    #[test]
    fn everyone_is_found_by_what_is_its_own(roster in clusters()) {
        for seat in &roster.seats {
            for identity in [hex(seat.id), seat.peer_urls[0].clone(), format!("10.0.0.{}", seat.id)] {
                prop_assert_eq!(roster.find(&identity).unwrap().map(|found| found.id), Some(seat.id), "{}", identity);
            }
            let wanted = (!seat.name.is_empty()).then_some(seat.id);
            prop_assert_eq!(roster.find(&format!("etcd-{}", seat.id)).unwrap().map(|found| found.id), wanted);
        }
        for nobody in ["", " ", "etcd-", "10.0.0.10", "10.0.0", "https://10.0.0.1:238", "https://10.0.0.1:2379", "ff", "0x"] {
            prop_assert_eq!(roster.find(nobody).unwrap(), None, "{}", nobody);
        }
    }
}

fn view(roster: &Roster, versions: &[usize]) -> ClusterView {
    let members = roster.seats.iter().zip(versions).map(|(seat, version)| MemberView {
        id: seat.id,
        name: seat.name.clone(),
        peer_urls: seat.peer_urls.clone(),
        client_urls: seat.client_urls.clone(),
        is_learner: !seat.voter,
        health: match &seat.standing {
            Standing::Serving => Health::Healthy,
            Standing::Down(reason) => Health::Unhealthy(ErrorKind::Unreachable, reason.clone()),
            Standing::Unstarted => Health::Unstarted,
        },
        status: VERSIONS[*version].filter(|_| seat.serves()).map(|version| crate::view::Status {
            version: version.into(),
            db_size: 0,
            db_size_in_use: 0,
            leader: 1,
            raft_term: 1,
            raft_index: 1,
            raft_applied_index: 1,
            errors: vec![],
        }),
    });
    ClusterView { id: 7, members: members.collect(), leader: roster.leader, auth: None, endpoint: "https://x:1".into() }
}

fn three(states: [u8; 3]) -> Roster {
    roster(&states.map(|state| (false, state)), 0, Some("3.6.16"))
}

#[test_case(three([0, 0, 6]).remove(1), "cannot remove member etcd-1 (1), because 1 of 2 remaining voters would be below the quorum of 2; etcd-3 (3) is down (no answer); bring etcd-3 (3) back first, then run it again"; "too few stay")]
#[test_case(three([0, 6, 6]).remove(2), "cannot remove member etcd-2 (2): the cluster has no leader, 1 of 3 voters serve and the quorum is 2; etcd-2 (2) is down (no answer); etcd-3 (3) is down (no answer); bring them back first, then run it again"; "no quorum")]
#[test_case(roster(&[(false, 0)], 0, None).remove(1), "cannot remove member etcd-1 (1): it is the only voter, and the cluster with its data would be gone; to remove the whole cluster: ./etcd-rm.yml"; "the last one")]
#[test_case(roster(&[(false, 0), (false, 0), (false, 0), (false, 6), (false, 8)], 0, None).remove(4), "cannot remove member etcd-4 (4): etcd-5 (5) has never started, and the cluster would have no reserve while it shrinks; start etcd on 10.0.0.5, or remove it first: bin/etcd-rm 10.0.0.5; to remove etcd-4 (4) all the same: -e etcd_force=remove"; "no reserve")]
#[test_case(three([0, 0, 0]).remove(10), "there is no member a; the members are etcd-1 (1), etcd-2 (2), etcd-3 (3)"; "unknown")]
#[test_case(three([0, 0, 6]).add(true), "a member cannot be added, because 2 of 4 voters would be below the quorum of 3; etcd-3 (3) is down (no answer); bring etcd-3 (3) back first, then run it again"; "a learner beside one that is down")]
#[test_case(roster(&[(false, 0), (false, 0), (false, 6)], 0, Some("3.4.23")).add(true), "a member cannot be added, because this version of etcd wants all 3 voters connected first; etcd-3 (3) is down (no answer); bring etcd-3 (3) back first, then run it again"; "older")]
#[test_case(roster(&[(false, 0), (true, 8)], 0, None).add(true), "a learner cannot be added: etcd-2 (2) has not started yet, and etcd allows one learner at a time; wait until it is promoted, or take it out: bin/etcd-rm 10.0.0.2"; "two learners")]
#[test_case(roster(&[(false, 0)], 0, None).add(false), "a voter is not added to a cluster of one member, which could decide nothing until the new one has started: add it as a learner, and promote it then"; "two voters")]
#[test_case(roster(&[(false, 0), (true, 8)], 0, None).promote(2), "member etcd-2 (2) cannot be promoted: it has never started; start etcd on it, then run it again"; "promote what never started")]
#[test_case(roster(&[(false, 0), (true, 6)], 0, None).promote(2), "member etcd-2 (2) cannot be promoted, because 1 of 2 voters would be below the quorum of 2; etcd-2 (2) is down (no answer); bring etcd-2 (2) back first, then run it again"; "promote what is down")]
#[test_case(three([0, 0, 0]).promote(2), "member etcd-2 (2) cannot be promoted: it is a voter already"; "promote a voter")]
fn refusals_say_why_and_what_next(verdict: Result<(), Failure>, wanted: &str) {
    assert_eq!(verdict.unwrap_err().msg, wanted);
}

#[test]
fn who_is_not_meant_is_not_found() {
    let mut two = three([0, 0, 0]);
    two.seats[1].name = "etcd-1".into();
    two.seats[2].peer_urls = vec!["https://[2001:db8::1]:2380".into(), "https://10.0.0.2:23800".into()];
    let failure = two.find("etcd-1").unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Conflict);
    assert_eq!(failure.msg, "\"etcd-1\" could be any of etcd-1 (1), etcd-2 (2): give the id of the one meant");
    assert!(two.find("10.0.0.2").unwrap_err().msg.contains("etcd-2 (2), etcd-3 (3)"));
    assert_eq!(two.find("2001:0DB8:0::1").unwrap().map(|seat| seat.id), Some(3));
    assert_eq!(two.find("https://10.0.0.2:2380").unwrap().map(|seat| seat.id), Some(2));
}

#[test_case("3.4.23", false)]
#[test_case("3.5.30", false)]
#[test_case("3.5.31", true)]
#[test_case("3.6.11", false)]
#[test_case("3.6.12", true)]
#[test_case("3.7.0", true)]
fn a_learner_keeps_its_urls_where_a_change_could_promote_it(version: &str, allowed: bool) {
    let cluster = roster(&[(false, 0), (true, 0)], 0, Some(version));
    assert!(cluster.update(1).is_ok(), "a voter may move");
    match cluster.update(2) {
        Ok(()) => assert!(allowed),
        Err(failure) => {
            assert!(!allowed && failure.kind == ErrorKind::VersionGate);
            assert!(failure.msg.contains(&format!("etcd {version} may make it a voter")), "{failure}");
        }
    }
    assert_eq!(three([0, 6, 6]).update(1).unwrap_err().kind, ErrorKind::QuorumRisk);
}

#[test]
fn what_is_no_cluster_is_refused() {
    for value in
        [json!({}), json!({ "leader": "x", "members": [] }), json!({ "leader": null, "members": [{ "id": 1 }] })]
    {
        assert_eq!(Roster::from_value(&value).unwrap_err().kind, ErrorKind::InvalidOption, "{value}");
    }
}
