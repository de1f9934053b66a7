use crate::scene::{DOWN, Data, LOST, MEMBER, Member, Scene, TRIED, keys, says, texts};
use serde_json::json;
use test_case::test_case;

#[test]
fn where_nothing_is_wrong_nothing_is_done() {
    let plan = Scene::new(&[MEMBER; 3]).plan();
    assert_eq!((&plan["acts"], &plan["found"], &plan["left"]), (&json!(false), &json!([]), &json!([])));
    let mut unasked = Scene::new(&[MEMBER; 3]);
    unasked.compares = false;
    assert_eq!(unasked.plan()["compare"], json!({ "etcd": "10.0.0.1" }));
}

#[test_case(Member { data: Data::Gone, ..DOWN }; "data that is gone")]
#[test_case(Member { data: Data::Gone, left_wal: true, ..DOWN }; "data that is gone but for its log")]
#[test_case(Member { data: Data::Unreadable, ..DOWN }; "data that cannot be read")]
#[test_case(Member { tried: Some(true), ..DOWN }; "data that does not start")]
fn a_lost_member_is_replaced(lost: Member) {
    let plan = Scene::new(&[MEMBER, lost, MEMBER]).plan();
    let leaving = &plan["leaving"][0];
    assert_eq!(
        (&leaving["id"], &leaving["speaker"], &leaving["forced"]),
        (&json!("2"), &json!("10.0.0.1"), &json!(false))
    );
    assert_eq!(plan["join"], json!(["10.0.0.2"]));
    assert_eq!(keys(&plan["stop"]), ["10.0.0.2"]);
    let nothing = lost.data == Data::Gone && !lost.left_wal;
    assert_eq!(keys(&plan["aside"]).len(), usize::from(!nothing));
}

#[test_case(Member { data: Data::Gone, ..MEMBER }, "holds no data:"; "data that was deleted")]
#[test_case(Member { data: Data::Unreadable, ..MEMBER }, "no data that can be read (no log)"; "a log that was deleted")]
#[test_case(Member { holds: Some("ee"), ..MEMBER }, "the data of another member (ee)"; "data that is another member's")]
fn who_serves_without_its_data_is_named_and_not_stopped(odd: Member, what: &str) {
    for members in [[MEMBER, odd, MEMBER], [odd; 3]] {
        let plan = Scene::new(&members).plan();
        assert_eq!((&plan["acts"], &plan["stop"]), (&json!(false), &json!({})));
        let sentence = ["etcd serves as etcd-2 (2) on 10.0.0.2", "/data/etcd", what, "./etcd-backup.yml", "etcd_data"];
        says(&plan, "left", &sentence);
    }
    // Once it is stopped, what is lost is made anew.
    let plan = Scene::new(&[MEMBER, LOST, MEMBER]).plan();
    assert_eq!(plan["join"], json!(["10.0.0.2"]));
}

#[test]
fn nobody_is_made_anew_from_data_that_may_be_wrong() {
    for joins in [LOST, Member { listed: false, ..LOST }] {
        let mut scene = Scene::new(&[Member { hash: 8, ..MEMBER }, MEMBER, joins]);
        if !joins.listed {
            // Two of two have to agree.
            scene.refused(&["hold different data, and no majority agrees"]);
        }
        scene.compares = false;
        let plan = scene.plan();
        assert_eq!((&plan["compare"], &plan["acts"]), (&json!({ "etcd": "10.0.0.1" }), &json!(false)));
    }
    Scene::new(&[Member { hash: 8, ..MEMBER }, MEMBER, LOST]).refused(&["no majority agrees", "./etcd-restore.yml"]);
    // Where that could not be told, nobody is copied either.
    let plan = Scene::new(&[MEMBER, MEMBER, LOST]).ask("hashes", json!({ "etcd": null })).plan();
    assert_eq!((&plan["acts"], &plan["compare"]), (&json!(false), &json!({})));
    says(&plan, "left", &["could not be compared"]);
    // The leader that differs, on a host that cannot be reached, might be what it is made from.
    let away = Member { hash: 8, reachable: false, ..MEMBER };
    let plan = Scene::new(&[away, MEMBER, MEMBER, MEMBER, LOST]).plan();
    assert_eq!((&plan["acts"], &plan["leaving"]), (&json!(false), &json!([])));
    says(&plan, "left", &["is not what the others hold", "cannot be reached", "before that nobody is made anew"]);
}

