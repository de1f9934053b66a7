//! Making certificates and requests.

use crate::certificate::{self, Certificate};
use crate::key::Key;
use crate::names::Name;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeSet;
use std::time::Duration;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// How far clocks may differ, in seconds: certificates are valid from that long before they are made.
const CLOCK_SKEW: i64 = 3600;

/// Who and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The common name; none when empty.
    pub(crate) common_name: String,
    /// The subject alternative names.
    pub(crate) names: BTreeSet<Name>,
}

/// Makes the certificate of a new authority, as PEM.
pub(crate) fn authority(key: &Key, common_name: &str, now: Timestamp, days: i64) -> Result<String, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(common_name);
    set_validity(&mut params, skewed(now), after(now, days));
    params.serial_number = Some(serial()?);
    // It signs leaves only.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = params.self_signed(key.pair()).map_err(|error| format!("cannot sign the CA certificate: {error}"))?;
    Ok(made.pem())
}

/// Makes a certificate signing request, as PEM.
pub(crate) fn request(key: &Key, subject: &Subject) -> Result<String, String> {
    let failed = |error: rcgen::Error| format!("cannot make the signing request: {error}");
    subject_params(subject)?.serialize_request(key.pair()).and_then(|request| request.pem()).map_err(failed)
}

/// Proves that the authority can issue: the library re-encodes its subject, and cannot express every one.
pub(crate) fn prove(key: &Key, authority: &Certificate, authority_pem: &str) -> Result<(), String> {
    let unfit =
        || format!("its subject \"{}\" cannot be written as an issuer: it repeats an attribute", authority.subject);
    let issuer = Issuer::from_ca_cert_pem(authority_pem, key.pair()).map_err(|_| unfit())?;
    let sample = CertificateParams::default().signed_by(key.pair(), &issuer).map_err(|_| unfit())?;
    let sample = Certificate::from_der(sample.der().to_vec())?;
    if sample.is_signed_by(authority) { Ok(()) } else { Err(unfit()) }
}

/// A certificate and until when it was meant to be valid.
pub(crate) struct Issued {
    /// The certificate as PEM.
    pub(crate) pem: String,
    /// Its facts.
    pub(crate) certificate: Certificate,
    /// Whether the authority's own end cut its life short.
    pub(crate) capped: bool,
}

/// Signs the request if it asks for exactly this subject.
pub(crate) fn sign(
    request: &str,
    subject: &Subject,
    (key, authority, authority_pem): (&Key, &Certificate, &str),
    now: Timestamp,
    days: i64,
) -> Result<Issued, String> {
    let asked = CertificateSigningRequestParams::from_pem(request).map_err(|error| match error {
        rcgen::Error::InvalidCertificationRequestSignature => "its signature is not by its own key".to_owned(),
        rcgen::Error::CouldNotParseCertificationRequest => "it is no PEM certificate request".to_owned(),
        other => other.to_string(),
    })?;
    let public = check_request(request, subject)?;
    let mut params = subject_params(subject)?;
    let wanted_end = after(now, days);
    set_validity(&mut params, skewed(now).max(authority.not_before), wanted_end.min(authority.not_after));
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_RSA_SHA384, &rcgen::PKCS_RSA_SHA512]
        .contains(&asked.public_key.algorithm())
    {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let issuer = Issuer::from_ca_cert_pem(authority_pem, key.pair())
        .map_err(|error| format!("the CA's subject cannot be written as an issuer: {error}"))?;
    let made = params.signed_by(&asked.public_key, &issuer).map_err(|error| format!("cannot sign it: {error}"))?;
    let issued = Certificate::from_der(made.der().to_vec())?;
    check_issued(&issued, &public, authority)?;
    Ok(Issued { pem: made.pem(), certificate: issued, capped: wanted_end > authority.not_after })
}

/// A host can ask for no more than the controller asked it to. Returns the public key of the request.
fn check_request(request: &str, subject: &Subject) -> Result<Vec<u8>, String> {
    let blocks = crate::pem::blocks(request, |label| label.ends_with("CERTIFICATE REQUEST"))?;
    let block = blocks.first().ok_or("it is no PEM certificate request")?;
    let (_, parsed) = X509CertificationRequest::from_der(&block.contents).map_err(|error| error.to_string())?;
    let info = &parsed.certification_request_info;
    let common_names: Vec<&str> = info.subject.iter_common_name().filter_map(|name| name.as_str().ok()).collect();
    let wanted: Vec<&str> = Some(subject.common_name.as_str()).filter(|name| !name.is_empty()).into_iter().collect();
    if common_names != wanted || info.subject.iter_attributes().count() != wanted.len() {
        return Err(format!("its subject is \"{}\", not CN=\"{}\"", info.subject, subject.common_name));
    }
    let mut names = BTreeSet::new();
    for extension in parsed.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::SubjectAlternativeName(found) => {
                names.extend(found.general_names.iter().map(certificate::name));
            }
            ParsedExtension::BasicConstraints(found) if found.ca => return Err("it asks for a CA".into()),
            _ => {}
        }
    }
    if names != subject.names {
        let (has, wanted) = (crate::names::texts(&names), crate::names::texts(&subject.names));
        return Err(format!("it asks for the names {}, not {}", has.join(", "), wanted.join(", ")));
    }
    Ok(info.subject_pki.raw.to_vec())
}

/// The library re-encodes the key; what it cannot express must not be handed out.
fn check_issued(issued: &Certificate, public: &[u8], authority: &Certificate) -> Result<(), String> {
    if issued.public != public {
        return Err("its key is of a kind that is not usable here; use ECDSA P-256 or P-384, RSA or Ed25519".into());
    }
    if let Some(weakness) = &issued.weakness {
        return Err(format!("it is too weak for current TLS: {weakness}"));
    }
    if !issued.is_signed_by(authority) {
        return Err(format!("the result does not verify against {}", authority.describe()));
    }
    Ok(())
}

fn subject_params(subject: &Subject) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(&subject.common_name);
    for name in &subject.names {
        params.subject_alt_names.push(match name {
            Name::Ip(address) => SanType::IpAddress(*address),
            Name::Dns(text) | Name::Other(text) => {
                SanType::DnsName(text.as_str().try_into().map_err(|_| format!("\"{text}\" is no host name"))?)
            }
        });
    }
    Ok(params)
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !common_name.is_empty() {
        name.push(DnType::CommonName, common_name);
    }
    name
}

/// 127 random bits, positive and never zero.
fn serial() -> Result<SerialNumber, String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random numbers".to_owned())?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// Valid already for hosts whose clock is behind.
fn skewed(now: Timestamp) -> Timestamp {
    certificate::timestamp(now.as_second() - CLOCK_SKEW)
}

fn after(now: Timestamp, days: i64) -> Timestamp {
    certificate::timestamp(now.as_second().saturating_add(days.saturating_mul(86_400)))
}

/// Sets from when until when, in the library's own type.
fn set_validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default());
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(from);
    params.not_after = epoch + since_epoch(until);
}
