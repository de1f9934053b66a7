//! Keys, requests and certificates of etcd members, and the CA that signs them.
//!
//! One module with four states, run in this order: `authority` on the controller, `requested` on the host, `signed` on
//! the controller, `present` on the host. So a host's private key never leaves the host, and the CA's key never leaves
//! the controller; what travels is the request, the certificate and the CA's certificate.

/// The CA directory on the controller.
mod authority;
/// What is to be known of a certificate.
mod certificate;
/// Whether a host needs a certificate, and why.
mod decide;
/// The files on the host.
mod disk;
/// Making certificates and requests.
mod issue;
/// Private keys.
mod key;
/// Subject alternative names.
mod names;
/// From options to what each state works with.
mod params;
/// PEM texts.
mod pem;
/// The state `present`.
mod present;
/// The state `requested`.
mod requested;
/// The state `signed`.
mod signed;
/// The option table and documentation.
mod table;

pub use params::Params;

use ansible_protocol::{Context, Failure, Module, ModuleSpec, Outcome};
use etcd_ops::clock;
use params::State;

/// What is to be known of the first certificate in a PEM text: subject, names, validity, issuer, serial, fingerprint.
///
/// # Errors
///
/// Returns why the text holds no certificate.
pub fn facts(pem: &str) -> Result<serde_json::Value, String> {
    let certificates = certificate::Certificate::all_from_pem(pem)?;
    certificates.first().map(|first| first.facts(clock::now())).ok_or_else(|| "it holds no certificate".to_owned())
}

/// The module `etcd_cert`.
#[derive(Debug)]
pub struct EtcdCert;

impl Module for EtcdCert {
    type Params = Params;
    const SPEC: ModuleSpec = table::SPEC;

    fn run(params: Params, context: &Context) -> Result<Outcome, Failure> {
        let now = clock::now();
        params.check(context)?;
        match params.state {
            State::Authority => authority::ensure(&params.authority_request(now), context),
            State::Requested => {
                let (files, warning) = params.files(context)?;
                let mut outcome = requested::run(&params.wanted()?, &params.subject()?, &files, now, context)?;
                outcome.warnings.extend(warning);
                Ok(outcome)
            }
            State::Signed => {
                let (csr, dir) = (params.csr(), params.ca_dir());
                signed::run(csr, dir, &params.subject()?, params.validity_days, now, context)
            }
            State::Present => {
                let given = present::Given { certificate: params.certificate(), authorities: params.ca_certificate() };
                // Whether it is time to renew was for `requested` to say.
                let wanted = decide::Wanted { renew_before_days: 0, ..params.wanted()? };
                let (files, warning) = params.files(context)?;
                let mut outcome = present::run(&given, &wanted, &files, now, context)?;
                outcome.warnings.extend(warning);
                Ok(outcome)
            }
        }
    }
}