#[test]
fn a_member_that_may_only_be_stopped_is_started() {
    let plan = Scene::new(&[MEMBER, DOWN, MEMBER]).plan();
    assert_eq!((&plan["start"], &plan["leaving"]), (&json!(["10.0.0.2"]), &json!([])));
    says(&plan, "intends", &["if its log then says that its data is damaged, replace it"]);
    // One that does not start for another reason is left to the user, who may say so.
    let other = Scene::new(&[MEMBER, TRIED, MEMBER]);
    let plan = other.plan();
    assert_eq!(plan["acts"], false);
    says(&plan, "left", &["-e etcd_force=replace"]);
    assert_eq!(other.set("etcd_force", "replace").plan()["leaving"][0]["id"], "2");
    // Of several, nobody knows which one was meant.
    let several = Scene::new(&[MEMBER, TRIED, MEMBER, TRIED, MEMBER]).set("etcd_force", "replace");
    let plan = several.plan();
    assert_eq!(plan["leaving"], json!([]));
    says(&plan, "left", &["would replace those of 10.0.0.2 and 10.0.0.4", "in the variables of the host"]);
}

#[test]
fn who_serves_is_up_whoever_cannot_see_it() {
    let blind = Member { cut_off: true, ..MEMBER };
    let plan = Scene::new(&[blind, MEMBER, MEMBER]).plan();
    assert_eq!((&plan["start"], &plan["acts"]), (&json!([]), &json!(false)));
    // Even where all are: each one knows of itself.
    let plan = Scene::new(&[blind; 3]).plan();
    assert_eq!(plan["start"], json!([]));
    // Who sees most is asked.
    let mut scene = Scene::new(&[blind, MEMBER, LOST]);
    scene.compares = false;
    assert_eq!(scene.plan()["compare"], json!({ "etcd": "10.0.0.2" }));
}

#[test_case(Member { listed: false, ..LOST }, 0; "without data")]
#[test_case(Member { listed: false, left_wal: true, ..LOST }, 1; "with a log")]
#[test_case(Member { listed: false, data: Data::Unreadable, ..DOWN }, 1; "with data that cannot be read")]
#[test_case(Member { listed: false, ..DOWN }, 0; "with data of no use")]
fn who_has_left_joins_again(gone: Member, aside: usize) {
    let plan = Scene::new(&[MEMBER, gone, MEMBER]).plan();
    assert_eq!((&plan["join"], &plan["leaving"]), (&json!(["10.0.0.2"]), &json!([])));
    assert_eq!((keys(&plan["aside"]).len(), keys(&plan["stop"]).len()), (aside, aside));
    // One that never was a member is nobody's to be made one.
    let never = Member { certificate: false, ..gone };
    let plan = Scene::new(&[MEMBER, never, MEMBER]).plan();
    assert_eq!(plan["join"] == json!([]), gone.data != Data::Whole);
}

#[test]
fn another_clusters_data_is_left_where_it_is() {
    for listed in [true, false] {
        let plan = Scene::new(&[MEMBER, Member { of: "ff", listed, ..DOWN }, MEMBER]).plan();
        assert_eq!(plan["acts"], false);
        says(&plan, "left", &["holds a member of another cluster (ff)"]);
    }
}

#[test]
fn who_cannot_be_asked_is_not_copied() {
    let out = Member { listed: false, ..LOST };
    let away = Member { reachable: false, ..MEMBER };
    let plan = Scene::new(&[away, away, out]).plan();
    assert_eq!(plan["acts"], false);
    says(&plan, "left", &["none of the members of cluster etcd that serve can be reached"]);
    let told = json!({ "etcd": { "revision": 5, "members": { "2": 7, "3": 7 } } });
    let plan = Scene::new(&[MEMBER, MEMBER, MEMBER, out]).ask("hashes", told).plan();
    assert_eq!(plan["acts"], false);
    says(&plan, "left", &["or not that of its leader"]);
}

#[test]
fn a_disk_that_is_missing_is_to_be_mounted() {
    for data in [Data::Gone, Data::Unreadable, Data::Whole] {
        for listed in [true, false] {
            let plan = Scene::new(&[MEMBER, Member { unmounted: true, data, listed, ..DOWN }, MEMBER]).plan();
            assert_eq!((&plan["acts"], &plan["compare"]), (&json!(false), &json!({})));
            says(&plan, "left", &["/data of 10.0.0.2 is to be mounted and is not", "mount /data"]);
        }
    }
}

#[test]
fn a_quorum_is_never_given_up() {
    let broken = [MEMBER, MEMBER, LOST];
    Scene::new(&broken).ask("from", "10.0.0.1").refused(&["has a quorum", "leave etcd_recover_from out"]);
    Scene::new(&broken).ask("snapshot", "/x").refused(&["has a quorum", "leave etcd_snapshot out"]);
    // The run that has done what was asked for looks at a quorum in the end, and has nothing left to say.
    let done = Scene::new(&[MEMBER, MEMBER, MEMBER]).ask("from", "10.0.0.1").ask("again", true).plan();
    assert_eq!((&done["acts"], &done["left"]), (&json!(false), &json!([])));
}

