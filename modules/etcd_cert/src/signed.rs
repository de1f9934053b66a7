//! The state `signed`: the controller's answer to a host's request.

use crate::authority;
use crate::issue::{self, Subject};
use ansible_protocol::{Context, ErrorKind, Failure, Outcome};
use jiff::Timestamp;
use std::path::Path;

/// Signs the request. Nothing on disk changes.
pub(crate) fn run(
    csr: Option<&str>,
    dir: &Path,
    subject: &Subject,
    days: i64,
    now: Timestamp,
    context: &Context,
) -> Result<Outcome, Failure> {
    let predicted = || Ok(Outcome::new(true).with("certificate", None::<String>).with("issued", None::<String>));
    let authority = authority::open(dir, now)?;
    let (csr, authority) = match (csr, authority) {
        // The request comes with a key, the authority with a run: in check mode neither need be there.
        (None, _) | (_, None) if context.check_mode => return predicted(),
        (None, _) => return Err(Failure::invalid_option("csr is required when state is signed")),
        (Some(_), None) => {
            let msg = format!("cannot sign: there is no CA in {}; make it with state=authority", dir.display());
            return Err(Failure::new(ErrorKind::Conflict, msg));
        }
        (Some(csr), Some(authority)) => (csr, authority),
    };
    let signer = (&authority.key, &authority.certificate, authority.pem.as_str());
    let issued = issue::sign(csr, subject, signer, now, days).map_err(|problem| {
        Failure::new(
            ErrorKind::Tls,
            format!(
                "cannot sign the request for \"{}\" with the CA in {}: {problem}; \
                 run state=requested with the same names again",
                subject.common_name,
                dir.display()
            ),
        )
    })?;
    let mut outcome = Outcome::new(true).with("certificate", &issued.pem).with("issued", issued.certificate.facts(now));
    if issued.capped {
        outcome.warn(format!(
            "the certificate of \"{}\" ends with its CA at {}, not after {days} days; \
             plan the rotation of the CA in {}",
            subject.common_name,
            issued.certificate.not_after,
            dir.display()
        ));
    }
    Ok(outcome)
}
