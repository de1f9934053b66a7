//! The file that the program is called with: a JSON object, written by the role.

use crate::NAME;
use ansible_protocol::{Default, Failure, Kind, ModuleSpec, Object, Opt, Rule, Support, read_arguments};
use etcd_ops::connection::Connection;
use etcd_snapshot::series::{Retention, Series};
use secrecy::SecretString;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

const OPTIONS: &[Opt] = &[
    // The cluster's name, part of the names of files.
    Opt::new("cluster", Kind::Str, &[]).required(),
    // This member's name.
    Opt::new("member", Kind::Str, &[]).required(),
    // Client URLs: this member's first, then the others'.
    Opt::new("endpoints", Kind::List(&Kind::Str), &[]).required(),
    // The authority of the members' certificates, the certificate presented to them, and its key.
    Opt::new("ca_cert", Kind::Path, &[]),
    Opt::new("client_cert", Kind::Path, &[]),
    Opt::new("client_key", Kind::Path, &[]),
    // The etcd user, with the role root, where authentication is on; and the file that holds the password.
    Opt::new("login_user", Kind::Str, &[]),
    Opt::new("password_file", Kind::Path, &[]),
    // The directory for snapshots, what their names begin with, how many to keep, and for how many days.
    Opt::new("dir", Kind::Path, &[]).required(),
    Opt::new("prefix", Kind::Str, &[]).default(Default::Str("etcd")),
    Opt::new("keep", Kind::Int, &[]),
    Opt::new("keep_days", Kind::Int, &[]),
    // Where copies go: a directory that is a mount point, {path, anywhere: true} for any other, [USER@]HOST:/DIR.
    Opt::new("copy_to", Kind::List(&Kind::Raw), &[]),
    // Where to write what is known, as JSON and as metrics.
    Opt::new("status_file", Kind::Path, &[]).required(),
    Opt::new("metrics_file", Kind::Path, &[]),
    // The same for drills; the user that etcd runs as, etcd itself, and what restores, where it is not beside that.
    Opt::new("drill_status_file", Kind::Path, &[]),
    Opt::new("drill_metrics_file", Kind::Path, &[]),
    Opt::new("user", Kind::Str, &[]),
    Opt::new("etcd", Kind::Str, &[]).default(Default::Str("etcd")),
    Opt::new("tool", Kind::Path, &[]),
    // Seconds for one member to take it: to save, verify, and copy it.
    Opt::new("timeout", Kind::Int, &[]).default(Default::Int(600)),
    // Seconds after a backup in which runs are for the same one.
    Opt::new("window", Kind::Int, &[]).default(Default::Int(300)),
    // Seconds to wait for the leader, or for a sign of whoever takes it.
    Opt::new("grace", Kind::Int, &[]).default(Default::Int(30)),
];

/// The table of the keys.
pub(crate) const SPEC: ModuleSpec = ModuleSpec {
    name: NAME,
    summary: "Takes a snapshot of the cluster, on one member of those where it is called",
    description: &[],
    options: OPTIONS,
    fragments: &[],
    rules: &[
        Rule::RequiredTogether(&["client_cert", "client_key"]),
        Rule::RequiredTogether(&["login_user", "password_file"]),
    ],
    check_mode: Support::NotApplicable,
    diff_mode: Support::NotApplicable,
    notes: &[],
    examples: "",
    returns: &[],
};

/// The configuration, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// All of it, as far as it has a value.
    given: Object,
    pub(crate) cluster: String,
    pub(crate) member: String,
    pub(crate) endpoints: Value,
    pub(crate) dir: PathBuf,
    pub(crate) prefix: String,
    pub(crate) retention: Retention,
    pub(crate) copy_to: Vec<Destination>,
    pub(crate) status_file: PathBuf,
    pub(crate) metrics_file: Option<PathBuf>,
    pub(crate) drill_status_file: Option<PathBuf>,
    pub(crate) drill_metrics_file: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) window: Duration,
    pub(crate) grace: Duration,
}