#[test]
fn the_odd_one_is_replaced_and_its_alarm_ends() {
    let odd = Member { hash: 8, ..MEMBER };
    let scene = Scene::new(&[MEMBER, odd, MEMBER]);
    assert_eq!(scene.plan()["disarm"], json!([]));
    for named in 0..3 {
        let plan = scene.clone().alarm("CORRUPT", named).plan();
        assert_eq!((&plan["leaving"][0]["id"], &plan["leaving"][0]["speaker"]), (&json!("2"), &json!("10.0.0.1")));
        assert_eq!(plan["disarm"], json!([{ "cluster": "etcd", "host": "10.0.0.1" }]));
    }
    Scene::new(&[MEMBER, odd, Member { hash: 9, ..MEMBER }]).refused(&["no majority agrees", "./etcd-restore.yml"]);
    let equal = Scene::new(&[MEMBER; 3]).alarm("CORRUPT", 1).plan();
    assert_eq!((equal["disarm"].as_array().unwrap().len(), &equal["leaving"]), (1, &json!([])));
    // While one is away, nobody knows what it holds.
    let away = Member { reachable: false, ..DOWN };
    let plan = Scene::new(&[MEMBER, MEMBER, away]).alarm("CORRUPT", 0).plan();
    assert_eq!(plan["disarm"], json!([]));
    says(&plan, "left", &["has the alarm CORRUPT", "once all its members serve"]);
}

#[test]
fn under_the_alarm_who_is_behind_differs() {
    let at = |revision| Member { revision: Some(revision), ..MEMBER };
    let behind = Scene::new(&[at(9), at(6), at(9)]);
    // Without the alarm somebody may just be writing.
    assert_eq!(behind.plan()["acts"], false);
    let plan = behind.alarm("CORRUPT", 2).plan();
    assert_eq!(plan["leaving"][0]["id"], "2");
    says(&plan, "found", &["the data of etcd-2 (2)", "up to revision 6"]);
    Scene::new(&[at(9), at(6), at(7)]).alarm("CORRUPT", 0).refused(&["no majority agrees"]);
}

#[test]
fn of_several_odd_ones_one_goes_at_a_time() {
    let odd = Member { hash: 8, ..MEMBER };
    let first = Scene::new(&[MEMBER, odd, odd, MEMBER, MEMBER]).alarm("CORRUPT", 2).plan();
    assert_eq!((keys(&first["stop"]), &first["join"]), (vec!["10.0.0.2".to_owned()], &json!([])));
    assert_eq!(first["disarm"], json!([]));
    // Those that went before join once nobody is left that they could be made from.
    let out = Member { listed: false, ..LOST };
    let second = Scene::new(&[MEMBER, out, odd, MEMBER, MEMBER]).alarm("CORRUPT", 2).plan();
    assert_eq!(keys(&second["stop"]), ["10.0.0.3"]);
    assert_eq!(texts(&second["join"]).len(), 2);
    assert_eq!(second["disarm"].as_array().unwrap().len(), 1);
}

#[test]
fn who_was_put_down_for_its_data_does_not_serve_it_again() {
    let put_down = Member { enabled: false, ..DOWN };
    for named in [0, 2] {
        let plan = Scene::new(&[MEMBER, put_down, MEMBER]).alarm("CORRUPT", named).plan();
        assert_eq!((&plan["start"], &plan["leaving"][0]["id"]), (&json!([]), &json!("2")));
        assert_eq!(plan["disarm"].as_array().unwrap().len(), 1);
    }
    // Nothing says that it is this one.
    for scene in [Scene::new(&[MEMBER, put_down, MEMBER]), Scene::new(&[MEMBER, put_down, MEMBER]).alarm("CORRUPT", 3)]
    {
        assert_eq!(scene.plan()["start"], json!(["10.0.0.2"]));
    }
}

#[test]
fn room_is_made_only_while_all_serve() {
    let plan = Scene::new(&[MEMBER; 3]).alarm("NOSPACE", 2).plan();
    assert_eq!(plan["space"], json!([{ "cluster": "etcd", "host": "10.0.0.1" }]));
    let plan = Scene::new(&[MEMBER, DOWN, MEMBER]).alarm("NOSPACE", 2).plan();
    assert_eq!((&plan["space"], &plan["start"]), (&json!([]), &json!(["10.0.0.2"])));
    says(&plan, "found", &["takes no writes", "once all its members serve"]);
    // That writes are blocked is said, also where nothing can be done about it yet.
    let plan = Scene::new(&[MEMBER, Member { reachable: false, ..DOWN }, MEMBER]).alarm("NOSPACE", 2).plan();
    assert_eq!((&plan["space"], &plan["acts"]), (&json!([]), &json!(false)));
    says(&plan, "left", &["takes no writes", "only made while all its members serve"]);
}
