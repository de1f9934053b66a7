//! The keys of etcd's configuration file, by version.
//!
//! etcd ignores a key it does not know, silently: a mistyped `quota-backend-bytes` means the default of 2 GiB, and a
//! key that a release has dropped stops working at the upgrade. It is just as silent about numbers in units nobody
//! expects: a duration in the file is a number of nanoseconds. Here is the table of what each release reads
//! ([`KEYS`]), and pure functions over it: [`check`] finds what a release would refuse or ignore, [`translate`] writes
//! renamed keys in the release's own terms, [`normalise`] gives each value the type that etcd wants.

/// The table.
mod keys;
/// Renamed keys in a release's own terms.
mod translate;
/// Values of the type that etcd wants.
mod values;

pub use keys::{GATES, KEYS, SECURITY};
pub use translate::translate;
pub use values::{coerce, normalise, pairs};

use crate::version::{KNOWN, Version};
use ansible_protocol::{Object, nearest};
use serde_json::Value;

/// The type of a key's value, and how it is written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A whole number, not negative.
    Uint,
    /// A time: a number of nanoseconds in the file; `5s` or `1h30m` here.
    Duration,
    /// Text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// Texts joined by commas in the file.
    Commas,
    /// URLs joined by commas in the file.
    Urls,
    /// `name=value` joined by commas in the file.
    Pairs,
    /// A mapping of its own.
    Section(&'static [Key]),
}

/// What has become of a key in later releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// It is still called that.
    Same,
    /// It has another name.
    Key(&'static str),
    /// It has moved into a section: the section's name, and the key's name in there.
    Inside(&'static str, &'static str),
    /// It is one of the `feature-gates`.
    Gate(&'static str),
    /// There is no such key any more; the text says what to do instead.
    Gone(&'static str),
}

/// One key of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, within its section.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// Since which patch release of 3.4, 3.5, 3.6 and 3.7 it is read; -1: not in that series.
    since: [i8; 4],
    /// What has become of it in later releases.
    pub now: Now,
    /// A member that has data ignores it: it only matters for the first start.
    pub bootstrap_only: bool,
    /// The file it names is read anew for each TLS handshake, so a new content needs no restart; a new name does.
    pub reload: bool,
}

impl Key {
    /// Whether the release reads the key. Without version: whether any does.
    #[must_use]
    pub fn known_by(&self, version: Option<Version>) -> bool {
        let Some(version) = version else { return true };
        let since = self.since[column(version)];
        since >= 0 && (version.series() > KNOWN.newest || version.patch >= u16::from(since.unsigned_abs()))
    }

    /// The first release that reads it, of the version's series or else of any later one.
    fn known_from(&self, version: Version) -> Option<Version> {
        let series = (column(version)..self.since.len()).find(|series| self.since[*series] >= 0)?;
        Some(release(series, self.since[series]))
    }

    /// The series that dropped it, if one before or at the version did.
    fn removed_in(&self, version: Version) -> Option<Version> {
        let last = (0..column(version)).rfind(|series| self.since[*series] >= 0)?;
        Some(release(last + 1, 0))
    }
}

/// The version's place in [`Key::since`]; releases newer than the known ones count as the newest.
fn column(version: Version) -> usize {
    let first = KNOWN.oldest.1;
    usize::from(version.minor.clamp(first, KNOWN.newest.1) - first)
}

fn release(column: usize, patch: i8) -> Version {
    let minor = KNOWN.oldest.1 + u16::try_from(column).unwrap_or_default();
    Version::new(KNOWN.oldest.0, minor, u16::from(patch.unsigned_abs()))
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration must not be used.
    Refusal,
    /// It works, but someone should know.
    Warning,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, with its section: `peer-transport-security.cert-file`.
    pub key: String,
    /// A sentence that names the key.
    pub message: String,
    /// How bad it is.
    pub severity: Severity,
}

impl Problem {
    /// A problem for which the configuration is refused: `{key} {what}`.
    #[must_use]
    pub fn refusal(key: &str, what: impl std::fmt::Display) -> Self {
        Self { key: key.into(), message: format!("{key} {what}"), severity: Severity::Refusal }
    }

    /// A problem that is only worth mentioning: `{key} {what}`.
    #[must_use]
    pub fn warning(key: &str, what: impl std::fmt::Display) -> Self {
        Self { severity: Severity::Warning, ..Self::refusal(key, what) }
    }
}

/// The key of that name, with its section where it is in one: `client-transport-security.cert-file`.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    let mut keys = KEYS;
    let mut found = None;
    for name in path.split('.') {
        let key: &'static Key = keys.iter().find(|key| key.name == name)?;
        keys = if let Kind::Section(inner) = key.kind { inner } else { &[] };
        found = Some(key);
    }
    found
}

/// Finds what the release would ignore or refuse: unknown keys, keys of other releases, values of the wrong type.
/// Without version, what every known release would.
#[must_use]
pub fn check(version: Option<Version>, config: &Object) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_section(version, "", KEYS, config, &mut problems);
    if let Some(gates) = config.get("feature-gates").filter(|_| version.is_none_or(|v| v.series() >= (3, 6))) {
        check_gates(version, gates, &mut problems);
    }
    problems
}