/// Where a copy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A directory; one that is not `anywhere` must be a mount point.
    Directory { path: PathBuf, anywhere: bool },
    /// A directory on another host, as ssh calls it.
    Host { host: String, path: PathBuf },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, by name.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| Failure::io(format_args!("read {name}"), error))?;
        let object = match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(Failure::invalid_option(format!("{name} does not hold a JSON object"))),
            Err(error) => return Err(Failure::invalid_option(format!("{name} does not hold JSON: {error}"))),
        };
        Self::check(object).map_err(|failure| failure.context(name))
    }

    /// What the snapshots' own options may be, module `etcd_snapshot` says when it is called.
    fn check(object: Object) -> Result<Self, Failure> {
        let mut given = read_arguments(&SPEC, object).0?.options;
        let mut problems = Vec::new();
        let mut seconds = |name: &str| {
            let seconds = count(&given, name).unwrap_or(0);
            if seconds == 0 {
                problems.push(format!("{name} must be 1 or more"));
            }
            Duration::from_secs(seconds.into())
        };
        let (timeout, window, grace) = (seconds("timeout"), seconds("window"), seconds("grace"));
        let retention = Retention { keep: count(&given, "keep"), days: count(&given, "keep_days") };
        let mut copy_to = Vec::new();
        if let Some(Value::Array(values)) = given.shift_remove("copy_to") {
            for value in values {
                match Destination::read(&value) {
                    Some(destination) => copy_to.push(destination),
                    None => problems.push(format!(
                        "copy_to must hold absolute directories, {{path, anywhere: true}} or [USER@]HOST:/DIR, got {value}"
                    )),
                }
            }
        }
        for name in ["cluster", "member"] {
            if !text(&given, name).is_some_and(|word| Series::is_word(&word)) {
                problems.push(format!("{name} must be letters, digits, . _ and -, and begin with a letter or digit"));
            }
        }
        if !problems.is_empty() {
            return Err(Failure::invalid_option(format!("invalid options of {NAME}: {}", problems.join("; "))));
        }
        let word = |name: &str| text(&given, name).unwrap_or_default();
        Ok(Self {
            cluster: word("cluster"),
            member: word("member"),
            endpoints: given["endpoints"].clone(),
            dir: word("dir").into(),
            prefix: word("prefix"),
            status_file: word("status_file").into(),
            metrics_file: text(&given, "metrics_file").map(PathBuf::from),
            drill_status_file: text(&given, "drill_status_file").map(PathBuf::from),
            drill_metrics_file: text(&given, "drill_metrics_file").map(PathBuf::from),
            user: text(&given, "user"),
            retention,
            copy_to,
            timeout,
            window,
            grace,
            given,
        })
    }

    /// How to reach the cluster, for at most so long.
    ///
    /// # Errors
    ///
    /// Kind `io` when the password cannot be read.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let path = |name: &str| text(&self.given, name).map(PathBuf::from);
        let password = match path("password_file") {
            Some(path) => Some(
                std::fs::read_to_string(&path)
                    .map_err(|error| Failure::io(format_args!("read the password in {}", path.display()), error))?,
            ),
            None => None,
        };
        let endpoints = self.endpoints.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Connection {
            endpoints: endpoints.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            ca_cert: path("ca_cert"),
            client_cert: path("client_cert"),
            client_key: path("client_key"),
            login_user: text(&self.given, "login_user"),
            // As a shell reads it: all but line ends belongs to the password.
            login_password: password.map(|password| SecretString::from(password.trim_end_matches('\n').to_owned())),
            timeout: self.timeout.as_secs(),
            dial_timeout: 5,
        })
    }

    /// One of its values.
    pub(crate) fn value(&self, name: &str) -> Value {
        self.given.get(name).cloned().unwrap_or_default()
    }

    /// What tells the files of the cluster with that id from those of another one that has the same name: one that was
    /// made anew, or the one of another site whose copies go to the same place.
    pub(crate) fn label(&self, cluster_id: u64) -> String {
        format!("{}-{:08x}", self.cluster, cluster_id >> 32)
    }

    /// The files of the cluster with that id, among those of others.
    pub(crate) fn series(&self, cluster_id: u64) -> Series {
        Series::new(&self.prefix, &self.label(cluster_id))
    }
}

fn text(given: &Object, name: &str) -> Option<String> {
    given.get(name).and_then(Value::as_str).map(ToOwned::to_owned)
}

