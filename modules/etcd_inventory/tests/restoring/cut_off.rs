//! What goes on where a run was cut off, and what has to wait.

use super::scene::{HOSTS, NOW, Scene, agreed, cluster_id, member_id, run, snapshot};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn another_restore_waits_for_the_one_that_was_cut_off() {
    let notes = Scene::new().judge().unwrap()["notes"].clone();
    let cut = Scene::new().noted(1, &notes, "restoring", "none");
    cut.clone().ask("snapshot", snapshot("fedcba9876543210")).refused(&[
        "from another snapshot",
        "-e etcd_snapshot=/backups/it.db",
        "-t etcd_rollback",
    ]);
    cut.set("etcd_peer_port", json!(3380)).refused(&["with other members"]);
    let back = Scene::new().noted(0, &notes, "returning", "new");
    back.refused(&["is being rolled back", "-t etcd_rollback"]);
    let other = Scene::new().ask("time", json!("20260104T000000Z")).judge().unwrap()["notes"].clone();
    let both = Scene::new().noted(0, &notes, "restoring", "old").noted(1, &other, "restoring", "old");
    both.refused(&["10.0.0.1 and 10.0.0.2 are each in the middle of another restore", "-e etcd_force=restore"]);
    both.set("etcd_force", json!("restore")).judge().unwrap();
}

#[test]
fn another_restore_takes_the_place_of_the_one_that_was_cut_off() {
    let notes = Scene::new().judge().unwrap()["notes"].clone();
    let cut = Scene::new().noted(1, &notes, "restoring", "new").noted(2, &notes, "restoring", "old");
    let other = cut.ask("snapshot", snapshot("fedcba9876543210")).ask("time", json!("20260109T000000Z"));
    other.refused(&["under way from another snapshot", "-e etcd_force=restore"]);
    let forced = other.set("etcd_force", json!("restore"));
    let plan = forced.judge().unwrap();
    assert_eq!(plan["token"], "etcd-restored-20260109T000000Z-fedcba98");
    for (index, host) in HOSTS.iter().enumerate() {
        // What was there before the first one is what a rollback looks for, under the name it has.
        let note = &plan["notes"][host];
        assert_eq!((&note["former_member_id"], &note["time"]), (&json!(member_id(index, "etcd")), &json!(NOW)));
        assert_eq!(note["cluster_id"], plan["cluster_id"]);
    }
    assert!(plan["prompt"].as_str().unwrap().contains("gives up the restore that was cut off"));
    assert!(plan["otherwise"].as_str().unwrap().contains("stays down"));
    // Cut off in its turn before it had noted that on all hosts, it goes on; and all go back to what was there first.
    let torn = forced.set("etcd_force", json!("")).noted(0, &plan["notes"], "restoring", "old");
    let on = torn.judge().unwrap();
    assert_eq!((&on["token"], &on["notes"]), (&plan["token"], &plan["notes"]));
    let back = torn.ask("rollback", json!(true)).judge().unwrap();
    for (index, host) in HOSTS.iter().enumerate() {
        assert_eq!(back["notes"][host]["former_member_id"], json!(member_id(index, "etcd")));
    }
}

#[test]
fn a_host_that_is_gone_does_not_keep_the_others() {
    let lost =
        (0..3).fold(Scene::new(), |scene, index| scene.on(index, |seen| seen["data"] = json!({ "state": "absent" })));
    let notes = lost.judge().unwrap()["notes"].clone();
    let mut notes = notes;
    for host in HOSTS {
        notes[host]["initial_cluster"] = json!("etcd-1=https://10.0.0.1:2380,etcd-4=https://10.0.0.4:2380");
    }
    let cut = (0..3).fold(lost, |scene, index| scene.noted(index, &notes, "restoring", "none"));
    cut.refused(&["with other members", "-e etcd_force=restore"]);
    cut.clone().ask("rollback", json!(true)).refused(&["no quorum", "-e etcd_force=restore"]);
    assert_eq!(cut.set("etcd_force", json!("restore")).judge().unwrap()["moves"], true);
}

