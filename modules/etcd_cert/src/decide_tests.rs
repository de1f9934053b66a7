use super::*;
use crate::issue::{self, Subject};
use crate::key::Key;
use proptest::prelude::*;

const DAY: i64 = 86_400;

fn start() -> Timestamp {
    "2031-05-06T07:08:09Z".parse().unwrap()
}

struct Ca {
    key: Key,
    certificate: Certificate,
    pem: String,
}

fn ca(name: &str, days: i64) -> Ca {
    let key = Key::generate().unwrap();
    let pem = issue::authority(&key, name, start(), days).unwrap();
    let certificate = Certificate::all_from_pem(&pem).unwrap().remove(0);
    Ca { key, certificate, pem }
}

fn issue(ca: &Ca, key: &Key, subject: &Subject, days: i64) -> Certificate {
    let csr = issue::request(key, subject).unwrap();
    issue::sign(&csr, subject, (&ca.key, &ca.certificate, &ca.pem), start(), days).unwrap().certificate
}

fn subject(name: &str, names: &[&str]) -> Subject {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Subject { common_name: name.into(), names: names::parse(&names).unwrap() }
}

/// A host that has what it wants.
fn settled(ca: &Ca, subject: &Subject, days: i64) -> (Wanted, Observed) {
    let key = Key::generate().unwrap();
    let leaf = issue(ca, &key, subject, days);
    let wanted = Wanted {
        common_name: Some(subject.common_name.clone()),
        names: Some(subject.names.clone()),
        authorities: Some(vec![ca.certificate.clone()]),
        renew_before_days: 0,
        new_key: false,
        replace_foreign: false,
    };
    let observed = Observed {
        now: start(),
        chain: Found::Present(vec![leaf]),
        public: Found::Present(key.public()),
        trusted: Found::Present(vec![ca.certificate.clone()]),
    };
    (wanted, observed)
}

fn at(day: i64) -> Timestamp {
    crate::certificate::timestamp(start().as_second() + day * DAY)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was just issued as wanted needs nothing, for any name, any life, at any time before the renewal is due;
    /// from then on it needs renewal.
    #[test]
    fn after_issuing_nothing_is_needed(
        common_name in "[A-Za-z0-9 ._-]{0,64}",
        hosts in proptest::collection::btree_set("[a-z][a-z0-9]{0,10}(\\.[a-z][a-z0-9]{0,5}){0,3}", 1..6),
        v4 in any::<[u8; 4]>(),
        v6 in any::<[u8; 16]>(),
        days in 2i64..4000,
        renew in 0i64..4000,
        later in 0i64..4000,
    ) {
        let mut texts: Vec<String> = hosts.into_iter().collect();
        texts.push(std::net::Ipv4Addr::from(v4).to_string());
        texts.push(std::net::Ipv6Addr::from(v6).to_string());
        let subject = Subject { common_name, names: names::parse(&texts).unwrap() };
        let (mut wanted, mut observed) = settled(&ca("ca", 5000), &subject, days);
        wanted.renew_before_days = renew % days;
        let nothing = Decision { reasons: vec![], authority: false, refusal: None, postponed: false };
        prop_assert_eq!(decide(&wanted, &observed), nothing.clone());
        observed.now = at(later);
        let due = later > days - wanted.renew_before_days;
        let reasons = decide(&wanted, &observed).reasons;
        prop_assert_eq!(!reasons.is_empty(), due, "{:?}", reasons);
    }

    /// Any one deviation is found, and found as what it is.
    #[test]
    fn any_single_deviation_is_detected(which in 0usize..14, days in 100i64..1000) {
        let right = subject("etcd-1", &["etcd-1", "10.0.0.1", "::1"]);
        let ca_here = ca("ca", 5000);
        let (mut wanted, mut observed) = settled(&ca_here, &right, days);
        let other = subject("etcd-2", &["etcd-1", "10.0.0.1", "::1"]);
        let key = Key::generate().unwrap();
        let found = match which {
            0 => { observed.chain = Found::Absent; "there is no certificate" }
            1 => { observed.chain = Found::Unreadable("x".into()); "the certificate cannot be read: x" }
            2 => { observed.public = Found::Absent; "there is no private key" }
            3 => { observed.public = Found::Unreadable("x".into()); "the private key cannot be read: x" }
            4 => { observed.public = Found::Present(key.public()); "does not belong" }
            5 => { observed.now = at(days + 1); "it expired at" }
            6 => { wanted.renew_before_days = days + 1; "it expires within" }
            7 => { observed.now = at(-1); "this host's clock says 2031-05-05" }
            8 => { wanted.common_name = Some(other.common_name); "its common name is \"etcd-1\", not \"etcd-2\"" }
            9 => { wanted.names = Some(subject("", &["etcd-1", "10.0.0.1"]).names); "has unwanted ::1" }
            10 => {
                wanted.names = Some(subject("", &["etcd-1", "10.0.0.1", "::1", "10.0.0.2"]).names);
                "lacks 10.0.0.2"
            }
            11 => { wanted.new_key = true; "a new key is asked for" }
            12 => { wanted.authorities = Some(vec![ca("ca", 5000).certificate]); "issued by another authority" }
            _ => {
                let newer = ca("newer", 5000).certificate;
                wanted.authorities = Some(vec![newer.clone(), ca_here.certificate.clone()]);
                observed.trusted = Found::Present(vec![ca_here.certificate.clone(), newer]);
                "issued by the older authority"
            }
        };
        let reasons: Vec<String> = decide(&wanted, &observed).reasons.iter().map(ToString::to_string).collect();
        prop_assert_eq!(reasons.len(), 1, "{:?}", reasons);
        prop_assert!(reasons[0].contains(found), "{:?} {}", reasons, found);
    }
}

