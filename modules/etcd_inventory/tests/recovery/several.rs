use crate::scene::{DOWN, LOST, MEMBER, Member, Scene, TRIED, says};
use serde_json::json;

#[test]
fn all_hosts_of_a_cluster_are_looked_at() {
    let scene = Scene::new(&[MEMBER; 3]).ask("hosts", json!(["10.0.0.1", "10.0.0.3"]));
    scene.refused(&["leaves 10.0.0.2 out", "without -l"]);
}

#[test]
fn trouble_of_one_cluster_does_not_hold_up_another_one() {
    let hopeless = Scene::new(&[LOST; 3]).named("other", 1);
    let broken = Scene::new(&[MEMBER, LOST, MEMBER]);
    let plan = broken.judge_beside(&[&hopeless]).unwrap();
    assert_eq!(plan["join"], json!(["10.0.0.2"]));
    says(&plan, "left", &["all data of cluster other is lost", "-l other"]);
    // Asking comes before acting, and is not refused either.
    let mut unasked = broken;
    unasked.compares = false;
    assert_eq!(unasked.judge_beside(&[&hopeless]).unwrap()["compare"], json!({ "etcd": "10.0.0.1" }));
    // Where nothing can be done for anybody, that is a failure.
    let failure = Scene::new(&[LOST; 3]).judge_beside(&[&hopeless]).unwrap_err();
    assert!(failure.msg.starts_with("2 problems"), "{}", failure.msg);
}

#[test]
fn what_is_meant_for_one_is_not_done_to_several() {
    for word in ["replace", "unreachable", "remove", "damaged"] {
        let one = Scene::new(&[MEMBER, TRIED, MEMBER]).set("etcd_force", word);
        let two = one.clone().named("other", 1);
        let failure = one.judge_beside(&[&two]).unwrap_err();
        let text = format!("etcd_force={word} is given for clusters etcd and other at once");
        assert!(failure.msg.contains(&text), "{}", failure.msg);
        // Where only one cluster has it, that one is meant.
        assert!(one.judge_beside(&[&Scene::new(&[MEMBER; 3]).named("other", 1)]).is_ok());
    }
}

#[test]
fn a_run_that_ends_too_early_says_so() {
    let scene = Scene::new(&[MEMBER, Member { tried: Some(true), ..TRIED }, MEMBER]).ask("again", true);
    assert_eq!(scene.plan()["acts"], true);
    let plan = scene.ask("last", true).plan();
    assert_eq!((&plan["acts"], &plan["leaving"]), (&json!(false), &json!([])));
    says(&plan, "left", &["still to be done", "take etcd-2 (2) out", "run ./etcd-recover.yml again"]);
    assert_eq!(Scene::new(&[MEMBER; 3]).ask("last", true).plan()["left"], json!([]));
}

#[test]
fn a_cluster_that_has_become_two_is_nobodys_to_choose() {
    let lone = Scene::new(&[MEMBER]);
    // What the first host says of itself, beside what the other two say of theirs.
    let failure = Scene::new(&[DOWN, MEMBER, MEMBER]).judge_torn(&lone).unwrap_err();
    assert!(failure.msg.contains("serve in two clusters"), "{}", failure.msg);
}
