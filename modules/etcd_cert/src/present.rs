//! The state `present`: key, certificate and CA file put in place together.

use crate::certificate::Certificate;
use crate::decide::{Found, Observed, Wanted, decide};
use crate::disk::{self, Files};
use crate::pem;
use crate::requested::{refuse_foreign, remove_parked};
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Outcome};
use etcd_ops::files;
use jiff::Timestamp;
use std::path::PathBuf;

/// What the controller hands over.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// The certificate; the one on the host stays when there is none.
    pub(crate) certificate: Option<&'a str>,
    /// The authorities.
    pub(crate) authorities: Option<&'a str>,
}

/// One file to be written, and how that looks.
struct Write {
    path: PathBuf,
    content: String,
    mode: u32,
    diff: Diff,
}

/// Verifies everything, then writes what differs.
pub(crate) fn run(
    given: &Given<'_>,
    wanted: &Wanted,
    host: &Files,
    now: Timestamp,
    context: &Context,
) -> Result<Outcome, Failure> {
    let observed = host.observe(now);
    let decision = decide(wanted, &observed);
    refuse_foreign(&decision, wanted, &observed, host)?;
    let mut outcome = Outcome::default();
    let mut writes = Vec::new();
    let ca_changed = decision.authority;
    if ca_changed {
        outcome.diff.extend(authority_write(given, wanted, host, &observed).map(|write| {
            let diff = write.diff.clone();
            writes.extend(given.authorities.map(|_| write));
            diff
        }));
    }
    let leaf = match given.certificate {
        Some(text) => {
            let chain = given_chain(text)?;
            verify(&chain, wanted, host, now)?;
            let key = key_write(&chain, host, context)?;
            outcome.diff.extend(key.iter().map(|write| write.diff.clone()));
            writes.extend(key);
            let certificate = certificate_write(text, &chain, host, &observed);
            outcome.diff.extend(certificate.iter().map(|write| write.diff.clone()));
            writes.extend(certificate);
            chain.into_iter().next()
        }
        None if decision.reasons.is_empty() => observed.chain.present().and_then(|chain| chain.first().cloned()),
        // The certificate is made by the run that this one predicts.
        None if context.check_mode => {
            outcome.diff.push(predicted(wanted, host, &observed));
            None
        }
        None => return Err(nothing_given(&decision.reasons, host)),
    };
    let moves_key = writes.iter().any(|write| write.path == host.key);
    if !context.check_mode {
        install(&writes, host)?;
    }
    if leaf.is_some() && !moves_key {
        outcome.diff.extend(remove_parked(host, context)?);
    }
    outcome.diff.extend(host.repair(context.check_mode)?);
    outcome.changed = !outcome.diff.is_empty();
    Ok(outcome.with("ca_changed", ca_changed).with("certificate", leaf.map(|leaf| leaf.facts(now))))
}

fn given_chain(text: &str) -> Result<Vec<Certificate>, Failure> {
    Certificate::all_from_pem(text)
        .map_err(|problem| Failure::new(ErrorKind::Tls, format!("cannot use the given certificate: {problem}")))
}

/// Whoever trusts the CA file will accept this certificate, now.
fn verify(chain: &[Certificate], wanted: &Wanted, host: &Files, now: Timestamp) -> Result<(), Failure> {
    let Some(leaf) = chain.first() else { return Ok(()) };
    let observed = Observed {
        now,
        chain: Found::Present(chain.to_vec()),
        public: Found::Present(leaf.public.clone()),
        trusted: Found::Absent,
    };
    let strict = Wanted { renew_before_days: 0, new_key: false, replace_foreign: true, ..wanted.clone() };
    let problems: Vec<String> = decide(&strict, &observed).reasons.iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let path = host.certificate.display();
    let advice = "check this host's clock and the CA directory, then run state=requested again";
    Err(Failure::new(
        ErrorKind::Tls,
        format!("cannot install the certificate in {path}: {}; {advice}", problems.join("; ")),
    ))
}

