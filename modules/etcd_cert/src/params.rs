use crate::certificate::Certificate;
use crate::decide::Wanted;
use crate::disk::Files;
use crate::issue::Subject;
use crate::{authority, names};
use ansible_protocol::{Context, ErrorKind, Failure};
use etcd_ops::files::resolve_owner;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A century: longer is a mistake.
const MOST_DAYS: i64 = 36_525;
/// The longest common name X.509 allows.
const LONGEST_NAME: usize = 64;

/// What part of the work is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The CA exists.
    Authority,
    /// The host knows what it needs.
    Requested,
    /// The request is answered.
    Signed,
    /// The files are in place.
    Present,
}

/// The options, as the table describes them.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    pub(crate) state: State,
    ca_dirs: Option<Vec<PathBuf>>,
    ca_dir: Option<PathBuf>,
    ca_common_name: String,
    ca_validity_days: i64,
    common_name: Option<String>,
    subject_alt_names: Option<Vec<String>>,
    csr: Option<String>,
    pub(crate) validity_days: i64,
    certificate: Option<String>,
    ca_certificate: Option<String>,
    key_file: PathBuf,
    cert_file: PathBuf,
    ca_file: PathBuf,
    owner: String,
    group: String,
    key_mode: Value,
    mode: Value,
    renew_before_days: i64,
    new_key: bool,
    replace_foreign: bool,
}

impl Params {
    /// Finds every option whose value cannot be meant, before anything is done.
    pub(crate) fn check(&self, context: &Context) -> Result<(), Failure> {
        let mut problems = Vec::new();
        for (name, days) in [("validity_days", self.validity_days), ("ca_validity_days", self.ca_validity_days)] {
            if !(1..=MOST_DAYS).contains(&days) {
                problems.push(format!("{name} must be from 1 to {MOST_DAYS}, got {days}"));
            }
        }
        // Only here does the period before the end matter; elsewhere it would be judged against a default.
        let asks = self.state == State::Requested;
        if asks && !(0..self.validity_days.max(1)).contains(&self.renew_before_days) {
            let (days, validity) = (self.renew_before_days, self.validity_days);
            problems
                .push(format!("renew_before_days must be from 0 to less than validity_days ({validity}), got {days}"));
        }
        for (name, value) in
            [("ca_common_name", Some(&self.ca_common_name)), ("common_name", self.common_name.as_ref())]
        {
            if value.is_some_and(|value| value.chars().count() > LONGEST_NAME) {
                problems.push(format!("{name} is longer than {LONGEST_NAME} characters"));
            }
        }
        if self.ca_common_name.is_empty() {
            problems.push("ca_common_name is empty".into());
        }
        match self.subject_alt_names.as_deref() {
            Some([]) => problems.push("subject_alt_names is empty, and clients look at nothing else".into()),
            Some(texts) => problems.extend(names::parse(texts).err()),
            None => {}
        }
        problems
            .extend([("key_mode", &self.key_mode), ("mode", &self.mode)].iter().filter_map(|(n, v)| mode(n, v).err()));
        if self.state == State::Present && self.ca_certificate().is_none() && !context.check_mode {
            problems.push("ca_certificate is required when state is present".into());
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::invalid_option(format!("invalid options of etcd_cert: {}", problems.join("; "))))
    }

    pub(crate) fn authority_request(&self, now: Timestamp) -> authority::Request<'_> {
        let mut dirs: Vec<&Path> = Vec::new();
        for dir in self.ca_dirs.iter().flatten() {
            if !dirs.contains(&dir.as_path()) {
                dirs.push(dir);
            }
        }
        authority::Request { dirs, common_name: &self.ca_common_name, days: self.ca_validity_days, now }
    }

    pub(crate) fn csr(&self) -> Option<&str> {
        given(self.csr.as_ref())
    }

    pub(crate) fn certificate(&self) -> Option<&str> {
        given(self.certificate.as_ref())
    }

    pub(crate) fn ca_certificate(&self) -> Option<&str> {
        given(self.ca_certificate.as_ref())
    }

    pub(crate) fn ca_dir(&self) -> &Path {
        self.ca_dir.as_deref().unwrap_or(Path::new(""))
    }

    pub(crate) fn subject(&self) -> Result<Subject, Failure> {
        let texts = self.subject_alt_names.as_deref().unwrap_or_default();
        let names = names::parse(texts).map_err(Failure::invalid_option)?;
        Ok(Subject { common_name: self.common_name.clone().unwrap_or_default(), names })
    }

    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        let texts = self.subject_alt_names.as_deref();
        let authorities = self.ca_certificate().map(Certificate::all_from_pem).transpose();
        let authorities = authorities.map_err(|problem| {
            Failure::new(ErrorKind::Tls, format!("cannot use the given ca_certificate: {problem}"))
        })?;
        if let Some(authority) = authorities.iter().flatten().find(|authority| !authority.is_authority) {
            let what = authority.describe();
            let msg = format!("cannot use the given ca_certificate: {what} is not the certificate of a CA");
            return Err(Failure::new(ErrorKind::Tls, msg));
        }
        Ok(Wanted {
            common_name: self.common_name.clone(),
            names: texts.map(names::parse).transpose().map_err(Failure::invalid_option)?,
            authorities,
            renew_before_days: self.renew_before_days,
            new_key: self.new_key,
            replace_foreign: self.replace_foreign,
        })
    }

    /// The files on the host; in check mode with a remark when the user or group is still to be made.
    pub(crate) fn files(&self, context: &Context) -> Result<(Files, Option<String>), Failure> {
        let (owner, warning) = match resolve_owner(&self.owner, &self.group) {
            Ok(owner) => (Some(owner), None),
            Err(problem) if context.check_mode => {
                (None, Some(format!("the owner of the files is not checked: {problem}")))
            }
            Err(problem) => return Err(Failure::io("set the owner of the certificate files", problem)),
        };
        let files = Files {
            key: self.key_file.clone(),
            certificate: self.cert_file.clone(),
            authority: self.ca_file.clone(),
            owner,
            key_mode: mode("key_mode", &self.key_mode).map_err(Failure::invalid_option)?,
            mode: mode("mode", &self.mode).map_err(Failure::invalid_option)?,
        };
        Ok((files, warning))
    }
}

/// A template that yields null arrives as empty text on ansible-core up to 2.18.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.trim().is_empty())
}

/// An octal text, or the number that YAML made of one.
fn mode(name: &str, value: &Value) -> Result<u32, String> {
    let mode = match value {
        Value::String(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8).ok(),
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    mode.filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("{name} must be an octal mode such as \"0640\", got {value}"))
}
