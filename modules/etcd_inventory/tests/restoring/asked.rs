//! What may be restored.

use super::scene::{HOSTS, NOW, Scene, agreed, cluster_id, member_id, run};
use serde_json::{Value, json};

#[test]
fn a_cluster_is_restored_as_another_one() {
    let plan = Scene::new().judge().unwrap();
    assert_eq!((&plan["moves"], &plan["rollback"]), (&json!(true), &json!(false)));
    assert_eq!(plan["token"], format!("etcd-restored-{NOW}-01234567"));
    assert_eq!(plan["cluster_id"], cluster_id(plan["token"].as_str().unwrap()));
    let note = &plan["notes"][HOSTS[1]];
    assert_eq!((&note["former_member_id"], &note["phase"]), (&json!(member_id(1, "etcd")), &json!("restoring")));
    for part in ["6, 3 keys", "10.0.0.1, 10.0.0.2, 10.0.0.3", "/data/etcd.MEMBER_ID.2026", "-t etcd_rollback"] {
        assert!(plan["prompt"].as_str().unwrap().contains(part), "{part}");
    }
    // Once that is over, the same command is another restore.
    let again = (0..3).fold(Scene::new(), |scene, index| scene.noted(index, &plan["notes"], "restored", "new"));
    let again = again.ask("time", json!("20260103T000000Z")).judge().unwrap();
    assert_eq!((&again["moves"], again["token"] == plan["token"]), (&json!(true), false));
}

#[test]
fn what_is_not_safe_is_refused() {
    let scene = Scene::new;
    scene()
        .set("etcd_safeguard", json!(true))
        .refused(&["etcd_safeguard is true on 10.0.0.1, ", "-e etcd_safeguard=false"]);
    scene().ask("snapshot", Value::Null).refused(&["no snapshot is named", "HOST:/FILE", "-t etcd_rollback"]);
    // What is under a mount point would be hidden by the old data at the next boot.
    let unmounted = scene().on(1, |seen| seen["data"] = json!({ "state": "absent", "unmounted": "/data" }));
    unmounted.refused(&["/data of 10.0.0.2 is to be mounted and is not", "mount /data"]);
    scene()
        .ask("hosts", json!(["10.0.0.1"]))
        .on(1, |seen| *seen = Value::Null)
        .refused(&["10.0.0.2 of cluster etcd is left out of the run"]);
    scene()
        .on(2, |seen| *seen = Value::Null)
        .refused(&["10.0.0.3 cannot be reached", "take it out of the inventory first"]);
    scene()
        .on(0, |seen| seen["unit"] = json!({ "active_state": "inactive" }))
        .refused(&["10.0.0.1 has no unit etcd", "./etcd.yml -t etcd_install,etcd_config"]);
    scene()
        .on(1, |seen| seen["version"] = Value::Null)
        .refused(&["10.0.0.2 has no etcd that can be run", "etcd_install"]);
    scene()
        .on(2, |seen| seen["unit"]["unit_file_state"] = json!("masked"))
        .refused(&["etcd is masked on 10.0.0.3", "systemctl unmask etcd"]);
    scene()
        .on(1, |seen| seen["version"] = json!("3.5.16"))
        .refused(&["/backups/it.db is of a cluster of etcd 3.6", "10.0.0.2 (3.5.16)"]);
    scene().ask("bump", json!(-1)).refused(&["etcd_restore_bump is -1"]);
    scene().on(0, |seen| seen["unit"]["error"] = json!("no systemd")).refused(&["10.0.0.1 cannot run a member"]);
    scene()
        .on(0, |seen| seen["restore"] = json!({ "error": "torn" }))
        .refused(&["noted on 10.0.0.1 cannot be read (torn)"]);
    scene().on(0, |seen| seen["restore"] = json!({ "phase": "odd" })).refused(&["noted on 10.0.0.1 cannot be read"]);
    let used =
        scene().on(0, |seen| seen["cluster"]["usage"]["clients"] = json!(["Patroni cluster pg-main in /service"]));
    used.refused(&["cluster etcd is in use, by Patroni", "to restore it all the same: -e etcd_force=in_use"]);
    used.clone().set("etcd_force", json!("in_use")).judge().unwrap();
    let leaderless = |scene: Scene, index: usize| {
        scene.on(index, |seen| {
            seen["cluster"] = Value::Null;
            seen["cluster_error"] = json!({ "kind": "no_leader", "reason": "no leader" });
        })
    };
    let survivor = (0..3).fold(scene(), leaderless);
    survivor.refused(&["etcd runs on 10.0.0.1, and it cannot be told who uses cluster etcd", "-e etcd_force=in_use"]);
    // A recovery has waited for a leader, and there is none.
    survivor.clone().ask("recovers", json!(true)).judge().unwrap();
    let meanwhile = survivor.on(2, |seen| {
        *seen = Scene::new().seen[2].clone();
        seen["cluster"]["usage"] = Value::Null;
    });
    meanwhile.ask("recovers", json!(true)).refused(&["it cannot be told who uses cluster etcd"]);
    used.clone().ask("recovers", json!(true)).refused(&["cluster etcd is in use, by Patroni"]);
    used.ask("rollback", json!(true)).refused(&["no restore of cluster etcd is noted"]);
    let stranger = json!({ "id": "abc", "name": "etcd-9", "peer_urls": ["https://10.0.0.9:2380"], "started": true });
    scene()
        .on(0, |seen| seen["cluster"]["members"].as_array_mut().unwrap().push(stranger.clone()))
        .refused(&["etcd-9 (abc) at https://10.0.0.9:2380", "./etcd-rm.yml"]);
    scene().ask("rollback", json!(true)).refused(&["nothing to roll back"]);
}