fn check_section(version: Option<Version>, path: &str, keys: &[Key], config: &Object, problems: &mut Vec<Problem>) {
    for (name, value) in config.iter().filter(|(_, value)| !value.is_null()) {
        let full = format!("{path}{name}");
        match keys.iter().find(|key| key.name == name) {
            None => problems.push(unknown(version, path, &full, name, keys)),
            Some(key) if !key.known_by(version) => {
                problems.extend(version.map(|version| Problem::refusal(&full, elsewhere(key, version, effect(keys)))));
            }
            Some(key) => {
                problems.extend(deprecated(version, &full, key, config));
                match (key.kind, value) {
                    (Kind::Section(inner), Value::Object(value)) => {
                        check_section(version, &format!("{full}."), inner, value, problems);
                    }
                    (kind, value) => {
                        problems.extend(coerce(kind, value).err().map(|error| Problem::refusal(&full, error)));
                    }
                }
            }
        }
    }
}

/// The problem of a key that no known release reads. A release newer than those may know better.
fn unknown(version: Option<Version>, path: &str, full: &str, name: &str, keys: &[Key]) -> Problem {
    let newer = version.is_some_and(|version| version.series() > KNOWN.newest);
    let etcd = version.map_or_else(|| "etcd".into(), |version| format!("etcd {version}"));
    let hint = suggestion(version, path, name, keys).map(|near| format!(", did you mean {near}?"));
    let what = format!("is unknown to {etcd}, {}{}", effect(keys), hint.unwrap_or_default());
    if newer { Problem::warning(full, what) } else { Problem::refusal(full, what) }
}

/// What etcd does when it meets an unknown name of that kind.
fn effect(keys: &[Key]) -> &'static str {
    if keys == GATES { "which would not start" } else { "which would ignore it" }
}

/// The known key nearest to a mistyped one, or the key behind a command line flag of that name.
fn suggestion(version: Option<Version>, path: &str, name: &str, keys: &[Key]) -> Option<String> {
    let plain = name.trim_start_matches('-').to_ascii_lowercase().replace('_', "-");
    let plain = plain.strip_prefix("etcd-").unwrap_or(&plain);
    if path.is_empty() {
        let (section, flag) = match plain.strip_prefix("peer-") {
            Some(flag) => ("peer-transport-security", flag),
            None => ("client-transport-security", plain),
        };
        if SECURITY.iter().any(|key| key.name == flag) {
            return Some(format!("{section}: {flag}"));
        }
    }
    let known = || keys.iter().filter(|key| key.known_by(version)).map(|key| key.name);
    // `ca-file` means `trusted-ca-file`, although `cert-file` has fewer letters to change.
    let tail = format!("-{plain}");
    let mut longer = known().filter(|name| name.ends_with(&tail));
    let longer = longer.next().filter(|_| longer.next().is_none());
    longer.or_else(|| nearest(plain, known())).map(|near| format!("{path}{near}"))
}

/// What to say of a key that other releases read, but not this one.
fn elsewhere(key: &Key, version: Version, effect: &str) -> String {
    if let Some(since) = key.known_from(version) {
        let old = KEYS.iter().find(|old| old.now == Now::Key(key.name) && old.known_by(Some(version)));
        let old = old.map(|old| format!("; its name there is {}", old.name)).unwrap_or_default();
        return format!("is read from etcd {since} on, not by etcd {version}, {effect}{old}");
    }
    let removed = key.removed_in(version).map(|removed| format!("{}.{}", removed.major, removed.minor));
    let removed = format!("was removed in etcd {}", removed.unwrap_or_default());
    match successor(key) {
        Some(new) => format!("{removed}: write {new}, or set translate: true"),
        None => match key.now {
            Now::Gone(advice) => format!("{removed}: {advice}"),
            _ => removed,
        },
    }
}

/// How a renamed key is written now.
fn successor(key: &Key) -> Option<String> {
    match key.now {
        Now::Key(name) => Some(name.to_owned()),
        Now::Inside(section, name) => Some(format!("{name} in {section}")),
        Now::Gate(gate) => Some(format!("feature-gates: {gate}=true")),
        Now::Same | Now::Gone(_) => None,
    }
}

/// The problem of a key that this release still reads under its old name.
fn deprecated(version: Option<Version>, full: &str, key: &Key, config: &Object) -> Option<Problem> {
    let version = version?;
    let new = match key.now {
        Now::Key(name) => find(name).filter(|new| new.known_by(Some(version)))?.name,
        Now::Gate(_) | Now::Inside(..) if version.series() >= (3, 6) => "",
        _ => return None,
    };
    if config.contains_key(new) {
        return Some(Problem::refusal(full, format!("and {new} are the same thing: remove {full}")));
    }
    let successor = successor(key)?;
    Some(Problem::warning(full, format!("will be gone in the next release of etcd: write {successor}")))
}

fn check_gates(version: Option<Version>, value: &Value, problems: &mut Vec<Problem>) {
    let Ok(Value::String(text)) = coerce(Kind::Pairs, value) else { return };
    for (name, setting) in pairs(&text) {
        let full = format!("feature-gates.{name}");
        match GATES.iter().find(|gate| gate.name == name) {
            None => problems.push(unknown(version, "", &full, &name, GATES)),
            Some(gate) if !gate.known_by(version) => {
                problems
                    .extend(version.map(|version| Problem::refusal(&full, elsewhere(gate, version, effect(GATES)))));
            }
            Some(_) => {
                let setting = coerce(Kind::Bool, &setting.into());
                problems.extend(setting.err().map(|error| Problem::refusal(&full, error)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
