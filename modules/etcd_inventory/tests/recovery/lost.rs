use crate::scene::{DOWN, Data, LOST, MEMBER, Member, Scene, TRIED, keys, says};
use serde_json::json;
use test_case::test_case;

#[test]
fn a_quorum_that_is_only_stopped_is_started() {
    let scene = Scene::new(&[DOWN, DOWN, LOST]);
    assert_eq!(scene.plan()["start"], json!(["10.0.0.1", "10.0.0.2"]));
    // First of all, whatever was asked for.
    let plan = scene.ask("from", "10.0.0.1").plan();
    assert_eq!(plan["alone"], json!([]));
    says(&plan, "intends", &["if they are not, go on with the data of 10.0.0.1 alone"]);
    let scene = Scene::new(&[TRIED, TRIED, LOST]).ask("from", "10.0.0.1");
    scene.refused(&["nothing says that it is damaged", "it does not start", "-e etcd_force=replace"]);
    assert_eq!(scene.set("etcd_force", "replace").plan()["alone"], json!(["10.0.0.1"]));
}

#[test]
fn everybody_has_a_try_before_anything_is_lost() {
    // The inventory may name more hosts than ever were members.
    let never = Member { listed: false, certificate: false, ..LOST };
    for from in ["", "10.0.0.1"] {
        let plan = Scene::new(&[DOWN, DOWN, LOST, never, never]).ask("from", from).plan();
        assert_eq!((&plan["start"], &plan["alone"]), (&json!(["10.0.0.1", "10.0.0.2"]), &json!([])));
        let plan = Scene::new(&[DOWN, LOST, LOST]).ask("from", from).plan();
        assert_eq!((&plan["start"], &plan["alone"]), (&json!(["10.0.0.1"]), &json!([])));
    }
    // They do not count after that either, and nor does who only learns.
    let learner = Member { learner: true, ..TRIED };
    for members in [[TRIED, TRIED, LOST, never, never], [TRIED, TRIED, LOST, learner, learner]] {
        Scene::new(&members)
            .ask("from", "10.0.0.1")
            .refused(&["2 of its 3 members have their data, which is a quorum"]);
    }
    Scene::new(&[TRIED, LOST, LOST, learner, learner]).refused(&["has lost its quorum: of 3 members"]);
}

#[test]
fn a_survivor_goes_on_when_it_is_named() {
    let scene = Scene::new(&[LOST, MEMBER, LOST]);
    scene.refused(&[
        "has lost its quorum",
        "./etcd-recover.yml -e etcd_snapshot=FILE",
        "-e etcd_recover_from=10.0.0.2",
    ]);
    scene.clone().ask("from", "10.0.0.1").refused(&["has no data", "10.0.0.2"]);
    scene.clone().ask("from", "10.0.0.9").refused(&["no member of the run's clusters"]);
    let plan = scene.ask("from", "10.0.0.2").plan();
    assert_eq!((&plan["alone"], &plan["join"]), (&json!(["10.0.0.2"]), &json!(["10.0.0.1", "10.0.0.3"])));
    assert_eq!(keys(&plan["stop"]).len(), 3);
    // What was not written down yet would be lost with a member that is killed.
    assert!(plan["stop"].as_object().unwrap().values().all(|stop| stop["kill"] == false), "{plan}");
}

#[test]
fn who_never_was_a_member_is_not_made_one() {
    let never = Member { listed: false, certificate: false, ..LOST };
    let plan = Scene::new(&[TRIED, LOST, never]).ask("from", "10.0.0.1").plan();
    assert_eq!(
        (&plan["join"], keys(&plan["stop"])),
        (&json!(["10.0.0.2"]), ["10.0.0.1", "10.0.0.2"].map(str::to_owned).to_vec())
    );
    // Whom the survivor lists was one, whatever its host has lost.
    let bare = Member { certificate: false, ..LOST };
    let plan = Scene::new(&[MEMBER, bare, LOST]).ask("from", "10.0.0.1").plan();
    assert_eq!(plan["join"], json!(["10.0.0.2", "10.0.0.3"]));
}

#[test]
fn the_newest_data_counts_and_who_is_away_is_named() {
    let older = Member { log: (2, 999, Some(90), Some(90)), ..TRIED };
    let newer = Member { log: (2, 95, Some(94), Some(95)), ..TRIED };
    let scene = Scene::new(&[older, newer, LOST, LOST, LOST]);
    // What is not known to be committed is cut off, however long it is.
    scene.clone().ask("from", "10.0.0.1").refused(&[
        "10.0.0.2 has newer data",
        "term 2, index 95",
        "index 999, the last 909 of which are not known to be committed",
        "-e etcd_recover_from=10.0.0.2",
    ]);
    scene.refused(&["to go on with what 10.0.0.2 has"]);
    assert_eq!(scene.ask("from", "10.0.0.2").plan()["alone"], json!(["10.0.0.2"]));
    let away = Member { reachable: false, ..DOWN };
    let away = Scene::new(&[TRIED, away, away]);
    away.clone()
        .ask("from", "10.0.0.1")
        .refused(&["10.0.0.2, 10.0.0.3 cannot be reached", "-e etcd_force=unreachable"]);
    let plan = away.set("etcd_force", "unreachable").ask("from", "10.0.0.1").plan();
    assert_eq!(plan["left"].as_array().unwrap().len(), 2);
    assert_eq!(plan["join"], json!([]));
}

