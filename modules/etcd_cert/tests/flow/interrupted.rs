use crate::scene::{Scene, call, texts};
use ansible_protocol::ErrorKind;
use serde_json::{Value, json};

/// Leaves the CA directory as a run leaves it that is killed after so many links.
fn half_made(scene: &Scene, linked: &[&str], staged: &[&str]) {
    scene.authority().unwrap();
    let staging = scene.ca_file(".ca.quorum-new");
    std::fs::create_dir(&staging).unwrap();
    for name in ["ca.key", "ca.crt"] {
        if staged.contains(&name) {
            std::fs::hard_link(scene.ca_file(name), staging.join(name)).unwrap();
        }
        if !linked.contains(&name) {
            std::fs::remove_file(scene.ca_file(name)).unwrap();
        }
    }
}

#[test]
fn a_half_made_authority_is_never_used_and_always_recovered() {
    let both = ["ca.key", "ca.crt"];
    let cases: [(&[&str], &[&str]); 4] = [(&[], &[]), (&[], &both[..1]), (&[], &both), (&both[..1], &both)];
    for (linked, staged) in cases {
        let mut scene = Scene::new();
        half_made(&scene, linked, staged);
        scene.check = true;
        let before = scene.snapshot();
        let predicted = scene.authority().unwrap();
        assert!(predicted.changed);
        assert_eq!(scene.snapshot(), before);
        scene.check = false;
        let csr = json!("x");
        assert!(scene.signed(&csr).unwrap_err().msg.contains("there is no CA in"), "not to be signed with");
        assert!(scene.authority().unwrap().changed);
        assert!(!scene.ca_file(".ca.quorum-new").exists());
        scene.converge();
        assert!(!scene.converge().1, "{linked:?} {staged:?}");
    }
}

#[test]
fn a_whole_authority_is_used_whatever_lies_beside_it() {
    let scene = Scene::new();
    let both = ["ca.key", "ca.crt"];
    half_made(&scene, &both, &both);
    let csr = scene.requested().unwrap().values["csr"].clone();
    assert!(scene.signed(&csr).unwrap().changed);
    half_made(&scene, &both, &both);
    assert!(scene.signed(&csr).unwrap().changed);
    assert!(!scene.authority().unwrap().changed);
    assert!(!scene.ca_file(".ca.quorum-new").exists());
}

#[test]
fn a_lone_key_of_someone_else_is_no_half_made_authority() {
    let scene = Scene::new();
    half_made(&scene, &[], &["ca.key", "ca.crt"]);
    std::fs::write(scene.ca_file("ca.key"), "someone else's").unwrap();
    let failure = scene.authority().unwrap_err();
    assert!(failure.msg.contains("there is a ca.key but no ca.crt"), "{}", failure.msg);
    assert_eq!(std::fs::read(scene.ca_file("ca.key")).unwrap(), b"someone else's");
}

#[test]
fn many_runs_at_once_make_one_authority() {
    let scene = Scene::new();
    let dir = scene.ca_dir();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let dir = dir.clone();
            std::thread::spawn(move || {
                let outcome = call(&json!({ "state": "authority", "ca_dirs": [dir] })).unwrap();
                let facts = outcome.values["authorities"][dir.to_str().unwrap()].clone();
                (facts["fingerprint_sha256"].clone(), facts["made"] == true)
            })
        })
        .collect();
    let results: Vec<(Value, bool)> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(results.iter().all(|(fingerprint, _)| *fingerprint == results[0].0), "{results:?}");
    assert_eq!(results.iter().filter(|(_, made)| *made).count(), 1);
}

#[test]
fn killed_between_requested_and_present_the_old_pair_works_and_a_rerun_converges() {
    let mut scene = Scene::new();
    scene.converge();
    let pair = |scene: &Scene| ["server.key", "server.crt"].map(|name| std::fs::read(scene.file(name)).unwrap());
    let old = pair(&scene);
    scene.set("new_key", json!(true));
    let first = scene.requested().unwrap().values["csr"].clone();
    assert_eq!(pair(&scene), old);
    let parked = std::fs::read(scene.file(".server.key.quorum-new")).unwrap();
    // The rerun asks for the same key, so a certificate under way still fits.
    let again = scene.requested().unwrap();
    assert!(!again.changed && again.values["new_key"] == true);
    let certificate = scene.signed(&first).unwrap().values["certificate"].clone();
    scene.present(&certificate).unwrap();
    assert_eq!(std::fs::read(scene.file("server.key")).unwrap(), parked);
    scene.extra.clear();
    assert!(!scene.converge().1);
}

