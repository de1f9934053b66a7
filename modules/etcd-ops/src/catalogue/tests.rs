//! The table against what etcd says of itself, and the messages.

use super::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use test_case::test_case;

fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap()
}

fn version(text: &str) -> Option<Version> {
    Some(text.parse().unwrap())
}

fn messages(at: Option<Version>, config: Value) -> Vec<String> {
    check(at, &object(config)).into_iter().map(|problem| problem.message).collect()
}

/// The Go type that a kind stands for.
fn fits(kind: Kind, go: &str) -> bool {
    match kind {
        Kind::Bool => go == "bool" || go == "gate",
        Kind::Int => ["int", "int64"].contains(&go),
        Kind::Uint => ["uint", "uint32", "uint64"].contains(&go),
        Kind::Duration => go == "time.Duration",
        Kind::Text | Kind::Commas | Kind::Urls | Kind::Pairs => go == "string",
        Kind::OneOf(_) => go == "string" || go == "config.V2DeprecationEnum",
        Kind::Texts => go == "[]string",
        Kind::Section(_) => true,
    }
}

fn list(at: Version, path: &str, keys: &[Key], into: &mut BTreeMap<String, Kind>) {
    for key in keys.iter().filter(|key| key.known_by(Some(at))) {
        let full = format!("{path}{}", key.name);
        // Both sections have the same keys, and the lists name them once.
        if let Kind::Section(inner) = key.kind
            && full != "peer-transport-security"
        {
            list(at, &format!("{full}."), inner, into);
        }
        into.insert(full, key.kind);
    }
}

/// Cannot come from a file: a list of Go functions.
const NOT_FROM_A_FILE: &[&str] = &["grpc-additional-server-options"];
/// Names for groups of gates, which have no constant of their own in etcd's list.
const GROUPS: &[&str] = &["feature-gates.AllAlpha", "feature-gates.AllBeta"];

#[test_case("3.4.15")]
#[test_case("3.5.0")]
#[test_case("3.5.16")]
#[test_case("3.5.35")]
#[test_case("3.6.16")]
#[test_case("3.7.3")]
fn the_table_is_what_etcd_reads(release: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config-keys").join(release);
    let text = std::fs::read_to_string(path).unwrap();
    let read: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| !NOT_FROM_A_FILE.contains(name))
        .collect();
    let at = release.parse().unwrap();
    let mut table = BTreeMap::new();
    list(at, "", KEYS, &mut table);
    if table.contains_key("feature-gates") {
        list(at, "feature-gates.", GATES, &mut table);
    }
    table.retain(|name, _| !GROUPS.contains(&name.as_str()));
    assert_eq!(table.keys().map(String::as_str).collect::<Vec<_>>(), read.keys().copied().collect::<Vec<_>>());
    for (name, kind) in table {
        let go = read[name.as_str()];
        assert!(fits(kind, go), "{name} is a {go} to etcd {release}, and {kind:?} in the table");
    }
}

/// The executables hold the tags of their structs, so they say themselves what they read. This covers the releases
/// whose source cannot be had as a module, such as a distribution's 3.4.
#[test_case("3.4")]
#[test_case("3.5")]
#[test_case("3.6")]
#[test_case("3.7")]
fn the_table_is_what_the_executable_reads(series: &str) {
    let cache = std::env::var_os("QUORUM_ETCD_CACHE").unwrap_or_else(|| "/var/cache/quorum.etcd".into());
    let program = PathBuf::from(cache).join("etcd").join(series).join("etcd");
    let bytes = std::fs::read(&program)
        .unwrap_or_else(|why| panic!("{}: {why}; build it with testbed/etcd/build {series}", program.display()));
    let output = std::process::Command::new(&program).arg("--version").output().unwrap();
    let at = Version::from_output(&String::from_utf8_lossy(&output.stdout)).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let tags: std::collections::BTreeSet<&str> = text
        .split("json:\"")
        .skip(1)
        .filter_map(|rest| rest.split(['"', ',']).next())
        .filter(|tag| tag.len() < 64)
        .collect();
    for key in KEYS.iter().chain(SECURITY) {
        // Words that many structs use say nothing when they are there.
        let telling = key.name.contains('-');
        if key.known_by(Some(at)) {
            assert!(tags.contains(key.name), "etcd {at} does not know {}", key.name);
        } else if telling {
            assert!(!tags.contains(key.name), "etcd {at} knows {}", key.name);
        }
    }
}

