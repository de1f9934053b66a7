//! The CA directory on the controller: `ca.key` and `ca.crt`.

use crate::certificate::Certificate;
use crate::key::Key;
use crate::{issue, pem};
use ansible_protocol::{Context, Diff, ErrorKind, Failure, Object, Outcome};
use etcd_ops::files;
use jiff::Timestamp;
use serde_json::json;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const KEY: &str = "ca.key";
const CERTIFICATE: &str = "ca.crt";
/// A pair in the making. It is linked into place once it is whole, so a CA directory with this in it can be finished.
const STAGING: &str = ".ca.quorum-new";
/// An authority that ends sooner is worth a warning.
const ENDS_SOON_DAYS: i64 = 90;

/// An authority that can sign.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Its private key.
    pub(crate) key: Key,
    /// Its certificate.
    pub(crate) certificate: Certificate,
    /// `ca.crt`: its certificate first, then others to be trusted as well.
    pub(crate) pem: String,
}

/// What the state `authority` is asked for.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) dirs: Vec<&'a Path>,
    pub(crate) common_name: &'a str,
    pub(crate) days: i64,
    pub(crate) now: Timestamp,
}

/// Makes the authorities that are missing and returns all of them.
pub(crate) fn ensure(request: &Request<'_>, context: &Context) -> Result<Outcome, Failure> {
    // All of them are looked at before any is made.
    let mut problems = Vec::new();
    for dir in &request.dirs {
        let found = lock(dir).and_then(|_lock| load(dir, request.now));
        problems.extend(found.err());
    }
    if let Some(first) = problems.first() {
        let all: Vec<&str> = problems.iter().map(|problem| problem.msg.as_str()).collect();
        return Err(Failure::new(first.kind, all.join("; ")));
    }
    let mut outcome = Outcome::default();
    let mut authorities = Object::new();
    for dir in &request.dirs {
        let (authority, made) = ensure_one(dir, request, context)?;
        outcome.changed |= made;
        if made {
            let after = authority.as_ref().map_or_else(|| predicted(request), |made| summary(&made.certificate));
            outcome.diff.push(Diff::of(dir.join(CERTIFICATE).display().to_string(), "", after));
        }
        let facts = authority.as_ref().map(|authority| {
            outcome.warnings.extend(warnings(dir, authority, request.now));
            &authority.certificate
        });
        authorities.insert(
            dir.display().to_string(),
            json!({
                "certificate": authority.as_ref().map(|authority| &authority.pem),
                "not_after": facts.map(|facts| facts.not_after.to_string()),
                "fingerprint_sha256": facts.map(Certificate::fingerprint),
                "made": made,
            }),
        );
    }
    Ok(outcome.with("authorities", authorities))
}

fn ensure_one(dir: &Path, request: &Request<'_>, context: &Context) -> Result<(Option<Authority>, bool), Failure> {
    if context.check_mode {
        let _lock = lock(dir)?;
        let found = load(dir, request.now)?;
        let made = found.is_none();
        return Ok((found, made));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| unwritable(dir, &error))?;
    let _lock = lock(dir)?;
    let half_made = is_half_made(dir);
    settle(dir)?;
    if let Some(found) = load(dir, request.now)? {
        return Ok((Some(found), half_made));
    }
    make(dir, request)?;
    let made = load(dir, request.now)?;
    Ok((made, true))
}

/// Loads the authority for signing.
pub(crate) fn open(dir: &Path, now: Timestamp) -> Result<Option<Authority>, Failure> {
    let _lock = lock(dir)?;
    load(dir, now)
}

/// One run at a time in a directory. Where the file system has no locks, links that never replace anything remain.
fn lock(dir: &Path) -> Result<Option<File>, Failure> {
    match File::open(dir) {
        Ok(file) => {
            let _ = file.lock();
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("open the CA directory {}", dir.display()), error)),
    }
}

/// Whether a killed run left less than a pair. Each file is whole once it has its name, so two of them are a pair.
fn is_half_made(dir: &Path) -> bool {
    dir.join(STAGING).exists() && !(dir.join(KEY).exists() && dir.join(CERTIFICATE).exists())
}

/// Finishes or discards what a killed run left.
fn settle(dir: &Path) -> Result<(), Failure> {
    let staging = dir.join(STAGING);
    if !staging.exists() {
        return Ok(());
    }
    // Linking starts when the staged pair is whole, so one that is not was never in use.
    if load_pair(&staging).is_ok_and(|pair| pair.is_some()) && (is_ours(dir, KEY) || is_ours(dir, CERTIFICATE)) {
        publish(dir)?;
    }
    std::fs::remove_dir_all(&staging).map_err(|error| unwritable(dir, &error))
}

/// Whether the file in the directory is the staged one.
fn is_ours(dir: &Path, name: &str) -> bool {
    let read = |path: PathBuf| std::fs::read(path).ok();
    read(dir.join(name)).is_some_and(|content| read(dir.join(STAGING).join(name)) == Some(content))
}