/// The key file, when the certificate belongs to the key that waits.
fn key_write(chain: &[Certificate], host: &Files, context: &Context) -> Result<Option<Write>, Failure> {
    let belongs = |public: &[u8]| chain.first().is_some_and(|leaf| leaf.public == public);
    if host.read_key().present().is_some_and(|key| belongs(&key.public())) {
        return Ok(None);
    }
    let parked = disk::read(&host.parked());
    if host.read_parked().present().is_some_and(|key| belongs(&key.public()))
        && let Found::Present(content) = parked
    {
        let before = if host.key.exists() { "a private key\n" } else { "" };
        let diff = Diff::of(host.key.display().to_string(), before, "a new private key\n");
        return Ok(Some(Write { path: host.key.clone(), content, mode: host.key_mode, diff }));
    }
    let check = if context.check_mode { " (check mode makes none)" } else { "" };
    let (key, parked) = (host.key.display(), host.parked());
    Err(Failure::new(
        ErrorKind::Conflict,
        format!(
            "cannot install the certificate: neither {key} nor {} holds its private key{check}; \
             run state=requested again and have its csr signed",
            parked.display()
        ),
    ))
}

fn certificate_write(text: &str, chain: &[Certificate], host: &Files, observed: &Observed) -> Option<Write> {
    if observed.chain.present().map(Vec::as_slice) == Some(chain) {
        return None;
    }
    let after = chain.first().map(Certificate::summary).unwrap_or_default();
    let diff = Diff::of(host.certificate.display().to_string(), leaf_summary(observed), after);
    Some(Write { path: host.certificate.clone(), content: pem::certificates_only(text), mode: host.mode, diff })
}

fn leaf_summary(observed: &Observed) -> String {
    match &observed.chain {
        Found::Present(chain) => chain.first().map(Certificate::summary).unwrap_or_default(),
        Found::Absent => String::new(),
        Found::Unreadable(why) => format!("unreadable: {why}\n"),
    }
}

fn authority_write(given: &Given<'_>, wanted: &Wanted, host: &Files, observed: &Observed) -> Option<Write> {
    let list = |all: &[Certificate]| all.iter().map(|one| format!("{}\n", one.describe())).collect::<String>();
    let before = match &observed.trusted {
        Found::Present(trusted) => list(trusted),
        Found::Absent => String::new(),
        Found::Unreadable(why) => format!("unreadable: {why}\n"),
    };
    let after = wanted.authorities.as_deref().map_or_else(|| "the CA to be made\n".to_owned(), list);
    let diff = Diff::of(host.authority.display().to_string(), before, after);
    let content = given.authorities.map(pem::certificates_only).unwrap_or_default();
    Some(Write { path: host.authority.clone(), content, mode: host.mode, diff })
}

fn predicted(wanted: &Wanted, host: &Files, observed: &Observed) -> Diff {
    let mut after = String::from("to be issued\n");
    if let Some(name) = &wanted.common_name {
        after.push_str(&format!("subject: CN={name}\n"));
    }
    if let Some(names) = &wanted.names {
        after.push_str(&format!("subject_alt_names: {}\n", crate::names::texts(names).join(", ")));
    }
    Diff::of(host.certificate.display().to_string(), leaf_summary(observed), after)
}

fn nothing_given(reasons: &[crate::decide::Reason], host: &Files) -> Failure {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    Failure::new(
        ErrorKind::Tls,
        format!(
            "cannot install the CA file alone beside {}: {}; give the certificate too, as state=signed returns it",
            host.certificate.display(),
            reasons.join("; ")
        ),
    )
}

/// Everything is durable beside its target before the first rename, so that etcd, which reads key and certificate at
/// each handshake, finds them apart for microseconds only. A key goes first: alone, it is what a rerun signs for.
fn install(writes: &[Write], host: &Files) -> Result<(), Failure> {
    if writes.is_empty() {
        return Ok(());
    }
    host.check_directories()?;
    let moves_key = writes.iter().any(|write| write.path == host.key);
    let failed = |path: &PathBuf, error| Failure::io(format!("write {}", path.display()), error);
    let mut staged = Vec::new();
    for write in writes {
        let file = files::stage(&write.path, write.content.as_bytes(), host.owner, write.mode);
        staged.push((&write.path, file.map_err(|error| failed(&write.path, error))?));
    }
    for (path, file) in staged {
        file.replace().map_err(|error| failed(path, error))?;
    }
    for write in writes {
        files::sync_dir(files::parent(&write.path)).map_err(|error| failed(&write.path, error))?;
    }
    if moves_key {
        let parked = host.parked();
        std::fs::remove_file(&parked).map_err(|error| Failure::io(format!("remove {}", parked.display()), error))?;
    }
    Ok(())
}