#[test]
fn names_are_unique_and_renamed_keys_lead_to_keys_of_the_same_kind() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(KEYS[..index].iter().all(|other| other.name != key.name), "{} is there twice", key.name);
        match key.now {
            Now::Key(new) => {
                let new = find(new).unwrap();
                // A text may have become one of several texts.
                let same = new.kind == key.kind || matches!((key.kind, new.kind), (Kind::Text, Kind::OneOf(_)));
                assert!(same && new.now == Now::Same, "{} and {}", key.name, new.name);
            }
            Now::Inside(section, new) => assert!(find(&format!("{section}.{new}")).is_some()),
            Now::Gate(gate) => assert!(GATES.iter().any(|known| known.name == gate), "{gate}"),
            Now::Same | Now::Gone(_) => {}
        }
    }
}

#[test_case(None, json!({ "lisen-peer-urls": "x" }), "lisen-peer-urls is unknown to etcd, which would ignore it, did you mean listen-peer-urls?"; "typo, any version")]
#[test_case(version("3.6.14"), json!({ "quota-backend-byte": 1 }), "quota-backend-byte is unknown to etcd 3.6.14, which would ignore it, did you mean quota-backend-bytes?"; "typo")]
#[test_case(version("3.6.14"), json!({ "data_dir": "/x" }), "data_dir is unknown to etcd 3.6.14, which would ignore it, did you mean data-dir?"; "underscores")]
#[test_case(version("3.6.14"), json!({ "ETCD_NAME": "x" }), "ETCD_NAME is unknown to etcd 3.6.14, which would ignore it, did you mean name?"; "environment variable")]
#[test_case(version("3.6.14"), json!({ "peer-cert-file": "/x" }), "peer-cert-file is unknown to etcd 3.6.14, which would ignore it, did you mean peer-transport-security: cert-file?"; "command line flag")]
#[test_case(version("3.6.14"), json!({ "peer-transport-security": { "ca-file": "/x" } }), "peer-transport-security.ca-file is unknown to etcd 3.6.14, which would ignore it, did you mean peer-transport-security.trusted-ca-file?"; "in a section")]
#[test_case(version("3.6.14"), json!({ "enable-v2": false }), "enable-v2 was removed in etcd 3.6: the v2 API is gone"; "removed")]
#[test_case(version("3.7.1"), json!({ "experimental-initial-corrupt-check": true }), "experimental-initial-corrupt-check was removed in etcd 3.7: write feature-gates: InitialCorruptCheck=true, or set translate: true"; "now a gate")]
#[test_case(version("3.7.1"), json!({ "experimental-corrupt-check-time": "1h" }), "experimental-corrupt-check-time was removed in etcd 3.7: write corrupt-check-time, or set translate: true"; "renamed")]
#[test_case(version("3.6.14"), json!({ "experimental-corrupt-check-time": "1h" }), "experimental-corrupt-check-time will be gone in the next release of etcd: write corrupt-check-time"; "deprecated")]
#[test_case(version("3.5.16"), json!({ "corrupt-check-time": "1h" }), "corrupt-check-time is read from etcd 3.6.0 on, not by etcd 3.5.16, which would ignore it; its name there is experimental-corrupt-check-time"; "too new")]
#[test_case(version("3.5.7"), json!({ "tls-min-version": "TLS1.2" }), "tls-min-version is read from etcd 3.5.8 on, not by etcd 3.5.7, which would ignore it"; "too new by a patch release")]
#[test_case(version("3.6.1"), json!({ "feature-gates": "InitialCorruptChek=true" }), "feature-gates.InitialCorruptChek is unknown to etcd 3.6.1, which would not start, did you mean InitialCorruptCheck?"; "unknown gate")]
#[test_case(version("3.6.1"), json!({ "feature-gates": { "PriorityRequest": true } }), "feature-gates.PriorityRequest is read from etcd 3.7.0 on, not by etcd 3.6.1, which would not start"; "gate too new")]
#[test_case(version("3.6.1"), json!({ "grpc-keepalive-min-time": 5 }), "grpc-keepalive-min-time is 5 nanoseconds to etcd: write the unit, as in 5s"; "nanoseconds")]
#[test_case(version("3.6.1"), json!({ "memory-mlock": true, "experimental-memory-mlock": false }), "experimental-memory-mlock and memory-mlock are the same thing: remove experimental-memory-mlock"; "both names")]
fn says(at: Option<Version>, config: Value, message: &str) {
    assert_eq!(messages(at, config), [message]);
}

