use crate::scene::{Scene, call, mode, openssl};
use ansible_protocol::ErrorKind;
use serde_json::json;

#[test]
fn a_new_authority_is_made_once() {
    let scene = Scene::new();
    let made = scene.authority().unwrap();
    assert!(made.changed);
    assert_eq!(mode(&scene.ca_dir()), 0o700);
    assert_eq!(mode(&scene.ca_file("ca.key")), 0o600);
    assert_eq!(mode(&scene.ca_file("ca.crt")), 0o644);
    let before = scene.snapshot();
    let again = scene.authority().unwrap();
    assert!(!again.changed && again.diff.is_empty() && again.warnings.is_empty());
    assert_eq!(scene.snapshot(), before);
    let dir = scene.ca_dir().display().to_string();
    let (made, again) = (&made.values["authorities"][&dir], &again.values["authorities"][&dir]);
    assert_eq!((&made["made"], &again["made"]), (&json!(true), &json!(false)));
    assert_eq!(made["certificate"], again["certificate"]);
    assert!(!serde_json::to_string(&made).unwrap().contains("PRIVATE"));
    let facts = scene.openssl("x509 -in pki/ca/ca.crt -noout -text -fingerprint -sha256");
    let facts = String::from_utf8(facts.stdout).unwrap();
    assert!(facts.contains("CA:TRUE, pathlen:0") && facts.contains("Certificate Sign, CRL Sign"), "{facts}");
    assert!(facts.contains(made["fingerprint_sha256"].as_str().unwrap()), "{facts}");
    scene.openssl("verify -x509_strict -CAfile pki/ca/ca.crt pki/ca/ca.crt");
}

#[test]
fn check_mode_predicts_and_makes_nothing() {
    let mut scene = Scene::new();
    scene.check = true;
    let before = scene.snapshot();
    let predicted = scene.authority().unwrap();
    assert!(predicted.changed);
    let facts = &predicted.values["authorities"][scene.ca_dir().to_str().unwrap()];
    assert_eq!(facts, &json!({"certificate": null, "not_after": null, "fingerprint_sha256": null, "made": true}));
    assert_eq!(scene.snapshot(), before);
}

/// Key types and key forms that `openssl` makes.
const FOREIGN: &[&str] = &[
    "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key",
    "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out ca.key",
    "ecparam -name prime256v1 -genkey -out ca.key",
    "ecparam -name secp384r1 -genkey -noout -out ca.key",
    "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ca.key",
    "genrsa -traditional -out ca.key 3072",
    "genpkey -algorithm ED25519 -out ca.key",
];

