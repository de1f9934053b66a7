//! The state `requested`: what a host needs, and the signing request for it.

use crate::certificate::{Certificate, anchor};
use crate::decide::{Decision, Found, Observed, Wanted, decide, ends_with_authority};
use crate::disk::Files;
use crate::issue::{self, Subject};
use crate::key::Key;
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Outcome};
use etcd_ops::files;
use jiff::Timestamp;

/// Looks, decides, parks a new key where one is needed, and repairs owners and modes.
pub(crate) fn run(
    wanted: &Wanted,
    subject: &Subject,
    host: &Files,
    now: Timestamp,
    context: &Context,
) -> Result<Outcome, Failure> {
    let observed = host.observe(now);
    let decision = decide(wanted, &observed);
    refuse_foreign(&decision, wanted, &observed, host)?;
    let mut outcome = Outcome::default();
    outcome.warnings.extend(host.exposure());
    if decision.postponed {
        outcome.warn(postponement(host));
    }
    let mut csr = None;
    let mut new_key = false;
    if decision.reasons.is_empty() {
        outcome.diff.extend(remove_parked(host, context)?);
    } else {
        let chosen = choose_key(wanted, host)?;
        new_key = !matches!(chosen, Chosen::InUse(_));
        let key = match chosen {
            Chosen::InUse(key) | Chosen::Parked(key) => Some(key),
            Chosen::ToMake => {
                let parked = host.parked().display().to_string();
                outcome.diff.push(Diff::of(parked, "", "a new private key that waits for its certificate\n"));
                if context.check_mode { None } else { Some(park_key(host)?) }
            }
        };
        let make = |key: &Key| issue::request(key, subject).map_err(|problem| Failure::new(ErrorKind::Io, problem));
        csr = key.as_ref().map(make).transpose()?;
    }
    outcome.diff.extend(host.repair(context.check_mode)?);
    outcome.changed = !outcome.diff.is_empty();
    let mut needed = Vec::new();
    needed.extend((!decision.reasons.is_empty()).then_some("certificate"));
    needed.extend(decision.authority.then_some("authority"));
    let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    let leaf = observed.chain.present().and_then(|chain| chain.first());
    if let Some(leaf) = leaf.filter(|leaf| decision.reasons.is_empty() && ends_with_authority(wanted, leaf))
        && leaf.remaining_days(now) < wanted.renew_before_days
    {
        let (path, end) = (host.certificate.display(), leaf.not_after);
        outcome.warn(format!("the certificate in {path} and its CA both end at {end}; rotate the CA before that"));
    }
    Ok(outcome
        .with("needed", needed)
        .with("reasons", reasons)
        .with("csr", csr)
        .with("new_key", new_key)
        .with("certificate", leaf.map(|leaf| leaf.facts(now))))
}

/// A pair that works is not taken across to another authority.
pub(crate) fn refuse_foreign(
    decision: &Decision,
    wanted: &Wanted,
    observed: &Observed,
    host: &Files,
) -> Result<(), Failure> {
    let Some(issuer) = &decision.refusal else { return Ok(()) };
    let issuer = observed
        .chain
        .present()
        .zip(observed.trusted.present())
        .and_then(|(chain, trusted)| anchor(chain, trusted))
        .map_or_else(|| format!("\"{issuer}\""), Certificate::describe);
    let given = match wanted.authorities.as_deref().and_then(<[_]>::first) {
        Some(authority) => format!("the one given is {}", authority.describe()),
        None => "the one to be made is another".to_owned(),
    };
    let path = host.certificate.display();
    Err(Failure::new(
        ErrorKind::Conflict,
        format!(
            "cannot replace the certificate in {path}: it works, its authority is {issuer}, and {given}; \
             members that trust different authorities refuse each other: put the old ca.key and ca.crt into the CA directory, \
             or rotate by listing both certificates in ca.crt, the signing one first, or set replace_foreign=true to cut over"
        ),
    ))
}

fn postponement(host: &Files) -> String {
    format!(
        "the certificate in {} is still by the older authority, and is kept until this host trusts the new one: \
         restart all members with the new CA file, then run this again",
        host.certificate.display()
    )
}

enum Chosen {
    InUse(Key),
    Parked(Key),
    ToMake,
}

/// The key in use if it is good and may stay, else the one that waits already, else a new one.
fn choose_key(wanted: &Wanted, host: &Files) -> Result<Chosen, Failure> {
    if !wanted.new_key
        && let Found::Present(key) = host.read_key()
    {
        return Ok(Chosen::InUse(key));
    }
    Ok(match host.read_parked() {
        Found::Present(key) => Chosen::Parked(key),
        Found::Absent | Found::Unreadable(_) => Chosen::ToMake,
    })
}

/// Makes a key and parks it. When another run was faster, its key is taken.
fn park_key(host: &Files) -> Result<Key, Failure> {
    host.check_directories()?;
    let path = host.parked();
    let failed = |error: &dyn std::fmt::Display| Failure::io(format!("write {}", path.display()), error);
    let key = Key::generate().map_err(|problem| Failure::new(ErrorKind::Io, problem))?;
    if let Found::Unreadable(_) = host.read_parked() {
        std::fs::remove_file(&path).map_err(|error| failed(&error))?;
    }
    match files::create_atomic(&path, key.to_pem().as_bytes(), None, 0o600) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => match host.read_parked() {
            Found::Present(key) => Ok(key),
            Found::Absent | Found::Unreadable(_) => Err(failed(&"another run is at work on it; run this again")),
        },
        Err(error) => Err(failed(&error)),
    }
}

/// Takes away a key that nothing waits for any more.
pub(crate) fn remove_parked(host: &Files, context: &Context) -> Result<Option<Diff>, Failure> {
    let path = host.parked();
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    if !context.check_mode {
        std::fs::remove_file(&path).map_err(|error| Failure::io(format!("remove {}", path.display()), error))?;
    }
    Ok(Some(Diff::of(path.display().to_string(), "a private key that nothing waits for\n", "")))
}
