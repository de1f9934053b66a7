//! etcd's configuration file: reading and writing it, and comparing two of them.
//!
//! Two files are compared by what etcd makes of them: order, comments, quotes and line breaks do not matter, and
//! neither does whether a text key holds `24` or `"24"`.

use crate::catalogue::{KEYS, Key, Kind, find, normalise};
use crate::yaml;
use ansible_protocol::{Object, order};
use serde_json::Value;
use std::path::PathBuf;

/// The text is not a configuration that etcd would read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is no YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// It is something else than a mapping of keys.
    #[error("not a mapping of keys to values")]
    NotAMapping,
}

/// Reads a configuration file. An empty one is an empty configuration.
///
/// # Errors
///
/// Returns why the text is no configuration.
pub fn parse(text: &str) -> Result<Object, ConfigError> {
    match yaml::read(text).map_err(ConfigError::Yaml)? {
        None | Some(Value::Null) => Ok(Object::new()),
        Some(Value::Object(config)) => Ok(config),
        Some(_) => Err(ConfigError::NotAMapping),
    }
}

/// Writes the configuration as YAML, so that the YAML 1.1 parser in etcd reads the same values.
///
/// # Errors
///
/// Returns why it cannot be written.
pub fn to_yaml(config: &Object) -> Result<String, ConfigError> {
    if config.is_empty() {
        return Ok(String::new());
    }
    let mut options = serde_saphyr::SerializerOptions::default();
    // Folded and literal blocks are pleasant for prose; URLs and times want to be on one line.
    options.prefer_block_scalars = false;
    let text = serde_saphyr::to_string_with_options(config, options);
    text.map_err(|error| ConfigError::Yaml(error.to_string()))
}

/// The keys whose values differ, with their section: `peer-transport-security.cert-file`. In the order of the
/// catalogue.
#[must_use]
pub fn changed_keys(before: &Object, after: &Object) -> Vec<String> {
    let mut changed = Vec::new();
    compare("", &normalise(before), &normalise(after), &mut changed);
    changed
}

fn compare(path: &str, before: &Object, after: &Object, changed: &mut Vec<String>) {
    let place = |name: &String| KEYS.iter().position(|key| key.name == *name).unwrap_or(usize::MAX);
    let mut names: Vec<(usize, &String)> = before.keys().chain(after.keys()).map(|name| (place(name), name)).collect();
    order::sort(&mut names);
    names.dedup();
    for (_, name) in names {
        let full = format!("{path}{name}");
        let section = |config: &Object| match config.get(name) {
            None => Some(Object::new()),
            Some(value) => value.as_object().cloned(),
        };
        match (before.get(name), after.get(name)) {
            (left, right) if left == right => {}
            (left, right) => match (section(before), section(after)) {
                (Some(one), Some(other)) if left.or(right).is_some_and(Value::is_object) => {
                    compare(&format!("{full}."), &one, &other, changed);
                }
                _ => changed.push(full),
            },
        }
    }
}

/// Those of the changed keys that a member which has data picks up at a restart: not the ones that only matter for
/// its first start.
#[must_use]
pub fn restart_keys(changed: &[String]) -> Vec<String> {
    let bootstrap_only = |key: &&String| {
        let top = key.split('.').next().unwrap_or_default();
        find(top).is_some_and(|key| key.bootstrap_only)
    };
    changed.iter().filter(|key| !bootstrap_only(key)).cloned().collect()
}

/// The keys that a restart would pick up: the configuration as it is now, against the one the running process was
/// started with.
///
/// # Errors
///
/// Returns why one of the texts is no configuration.
pub fn pending_restart(config_now: &str, config_started: &str) -> Result<Vec<String>, ConfigError> {
    if config_now == config_started {
        return Ok(Vec::new());
    }
    Ok(restart_keys(&changed_keys(&parse(config_started)?, &parse(config_now)?)))
}