#[test]
fn a_host_that_cannot_be_looked_at_is_not_gone() {
    let failed = Member { failed: Some("no space left on device."), ..DOWN };
    let cause = "10.0.0.3 cannot be looked at (no space left on device)";
    let away = Member { reachable: false, ..DOWN };
    let scene = Scene::new(&[TRIED, away, failed]);
    scene.refused(&["10.0.0.2 cannot be reached over SSH", cause]);
    for force in ["", "unreachable"] {
        let scene = scene.clone().set("etcd_force", force);
        scene.clone().ask("from", "10.0.0.1").refused(&[cause, "may have newer data", "the host answers"]);
        scene.ask("from", "10.0.0.3").refused(&["cannot go on with the data of 10.0.0.3, which cannot be looked at"]);
    }
    Scene::new(&[LOST, LOST, failed]).refused(&["no host that could be looked at has data of it", cause]);
    // Beside a quorum it is named as well, also where its member serves.
    let runs = Member { runs: true, ..failed };
    let gone = Member { listed: false, ..failed };
    for (third, what) in [(failed, "is down"), (runs, "serves"), (gone, "is no member of cluster etcd")] {
        let plan = Scene::new(&[MEMBER, MEMBER, third]).plan();
        assert_eq!(plan["acts"], false);
        says(&plan, "left", &[cause, what]);
    }
    let odd = Member { hash: 8, ..runs };
    says(
        &Scene::new(&[MEMBER, MEMBER, odd]).plan(),
        "left",
        &["not what the others hold", "cannot be looked at (no space"],
    );
}

#[test_case((3, 4, None, None), (2, 999, None, None); "by term, where nothing else is known")]
#[test_case((2, 9, Some(4), None), (2, 9, Some(3), None); "by what is committed")]
#[test_case((2, 9, Some(3), Some(5)), (2, 9, Some(4), Some(4)); "by what the database has")]
#[test_case((1, 9, Some(5), None), (2, 9, None, None); "by what is known at all")]
fn one_log_is_newer_than_another(
    newer: (u64, u64, Option<u64>, Option<u64>),
    older: (u64, u64, Option<u64>, Option<u64>),
) {
    let of = |log| Member { log, ..TRIED };
    let scene = Scene::new(&[of(older), of(newer), LOST, LOST, LOST]);
    scene.clone().ask("from", "10.0.0.1").refused(&["10.0.0.2 has newer data"]);
    assert_eq!(scene.ask("from", "10.0.0.2").plan()["alone"], json!(["10.0.0.2"]));
}

#[test]
fn damaged_data_that_is_newer_is_not_passed_over() {
    let damaged = Member { log: (5, 999, Some(999), None), tried: Some(true), ..DOWN };
    let scene = Scene::new(&[TRIED, damaged, LOST, LOST]).ask("from", "10.0.0.1");
    scene.refused(&["the data of 10.0.0.2 (term 5, index 999) is damaged", "-e etcd_force=damaged"]);
    let plan = scene.clone().set("etcd_force", "damaged").plan();
    assert_eq!(plan["alone"], json!(["10.0.0.1"]));
    says(&plan, "found", &["it is damaged on 10.0.0.2"]);
    scene.set("etcd_force", "replace").plan();
    // Nor is what nobody can read.
    Scene::new(&[TRIED, Member { data: Data::Unreadable, ..DOWN }, LOST])
        .ask("from", "10.0.0.1")
        .refused(&["the data of 10.0.0.2 (no log) is damaged, and may be newer"]);
    // What is older is of no use.
    let older = Member { log: (1, 9, Some(9), None), ..damaged };
    assert_eq!(Scene::new(&[TRIED, older, LOST]).ask("from", "10.0.0.1").plan()["alone"], json!(["10.0.0.1"]));
}

#[test]
fn who_still_runs_is_not_gone() {
    let away = Member { reachable: false, log: (9, 999, Some(999), None), ..MEMBER };
    let gone = Member { reachable: false, ..DOWN };
    let scene = Scene::new(&[MEMBER, gone, away, gone, gone]).set("etcd_force", "unreachable").ask("from", "10.0.0.1");
    scene.refused(&["etcd still runs as etcd-3 (3) (term 9, index 999)", "before 10.0.0.1 goes on alone"]);
}