#[test]
fn a_restore_that_serves_is_over() {
    let plan = Scene::new().judge().unwrap();
    let token = plan["token"].as_str().unwrap();
    let serves = |scene: Scene, index: usize| {
        scene.noted(index, &plan["notes"], "starting", "new").on(index, |seen| {
            seen["cluster"]["id"] = json!(cluster_id(token));
            for (index, member) in seen["cluster"]["members"].as_array_mut().unwrap().iter_mut().enumerate() {
                member["id"] = json!(member_id(index, token));
            }
        })
    };
    let left = (0..3).fold(Scene::new(), serves);
    let used = |scene: Scene| {
        scene.on(0, |seen| seen["cluster"]["usage"]["clients"] = json!(["Patroni cluster pg-main in /service"]))
    };
    // Another snapshot is another restore, which is judged as any.
    let other = left.clone().ask("snapshot", snapshot("fedcba9876543210")).ask("time", json!("20260109T000000Z"));
    let again = other.judge().unwrap();
    assert_eq!(again["token"], "etcd-restored-20260109T000000Z-fedcba98");
    assert_eq!(again["notes"][HOSTS[0]]["former_member_id"], json!(member_id(0, token)));
    used(other).refused(&["is in use, by Patroni"]);
    // The way back as well.
    let back = left.clone().ask("rollback", json!(true));
    assert_eq!(back.judge().unwrap()["moves"], true);
    used(back).refused(&["is in use, by Patroni"]);
    // The same one is only finished, which disturbs nobody.
    let finished = used(left.clone()).judge().unwrap();
    assert_eq!(
        (&finished["moves"], &finished["served"], &finished["token"]),
        (&json!(false), &json!(true), &plan["token"])
    );
    // A member that lost its data by now is not made a second time.
    let lost = left.on(2, |seen| seen["data"] = json!({ "state": "absent" }));
    lost.refused(&["has been started since, and 10.0.0.3 has no data of it", "./etcd-recover.yml"]);
    let anew = lost.set("etcd_force", json!("restore")).ask("time", json!("20260109T000000Z")).judge().unwrap();
    assert_eq!(anew["token"], "etcd-restored-20260109T000000Z-01234567");
    // Nor where nobody serves any more, but somebody has.
    let down = (0..3).fold(Scene::new(), |scene, index| scene.noted(index, &plan["notes"], "restoring", "new"));
    let down = down
        .on(0, |seen| seen["data"]["log"] = json!({ "term": 2, "index": 9 }))
        .on(1, |seen| seen["data"] = json!({ "state": "absent" }));
    down.refused(&["10.0.0.2 has no data of it"]);
}

#[test]
fn who_is_cut_off_while_the_cluster_serves_is_judged_as_any() {
    let notes = Scene::new().judge().unwrap()["notes"].clone();
    let noted = |scene: Scene, index: usize| scene.on(index, |seen| seen["restore"] = notes[HOSTS[index]].clone());
    let cut = (0..3).fold(Scene::new(), noted);
    cut.judge().unwrap();
    let used = cut.on(0, |seen| seen["cluster"]["usage"]["leases"]["count"] = json!(1));
    used.refused(&["is in use, by 1 live lease"]);
    used.ask("rollback", json!(true)).judge().unwrap();
}

