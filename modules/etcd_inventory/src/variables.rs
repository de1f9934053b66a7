//! The role's variables on one host, as far as a mistake in them can be told before anything is changed anywhere.

use ansible_protocol::{Object, nearest};
use etcd_ops::catalogue::{self, Severity};
use etcd_ops::defaults;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a variable may hold.
enum Wanted {
    /// A whole number, at least this.
    Number(u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any of these words, separated by commas.
    Words(&'static [&'static str]),
    /// Yes or no.
    Bool,
    /// A full path.
    Path,
    /// A version of etcd, or of a series.
    Version,
}

/// The refusals that can be overridden, as they name themselves.
const FORCES: &[&str] = &[
    "restart",
    "foreign_ca",
    "remove",
    "in_use",
    "unreachable",
    "replace",
    "damaged",
    "restore",
    "other_cluster",
    "unhashed",
];

const VARIABLES: &[(&str, Wanted)] = &[
    ("etcd_cert_renew_before", Wanted::Number(0)),
    ("etcd_cert_validity", Wanted::Number(1)),
    ("etcd_clean", Wanted::Bool),
    ("etcd_data", Wanted::Path),
    ("etcd_election_timeout", Wanted::Number(1)),
    ("etcd_force", Wanted::Words(FORCES)),
    ("etcd_heartbeat_interval", Wanted::Number(1)),
    ("etcd_learner", Wanted::Bool),
    ("etcd_install_method", Wanted::Word(&["package", "archive", "none"])),
    ("etcd_pki_dir", Wanted::Path),
    ("etcd_quota_backend_bytes", Wanted::Number(0)),
    ("etcd_rm_data", Wanted::Bool),
    ("etcd_rm_pkg", Wanted::Bool),
    ("etcd_rm_snapshot", Wanted::Bool),
    ("etcd_rm_snapshot_dir", Wanted::Path),
    ("etcd_safeguard", Wanted::Bool),
    ("etcd_timeout", Wanted::Number(1)),
    ("etcd_version", Wanted::Version),
];

/// Keys of etcd's file that follow from a variable of the role, which its other parts go by as well.
const OWN_KEYS: &[(&str, &str)] = &[
    ("advertise-client-urls", "etcd_address and etcd_port"),
    ("data-dir", "etcd_data"),
    ("initial-advertise-peer-urls", "etcd_address and etcd_peer_port"),
    ("initial-cluster", "the group's hosts"),
    ("initial-cluster-state", "etcd_init"),
    ("name", "etcd_cluster and etcd_seq"),
];

