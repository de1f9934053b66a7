//! Whether a host needs a new certificate, and why: a pure function of what is there and what is wanted.

use crate::certificate::{Certificate, anchor, same_set};
use crate::names::{self, Name};
use ansible_protocol::order;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// There is none.
    Absent,
    /// There is one, and it is of no use: why.
    Unreadable(String),
    /// It holds this.
    Present(T),
}

impl<T> Found<T> {
    /// What it holds, when it holds anything.
    pub(crate) fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// What a host has.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// The host's clock.
    pub(crate) now: Timestamp,
    /// The certificate file: the leaf, then what it is chained by.
    pub(crate) chain: Found<Vec<Certificate>>,
    /// The public half of the key file.
    pub(crate) public: Found<Vec<u8>>,
    /// The authorities in the CA file.
    pub(crate) trusted: Found<Vec<Certificate>>,
}

/// What a host is to have.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The subject's common name; whichever, when not given.
    pub(crate) common_name: Option<String>,
    /// The subject alternative names; whichever, when not given.
    pub(crate) names: Option<BTreeSet<Name>>,
    /// The authorities to trust, the issuing one first. Not known when it is still to be made.
    pub(crate) authorities: Option<Vec<Certificate>>,
    /// Renew when no more than this is left.
    pub(crate) renew_before_days: i64,
    /// Replace the key in any case.
    pub(crate) new_key: bool,
    /// Replace a working certificate of an authority that is not among the wanted ones.
    pub(crate) replace_foreign: bool,
}

/// Why a certificate is needed. Each reason is spelt out by its `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    CertificateMissing,
    CertificateUnreadable(String),
    KeyMissing,
    KeyUnreadable(String),
    KeyMismatch,
    Expired(Timestamp),
    Expiring { at: Timestamp, days: i64 },
    NotYetValid { from: Timestamp, now: Timestamp },
    CommonName { has: String, wanted: String },
    Names { missing: BTreeSet<Name>, extra: BTreeSet<Name> },
    Usages(Vec<&'static str>),
    Weak(String),
    Foreign { issuer: String },
    Superseded { issuer: String },
    NewKey,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateMissing => formatter.write_str("there is no certificate"),
            Self::CertificateUnreadable(why) => write!(formatter, "the certificate cannot be read: {why}"),
            Self::KeyMissing => formatter.write_str("there is no private key"),
            Self::KeyUnreadable(why) => write!(formatter, "the private key cannot be read: {why}"),
            Self::KeyMismatch => formatter.write_str("the private key does not belong to the certificate"),
            Self::Expired(at) => write!(formatter, "it expired at {at}"),
            Self::Expiring { at, days } => write!(formatter, "it expires within {days} days, at {at}"),
            Self::NotYetValid { from, now } => {
                write!(formatter, "it is valid from {from} only, and this host's clock says {now}")
            }
            Self::CommonName { has, wanted } => write!(formatter, "its common name is \"{has}\", not \"{wanted}\""),
            Self::Names { missing, extra } => {
                let part = |what: &str, names: &BTreeSet<Name>| {
                    (!names.is_empty()).then(|| format!("{what} {}", names::texts(names).join(", ")))
                };
                let parts = [part("lacks", missing), part("has unwanted", extra)];
                write!(
                    formatter,
                    "its subject alternative names: {}",
                    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
                )
            }
            Self::Usages(missing) => write!(formatter, "it lacks the usage {}", missing.join(", ")),
            Self::Weak(why) => write!(formatter, "it is too weak for current TLS: {why}"),
            Self::Foreign { issuer } => write!(formatter, "it was issued by another authority, \"{issuer}\""),
            Self::Superseded { issuer } => write!(formatter, "it was issued by the older authority {issuer}"),
            Self::NewKey => formatter.write_str("a new key is asked for"),
        }
    }
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Why a certificate is needed; none is when empty.
    pub(crate) reasons: Vec<Reason>,
    /// Whether the CA file is to be written.
    pub(crate) authority: bool,
    /// Why the certificate must not be replaced: it works, and its authority is not among the wanted ones.
    pub(crate) refusal: Option<String>,
    /// The certificate works and is by an older authority: it stays until the new one is trusted here.
    pub(crate) postponed: bool,
}