#[test]
fn what_a_release_newer_than_the_known_ones_would_ignore_is_not_known() {
    let problems = check(version("3.8.0"), &object(json!({ "brand-new": 1 })));
    assert_eq!(problems[0].severity, Severity::Warning);
    assert_eq!(messages(version("3.9.1"), json!({ "name": "a", "max-learners": 2 })), Vec::<String>::new());
}

#[test]
fn without_version_every_known_key_passes() {
    let config =
        json!({ "debug": true, "enable-v2": true, "max-learners": 1, "feature-gates": "PriorityRequest=true" });
    assert_eq!(messages(None, config), Vec::<String>::new());
}

#[test]
fn translates_to_newer_releases() {
    let old = object(json!({
        "name": "a", "enable-v2": false, "experimental-corrupt-check-time": "1h",
        "experimental-initial-corrupt-check": true, "experimental-compact-hash-check-enabled": "yes",
        "experimental-peer-skip-client-san-verification": true,
    }));
    let (new, notes) = translate(Version::new(3, 7, 1), &old);
    let wanted = json!({
        "name": "a", "corrupt-check-time": "1h", "feature-gates": "InitialCorruptCheck=true,CompactHashCheck=true",
        "peer-transport-security": { "skip-client-san-verification": true },
    });
    assert_eq!(Value::from(new.clone()), wanted);
    assert_eq!(notes.len(), 5);
    assert_eq!(notes[0], "enable-v2 is left out: etcd 3.7.1 has no such key");
    assert_eq!(check(version("3.7.1"), &new), []);
}

#[test]
fn translates_to_older_releases() {
    let new =
        object(json!({ "corrupt-check-time": "1h", "feature-gates": "InitialCorruptCheck=true,PriorityRequest=true" }));
    let (old, _) = translate(Version::new(3, 5, 16), &new);
    let wanted = json!({
        "experimental-corrupt-check-time": "1h", "experimental-initial-corrupt-check": true,
        "feature-gates": "PriorityRequest=true",
    });
    assert_eq!(Value::from(old), wanted);
}

#[test]
fn does_not_translate_what_contradicts_or_asks_for_something() {
    let config = object(json!({ "enable-v2": true, "memory-mlock": true, "experimental-memory-mlock": false }));
    let (same, notes) = translate(Version::new(3, 7, 0), &config);
    assert_eq!((same, notes.len()), (config, 0));
}

#[test]
fn translating_twice_changes_nothing_more() {
    let everything: Object = KEYS.iter().map(|key| (key.name.to_owned(), json!("1"))).collect();
    for (minor, patch) in [(4, 23), (5, 16), (6, 14), (7, 1)] {
        let (once, _) = translate(Version::new(3, minor, patch), &everything);
        let (twice, notes) = translate(Version::new(3, minor, patch), &once);
        assert_eq!((twice, notes), (once, vec![]));
    }
}
