use crate::scene::{DOWN, LOST, MEMBER, Member, Scene, TRIED, keys, says};
use serde_json::json;

/// One that was to go on alone, which was cut off or failed.
const CUT_OFF: Member = Member { alone: true, ..DOWN };

#[test]
fn what_was_to_go_on_alone_is_not_started_beside_the_others() {
    for others in [[DOWN, DOWN], [DOWN, LOST], [MEMBER, LOST], [LOST, LOST], [TRIED, LOST]] {
        let scene = Scene::new(&[CUT_OFF, others[0], others[1]]);
        let sentence = ["10.0.0.1 of cluster etcd was to go on alone", "-e etcd_recover_from=10.0.0.1"];
        scene.refused(&sentence);
        // It is finished, and nobody else is started before that.
        let plan = scene.clone().set("etcd_force", "replace").ask("from", "10.0.0.1").plan();
        assert_eq!((&plan["alone"], &plan["start"]), (&json!(["10.0.0.1"]), &json!([])));
        assert_eq!(plan["join"], json!(["10.0.0.2", "10.0.0.3"]));
    }
    // One that was started by hand is none among others either, whatever list it has.
    Scene::new(&[Member { alone: true, ..MEMBER }, TRIED, LOST]).refused(&["was to go on alone"]);
}

#[test]
fn another_host_goes_on_instead() {
    // Its start alone has appended to its log, which makes nothing newer.
    let ahead = Member { log: (3, 14, Some(14), Some(14)), ..CUT_OFF };
    let plan = Scene::new(&[ahead, DOWN, LOST]).ask("from", "10.0.0.2").plan();
    assert_eq!((&plan["start"], &plan["alone"]), (&json!(["10.0.0.2"]), &json!([])));
    let plan = Scene::new(&[ahead, TRIED, LOST]).ask("from", "10.0.0.2").plan();
    assert_eq!((&plan["alone"], &plan["join"]), (&json!(["10.0.0.2"]), &json!(["10.0.0.1", "10.0.0.3"])));
    assert_eq!((keys(&plan["aside"]), keys(&plan["stop"]).len()), (vec!["10.0.0.1".to_owned()], 3));
    // The refusal names whose data there is beside it.
    Scene::new(&[ahead, DOWN, LOST]).refused(&["name 10.0.0.2 there"]);
    // Or a snapshot takes the place of both.
    let plan = Scene::new(&[ahead, TRIED, LOST]).ask("snapshot", "/b/x.db").plan();
    assert_eq!(plan["restore"], "etcd");
}

#[test]
fn it_adds_nothing_to_a_quorum_of_others() {
    // Two of three have data, and one of these may be a lone member's.
    let scene = Scene::new(&[CUT_OFF, TRIED, LOST]).ask("from", "10.0.0.2");
    assert_eq!(scene.plan()["alone"], json!(["10.0.0.2"]));
    // The others by themselves are a quorum, which is not given up for it.
    for other in [DOWN, TRIED] {
        let scene = Scene::new(&[CUT_OFF, other, other]).ask("from", "10.0.0.1");
        scene.refused(&["10.0.0.2", "10.0.0.3", "a quorum of cluster etcd without it", "-e etcd_force=replace"]);
    }
    // They are started where one of them is named; it is not.
    let plan = Scene::new(&[CUT_OFF, DOWN, DOWN]).ask("from", "10.0.0.2").plan();
    assert_eq!(plan["start"], json!(["10.0.0.2", "10.0.0.3"]));
}

#[test]
fn beside_a_quorum_it_is_replaced() {
    let plan = Scene::new(&[CUT_OFF, MEMBER, MEMBER]).plan();
    assert_eq!((&plan["start"], &plan["leaving"][0]["id"]), (&json!([]), &json!("1")));
    assert_eq!((&plan["join"], keys(&plan["aside"])), (&json!(["10.0.0.1"]), vec!["10.0.0.1".to_owned()]));
    says(&plan, "found", &["10.0.0.1 was to go on alone", "that of a lone member"]);
    // Where it has been taken out already, what role etcd would not touch is moved first.
    let plan = Scene::new(&[Member { listed: false, ..CUT_OFF }, MEMBER, MEMBER]).plan();
    assert_eq!((&plan["join"], keys(&plan["aside"])), (&json!(["10.0.0.1"]), vec!["10.0.0.1".to_owned()]));
    Scene::new(&[CUT_OFF, MEMBER, MEMBER]).ask("from", "10.0.0.1").refused(&["has a quorum"]);
}

#[test]
fn who_serves_is_a_member_as_any_other_one() {
    let serves = Member { alone: true, ..MEMBER };
    let gone = Member { listed: false, ..DOWN };
    // What is said of its data is not true any more, which is first put right.
    for others in [[MEMBER, MEMBER], [gone, gone]] {
        let plan = Scene::new(&[serves, others[0], others[1]]).plan();
        assert_eq!((&plan["start"], &plan["stop"]), (&json!(["10.0.0.1"]), &json!({})));
    }
}
