//! What may be restored, put back, and started, through the module's public interface.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use ansible_protocol::{Context, Failure, Module, Outcome};
use etcd_inventory::EtcdInventory;
use etcd_ops::datadir::{founding_cluster_id, founding_member_id};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const NOW: &str = "20260102T030405Z";

fn run(arguments: &Value) -> Result<Outcome, Failure> {
    let (read, _) = ansible_protocol::read_arguments(&EtcdInventory::SPEC, arguments.as_object().cloned().unwrap());
    let params = serde_json::from_value(read?.options.into()).unwrap();
    EtcdInventory::run(params, &Context::default())
}

fn member_id(index: usize, token: &str) -> String {
    format!("{:x}", founding_member_id(&[format!("https://{}:2380", HOSTS[index])], token))
}

fn cluster_id(token: &str) -> String {
    let id = |host: &&str| founding_member_id(&[format!("https://{host}:2380")], token);
    format!("{:x}", founding_cluster_id(&HOSTS.iter().map(id).collect::<Vec<_>>()))
}

/// Three hosts, and what each of them is like.
#[derive(Clone, Debug)]
struct Scene {
    variables: Value,
    seen: Vec<Value>,
    request: Value,
}

fn snapshot(sha256: &str) -> Value {
    json!({ "path": "/backups/it.db", "sha256": sha256, "size": 20512, "revision": 6, "total_keys": 3, "auth": true,
            "users": ["root"], "roles": ["root"], "cluster_version": "3.6.0", "sealed": true,
            "members": [{ "id": member_id(0, "etcd"), "name": "etcd-1", "peer_urls": ["https://10.0.0.1:2380"] }] })
}

impl Scene {
    /// A cluster that serves, and a snapshot of it.
    fn new() -> Self {
        let members: Vec<Value> = (0..3)
            .map(|index| {
                json!({ "id": member_id(index, "etcd"), "name": format!("etcd-{}", index + 1), "healthy": true,
                        "peer_urls": [format!("https://{}:2380", HOSTS[index])], "started": true })
            })
            .collect();
        let usage = json!({ "leases": { "count": 0 }, "clients": [], "complete": true, "revision": 9 });
        let live = json!({ "id": cluster_id("etcd"), "leader": member_id(0, "etcd"), "members": members, "usage": usage, "auth": "on" });
        let seen = (0..3).map(|index| {
            json!({ "version": "3.6.14", "serving": true, "restore": null, "cluster": live, "cluster_error": null,
                    "unit": { "active_state": "active", "unit_file_state": "enabled" },
                    "data": { "state": "member", "member_id": member_id(index, "etcd"), "cluster_id": cluster_id("etcd"), "had_leader": true } })
        });
        Self {
            variables: json!({}),
            seen: seen.collect(),
            request: json!({ "hosts": HOSTS, "time": NOW, "bump": 1000, "snapshot": snapshot("0123456789abcdef") }),
        }
    }

    fn set(mut self, name: &str, value: Value) -> Self {
        self.variables[name] = value;
        self
    }

    fn ask(mut self, name: &str, value: Value) -> Self {
        self.request[name] = value;
        self
    }

    /// Changes what a host says.
    fn on(mut self, index: usize, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.seen[index]);
        self
    }

    /// What a restore that has come this far has left on a host: noted, stopped, replaced, started.
    fn noted(self, index: usize, notes: &Value, phase: &str, data: &str) -> Self {
        let mut note = notes[HOSTS[index]].clone();
        note["phase"] = json!(phase);
        let token = note["token"].as_str().unwrap().to_owned();
        self.on(index, |seen| {
            seen["restore"] = note.clone();
            match data {
                "new" => {
                    seen["data"]["member_id"] = json!(member_id(index, &token));
                    seen["data"]["cluster_id"] = json!(cluster_id(&token));
                }
                "none" => seen["data"] = json!({ "state": "absent" }),
                _ => {}
            }
            if phase != "starting" {
                seen["unit"]["active_state"] = json!("inactive");
                seen["cluster"] = Value::Null;
                seen["cluster_error"] = json!({ "kind": "unreachable", "reason": "refused" });
            }
        })
    }

    fn clusters(&self) -> Value {
        let hosts: Map<String, Value> = HOSTS
            .iter()
            .enumerate()
            .map(|(index, host)| {
                let mut variables = self.variables.clone();
                variables["etcd_seq"] = json!(index + 1);
                ((*host).to_owned(), variables)
            })
            .collect();
        let named = run(&json!({ "groups": { "etcd": HOSTS }, "hosts": hosts, "play_hosts": HOSTS })).unwrap();
        named.values["clusters"].clone()
    }

    fn observed(&self) -> Value {
        let seen = HOSTS.iter().zip(&self.seen).filter(|(_, seen)| !seen.is_null());
        seen.map(|(host, seen)| ((*host).to_owned(), seen.clone())).collect::<Map<_, _>>().into()
    }

    fn judge(&self) -> Result<Value, Failure> {
        let arguments = json!({ "clusters": self.clusters(), "observed": self.observed(), "restore": self.request });
        Ok(run(&arguments)?.values["restore"].clone())
    }

    #[track_caller]
    fn refused(&self, parts: &[&str]) {
        let msg = self.judge().unwrap_err().msg;
        for part in parts {
            assert!(msg.contains(part), "{part:?} is not in: {msg}");
        }
        assert!(msg.ends_with("Nothing was changed on any host."), "{msg}");
    }
}

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

/// What becomes of a plan once the hosts have foretold their revisions.
fn agreed(plan: &Value, revisions: [Option<i64>; 3]) -> Result<Value, Failure> {
    let told = HOSTS.iter().zip(revisions).map(|(host, revision)| {
        let told = json!({ "revision": revision, "aside": "/data/etcd.1.T", "wal_aside": null, "tool": "/usr/bin/etcdutl", "tool_version": "3.6.14" });
        ((*host).to_owned(), told)
    });
    let told: Map<String, Value> = told.collect();
    let scene = Scene::new();
    Ok(run(&json!({ "clusters": scene.clusters(), "restored": plan, "foretold": told }))?.values["restore"].clone())
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

#[test]
fn a_rollback_is_noted_until_it_is_proved() {
    let notes = Scene::new().judge().unwrap()["notes"].clone();
    let returned = (0..3).fold(Scene::new(), |scene, index| scene.noted(index, &notes, "returned", "old"));
    let back = returned.clone().ask("rollback", json!(true)).judge().unwrap();
    assert_eq!((&back["moves"], back["notes"].as_object().unwrap().len()), (&json!(false), 3));
    // It keeps nobody from anything else.
    assert_eq!(returned.ask("time", json!("20260109T000000Z")).judge().unwrap()["time"], "20260109T000000Z");
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