#[test]
fn a_parked_key_that_nothing_waits_for_is_removed() {
    let mut scene = Scene::new();
    scene.converge();
    scene.set("new_key", json!(true));
    scene.requested().unwrap();
    scene.extra.clear();
    scene.check = true;
    assert!(scene.requested().unwrap().changed);
    assert!(scene.file(".server.key.quorum-new").exists());
    scene.check = false;
    assert!(scene.requested().unwrap().changed);
    assert!(!scene.file(".server.key.quorum-new").exists());
    assert!(!scene.converge().1);
}

#[test]
fn killed_between_the_two_renames_a_rerun_converges() {
    let mut scene = Scene::new();
    scene.converge();
    scene.set("new_key", json!(true));
    let csr = scene.requested().unwrap().values["csr"].clone();
    scene.signed(&csr).unwrap();
    // The key took its place, the certificate did not.
    std::fs::copy(scene.file(".server.key.quorum-new"), scene.file("server.key")).unwrap();
    scene.extra.clear();
    let (requested, _) = scene.converge();
    assert_eq!(texts(&requested.values["reasons"]), ["the private key does not belong to the certificate"]);
    assert!(!scene.converge().1);
    assert!(!scene.file(".server.key.quorum-new").exists());
}

#[test]
fn damaged_files_are_replaced() {
    for (name, reason) in [
        ("server.crt", "the certificate cannot be read: there is no PEM block with a certificate in it"),
        ("server.key", "the private key cannot be read: there is no PEM block with a private key in it"),
    ] {
        let scene = Scene::new();
        scene.converge();
        std::fs::write(scene.file(name), "torn").unwrap();
        let (requested, _) = scene.converge();
        assert_eq!(texts(&requested.values["reasons"]), [reason]);
        assert!(!scene.converge().1);
    }
}

#[test]
fn nothing_is_touched_when_the_pieces_do_not_fit() {
    let scene = Scene::new();
    scene.converge();
    let before = scene.snapshot();
    let other = Scene::new();
    other.converge();
    let text = |path: std::path::PathBuf| json!(std::fs::read_to_string(path).unwrap());
    let foreign = scene.present(&text(other.file("server.crt"))).unwrap_err();
    assert_eq!(foreign.kind, ErrorKind::Tls);
    assert!(foreign.msg.contains("it was issued by another authority"), "{}", foreign.msg);
    let malformed = scene.present(&json!("-----BEGIN CERTIFICATE-----\n?\n")).unwrap_err();
    assert!(malformed.msg.contains("cannot use the given certificate: a PEM block is malformed"), "{}", malformed.msg);
    // Signed by the right CA for a key that is on another host.
    std::fs::remove_dir_all(other.ca_dir()).unwrap();
    std::fs::create_dir_all(other.ca_dir()).unwrap();
    for name in ["ca.key", "ca.crt"] {
        std::fs::copy(scene.ca_file(name), other.ca_file(name)).unwrap();
    }
    for name in ["server.crt", "server.key", "ca.crt"] {
        std::fs::remove_file(other.file(name)).unwrap();
    }
    other.converge();
    let stranger = scene.present(&text(other.file("server.crt"))).unwrap_err();
    assert_eq!(stranger.kind, ErrorKind::Conflict);
    assert!(stranger.msg.contains("holds its private key; run state=requested again"), "{}", stranger.msg);
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn a_missing_group_or_directory_is_named() {
    let scene = Scene::new();
    scene.converge();
    let pem = scene.ca_pem();
    let call_with = |group: &str, dir: &str, check: bool| {
        let (key, cert, ca) = (format!("{dir}/k"), format!("{dir}/c"), format!("{dir}/a"));
        call(&json!({ "state": "requested", "common_name": "a", "subject_alt_names": ["a"], "ca_certificate": pem,
            "group": group, "key_file": key, "cert_file": cert, "ca_file": ca, "_ansible_check_mode": check }))
    };
    let failure = call_with("no-such-group", "/no/such/dir", false).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Io);
    assert!(failure.msg.contains("there is no group no-such-group on this host"), "{}", failure.msg);
    let failure = call_with("0", "/no/such/dir", false).unwrap_err();
    assert!(failure.msg.contains("there is no directory /no/such/dir; make it first"), "{}", failure.msg);
    let predicted = call_with("no-such-group", "/no/such/dir", true).unwrap();
    assert!(predicted.changed && predicted.warnings[0].contains("no-such-group"));
}

#[test]
fn runs_at_once_on_a_fresh_host_ask_for_the_same_key() {
    let scene = Scene::new();
    scene.authority().unwrap();
    let certificates: Vec<Value> = std::thread::scope(|scope| {
        let run = || {
            let csr = scene.requested().unwrap().values["csr"].clone();
            scene.signed(&csr).unwrap().values["certificate"].clone()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for certificate in certificates {
        scene.present(&certificate).unwrap();
    }
    assert!(!scene.converge().1);
}
