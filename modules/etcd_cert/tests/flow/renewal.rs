use crate::scene::{Scene, mode, texts};
use ansible_protocol::ErrorKind;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_fresh_host_gets_its_pair_and_a_second_run_changes_nothing() {
    let scene = Scene::new();
    let (requested, changed) = scene.converge();
    assert!(changed);
    assert_eq!(requested.values["needed"], json!(["certificate", "authority"]));
    assert_eq!(texts(&requested.values["reasons"]), ["there is no certificate", "there is no private key"]);
    assert_eq!(requested.values["certificate"], Value::Null);
    assert_eq!(mode(&scene.file("server.key")), 0o640);
    assert_eq!(mode(&scene.file("server.crt")), 0o644);
    assert_eq!(mode(&scene.file("ca.crt")), 0o644);
    assert!(!scene.file(".server.key.quorum-new").exists());
    let before = scene.snapshot();
    let (again, changed) = scene.converge();
    assert!(!changed && again.diff.is_empty() && again.warnings.is_empty());
    assert_eq!(again.values["needed"], json!([]));
    assert_eq!(again.values["csr"], Value::Null);
    let facts = &again.values["certificate"];
    assert_eq!(facts["subject"], "CN=etcd-1");
    assert_eq!(facts["issuer"], "CN=quorum.etcd CA");
    let days = facts["remaining_days"].as_i64().unwrap();
    assert!((3649..=3650).contains(&days), "{days}");
    assert_eq!(facts["subject_alt_names"], json!(["127.0.0.1", "::1", "etcd-1", "localhost"]));
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn no_private_key_appears_in_any_result() {
    let mut scene = Scene::new();
    let mut seen = String::new();
    for check in [true, false, true] {
        scene.check = check;
        scene.set("new_key", json!(true));
        let requested = scene.requested().unwrap();
        let csr = requested.values["csr"].clone();
        seen.push_str(&serde_json::to_string(&requested.into_object(true)).unwrap());
        let signed = scene.signed(&csr).unwrap();
        let certificate = signed.values["certificate"].clone();
        seen.push_str(&serde_json::to_string(&signed.into_object(true)).unwrap());
        if let Ok(present) = scene.present(&certificate) {
            seen.push_str(&serde_json::to_string(&present.into_object(true)).unwrap());
        }
    }
    assert!(seen.contains("a new private key") && !seen.contains("PRIVATE KEY"), "{seen}");
}

#[test]
fn check_mode_predicts_what_the_run_then_does() {
    let mut scene = Scene::new();
    scene.check = true;
    let before = scene.snapshot();
    let requested = scene.requested().unwrap();
    assert!(requested.changed && requested.values["csr"].is_null());
    // Null, or what older cores make of it.
    assert!(scene.signed(&Value::Null).unwrap().changed);
    assert!(scene.signed(&json!("")).unwrap().changed);
    let present = scene.present(&Value::Null).unwrap();
    assert!(present.changed);
    assert_eq!(present.values["ca_changed"], true);
    assert_eq!(present.diff.len(), 2, "{:?}", present.diff);
    assert_eq!(scene.snapshot(), before);
}

/// With a key that stays, check mode goes all the way and shows what will be installed.
#[test]
fn check_mode_of_a_renewal_shows_the_coming_certificate() {
    let mut scene = Scene::new();
    scene.converge();
    scene.names.push("10.9.8.7".into());
    scene.check = true;
    let before = scene.snapshot();
    let requested = scene.requested().unwrap();
    assert!(!requested.changed, "nothing on the host changes before the certificate comes");
    let signed = scene.signed(&requested.values["csr"]).unwrap();
    let present = scene.present(&signed.values["certificate"]).unwrap();
    assert!(present.changed && !present.values["ca_changed"].as_bool().unwrap());
    assert_eq!(present.diff.len(), 1);
    assert!(!present.diff[0].before.contains("10.9.8.7") && present.diff[0].after.contains("10.9.8.7"));
    assert_eq!(scene.snapshot(), before);
    scene.check = false;
    scene.converge();
    assert!(!scene.converge().1);
}

#[test]
fn renews_by_remaining_lifetime_and_keeps_the_key() {
    let mut scene = Scene::new();
    scene.set("validity_days", json!(100));
    scene.converge();
    let key = std::fs::read(scene.file("server.key")).unwrap();
    scene.set("renew_before_days", json!(99));
    assert!(!scene.converge().1, "99 days and some hours are left");
    scene.set("validity_days", json!(200));
    scene.set("renew_before_days", json!(101));
    let (requested, changed) = scene.converge();
    assert!(changed);
    assert!(texts(&requested.values["reasons"])[0].starts_with("it expires within 101 days, at "));
    assert_eq!(requested.values["needed"], json!(["certificate"]));
    assert_eq!(requested.values["new_key"], false);
    assert_eq!(std::fs::read(scene.file("server.key")).unwrap(), key);
    assert!(!scene.converge().1);
}

#[test]
fn a_changed_name_is_found_and_put_right() {
    let mut scene = Scene::new();
    scene.converge();
    scene.names = vec!["ETCD-1".into(), "::1".into(), "10.0.0.9".into(), "127.0.0.1".into()];
    scene.common_name = String::new();
    let (requested, _) = scene.converge();
    let reasons = texts(&requested.values["reasons"]);
    assert_eq!(
        reasons,
        [
            "its common name is \"etcd-1\", not \"\"",
            "its subject alternative names: lacks 10.0.0.9; has unwanted localhost"
        ]
    );
    let (again, changed) = scene.converge();
    assert!(!changed, "{:?}", again.values);
    assert_eq!(again.values["certificate"]["subject"], "");
}

#[test]
fn a_new_key_replaces_the_old_one_only_with_its_certificate() {
    let mut scene = Scene::new();
    scene.converge();
    let key = std::fs::read(scene.file("server.key")).unwrap();
    scene.set("new_key", json!(true));
    let requested = scene.requested().unwrap();
    assert!(requested.changed);
    assert_eq!(std::fs::read(scene.file("server.key")).unwrap(), key);
    assert_eq!(mode(&scene.file(".server.key.quorum-new")), 0o600);
    scene.converge();
    assert_ne!(std::fs::read(scene.file("server.key")).unwrap(), key);
    assert!(!scene.file(".server.key.quorum-new").exists());
    scene.extra.clear();
    assert!(!scene.converge().1);
}

#[test]
fn owners_and_modes_are_repaired_without_a_new_certificate() {
    let mut scene = Scene::new();
    scene.converge();
    std::fs::set_permissions(scene.file("server.key"), PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::set_permissions(scene.file("ca.crt"), PermissionsExt::from_mode(0o600)).unwrap();
    scene.check = true;
    let predicted = scene.requested().unwrap();
    scene.check = false;
    let requested = scene.requested().unwrap();
    assert!(predicted.changed && requested.changed);
    assert_eq!(predicted.diff, requested.diff);
    assert!(requested.diff[0].before.contains("mode: 0644") && requested.diff[0].after.contains("mode: 0640"));
    assert!(requested.warnings[0].contains("was open to every user"), "{:?}", requested.warnings);
    assert_eq!(requested.values["needed"], json!([]));
    assert_eq!((mode(&scene.file("server.key")), mode(&scene.file("ca.crt"))), (0o640, 0o644));
    assert!(!scene.converge().1);
}

#[test]
fn a_foreign_authority_is_refused_by_name_and_replaced_when_asked() {
    let mut scene = Scene::new();
    scene.converge();
    let before = scene.snapshot();
    std::fs::rename(scene.ca_dir(), scene.file("old-ca")).unwrap();
    scene.set("ca_common_name", json!("another CA"));
    scene.authority().unwrap();
    for result in [scene.requested(), scene.present(&Value::Null)] {
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Conflict);
        let old = "its authority is \"CN=quorum.etcd CA\" (";
        let new = "the one given is \"CN=another CA\" (";
        assert!(failure.msg.contains(old) && failure.msg.contains(new), "{}", failure.msg);
        assert!(failure.msg.contains("replace_foreign=true"));
    }
    let of = |files: Vec<(std::path::PathBuf, u32, Vec<u8>)>, name: &str| {
        files.into_iter().find(|(path, ..)| path.ends_with(name)).unwrap()
    };
    assert_eq!(of(scene.snapshot(), "etcd/server.crt"), of(before, "etcd/server.crt"));
    scene.set("replace_foreign", json!(true));
    let (requested, _) = scene.converge();
    assert_eq!(texts(&requested.values["reasons"]), ["it was issued by another authority, \"CN=quorum.etcd CA\""]);
    scene.extra.clear();
    assert!(!scene.converge().1);
}

#[test]
fn an_authority_rotates_in_three_steps() {
    let mut scene = Scene::new();
    scene.converge();
    let old = std::fs::read_to_string(scene.ca_file("ca.crt")).unwrap();
    let other = Scene::new();
    other.authority().unwrap();
    let new = std::fs::read_to_string(other.ca_file("ca.crt")).unwrap();
    let key = std::fs::read_to_string(other.ca_file("ca.key")).unwrap();

    std::fs::write(scene.ca_file("ca.crt"), format!("{old}{new}")).unwrap();
    let (trusting, _) = scene.converge();
    assert_eq!(trusting.values["needed"], json!(["authority"]));

    std::fs::write(scene.ca_file("ca.key"), key).unwrap();
    assert!(scene.authority().unwrap_err().msg.contains("put the key's own certificate first"));
    std::fs::write(scene.ca_file("ca.crt"), format!("{new}{old}")).unwrap();
    let (reissued, _) = scene.converge();
    assert_eq!(reissued.values["needed"], json!(["certificate"]));
    assert!(!scene.converge().1);

    std::fs::write(scene.ca_file("ca.crt"), new).unwrap();
    let (closing, _) = scene.converge();
    assert_eq!(closing.values["needed"], json!(["authority"]));
    scene.check = true;
    assert!(!scene.converge().1);
}

#[test]
fn a_host_gets_no_more_than_it_was_asked_to_want() {
    let mut scene = Scene::new();
    let csr = scene.requested().unwrap().values["csr"].clone();
    scene.names.push("10.0.0.1".into());
    let failure = scene.signed(&csr).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Tls);
    assert!(failure.msg.contains("it asks for the names 127.0.0.1, ::1, etcd-1, localhost, not 10.0.0.1, "));
    scene.names.pop();
    scene.common_name = "root".into();
    let failure = scene.signed(&csr).unwrap_err();
    assert!(failure.msg.contains("its subject is \"CN=etcd-1\", not CN=\"root\""), "{}", failure.msg);
    scene.common_name = "etcd-1".into();
    let failure = scene.signed(&json!("hello")).unwrap_err();
    assert!(failure.msg.contains("it is no PEM certificate request"), "{}", failure.msg);
    // One letter in the last line of the base64: the signature.
    let mut lines: Vec<String> = csr.as_str().unwrap().lines().map(Into::into).collect();
    let line = lines.len() - 2;
    let letter = if lines[line].starts_with('A') { "B" } else { "A" };
    lines[line].replace_range(0..1, letter);
    let failure = scene.signed(&json!(lines.join("\n"))).unwrap_err();
    assert!(failure.msg.contains("signature"), "{}", failure.msg);
}