/// The files that the configuration names and etcd reads anew for each TLS handshake, and those that it reads only
/// when it starts.
#[must_use]
pub fn tls_files(config: &Object) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut reloaded, mut read_once) = (Vec::new(), Vec::new());
    for section in ["client-transport-security", "peer-transport-security"] {
        let Some(Kind::Section(keys)) = find(section).map(|key| key.kind) else { continue };
        let path = |key: &Key| {
            let path = config.get(section)?.get(key.name)?.as_str()?;
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        reloaded.extend(keys.iter().filter(|key| key.reload).filter_map(path));
        read_once.extend(keys.iter().filter(|key| key.name == "trusted-ca-file").filter_map(path));
    }
    for paths in [&mut reloaded, &mut read_once] {
        order::sort(paths);
        paths.dedup();
    }
    (reloaded, read_once)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use test_case::test_case;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn order_comments_quotes_and_number_texts_do_not_matter() {
        let one = "# ours\nname: a\nauto-compaction-retention: \"24\"\nelection-timeout: 1000\n";
        let other = "election-timeout: 1000\n\"name\": 'a'   # mine\nauto-compaction-retention: 24\n";
        assert_eq!(pending_restart(one, other), Ok(vec![]));
    }

    #[test]
    fn names_what_a_restart_would_pick_up_and_not_what_a_member_with_data_ignores() {
        let started = "name: a\ninitial-cluster-state: new\ninitial-cluster: a=http://10.0.0.1:2380\nlog-level: info\n\
                       peer-transport-security:\n  cert-file: /a\n  key-file: /k\n";
        let now = "name: a\ninitial-cluster-state: existing\nlog-level: debug\nquota-backend-bytes: 1\n\
                   peer-transport-security: {cert-file: /b, key-file: /k}\n";
        let wanted = ["quota-backend-bytes", "peer-transport-security.cert-file", "log-level"];
        assert_eq!(pending_restart(now, started), Ok(wanted.map(str::to_owned).to_vec()));
        let changed = changed_keys(&parse(started).unwrap(), &parse(now).unwrap());
        assert!(
            changed.contains(&"initial-cluster".to_owned()) && changed.contains(&"initial-cluster-state".to_owned())
        );
    }

    #[test]
    fn a_section_that_comes_or_goes_is_named_by_its_keys() {
        let section = object(json!({ "peer-transport-security": { "auto-tls": true } }));
        assert_eq!(changed_keys(&Object::new(), &section), ["peer-transport-security.auto-tls"]);
        assert_eq!(changed_keys(&section, &Object::new()), ["peer-transport-security.auto-tls"]);
    }

    #[test_case("", true)]
    #[test_case("# nothing\n", true)]
    #[test_case("- a\n", false)]
    #[test_case("name: [\n", false)]
    #[test_case("just text", false)]
    fn reads_only_mappings(text: &str, fine: bool) {
        assert_eq!(parse(text).is_ok(), fine);
    }

    #[test]
    fn tells_files_read_once_from_files_read_at_every_handshake() {
        let config = json!({
            "client-transport-security": { "cert-file": "/c", "key-file": "/k", "trusted-ca-file": "/ca" },
            "peer-transport-security": { "cert-file": "/c", "key-file": "/k2", "trusted-ca-file": "/ca" },
        });
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(tls_files(&object(config)), (paths(&["/c", "/k", "/k2"]), paths(&["/ca"])));
    }

    /// What YAML 1.1 would misread is quoted; long lists of URLs stay on one line.
    #[test]
    fn writes_what_older_parsers_read_alike() {
        for text in [
            "on",
            "yes",
            "no",
            "y",
            "1_000",
            "0o17",
            "017",
            "1e3",
            "~",
            "null",
            "",
            "12:30",
            "0x1f",
            ".5",
            "2001-01-01",
            "a: b",
            "# x",
        ] {
            let yaml = to_yaml(&object(json!({ "name": text }))).unwrap();
            let scalar = yaml.trim_end().strip_prefix("name: ").unwrap();
            assert!(scalar.starts_with(['"', '\'']), "{text} is written bare: {yaml}");
        }
        let long = (0..9).map(|n| format!("etcd-{n}=https://10.10.10.1{n}:2380")).collect::<Vec<_>>().join(",");
        let yaml = to_yaml(&object(json!({ "initial-cluster": long, "log-outputs": ["stderr"] }))).unwrap();
        assert_eq!(yaml, format!("initial-cluster: {long}\nlog-outputs:\n- stderr\n"));
    }

    proptest! {
        /// Whatever text a value holds, it comes back from the file as it was.
        #[test]
        fn texts_survive_the_file(text in any::<String>(), number in any::<i64>(), yes in any::<bool>()) {
            let config = object(json!({
                "name": text, "max-txn-ops": number, "pre-vote": yes, "log-outputs": [text, "x"],
                "client-transport-security": { "cert-file": text },
            }));
            let yaml = to_yaml(&config).unwrap();
            prop_assert_eq!(parse(&yaml).map_err(|error| format!("{error} in {yaml}")), Ok(config));
        }
    }
}
