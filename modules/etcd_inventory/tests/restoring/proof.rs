//! What is proved in the end.

use super::scene::{Scene, cluster_id, run};
use ansible_protocol::{Failure, Outcome};
use serde_json::{Value, json};

/// What is proved of a cluster that was restored and then is as `change` makes it.
fn proved(change: impl Fn(&mut Scene)) -> Result<Outcome, Failure> {
    let plan = Scene::new().judge().unwrap();
    let token = plan["token"].as_str().unwrap();
    let mut scene = (0..3).fold(Scene::new(), |scene, index| {
        scene.noted(index, &plan["notes"], "starting", "new").on(index, |seen| {
            seen["cluster"]["id"] = json!(cluster_id(token));
            seen["cluster"]["hashes"] = json!({ "revision": 9, "members": { "a": 5, "b": 5, "c": 5 } });
            seen["cluster"]["contents"] = json!({ "revision": 9, "keys": 3, "users": ["root"], "roles": ["root"] });
        })
    });
    change(&mut scene);
    let mut restored = plan.clone();
    restored["served"] = json!(scene.variables["served"] == true);
    scene.variables = json!({});
    run(&json!({ "clusters": scene.clusters(), "observed": scene.observed(), "restored": restored }))
}

#[test]
fn a_restored_cluster_is_proved_or_not() {
    let proof = proved(|_| {}).unwrap();
    assert_eq!(proof.values["proof"]["password"], true);
    let said = proof.values["proof"]["message"].as_str().unwrap();
    assert_eq!(
        said,
        "cluster etcd is restored: 3 members with equal hashes, 3 keys, 1 users and 1 roles as in the snapshot"
    );

    type Change = fn(&mut Value);
    let wrong: [(Change, &str); 8] = [
        (|seen| seen["data"]["cluster_id"] = json!("abc"), "holds data of cluster abc"),
        (|seen| seen["unit"]["active_state"] = json!("failed"), "etcd is failed on 10.0.0.1"),
        (|seen| seen["cluster"]["id"] = json!("abc"), "it is cluster abc"),
        (|seen| seen["cluster"]["members"][1]["healthy"] = json!(false), "etcd-2 does not serve"),
        (|seen| seen["cluster"]["hashes"]["members"]["b"] = json!(6), "its members differ at revision 9"),
        (|seen| seen["cluster"]["contents"]["keys"] = json!(2), "it has 2 keys at revision 9, and the snapshot 3"),
        (|seen| seen["cluster"]["contents"]["users"] = json!([]), "its users are []"),
        (|seen| seen["cluster"]["auth"] = json!("off"), "authentication is not on"),
    ];
    for (change, said) in wrong {
        let failure = proved(|scene| change(&mut scene.seen[0])).unwrap_err();
        assert!(failure.msg.contains(said) && failure.msg.ends_with("-t etcd_rollback"), "{said}: {failure}");
    }
}

#[test]
fn a_password_that_is_not_the_inventorys_is_told() {
    let unknown = proved(|scene| {
        for seen in &mut scene.seen {
            seen["cluster"] = Value::Null;
            seen["cluster_error"] = json!({ "kind": "auth", "reason": "wrong password" });
        }
    });
    let unknown = unknown.unwrap();
    assert_eq!(unknown.values["proof"]["password"], false);
    assert!(unknown.warnings[0].contains("./etcd.yml -e etcd_root_password_previous="), "{:?}", unknown.warnings);
}