fn unverified(msg: &str, kind: &str) -> Value {
    json!({ "host": "", "msg": msg, "kind": kind })
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_what_goes_on() {
    let scene = Scene::new().ask("snapshot", Value::Null).ask("unverified", unverified("it.db: No such file", "io"));
    scene.refused(&["on this machine: it.db: No such file", "etcd_snapshot=HOST:/FILE"]);
    let copy = json!({ "host": "10.0.0.2", "msg": "x.db is a copy", "kind": "conflict", "trouble": "without_hash" });
    Scene::new()
        .ask("snapshot", Value::Null)
        .ask("unverified", copy)
        .refused(&["on 10.0.0.2: x.db is a copy", "-e etcd_force=unhashed"]);
    // A member's own database has moved with its data.
    let mut own = snapshot("0123456789abcdef");
    (own["path"], own["sealed"]) = (json!("10.0.0.2:/data/etcd/member/snap/db"), json!(false));
    let plan = Scene::new().ask("snapshot", own).judge().unwrap();
    let notes = agreed(&plan, [Some(1009); 3]).unwrap()["notes"].clone();
    let way = "-e etcd_snapshot=10.0.0.2:/data/etcd.1.T/member/snap/db -e etcd_force=unhashed";
    scene.noted(1, &notes, "restoring", "none").refused(&["No such file", way]);
    let mut mount = notes.clone();
    mount[HOSTS[1]]["asides"] = json!(["/data/etcd/member.1.T"]);
    let way = "-e etcd_snapshot=10.0.0.2:/data/etcd/member.1.T/snap/db -e etcd_force=unhashed";
    Scene::new()
        .ask("snapshot", Value::Null)
        .ask("unverified", unverified("gone", "unreachable"))
        .noted(1, &mount, "restoring", "new")
        .refused(&[way]);
    let still = "-e etcd_snapshot=10.0.0.2:/data/etcd/member/snap/db";
    Scene::new()
        .ask("snapshot", Value::Null)
        .ask("unverified", unverified("gone", "unreachable"))
        .noted(1, &notes, "restoring", "old")
        .refused(&[still]);
}

#[test]
fn nothing_else_starts_a_member_meanwhile() {
    let mut own = snapshot("0123456789abcdef");
    (own["path"], own["sealed"]) = (json!("10.0.0.2:/data/etcd/member/snap/db"), json!(false));
    let restored = Scene::new().judge().unwrap()["notes"].clone();
    let unhashed = Scene::new().ask("snapshot", own).judge().unwrap();
    let unhashed = agreed(&unhashed, [Some(1009); 3]).unwrap()["notes"].clone();
    let back = "./etcd-restore.yml -t etcd_rollback";
    let moved = "-e etcd_snapshot=10.0.0.2:/data/etcd.1.T/member/snap/db -e etcd_force=unhashed";
    for (notes, phase, data, says) in [
        (&restored, "restoring", "none", ["is under way on 10.0.0.2", "-e etcd_snapshot=/backups/it.db", back]),
        (&restored, "returning", "old", ["is being put back", "10.0.0.2", back]),
        (&unhashed, "restoring", "none", ["is under way on 10.0.0.2", moved, back]),
    ] {
        let cut = Scene::new().noted(1, notes, phase, data);
        let failure =
            run(&json!({ "clusters": cut.clusters(), "observed": cut.observed(), "starts": true })).unwrap_err();
        for part in says {
            assert!(failure.msg.contains(part), "{part}: {failure}");
        }
        // What is named is what the role then accepts.
        assert_eq!(failure.msg.contains("etcd_snapshot"), phase == "restoring", "{failure}");
    }
}

const PHASES: [(&str, &str); 5] =
    [("", "old"), ("restoring", "old"), ("restoring", "none"), ("restoring", "new"), ("starting", "new")];

proptest! {
    /// Wherever a restore was cut off on each host, the next run has the same token, time and former owners, and moves
    /// data unless all of it is there to stay; and the way back knows whose data to look for.
    #[test]
    fn what_was_cut_off_is_gone_on_with(stages in prop::array::uniform3(0..PHASES.len())) {
        let first = Scene::new().judge().unwrap();
        let mut scene = Scene::new();
        for (index, stage) in stages.iter().enumerate() {
            let (phase, data) = PHASES[*stage];
            if !phase.is_empty() {
                scene = scene.noted(index, &first["notes"], phase, data);
            }
        }
        let begun = stages.iter().any(|stage| *stage > 0);
        let plan = scene.clone().ask("time", json!("20260109T000000Z")).judge().unwrap();
        if begun {
            prop_assert_eq!(&plan["token"], &first["token"]);
            prop_assert_eq!(&plan["time"], &first["time"]);
            prop_assert_eq!(&plan["notes"], &first["notes"]);
        }
        let whole = stages.iter().all(|stage| PHASES[*stage].1 == "new");
        // What is cut off may go on by itself while no member serves.
        let goes_on = stages.iter().all(|stage| (1..4).contains(stage));
        prop_assert_eq!(plan["moves"].as_bool().unwrap(), goes_on || !whole);

        let back = scene.ask("rollback", json!(true)).judge();
        prop_assert_eq!(back.is_ok(), begun);
        if let Ok(back) = back {
            let moved = stages.iter().any(|stage| PHASES[*stage].1 != "old");
            prop_assert_eq!(back["moves"].as_bool().unwrap(), goes_on || moved);
            for (index, stage) in stages.iter().enumerate() {
                let note = &back["notes"][HOSTS[index]];
                prop_assert_eq!(note.is_null(), *stage == 0);
                if !note.is_null() {
                    prop_assert_eq!(&note["former_member_id"], &json!(member_id(index, "etcd")));
                    prop_assert_eq!(&note["phase"], "returning");
                }
            }
        }
    }
}
