use crate::names::{self, Name};
use crate::pem;
use ansible_protocol::order;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// What is to be known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    /// The subject as text.
    pub(crate) subject: String,
    /// The issuer as text.
    pub(crate) issuer: String,
    /// The subject as it is encoded: issuers are matched by it.
    pub(crate) raw_subject: Vec<u8>,
    raw_issuer: Vec<u8>,
    /// The subject's common name, empty when it has none.
    pub(crate) common_name: String,
    /// The subject alternative names.
    pub(crate) names: BTreeSet<Name>,
    /// From when it is valid.
    pub(crate) not_before: Timestamp,
    /// Until when it is valid.
    pub(crate) not_after: Timestamp,
    /// The serial number in hex.
    pub(crate) serial: String,
    /// The public key (DER SubjectPublicKeyInfo).
    pub(crate) public: Vec<u8>,
    /// Whether it may sign certificates.
    pub(crate) is_authority: bool,
    /// The usages etcd's servers and peers need and it does not have.
    pub(crate) missing_usages: Vec<&'static str>,
    /// What today's TLS implementations refuse in it.
    pub(crate) weakness: Option<String>,
}

impl Certificate {
    /// Reads all certificates of a PEM text; there is at least one.
    pub(crate) fn all_from_pem(text: &str) -> Result<Vec<Self>, String> {
        let blocks = pem::blocks(text, |label| label == "CERTIFICATE")?;
        if blocks.is_empty() {
            return Err("there is no PEM block with a certificate in it".into());
        }
        blocks.into_iter().map(|block| Self::from_der(block.contents)).collect()
    }

    /// Reads one certificate.
    pub(crate) fn from_der(der: Vec<u8>) -> Result<Self, String> {
        let damaged = |error: &dyn std::fmt::Display| format!("the certificate is damaged ({error})");
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|error| damaged(&error))?;
        if !rest.is_empty() {
            return Err(damaged(&format!("{} bytes follow it", rest.len())));
        }
        let common_name = parsed.subject().iter_common_name().next();
        Ok(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            raw_subject: parsed.subject().as_raw().to_vec(),
            raw_issuer: parsed.issuer().as_raw().to_vec(),
            common_name: common_name.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned(),
            names: alternative_names(&parsed).map_err(|error| damaged(&error))?,
            not_before: timestamp(parsed.validity().not_before.timestamp()),
            not_after: timestamp(parsed.validity().not_after.timestamp()),
            serial: parsed.tbs_certificate.serial.to_str_radix(16),
            public: parsed.public_key().raw.to_vec(),
            is_authority: is_authority(&parsed),
            missing_usages: missing_usages(&parsed),
            weakness: weakness(&parsed),
            der,
        })
    }

    /// The SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let hex: Vec<String> = digest(&SHA256, &self.der).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        hex.join(":")
    }

    /// Subject and fingerprint, to tell authorities of the same name apart.
    pub(crate) fn describe(&self) -> String {
        format!("\"{}\" ({})", self.subject, self.fingerprint())
    }

    /// Whether the authority's key signed this certificate.
    pub(crate) fn is_signed_by(&self, authority: &Self) -> bool {
        if self.raw_issuer != authority.raw_subject {
            return false;
        }
        match (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der)) {
            (Ok((_, own)), Ok((_, authority))) => own.verify_signature(Some(authority.public_key())).is_ok(),
            _ => false,
        }
    }

    /// Whether the certificate is valid at that time.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whole days until it expires, negative once it has.
    pub(crate) fn remaining_days(&self, now: Timestamp) -> i64 {
        (self.not_after.as_second() - now.as_second()).div_euclid(86_400)
    }

    /// The facts for results.
    pub(crate) fn facts(&self, now: Timestamp) -> Value {
        json!({
            "subject": self.subject,
            "subject_alt_names": names::texts(&self.names),
            "not_before": self.not_before.to_string(),
            "not_after": self.not_after.to_string(),
            "remaining_days": self.remaining_days(now),
            "issuer": self.issuer,
            "serial": self.serial,
            "fingerprint_sha256": self.fingerprint(),
        })
    }

    /// The facts for differences: without what is random at each issue.
    pub(crate) fn summary(&self) -> String {
        format!(
            "subject: {}\nsubject_alt_names: {}\nissuer: {}\nnot_before: {}\nnot_after: {}\n",
            self.subject,
            names::texts(&self.names).join(", "),
            self.issuer,
            self.not_before,
            self.not_after,
        )
    }
}

/// The certificate of the trusted ones that a chain (leaf first) ends in.
pub(crate) fn anchor<'a>(chain: &[Certificate], trusted: &'a [Certificate]) -> Option<&'a Certificate> {
    let (mut current, mut rest) = (chain.first()?, chain.iter().skip(1).collect::<Vec<_>>());
    loop {
        if let Some(found) = trusted.iter().find(|authority| current.is_signed_by(authority)) {
            return Some(found);
        }
        let next = rest.iter().position(|candidate| candidate.is_authority && current.is_signed_by(candidate))?;
        current = rest.swap_remove(next);
    }
}

