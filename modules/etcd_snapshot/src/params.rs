use crate::choose::From;
use crate::series::{Retention, Series};
use ansible_protocol::Failure;
use etcd_ops::connection::Connection;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// The options.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    pub(crate) state: State,
    path: Option<PathBuf>,
    dir: Option<PathBuf>,
    prefix: String,
    cluster_name: Option<String>,
    pub(crate) from: From,
    keep: Option<i64>,
    keep_days: Option<i64>,
    mode: Value,
    pub(crate) without_hash: bool,
    pub(crate) force: bool,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) wal_dir: Option<PathBuf>,
    pub(crate) name: Option<String>,
    pub(crate) initial_cluster: Option<String>,
    pub(crate) initial_cluster_token: Option<String>,
    pub(crate) bump_revision: i64,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) aside_time: Option<String>,
    pub(crate) predicted: Vec<Value>,
    pub(crate) tool: Option<PathBuf>,
    pub(crate) binary: String,
    pub(crate) note: Option<PathBuf>,
    pub(crate) rehearsal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Saved,
    Verified,
    Restored,
}

/// What is asked for, checked.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// One file.
    File(PathBuf),
    /// A file with a name of its own.
    Dir { dir: PathBuf, prefix: String, cluster_name: Option<String> },
}

/// How to save.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) place: Place,
    pub(crate) retention: Retention,
    pub(crate) mode: u32,
}

impl Params {
    /// The file to verify or to restore from.
    pub(crate) fn file(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// How to save.
    ///
    /// # Errors
    ///
    /// Kind `invalid_option`, with everything that is wrong whatever the host and the cluster are like.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        let mut problems = Vec::new();
        let mut absolute = |name: &str, path: &PathBuf| {
            let clean: PathBuf = path.components().collect();
            let up = clean.components().any(|part| part == Component::ParentDir);
            if !clean.is_absolute() || up || (name == "path" && clean.file_name().is_none()) {
                problems.push(format!("{name} must be absolute and without .., got {}", path.display()));
            }
            clean
        };
        let place = match (&self.path, &self.dir) {
            (Some(path), _) => Place::File(absolute("path", path)),
            (None, dir) => Place::Dir {
                dir: absolute("dir", dir.as_ref().unwrap_or(&PathBuf::new())),
                prefix: self.prefix.clone(),
                cluster_name: self.cluster_name.clone(),
            },
        };
        if !Series::is_word(&self.prefix) {
            problems.push("prefix must be letters, digits, . _ and -, and begin with a letter or digit".to_owned());
        }
        if self.cluster_name.as_ref().is_some_and(|name| !Series::is_word(name)) {
            problems
                .push("cluster_name must be letters, digits, . _ and -, and begin with a letter or digit".to_owned());
        }
        let mut at_least_one = |name: &str, number: Option<i64>| {
            let count = number.map(|number| u32::try_from(number).unwrap_or(0));
            if count == Some(0) {
                problems.push(format!("{name} must be 1 or more, got {}", number.unwrap_or(0)));
            }
            if count.is_some() && self.path.is_some() {
                problems.push(format!("{name} needs dir: with path, there is only one file"));
            }
            count
        };
        let retention =
            Retention { keep: at_least_one("keep", self.keep), days: at_least_one("keep_days", self.keep_days) };
        if self.force && self.from != From::First {
            problems.push("force needs from: first, so that the member is named whose data to trust".to_owned());
        }
        let mode = read_mode(&self.mode).unwrap_or_else(|problem| {
            problems.push(problem);
            0
        });
        if problems.is_empty() {
            return Ok(Wanted { place, retention, mode });
        }
        let msg = format!("invalid options of etcd_snapshot: {}; nothing was saved", problems.join("; "));
        Err(Failure::invalid_option(msg))
    }
}

/// Permissions in octal. A number is refused, for `0600` without quotes has become 384 on its way here.
fn read_mode(value: &Value) -> Result<u32, String> {
    let digits = value.as_str().map(|text| text.trim().trim_start_matches("0o")).filter(|digits| digits.len() >= 3);
    let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()).filter(|mode| *mode <= 0o777);
    match mode {
        Some(mode) if mode & 0o400 != 0 => Ok(mode),
        Some(_) => Err(format!("mode {value} would keep its owner from reading it")),
        None => Err(format!("mode must be octal and in quotes, as '0600', got {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use test_case::test_case;

    #[test_case(json!("0600"), Some(0o600))]
    #[test_case(json!("640"), Some(0o640))]
    #[test_case(json!(384), None; "yaml octal")]
    #[test_case(json!("u=rw"), None)]
    #[test_case(json!("4600"), None; "set user id")]
    #[test_case(json!("0200"), None; "unreadable")]
    fn reads_modes(given: Value, mode: Option<u32>) {
        assert_eq!(read_mode(&given).ok(), mode);
    }
}