#[test]
fn a_working_pair_of_another_authority_is_kept_unless_asked() {
    let subject = subject("etcd-1", &["etcd-1"]);
    let (mut wanted, mut observed) = settled(&ca("old", 5000), &subject, 100);
    wanted.authorities = Some(vec![ca("new", 5000).certificate]);
    assert_eq!(decide(&wanted, &observed).refusal.as_deref(), Some("CN=old"));
    // A CA that is still to be made cannot have issued it either.
    wanted.authorities = None;
    assert!(decide(&wanted, &observed).refusal.is_some());
    wanted.replace_foreign = true;
    assert_eq!(decide(&wanted, &observed).refusal, None);
    wanted.replace_foreign = false;
    observed.now = at(101);
    let expired = decide(&wanted, &observed);
    assert_eq!(expired.refusal, None, "an expired certificate is simply renewed");
    assert!(expired.reasons.iter().any(|reason| matches!(reason, Reason::Expired(_))));
}

#[test]
fn the_same_name_is_not_the_same_authority() {
    let subject = subject("etcd-1", &["etcd-1"]);
    let (mut wanted, observed) = settled(&ca("ca", 5000), &subject, 100);
    wanted.authorities = Some(vec![ca("ca", 5000).certificate]);
    assert!(decide(&wanted, &observed).refusal.is_some());
}

#[test]
fn a_rotation_reissues_only_where_the_new_authority_is_trusted() {
    let subject = subject("etcd-1", &["etcd-1"]);
    let (old, new) = (ca("old", 5000), ca("new", 5000));
    let (mut wanted, mut observed) = settled(&old, &subject, 100);
    // First the new certificate is added: trust changes, the leaf stays.
    wanted.authorities = Some(vec![old.certificate.clone(), new.certificate.clone()]);
    let added = decide(&wanted, &observed);
    assert!(added.reasons.is_empty() && added.authority && !added.postponed);
    // Going straight to the new key is held back while the host does not trust it.
    wanted.authorities = Some(vec![new.certificate.clone(), old.certificate.clone()]);
    let hasty = decide(&wanted, &observed);
    assert!(hasty.reasons.is_empty() && hasty.authority && hasty.postponed);
    wanted.renew_before_days = 200;
    assert_eq!(decide(&wanted, &observed), hasty, "not even for a renewal that is due");
    observed.now = at(101);
    assert!(!decide(&wanted, &observed).reasons.is_empty(), "an expired one has nothing to lose");
    (observed.now, wanted.renew_before_days) = (start(), 0);
    observed.trusted = Found::Present(vec![old.certificate, new.certificate]);
    let ready = decide(&wanted, &observed);
    assert!(matches!(ready.reasons[..], [Reason::Superseded { .. }]) && !ready.authority);
}

#[test]
fn what_ends_with_its_authority_is_not_renewed_again_and_again() {
    let (mut wanted, mut observed) = settled(&ca("ca", 30), &subject("etcd-1", &["etcd-1"]), 100);
    wanted.renew_before_days = 90;
    assert!(decide(&wanted, &observed).reasons.is_empty());
    observed.now = at(31);
    assert!(!decide(&wanted, &observed).reasons.is_empty());
}

#[test]
fn the_trusted_set_matters_and_its_order_does_not() {
    let (a, b) = (ca("a", 5000), ca("b", 5000));
    let (mut wanted, mut observed) = settled(&a, &subject("etcd-1", &["etcd-1"]), 100);
    wanted.authorities = Some(vec![a.certificate.clone(), b.certificate.clone()]);
    observed.trusted = Found::Present(vec![b.certificate, a.certificate]);
    assert!(!decide(&wanted, &observed).authority);
    for trusted in [Found::Absent, Found::Unreadable("x".into()), Found::Present(vec![])] {
        observed.trusted = trusted;
        assert!(decide(&wanted, &observed).authority);
    }
}