#[test]
fn without_a_quorum_a_named_snapshot_is_gone_back_to() {
    let broken = Scene::new(&[LOST, MEMBER, LOST]).ask("snapshot", "/b/x.db");
    let plan = broken.plan();
    assert_eq!((&plan["restore"], &plan["acts"]), (&json!("etcd"), &json!(false)));
    says(&plan, "intends", &["go back to the snapshot /b/x.db"]);
    broken.ask("from", "10.0.0.2").refused(&["leave one of them out"]);
    let all_lost = Scene::new(&[LOST; 3]);
    all_lost.refused(&["all data of cluster etcd is lost", "./etcd-recover.yml -e etcd_snapshot=FILE"]);
    assert_eq!(all_lost.ask("snapshot", "/b/x.db").plan()["restore"], "etcd");
    Scene::new(&[Member { tried: Some(true), ..DOWN }; 3]).refused(&[
        "10.0.0.2 (term 2, index 10)",
        "is damaged",
        "etcd_force=unhashed",
    ]);
    // Those who only have to be started are started first.
    let plan = Scene::new(&[DOWN, DOWN, LOST]).ask("snapshot", "/b/x.db").plan();
    assert_eq!((&plan["restore"], &plan["start"]), (&json!(""), &json!(["10.0.0.1", "10.0.0.2"])));
}

#[test_case("restoring")]
#[test_case("returning")]
fn a_restore_that_was_cut_off_is_finished_first(phase: &'static str) {
    let fenced = Member { restoring: Some(phase), ..DOWN };
    for members in [[fenced; 3], [DOWN, fenced, LOST], [MEMBER, fenced, MEMBER]] {
        let scene = Scene::new(&members);
        let state = if phase == "restoring" { "is under way on" } else { "is being put back" };
        scene.refused(&[state, "./etcd-restore.yml -t etcd_rollback"]);
        scene.ask("from", "10.0.0.1").refused(&[state]);
    }
    let plan = Scene::new(&[DOWN, fenced, LOST]).ask("snapshot", "/b/x.db").plan();
    assert_eq!((&plan["restore"], &plan["start"], &plan["acts"]), (&json!("etcd"), &json!([]), &json!(false)));
}

#[test]
fn a_missing_disk_is_no_lost_data() {
    let late = Member { unmounted: true, ..LOST };
    for request in ["from", "snapshot", "nothing"] {
        Scene::new(&[MEMBER, late, late])
            .ask(request, "10.0.0.1")
            .refused(&["/data of 10.0.0.2 is to be mounted", "10.0.0.3"]);
        Scene::new(&[late; 3]).ask(request, "10.0.0.1").refused(&["mount /data"]);
    }
    // What lies where it should be mounted is not the member's.
    Scene::new(&[MEMBER, Member { unmounted: true, ..DOWN }, LOST]).refused(&["is to be mounted"]);
}

#[test]
fn two_clusters_data_is_told_apart_by_whoever_knows() {
    let own = Member { log: (9, 9999, Some(9999), None), ..TRIED };
    let other = Member { of: "ff", listed: false, ..TRIED };
    let scene = Scene::new(&[own, other, LOST]);
    scene.refused(&[
        "data of several clusters",
        "c1 on 10.0.0.1 (term 9",
        "ff on 10.0.0.2 (term 2",
        "-e etcd_recover_from=HOST",
    ]);
    let plan = scene.ask("from", "10.0.0.1").plan();
    assert_eq!((&plan["alone"], &plan["join"]), (&json!(["10.0.0.1"]), &json!(["10.0.0.3"])));
    // What is of another cluster is nobody's to move.
    assert_eq!((keys(&plan["aside"]).len(), keys(&plan["stop"]).len()), (0, 2));
    says(&plan, "left", &["10.0.0.2 holds a member of another cluster (ff"]);
}

#[test_case("auth")]
#[test_case("tls")]
fn a_cluster_that_does_not_let_us_in_is_left_alone(kind: &'static str) {
    let shut_out = Member { shut_out: Some(kind), ..MEMBER };
    let away = Member { reachable: false, ..shut_out };
    let ask = |scene: Scene| scene.set("etcd_force", "unreachable").ask("from", "10.0.0.1");
    ask(Scene::new(&[shut_out, away, away])).refused(&["cannot be asked from 10.0.0.1", "correct that first"]);
    // The host that asks may itself be down.
    ask(Scene::new(&[Member { runs: false, ..shut_out }, away, away])).refused(&["cannot be asked"]);
    // The list may be told to everybody.
    ask(Scene::new(&[MEMBER, away, DOWN, DOWN, DOWN])).refused(&["cannot be asked from 10.0.0.1"]);
    // A host that was made anew has nothing to ask with.
    let bare = Member { shut_out: Some("tls"), certificate: false, ..LOST };
    assert_eq!(Scene::new(&[MEMBER, bare, bare]).ask("from", "10.0.0.1").plan()["alone"], json!(["10.0.0.1"]));
}