fn count(given: &Object, name: &str) -> Option<u32> {
    given.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
}

impl Destination {
    fn read(value: &Value) -> Option<Self> {
        let (text, anywhere) = match value {
            Value::String(text) => (text.as_str(), false),
            Value::Object(object) if object.keys().all(|key| key == "path" || key == "anywhere") => {
                (object.get("path")?.as_str()?, object.get("anywhere").is_some_and(|anywhere| *anywhere == true))
            }
            _ => return None,
        };
        if text.starts_with('/') {
            let path = PathBuf::from(text);
            return is_plain(&path).then_some(Self::Directory { path, anywhere });
        }
        let (host, path) = text.split_once(":/")?;
        let path = Path::new("/").join(path);
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || "@._-:%".contains(letter);
        // ssh takes an IPv6 address as it is, and would look up one in brackets as a name.
        let host = host.replace(['[', ']'], "");
        let is_named = !host.is_empty() && !host.starts_with('-') && host.chars().all(is_host);
        (is_named && is_plain(&path) && !anywhere).then_some(Self::Host { host, path })
    }
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use test_case::test_case;

    fn check(more: Value) -> Result<Config, String> {
        let mut object = json!({ "cluster": "main", "member": "etcd-1", "endpoints": ["https://10.0.0.1:2379"],
            "dir": "/var/backups/etcd", "status_file": "/var/lib/etcd-backup/status.json" });
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Config::check(object.as_object().unwrap().clone()).map_err(|failure| failure.msg)
    }

    #[test]
    fn defaults() {
        let config = check(json!({})).unwrap();
        assert_eq!((config.prefix.as_str(), config.retention), ("etcd", Retention::default()));
        let seconds = [config.timeout, config.window, config.grace].map(|time| time.as_secs());
        assert_eq!(seconds, [600, 300, 30]);
    }

    #[test_case(json!({ "keeps": 3 }), "keeps is unknown, did you mean keep?"; "unknown")]
    #[test_case(json!({ "member": null }), "member is required"; "missing")]
    #[test_case(json!({ "login_user": "root" }), "login_user, password_file are required together"; "one of two")]
    #[test_case(json!({ "grace": -1 }), "grace must be 1 or more"; "grace")]
    #[test_case(json!({ "copy_to": ["backups"] }), "copy_to must hold absolute directories"; "copies")]
    fn what_is_wrong_is_named(more: Value, wanted: &str) {
        let problem = check(more).unwrap_err();
        assert!(problem.starts_with("invalid options of etcd-backup: ") && problem.contains(wanted), "{problem}");
    }

    #[test_case(json!("/mnt/x"), Some(("", "/mnt/x", false)))]
    #[test_case(json!({ "path": "/mnt/x", "anywhere": true }), Some(("", "/mnt/x", true)))]
    #[test_case(json!("nas:/srv/etcd"), Some(("nas", "/srv/etcd", false)))]
    #[test_case(json!("backup@10.0.0.9:/srv/etcd"), Some(("backup@10.0.0.9", "/srv/etcd", false)))]
    #[test_case(json!("[::1]:/srv"), Some(("::1", "/srv", false)); "an IPv6 address")]
    #[test_case(json!("backup@[fe80::1%eth0]:/srv"), Some(("backup@fe80::1%eth0", "/srv", false)); "a link's address")]
    #[test_case(json!("[-oProxyCommand=x]:/srv"), None; "an option in brackets")]
    #[test_case(json!("-oProxyCommand=x:/srv"), None; "an option")]
    #[test_case(json!("nas:srv"), None; "relative there")]
    #[test_case(json!("nas:/srv/../etc"), None; "upwards")]
    #[test_case(json!("a b:/srv"), None; "two words")]
    #[test_case(json!({ "path": "/mnt/x", "where": 1 }), None; "unknown")]
    #[test_case(json!(3), None; "a number")]
    fn reads_destinations(value: Value, wanted: Option<(&str, &str, bool)>) {
        let wanted = wanted.map(|(host, path, anywhere)| match host {
            "" => Destination::Directory { path: path.into(), anywhere },
            host => Destination::Host { host: host.into(), path: path.into() },
        });
        assert_eq!(Destination::read(&value), wanted);
    }
}