#[test]
fn a_proof_says_what_was_compared() {
    let message = |proof: &Outcome| proof.values["proof"]["message"].as_str().unwrap().to_owned();
    // Asked too late, nobody can count the keys of the beginning.
    let late = proved(|scene| scene.seen.iter_mut().for_each(|seen| seen["cluster"]["contents"]["keys"] = Value::Null))
        .unwrap();
    assert!(late.warnings[0].contains("has been compacted since"), "{:?}", late.warnings);
    assert!(
        message(&late).ends_with("3 members with equal hashes, 1 users and 1 roles as in the snapshot"),
        "{}",
        message(&late)
    );
    // Where it has served before, users may be others.
    let served = proved(|scene| {
        scene.variables["served"] = json!(true);
        scene.seen.iter_mut().for_each(|seen| seen["cluster"]["contents"]["users"] = json!(["root", "later"]));
    });
    let served = served.unwrap();
    assert!(
        served.warnings[0].contains("has served since it was restored, and by now its users are"),
        "{:?}",
        served.warnings
    );
    assert!(
        message(&served).contains("which this run has only finished")
            && message(&served).ends_with("3 keys as in the snapshot")
    );
    let none =
        proved(|scene| scene.seen.iter_mut().for_each(|seen| seen["cluster"]["contents"] = Value::Null)).unwrap();
    assert!(message(&none).ends_with("3 members with equal hashes"), "{}", message(&none));
}

#[test]
fn an_alarm_that_was_saved_is_named() {
    let mut scene = Scene::new();
    scene.request["snapshot"]["alarms"] = json!(["NOSPACE"]);
    let arguments = json!({ "clusters": scene.clusters(), "observed": scene.observed(), "restore": scene.request });
    let before = run(&arguments).unwrap();
    assert!(before.warnings[0].contains("under the alarm NOSPACE"), "{:?}", before.warnings);
    for (alarm, refuses) in [("NOSPACE", "refuses to write"), ("CORRUPT", "refuses to serve")] {
        let errors = json!([format!("memberID:1 alarm:{alarm} ")]);
        let proof = proved(|scene| scene.seen[1]["cluster"]["members"][2]["status"] = json!({ "errors": errors }));
        assert!(proof.is_ok(), "not seen by the host that is asked first");
        let proof =
            proved(|scene| scene.seen[0]["cluster"]["members"][2]["status"] = json!({ "errors": errors })).unwrap();
        for part in [alarm, refuses, "./etcd-recover.yml"] {
            assert!(proof.warnings[0].contains(part), "{part}: {:?}", proof.warnings);
        }
    }
}

#[test]
fn old_data_that_is_back_is_proved() {
    let lost = Scene::new().on(2, |seen| seen["data"] = json!({ "state": "absent" }));
    let notes = lost.judge().unwrap()["notes"].clone();
    let done = (0..3).fold(lost, |scene, index| scene.noted(index, &notes, "restored", "new"));
    let plan = done.ask("rollback", json!(true)).judge().unwrap();
    let prove = |change: fn(&mut Value)| {
        let mut scene = Scene::new().on(2, |seen| seen["unit"]["active_state"] = json!("inactive"));
        for seen in &mut scene.seen {
            seen["cluster"]["members"][2]["healthy"] = json!(false);
            seen["cluster"]["hashes"] = json!({ "revision": 9, "members": { "a": 5, "b": 5 } });
            change(&mut seen["cluster"]["members"]);
        }
        run(&json!({ "clusters": scene.clusters(), "observed": scene.observed(), "restored": plan }))
    };
    let proof = prove(|_| {}).unwrap();
    let said = proof.values["proof"]["message"].as_str().unwrap();
    for part in ["has its old data back", "clients that have watched", "10.0.0.3 had none: ./etcd-recover.yml"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Of its members then, one may have been on a host that is gone since.
    let gone = prove(|members| {
        let gone = json!({ "id": "f00", "name": "etcd-9", "peer_urls": ["https://10.0.0.9:2380"], "started": true, "healthy": false });
        members.as_array_mut().unwrap().push(gone);
    });
    let gone = gone.unwrap();
    assert!(gone.warnings[0].contains("./etcd-rm.yml -e etcd_rm_members=f00"), "{:?}", gone.warnings);
    let ill = prove(|members| members[0]["healthy"] = json!(false)).unwrap_err();
    for part in ["etcd-1 does not serve", "./etcd-recover.yml"] {
        assert!(ill.msg.contains(part), "{part}: {ill}");
    }
}