/// A variable's value as text; none when it is not set or empty.
pub(crate) fn text(variables: &Object, name: &str) -> Option<String> {
    match variables.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a variable says yes or no, in any of the words Ansible takes for it.
pub(crate) fn says(variables: &Object, name: &str) -> Option<bool> {
    variables.get(name).and_then(ansible_protocol::boolean)
}

/// The words of a list separated by commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// The refusals that a host's variables override.
pub(crate) fn forced(variables: &Object) -> Vec<String> {
    text(variables, "etcd_force").iter().flat_map(|text| words(text)).map(ToOwned::to_owned).collect()
}

/// What is wrong with a host's variables.
pub(crate) fn problems(host: &str, variables: &Object) -> Vec<String> {
    let mut problems: Vec<String> =
        VARIABLES.iter().filter_map(|(name, wanted)| wanted.problem(host, name, variables)).collect();
    problems.extend(life(host, variables));
    problems.extend(archive(host, variables));
    problems.extend(snapshot_dir(host, variables));
    problems.extend(config(host, variables));
    let not_lists = variables.get("not_lists").and_then(Value::as_array).into_iter().flatten();
    problems.extend(not_lists.filter_map(Value::as_str).map(|name| format!("{name} of {host} is not a list")));
    problems
}

/// Variables that the play sets for its own tasks only, while the inventory, which is what names the members, has others.
pub(crate) fn play_only(play: &Object, host: &str, variables: &Object, defaults: &[(&str, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for name in play.keys() {
        let default = || defaults.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let inventory = plain(variables, name).or_else(default);
        let seen = plain(play, name);
        if seen.is_some() && seen != inventory {
            problems.push(format!(
                "{name} is {} for the play, and {} in the inventory of {host}: set it there, where all hosts see it, or with -e",
                seen.unwrap_or_default(),
                inventory.as_deref().unwrap_or("not set"),
            ));
        }
    }
    problems
}

/// A variable's value in one spelling: Ansible takes `yes` and `True` for the same.
fn plain(variables: &Object, name: &str) -> Option<String> {
    let yes = variables.get(name).filter(|value| !value.is_number()).and_then(ansible_protocol::boolean);
    yes.map(|yes| yes.to_string()).or_else(|| text(variables, name))
}

/// A directory's full path, with `~` for the home directory of whoever runs Ansible.
pub(crate) fn full_path(text: &str) -> Option<PathBuf> {
    let path = match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(text),
    };
    path.is_absolute().then_some(path)
}

impl Wanted {
    fn problem(&self, host: &str, name: &str, variables: &Object) -> Option<String> {
        let given = text(variables, name).or_else(|| {
            // Neither text nor number, such as a list.
            variables.get(name).filter(|value| !value.is_null() && !value.is_string()).map(Value::to_string)
        })?;
        let wants = match self {
            Self::Number(least) => {
                let good = given.parse::<u64>().is_ok_and(|number| number >= *least);
                (!good).then(|| format!("a whole number from {least} on"))
            }
            Self::Word(words) => (!words.contains(&given.as_str())).then(|| one_of(&given, words)),
            Self::Words(words) => {
                self::words(&given).find(|word| !words.contains(word)).map(|wrong| one_of(wrong, words))
            }
            Self::Bool => {
                ansible_protocol::boolean(&given.as_str().into()).is_none().then(|| "true or false".to_owned())
            }
            Self::Path => full_path(&given).is_none().then(|| "a full path".to_owned()),
            Self::Version => {
                (!is_version(&given)).then(|| "a version such as 3.6.14, or a series such as 3.6".to_owned())
            }
        };
        wants.map(|wants| format!("{name} of {host} is {given:?}: it takes {wants}"))
    }
}

fn one_of(given: &str, words: &[&str]) -> String {
    let hint = nearest(given, words.iter().copied()).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    format!("{}{hint}", words.join(" or "))
}

fn is_version(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    (2..=3).contains(&numbers.len()) && numbers.iter().all(|number| number.parse::<u16>().is_ok())
}

/// Whether an installed version is the one that is asked for, or of the series that is.
pub(crate) fn is_wanted_version(installed: &str, wanted: &str) -> bool {
    installed == wanted || installed.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}

fn life(host: &str, variables: &Object) -> Option<String> {
    let number = |name: &str, default: u64| text(variables, name).map_or(Some(default), |text| text.parse().ok());
    let (validity, before) = (number("etcd_cert_validity", 3650)?, number("etcd_cert_renew_before", 30)?);
    (before >= validity).then(|| {
        format!("etcd_cert_renew_before of {host} is {before}, not less than etcd_cert_validity, {validity}: every run would renew")
    })
}

/// What is to outlast the data is not kept inside of it.
fn snapshot_dir(host: &str, variables: &Object) -> Option<String> {
    let dir = text(variables, "etcd_rm_snapshot_dir")?;
    let data = text(variables, "etcd_data").unwrap_or_else(|| defaults::DATA_DIR.into());
    Path::new(&dir).starts_with(&data).then(|| {
        format!("etcd_rm_snapshot_dir of {host} is {dir}, inside of the data that is deleted, {data}: name another directory")
    })
}

fn archive(host: &str, variables: &Object) -> Option<String> {
    let method = text(variables, "etcd_install_method")?;
    (method == "archive" && text(variables, "etcd_archive").is_none())
        .then(|| format!("etcd_install_method of {host} is archive: etcd_archive has to name one"))
}

/// Keys of `etcd_config_extra` that etcd would ignore, values it would not take, and what is not for it to set. Without
/// `etcd_version` any version may be meant; what the installed one makes of them is for `etcd_conf` to say.
fn config(host: &str, variables: &Object) -> Vec<String> {
    let extra = match variables.get("etcd_config_extra") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(extra)) => catalogue::normalise(extra),
        Some(other) => {
            return vec![format!("etcd_config_extra of {host} is {other}, not a mapping of etcd's keys to values")];
        }
    };
    let own = OWN_KEYS.iter().filter(|(key, _)| extra.contains_key(*key));
    let own = own.map(|(key, variable)| format!("{key} follows from {variable}, and is not to be set"));
    let version = text(variables, "etcd_version").and_then(|version| version.parse().ok());
    let wrong = catalogue::check(version, &extra).into_iter().filter(|problem| problem.severity == Severity::Refusal);
    own.chain(wrong.map(|problem| problem.message))
        .map(|problem| format!("etcd_config_extra of {host}: {problem}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use test_case::test_case;

    fn of(name: &str, value: Value) -> Object {
        [(name.to_owned(), value)].into_iter().collect()
    }

    #[test_case("etcd_heartbeat_interval", json!("fast"), "a whole number"; "a word for a number")]
    #[test_case("etcd_timeout", json!(0), "a whole number from 1"; "nothing")]
    #[test_case("etcd_install_method", json!("pakage"), "did you mean package?"; "misspelt method")]
    #[test_case("etcd_install_method", json!("archive"), "etcd_archive has to name one"; "no archive")]
    #[test_case("etcd_force", json!("restrat"), "did you mean restart?"; "misspelt override")]
    #[test_case("etcd_pki_dir", json!("files/pki"), "a full path"; "relative path")]
    #[test_case("etcd_data", json!(["/data"]), "a full path"; "list for a path")]
    #[test_case("etcd_version", json!("v3"), "a version such as"; "no version")]
    #[test_case("etcd_cert_validity", json!(20), "every run would renew"; "shorter than what is left at renewal")]
    #[test_case("etcd_config_extra", json!({"data-dir": "/x"}), "data-dir follows from etcd_data"; "own key")]
    #[test_case("etcd_config_extra", json!([]), "not a mapping"; "list for a mapping")]
    #[test_case("etcd_safeguard", json!("flase"), "true or false"; "misspelt boolean")]
    #[test_case("etcd_rm_snapshot_dir", json!("/data/etcd/backup"), "inside of the data that is deleted"; "snapshot beside the data")]
    #[test_case("not_lists", json!(["etcd_users"]), "etcd_users of a is not a list"; "not a list")]
    fn names_what_is_wrong(name: &str, value: Value, part: &str) {
        let problems = problems("a", &of(name, value));
        assert!(problems.len() == 1 && problems[0].contains(part), "{problems:?}");
    }

    #[test_case("etcd_force", json!("restart, foreign_ca"); "two overrides")]
    #[test_case("etcd_force", json!(""); "no override")]
    #[test_case("etcd_timeout", json!("60"); "number as text")]
    #[test_case("etcd_pki_dir", json!("~/pki"); "home")]
    #[test_case("etcd_version", json!("3.6"); "series")]
    #[test_case("etcd_config_extra", json!({"wal-dir": "/wal", "listen-metrics-urls": "http://0.0.0.0:2381"}); "further keys")]
    fn takes_what_is_right(name: &str, value: Value) {
        assert_eq!(problems("a", &of(name, value)), Vec::<String>::new());
    }

    #[test_case("3.6.14", "3.6.14", true; "the same")]
    #[test_case("3.6.14", "3.6", true; "of the series")]
    #[test_case("3.6.14", "3.6.1", false; "not a prefix of digits")]
    #[test_case("3.5.16", "3.6", false; "another series")]
    fn compares_versions(installed: &str, wanted: &str, same: bool) {
        assert_eq!(is_wanted_version(installed, wanted), same);
    }

    #[test_case(json!("restart, foreign_ca"), &["restart", "foreign_ca"]; "with a space")]
    #[test_case(json!(""), &[]; "none")]
    fn reads_the_overrides(value: Value, wanted: &[&str]) {
        assert_eq!(forced(&of("etcd_force", value)), wanted);
    }

    #[test]
    fn what_only_the_play_sets_is_named() {
        let defaults = [("etcd_port", "2379".to_owned())];
        let play = of("etcd_port", json!(3379));
        for (inventory, count) in
            [(Object::new(), 1), (of("etcd_port", json!("3379")), 0), (of("etcd_port", json!(1)), 1)]
        {
            assert_eq!(play_only(&play, "a", &inventory, &defaults).len(), count);
        }
        assert!(play_only(&of("etcd_port", json!(2379)), "a", &Object::new(), &defaults).is_empty());
    }
}
