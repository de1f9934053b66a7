//! What may be put back.

use super::scene::{Scene, agreed};
use serde_json::{Value, json};

#[test]
fn a_rollback_is_noted_until_it_is_proved() {
    let notes = Scene::new().judge().unwrap()["notes"].clone();
    let returned = (0..3).fold(Scene::new(), |scene, index| scene.noted(index, &notes, "returned", "old"));
    let back = returned.clone().ask("rollback", json!(true)).judge().unwrap();
    assert_eq!((&back["moves"], back["notes"].as_object().unwrap().len()), (&json!(false), 3));
    // It keeps nobody from anything else.
    assert_eq!(returned.ask("time", json!("20260109T000000Z")).judge().unwrap()["time"], "20260109T000000Z");
}

#[test]
fn who_was_to_go_on_alone_does_not_come_back_beside_the_others() {
    let marked = Scene::new().on(1, |seen| {
        seen["data"]["alone"] = json!(true);
        seen["cluster"] = Value::Null;
    });
    let notes = agreed(&marked.judge().unwrap(), [Some(1009); 3]).unwrap()["notes"].clone();
    let done = (0..3).fold(marked, |scene, index| scene.noted(index, &notes, "restored", "new"));
    done.ask("rollback", json!(true)).refused(&[
        "10.0.0.2 was to go on alone before the restore",
        "10.0.0.2:/data/etcd.1.T/member/snap/db",
        "-e etcd_force=restore,unhashed",
    ]);
}

#[test]
fn data_that_was_lost_cannot_come_back() {
    let lost = |count: usize| {
        let absent = |scene: Scene, index: usize| scene.on(index, |seen| seen["data"] = json!({ "state": "absent" }));
        let lost = (3 - count..3).fold(Scene::new(), absent);
        let notes = lost.judge().unwrap()["notes"].clone();
        let done = (0..3).fold(lost, |scene, index| scene.noted(index, &notes, "restored", "new"));
        done.ask("rollback", json!(true))
    };
    lost(2).refused(&["10.0.0.2, 10.0.0.3 had no data before", "no quorum", "-e etcd_snapshot=/backups/it.db"]);
    let back = lost(1).judge().unwrap();
    assert_eq!(back["empty"], json!(["10.0.0.3"]));
    assert!(back["prompt"].as_str().unwrap().contains("10.0.0.3 had none"));
}