fn make(dir: &Path, request: &Request<'_>) -> Result<(), Failure> {
    let internal =
        |problem: String| Failure::new(ErrorKind::Io, format!("cannot make a CA in {}: {problem}", dir.display()));
    let key = Key::generate().map_err(internal)?;
    let certificate = issue::authority(&key, request.common_name, request.now, request.days).map_err(internal)?;
    let staging = dir.join(STAGING);
    let write = || {
        DirBuilder::new().mode(0o700).create(&staging)?;
        files::write_atomic(&staging.join(KEY), key.to_pem().as_bytes(), None, 0o600)?;
        files::write_atomic(&staging.join(CERTIFICATE), certificate.as_bytes(), None, 0o644)?;
        files::sync_dir(dir)
    };
    write().map_err(|error| unwritable(dir, &error))?;
    publish(dir)?;
    std::fs::remove_dir_all(&staging).map_err(|error| unwritable(dir, &error))
}

/// Puts the staged pair in place; what is there already is never replaced.
fn publish(dir: &Path) -> Result<(), Failure> {
    for name in [KEY, CERTIFICATE] {
        match std::fs::hard_link(dir.join(STAGING).join(name), dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked.map_err(|error| unwritable(dir, &error))?,
        }
    }
    files::sync_dir(dir).map_err(|error| unwritable(dir, &error))
}

fn unwritable(dir: &Path, error: &io::Error) -> Failure {
    Failure::io(format!("write the CA directory {}", dir.display()), error)
}

/// The authority in the directory; none when neither file is there.
fn load(dir: &Path, now: Timestamp) -> Result<Option<Authority>, Failure> {
    if is_half_made(dir) {
        return Ok(None);
    }
    let refuse = |problem| {
        Failure::new(
            ErrorKind::Conflict,
            format!(
                "cannot use the CA in {}: {problem}; an existing CA is never replaced: \
                 put a matching {KEY} and {CERTIFICATE} there, or move both away to have a new CA made",
                dir.display()
            ),
        )
    };
    let Some(authority) = load_pair(dir).map_err(refuse)? else { return Ok(None) };
    let certificate = &authority.certificate;
    if now > certificate.not_after {
        return Err(refuse(format!("{CERTIFICATE} expired at {}", certificate.not_after)));
    }
    if now < certificate.not_before {
        let from = certificate.not_before;
        return Err(refuse(format!("{CERTIFICATE} is valid from {from} only, and the clock here says {now}")));
    }
    Ok(Some(authority))
}

fn load_pair(dir: &Path) -> Result<Option<Authority>, String> {
    let (key, certificate) = match (read(&dir.join(KEY))?, read(&dir.join(CERTIFICATE))?) {
        (Some(key), Some(certificate)) => (key, certificate),
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(format!("there is a {CERTIFICATE} but no {KEY}")),
        (Some(_), None) => return Err(format!("there is a {KEY} but no {CERTIFICATE}")),
    };
    let all = Certificate::all_from_pem(&certificate).map_err(|problem| format!("{CERTIFICATE}: {problem}"))?;
    let key = Key::from_pem(&key).map_err(|problem| format!("{KEY}: {problem}"))?;
    let public = key.public();
    let mut all = all.into_iter();
    let Some(first) = all.next() else { return Ok(None) };
    if first.public != public {
        let place = if all.any(|other| other.public == public) { "; put the key's own certificate first" } else { "" };
        return Err(format!("{KEY} does not belong to {CERTIFICATE}, {}{place}", first.describe()));
    }
    if !first.is_authority {
        return Err(format!("{CERTIFICATE}, {}, is not the certificate of a CA", first.describe()));
    }
    let pem = pem::certificates_only(&certificate);
    issue::prove(&key, &first, &pem).map_err(|problem| format!("{CERTIFICATE}: {problem}"))?;
    Ok(Some(Authority { key, certificate: first, pem }))
}

fn read(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn warnings(dir: &Path, authority: &Authority, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    let key = dir.join(KEY);
    if let Ok(mode) = std::fs::metadata(&key).map(|metadata| metadata.mode() & 0o777)
        && mode & 0o077 != 0
    {
        let path = key.display();
        warnings.push(format!("{path} is open to other users (mode {mode:04o}); close it: chmod 0600 {path}"));
    }
    let certificate = &authority.certificate;
    if certificate.remaining_days(now) < ENDS_SOON_DAYS {
        let (path, end) = (dir.join(CERTIFICATE), certificate.not_after);
        warnings
            .push(format!("the CA {} ends at {end}, and every certificate with it; plan its rotation", path.display()));
    }
    warnings
}

fn summary(certificate: &Certificate) -> String {
    format!("subject: {}\nnot_after: {}\n", certificate.subject, certificate.not_after)
}

fn predicted(request: &Request<'_>) -> String {
    format!("subject: CN={}\nvalid for: {} days\n", request.common_name, request.days)
}