/// Whether both lists hold the same certificates, in whatever order.
pub(crate) fn same_set(some: &[Certificate], others: &[Certificate]) -> bool {
    let within = |some: &[Certificate], others: &[Certificate]| some.iter().all(|one| others.contains(one));
    within(some, others) && within(others, some)
}

/// The point in time; what is outside the calendar is clamped to its ends.
pub(crate) fn timestamp(second: i64) -> Timestamp {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(second.clamp(first, last)).unwrap_or(Timestamp::MAX)
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Result<BTreeSet<Name>, String> {
    let found = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
    let names = found.map(|extension| order::set(extension.value.general_names.iter().map(name)));
    Ok(names.unwrap_or_default())
}

/// A name as certificates and requests hold it.
pub(crate) fn name(general: &GeneralName<'_>) -> Name {
    match general {
        GeneralName::DNSName(text) => Name::Dns(text.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => Name::Ip(v4.into()),
            (_, Ok(v6)) => Name::Ip(v6.into()),
            _ => Name::Other(format!("malformed address {bytes:02x?}")),
        },
        other => Name::Other(other.to_string()),
    }
}

/// Version 1 certificates have no extensions and are no authorities to Go.
fn is_authority(parsed: &X509Certificate<'_>) -> bool {
    let may_sign = parsed.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    parsed.basic_constraints().is_ok_and(|found| found.is_some_and(|found| found.value.ca)) && may_sign
}

fn missing_usages(parsed: &X509Certificate<'_>) -> Vec<&'static str> {
    let extended = parsed.extended_key_usage().ok().flatten().map(|usage| usage.value);
    let usage = parsed.key_usage().ok().flatten().map(|usage| usage.value);
    // An absent extension restricts nothing.
    let lacks = [
        ("serverAuth", extended.is_some_and(|usage| !usage.any && !usage.server_auth)),
        ("clientAuth", extended.is_some_and(|usage| !usage.any && !usage.client_auth)),
        ("digitalSignature", usage.is_some_and(|usage| !usage.digital_signature())),
    ];
    lacks.into_iter().filter_map(|(name, lacks)| lacks.then_some(name)).collect()
}

fn weakness(parsed: &X509Certificate<'_>) -> Option<String> {
    let signature = &parsed.signature_algorithm.algorithm;
    if [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_PKCS1_MD5WITHRSAENC].contains(signature) {
        return Some("it is signed with SHA-1 or MD5".into());
    }
    match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < 2048 => Some(format!("its RSA key has {} bits", key.key_size())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use proptest::prelude::*;

    fn sample() -> String {
        crate::issue::authority(&Key::generate().unwrap(), "ca", timestamp(1_900_000_000), 10).unwrap()
    }

    #[test]
    fn reads_all_certificates_of_a_bundle() {
        let text = format!("# a comment\n{}{}", sample(), sample());
        let all = Certificate::all_from_pem(&text).unwrap();
        assert_eq!(all.len(), 2);
        assert!(!all[0].is_signed_by(&all[1]), "the same name, another key");
        assert!(all[0].is_signed_by(&all[0]));
        assert_eq!(all[0].remaining_days(timestamp(1_900_000_000)), 10);
        assert_eq!(all[0].remaining_days(timestamp(1_900_000_000 + 11 * 86_400)), -1);
    }

    #[test]
    fn a_chain_is_followed_through_authorities_only() {
        let all = Certificate::all_from_pem(&format!("{}{}", sample(), sample())).unwrap();
        assert_eq!(anchor(&all[..1], &all[..1]), Some(&all[0]));
        assert_eq!(anchor(&all[..1], &all[1..]), None);
        assert_eq!(anchor(&[], &all), None);
    }

    proptest! {
        /// Whatever a file holds, reading it ends in a certificate or a reason.
        #[test]
        fn damage_never_panics(at in 0usize..400, value in any::<u8>(), cut in 0usize..400) {
            let certificate = Certificate::all_from_pem(&sample()).unwrap().remove(0);
            let mut der = certificate.der.clone();
            let at = at % der.len();
            der[at] = value;
            if let Ok(damaged) = Certificate::from_der(der.clone()) {
                let _ = damaged.is_signed_by(&certificate);
                let _ = damaged.facts(timestamp(0));
            }
            der.truncate(cut % der.len());
            prop_assert!(Certificate::from_der(der).is_err());
            let _ = Certificate::all_from_pem(&sample()[cut..]);
            let _ = Key::from_pem(&sample().replace("CERTIFICATE", "EC PRIVATE KEY"));
        }
    }
}