#[test]
fn wrong_options_are_named_together() {
    let msg = crate::scene::call(&json!({ "state": "requested", "common_name": "a", "subject_alt_names": [],
        "validity_days": 0, "renew_before_days": -1, "key_mode": "0999", "ca_common_name": "x".repeat(65) }))
    .unwrap_err()
    .msg;
    for part in [
        "validity_days must",
        "renew_before_days must",
        "key_mode must",
        "ca_common_name is longer",
        "subject_alt_names is empty",
    ] {
        assert!(msg.contains(part), "{part}: {msg}");
    }
}

#[test]
fn short_lives_and_defaults_do_not_get_in_each_others_way() {
    let mut scene = Scene::new();
    scene.set("validity_days", json!(30));
    scene.set("renew_before_days", json!(10));
    let csr = scene.requested().unwrap().values["csr"].clone();
    // A playbook tells `signed` the one and `present` neither.
    scene.extra.shift_remove("renew_before_days");
    let certificate = scene.signed(&csr).unwrap().values["certificate"].clone();
    scene.extra.clear();
    scene.present(&certificate).unwrap();
    std::fs::remove_file(scene.file("ca.crt")).unwrap();
    let installed = scene.present(&Value::Null).unwrap();
    assert!(installed.changed && installed.values["ca_changed"] == true);
}
