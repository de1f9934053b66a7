//! What is expected against what is there. Pure.

use etcd_ops::snapshot::Fingerprint;
use std::collections::BTreeMap;

/// What is not as expected, in words; nothing where all is.
pub(super) fn differences(expected: &Fingerprint, found: &Fingerprint) -> Vec<String> {
    let mut all = Vec::new();
    let mut compare = |what: &str, expected: String, found: String| {
        if expected != found {
            all.push(format!("{what} {found} instead of {expected}"));
        }
    };
    compare("the revision is", expected.revision.to_string(), found.revision.to_string());
    compare("the number of keys is", expected.total_keys.to_string(), found.total_keys.to_string());
    if let (Some(expected), Some(found)) = (expected.hash, found.hash) {
        compare("the hash of all keys is", format!("{expected:08x}"), format!("{found:08x}"));
    }
    let on = |enabled| if enabled { "on" } else { "off" }.to_owned();
    let (wanted, there) = (&expected.access, &found.access);
    compare("authentication is", on(wanted.enabled), on(there.enabled));
    named("user", "has other roles", &wanted.users, &there.users, &mut all);
    named("role", "has other permissions", &wanted.roles, &there.roles, &mut all);
    all
}

fn named<T: PartialEq>(
    kind: &str,
    other: &str,
    expected: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
    all: &mut Vec<String>,
) {
    for (name, value) in expected {
        match found.get(name) {
            None => all.push(format!("the {kind} {name} is missing")),
            Some(there) if there != value => all.push(format!("the {kind} {name} {other}")),
            Some(_) => {}
        }
    }
    let more = found.keys().filter(|name| !expected.contains_key(*name));
    all.extend(more.map(|name| format!("there is a {kind} {name}, which was not saved")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_ops::rpc::auth::Permission;
    use etcd_ops::snapshot::Access;
    use test_case::test_case;

    fn saved() -> Fingerprint {
        let mut access = Access { enabled: true, ..Access::default() };
        access.add_user("root", vec!["root".to_owned()]);
        access.add_user("ann", vec!["writer".to_owned(), "reader".to_owned()]);
        access.add_role("root", vec![]);
        access.add_role("reader", vec![Permission { key: b"/app".to_vec(), ..Permission::default() }]);
        Fingerprint { revision: 7, total_keys: 3, hash: Some(0x1A), access }
    }

    #[test_case(|_| {}, &[]; "nothing")]
    #[test_case(|found| found.hash = None, &[]; "a hash that is not known")]
    #[test_case(|found| found.total_keys = 2, &["the number of keys is 2 instead of 3"]; "a key")]
    #[test_case(|found| found.hash = Some(0x1B), &["the hash of all keys is 0000001b instead of 0000001a"]; "a value")]
    #[test_case(|found| found.revision = 6, &["the revision is 6 instead of 7"]; "the revision")]
    #[test_case(|found| found.access.enabled = false, &["authentication is off instead of on"]; "authentication")]
    #[test_case(|found| drop(found.access.users.remove("ann")), &["the user ann is missing"]; "a user")]
    #[test_case(|found| found.access.add_user("ann", vec!["reader".to_owned()]), &["the user ann has other roles"]; "a grant")]
    #[test_case(|found| found.access.add_role("reader", vec![]), &["the role reader has other permissions"]; "a permission")]
    #[test_case(|found| found.access.add_user("eve", vec![]), &["there is a user eve, which was not saved"]; "an intruder")]
    fn what_differs_is_named(change: fn(&mut Fingerprint), wanted: &[&str]) {
        let mut found = saved();
        change(&mut found);
        assert_eq!(differences(&saved(), &found), wanted);
    }

    #[test]
    fn the_order_of_roles_does_not_matter() {
        let mut found = saved();
        found.access.add_user("ann", vec!["reader".to_owned(), "writer".to_owned()]);
        assert!(differences(&saved(), &found).is_empty());
    }
}