#[test]
fn an_existing_authority_of_any_common_kind_is_used_and_never_touched() {
    for (index, command) in FOREIGN.iter().enumerate() {
        let scene = Scene::new();
        std::fs::create_dir_all(scene.ca_dir()).unwrap();
        openssl(&scene.ca_dir(), command);
        openssl(
            &scene.ca_dir(),
            "req -new -x509 -key ca.key -days 900 -subj /C=DE/O=Pigsty/OU=ca/CN=pigsty-ca -out ca.crt",
        );
        let before = scene.snapshot();
        let found = scene.authority().unwrap();
        assert!(!found.changed, "{command}");
        scene.converge();
        let untouched = |path: &str| before.iter().find(|(file, ..)| *file == scene.ca_file(path)).cloned().unwrap();
        for name in ["ca.key", "ca.crt"] {
            assert_eq!(std::fs::read(scene.ca_file(name)).unwrap(), untouched(name).2, "{command}");
        }
        scene.openssl("verify -purpose sslserver -CAfile pki/ca/ca.crt etcd/server.crt");
        scene.openssl("verify -purpose sslclient -CAfile pki/ca/ca.crt etcd/server.crt");
        assert!(!scene.converge().1, "{command} {index}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_and_untouched() {
    let ec = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key";
    let own = "req -new -x509 -key ca.key -subj /CN=ca -days 30 -out ca.crt";
    let cases: &[(&[&str], &str)] = &[
        (&[ec], "there is a ca.key but no ca.crt"),
        (&[ec, own, "rm ca.key"], "there is a ca.crt but no ca.key"),
        (&[ec, own, ec], "ca.key does not belong to ca.crt, \"CN=ca\""),
        (&[ec, own, "pkcs8 -topk8 -in ca.key -passout pass:x -out k", "mv k ca.key"], "the private key is encrypted"),
        (
            &[
                "genrsa -traditional -aes128 -passout pass:x -out ca.key",
                ec,
                own,
                "genrsa -traditional -aes128 -passout pass:x -out ca.key",
            ],
            "the private key is encrypted",
        ),
        (
            &[ec, "req -new -x509 -key ca.key -subj /CN=ca -addext basicConstraints=critical,CA:FALSE -out ca.crt"],
            "is not the certificate of a CA",
        ),
        (
            &[
                ec,
                "req -new -key ca.key -subj /CN=ca -out r",
                "x509 -req -in r -signkey ca.key -days -1 -out ca.crt -extfile ext",
            ],
            "ca.crt expired at",
        ),
        (&["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out ca.key", own], "of a kind not usable here"),
        (&["genrsa -out ca.key 1024", own], "of a kind not usable here"),
        (
            &[ec, "req -new -x509 -key ca.key -subj /DC=org/DC=example/CN=ca -days 30 -out ca.crt"],
            "ca.crt: its subject \"DC=org, DC=example, CN=ca\" cannot be written as an issuer",
        ),
        (&[ec, own, "truncate ca.crt"], "ca.crt: a PEM block is malformed"),
    ];
    for (commands, expected) in cases {
        let scene = Scene::new();
        std::fs::create_dir_all(scene.ca_dir()).unwrap();
        std::fs::write(scene.ca_file("ext"), "basicConstraints=critical,CA:TRUE\n").unwrap();
        for command in *commands {
            match command.split_once(' ').unwrap() {
                ("rm", name) => std::fs::remove_file(scene.ca_file(name)).unwrap(),
                ("mv", names) => {
                    let (from, to) = names.split_once(' ').unwrap();
                    std::fs::rename(scene.ca_file(from), scene.ca_file(to)).unwrap();
                }
                ("truncate", name) => {
                    let text = std::fs::read(scene.ca_file(name)).unwrap();
                    std::fs::write(scene.ca_file(name), &text[..100]).unwrap();
                }
                _ => drop(openssl(&scene.ca_dir(), command)),
            }
        }
        let before = scene.snapshot();
        let failure = scene.authority().unwrap_err();
        assert!(failure.msg.contains(expected), "{expected}: {}", failure.msg);
        assert!(failure.msg.starts_with(&format!("cannot use the CA in {}: ", scene.ca_dir().display())));
        assert_eq!(failure.kind, ErrorKind::Conflict);
        assert_eq!(scene.snapshot(), before);
    }
}

#[test]
fn one_bad_directory_keeps_all_from_being_made() {
    let scene = Scene::new();
    let (good, bad) = (scene.file("a"), scene.file("b"));
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(bad.join("ca.key"), "x").unwrap();
    let failure = call(&json!({ "state": "authority", "ca_dirs": [good, bad, good] })).unwrap_err();
    assert!(failure.msg.contains("there is a ca.key but no ca.crt"));
    assert!(!good.exists());
}

#[test]
fn a_private_key_beside_the_certificate_is_not_handed_on() {
    let scene = Scene::new();
    scene.authority().unwrap();
    let mut text = std::fs::read_to_string(scene.ca_file("ca.key")).unwrap();
    text.push_str(&std::fs::read_to_string(scene.ca_file("ca.crt")).unwrap());
    std::fs::write(scene.ca_file("ca.crt"), text).unwrap();
    assert!(!scene.ca_pem().as_str().unwrap().contains("PRIVATE"));
}

#[test]
fn an_open_key_and_a_near_end_are_remarked() {
    let mut scene = Scene::new();
    scene.set("ca_validity_days", json!(20));
    scene.authority().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(scene.ca_file("ca.key"), open).unwrap();
    let warnings = scene.authority().unwrap().warnings;
    assert!(warnings[0].contains("is open to other users (mode 0644)"), "{warnings:?}");
    assert!(warnings[1].contains("plan its rotation"), "{warnings:?}");
    let csr = scene.requested().unwrap().values["csr"].clone();
    let signed = scene.signed(&csr).unwrap();
    assert!(signed.warnings[0].contains("ends with its CA"), "{:?}", signed.warnings);
}