#[test]
fn a_snapshot_of_another_cluster_is_refused() {
    let other = json!([{ "id": "abc", "name": "etcd-b-1", "peer_urls": ["https://10.9.9.9:2380"] }]);
    let mut scene = Scene::new();
    scene.request["snapshot"]["members"] = other;
    scene.refused(&[
        "is of another cluster than etcd",
        "etcd-b-1 at https://10.9.9.9:2380",
        "-e etcd_force=other_cluster",
    ]);
    let forced = scene.clone().set("etcd_force", json!("other_cluster")).judge().unwrap();
    assert!(forced["prompt"].as_str().unwrap().contains("of a cluster of etcd-b-1 at https://10.9.9.9:2380"));
    // Where there is nothing, nothing is mixed up.
    let bare = |scene: Scene, index| {
        scene.on(index, |seen| {
            seen["data"] = json!({ "state": "absent" });
            seen["unit"]["active_state"] = json!("inactive");
            seen["cluster"] = Value::Null;
        })
    };
    (0..3).fold(scene.clone(), bare).judge().unwrap();
    // A member is known by its id or by its address.
    for (id, url) in [(member_id(2, "etcd"), "https://10.9.9.9:2380"), ("abc".into(), "https://10.0.0.2:2380")] {
        scene.request["snapshot"]["members"] = json!([{ "id": id, "name": "", "peer_urls": [url] }]);
        scene.judge().unwrap();
    }
}

#[test]
fn revisions_begin_above_all_that_clients_have_seen() {
    let first = Scene::new().judge().unwrap();
    assert_eq!((&first["bump"], &first["revision"]), (&json!(1003), &json!(1009)), "the cluster is at 9");
    let again = (0..3).fold(Scene::new(), |scene, index| scene.noted(index, &first["notes"], "restored", "new"));
    let again = again.ask("time", json!("20260103T000000Z"));
    assert_eq!(again.judge().unwrap()["revision"], json!(2009), "and an earlier restore began at 1009");
    let seen = again.clone().on(0, |seen| {
        seen["cluster"] = Scene::new().seen[0]["cluster"].clone();
        seen["cluster"]["usage"]["revision"] = json!(5000);
    });
    assert_eq!(seen.judge().unwrap()["revision"], json!(6000));
    let none = again.ask("bump", json!(0)).judge().unwrap();
    assert_eq!((&none["bump"], &none["revision"]), (&json!(0), &json!(6)));
    // What was cut off goes on with the revision that it began with, whatever is asked for by now.
    let cut = Scene::new().noted(1, &first["notes"], "restoring", "new").ask("bump", json!(7)).judge().unwrap();
    assert_eq!((&cut["bump"], &cut["notes"][HOSTS[2]]["bump"]), (&json!(1003), &json!(1003)));
}

#[test]
fn all_members_begin_with_the_same_revision() {
    let plan = Scene::new().judge().unwrap();
    let whole = agreed(&plan, [Some(1009); 3]).unwrap();
    assert_eq!((&whole["revision"], &whole["bump"]), (&json!(1009), &json!(1003)));
    assert_eq!(whole["asides"][1], "10.0.0.2:/data/etcd.1.T");
    assert_eq!(whole["notes"][HOSTS[1]]["asides"], json!(["/data/etcd.1.T"]));
    // No tool can raise them: then that is how it is, and how it is noted.
    let flat = agreed(&plan, [Some(6); 3]).unwrap();
    assert_eq!((&flat["revision"], &flat["notes"][HOSTS[0]]["bump"]), (&json!(6), &json!(0)));
    let failure = agreed(&plan, [Some(1009), Some(6), Some(1009)]).unwrap_err();
    for part in ["different revisions", "10.0.0.2: 6 by /usr/bin/etcdutl 3.6.14", "install the same etcdutl"] {
        assert!(failure.msg.contains(part), "{part}: {failure}");
    }
    assert!(agreed(&plan, [Some(1009), None, Some(1009)]).unwrap_err().msg.contains("10.0.0.2: not known"));
    // What one run has moved is named by the next one as well.
    let cut = Scene::new().noted(0, &whole["notes"], "restoring", "new").judge().unwrap();
    assert_eq!(cut["asides"], json!(["10.0.0.1:/data/etcd.1.T"]));
}

#[test]
fn several_clusters_are_refused() {
    let scene = Scene::new();
    let mut clusters = scene.clusters();
    clusters["other"] = clusters["etcd"].clone();
    clusters["other"]["name"] = json!("other");
    let failure =
        run(&json!({ "clusters": clusters, "observed": scene.observed(), "restore": scene.request })).unwrap_err();
    assert!(failure.msg.contains("clusters etcd and other, and a snapshot is of one: name it with -l"), "{failure}");
}