/// Decides.
pub(crate) fn decide(wanted: &Wanted, observed: &Observed) -> Decision {
    let authority = match (&wanted.authorities, &observed.trusted) {
        (Some(wanted), Found::Present(trusted)) => !same_set(wanted, trusted),
        _ => true,
    };
    let mut decision = Decision { reasons: key_reasons(wanted, observed), authority, refusal: None, postponed: false };
    match &observed.chain {
        Found::Absent => decision.reasons.insert(0, Reason::CertificateMissing),
        Found::Unreadable(why) => decision.reasons.insert(0, Reason::CertificateUnreadable(why.clone())),
        Found::Present(chain) => {
            if let Some(leaf) = chain.first() {
                decision.reasons.extend(leaf_reasons(wanted, observed.now, leaf));
                issuer_reasons(wanted, observed, chain, leaf, &mut decision);
            }
        }
    }
    decision
}

fn key_reasons(wanted: &Wanted, observed: &Observed) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let leaf = observed.chain.present().and_then(|chain| chain.first());
    match &observed.public {
        Found::Absent => reasons.push(Reason::KeyMissing),
        Found::Unreadable(why) => reasons.push(Reason::KeyUnreadable(why.clone())),
        Found::Present(public) if leaf.is_some_and(|leaf| leaf.public != *public) => reasons.push(Reason::KeyMismatch),
        Found::Present(_) => {}
    }
    if wanted.new_key {
        reasons.push(Reason::NewKey);
    }
    reasons
}

fn leaf_reasons(wanted: &Wanted, now: Timestamp, leaf: &Certificate) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if now > leaf.not_after {
        reasons.push(Reason::Expired(leaf.not_after));
    } else if leaf.remaining_days(now) < wanted.renew_before_days && !ends_with_authority(wanted, leaf) {
        reasons.push(Reason::Expiring { at: leaf.not_after, days: wanted.renew_before_days });
    }
    if now < leaf.not_before {
        reasons.push(Reason::NotYetValid { from: leaf.not_before, now });
    }
    if let Some(name) = wanted.common_name.as_ref().filter(|name| **name != leaf.common_name) {
        reasons.push(Reason::CommonName { has: leaf.common_name.clone(), wanted: name.clone() });
    }
    if let Some(names) = wanted.names.as_ref().filter(|names| **names != leaf.names) {
        let missing = order::set(names.difference(&leaf.names).cloned());
        reasons.push(Reason::Names { missing, extra: order::set(leaf.names.difference(names).cloned()) });
    }
    if !leaf.missing_usages.is_empty() {
        reasons.push(Reason::Usages(leaf.missing_usages.clone()));
    }
    reasons.extend(leaf.weakness.clone().map(Reason::Weak));
    reasons
}

/// What lives as long as the issuing authority cannot be made to live longer by it.
pub(crate) fn ends_with_authority(wanted: &Wanted, leaf: &Certificate) -> bool {
    let first = wanted.authorities.as_deref().and_then(<[_]>::first);
    first.is_some_and(|authority| leaf.not_after >= authority.not_after)
}

/// Another authority means another circle of trust: the other members refuse what it issues until they have
/// restarted with it. So a pair that works is never replaced across that line, unless it is asked for.
fn issuer_reasons(
    wanted: &Wanted,
    observed: &Observed,
    chain: &[Certificate],
    leaf: &Certificate,
    decision: &mut Decision,
) {
    let works = leaf.is_valid_at(observed.now) && observed.public.present() == Some(&leaf.public);
    let keep = works && !wanted.replace_foreign;
    let authorities = wanted.authorities.as_deref().unwrap_or_default();
    let Some(issuer) = anchor(chain, authorities) else {
        if keep {
            decision.refusal = Some(leaf.issuer.clone());
        }
        decision.reasons.push(Reason::Foreign { issuer: leaf.issuer.clone() });
        return;
    };
    // Some authority of the bundle issued it. When that is not the first one, and the chain does not lead there
    // either, a rotation is under way.
    let first = authorities.first().map(std::slice::from_ref).unwrap_or_default();
    if anchor(chain, first).is_some() {
        return;
    }
    let trusted = observed.trusted.present().map(Vec::as_slice).unwrap_or_default();
    if keep && !first.iter().all(|authority| trusted.contains(authority)) {
        // Whatever else is wrong with it: a new one would come from an authority nobody here trusts yet.
        decision.reasons.clear();
        decision.postponed = true;
    } else {
        decision.reasons.push(Reason::Superseded { issuer: issuer.describe() });
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
