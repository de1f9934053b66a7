//! The parameters, and what they ask for on this host.

use crate::disk::{Attributes, NOT_YET};
use ansible_protocol::Object;
use etcd_ops::files::resolve_owner;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// What a host shall have.
#[derive(Debug, Deserialize)]
pub struct Params {
    #[serde(default)]
    pub(crate) directories: Vec<Directory>,
    pub(crate) config_file: PathBuf,
    pub(crate) config: Option<Object>,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) mode: Value,
    #[serde(default)]
    pub(crate) files: Vec<File>,
    pub(crate) version: Option<String>,
    pub(crate) etcd_binary: String,
    pub(crate) translate: bool,
    pub(crate) backup: bool,
    pub(crate) restarts_follow: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Directory {
    path: PathBuf,
    owner: String,
    group: String,
    mode: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct File {
    path: PathBuf,
    content: String,
    owner: String,
    group: String,
    mode: Value,
    sensitive: bool,
}

/// What the disk shall hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) directories: Vec<WantedDirectory>,
    pub(crate) files: Vec<WantedFile>,
}

#[derive(Clone, Debug)]
pub(crate) struct WantedDirectory {
    pub(crate) path: PathBuf,
    pub(crate) attributes: Attributes,
}

#[derive(Clone, Debug)]
pub(crate) struct WantedFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(crate) sensitive: bool,
    pub(crate) backup: bool,
}

/// What was found wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// With the options.
    pub(crate) problems: Vec<String>,
    /// With the host: what it lacks, and what is in the way.
    pub(crate) host: Vec<String>,
    /// What does not stop the run.
    pub(crate) warnings: Vec<String>,
}

impl Params {
    /// What the parameters ask for. `config_text` is the configuration file's content, if there is to be one.
    pub(crate) fn wanted(&self, config_text: Option<String>, check_mode: bool, findings: &mut Findings) -> Wanted {
        let mut read = Reader { check_mode, findings, seen: Vec::new() };
        let mut wanted = Wanted::default();
        for item in &self.directories {
            let attributes = read.attributes(&item.path, &item.owner, &item.group, &item.mode);
            let directory = read.path(&item.path).map(|path| WantedDirectory { path, attributes });
            wanted.directories.extend(directory);
        }
        for item in &self.files {
            let attributes = read.attributes(&item.path, &item.owner, &item.group, &item.mode);
            let content = item.content.clone().into_bytes();
            let (sensitive, backup) = (item.sensitive, self.backup && !item.sensitive);
            let file = read.path(&item.path).map(|path| WantedFile { path, content, attributes, sensitive, backup });
            wanted.files.extend(file);
        }
        if let Some(text) = config_text {
            let attributes = read.attributes(&self.config_file, &self.owner, &self.group, &self.mode);
            let (content, backup) = (text.into_bytes(), self.backup);
            let path = read.path(&self.config_file);
            let file = path.map(|path| WantedFile { path, content, attributes, sensitive: false, backup });
            wanted.files.extend(file);
        }
        wanted
    }
}

struct Reader<'a> {
    check_mode: bool,
    findings: &'a mut Findings,
    seen: Vec<PathBuf>,
}

impl Reader<'_> {
    /// The path without superfluous parts, unless it is relative or given twice.
    fn path(&mut self, given: &Path) -> Option<PathBuf> {
        let path: PathBuf = given.components().collect();
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) || path.parent().is_none()
        {
            self.problem(format!("{} must be an absolute path without ..", given.display()));
            return None;
        }
        if self.seen.contains(&path) {
            self.problem(format!("{} is given twice", path.display()));
            return None;
        }
        self.seen.push(path.clone());
        Some(path)
    }

    fn attributes(&mut self, path: &Path, owner: &str, group: &str, mode: &Value) -> Attributes {
        let mode = read_mode(mode).unwrap_or_else(|error| {
            self.problem(format!("{}: mode {error}", path.display()));
            0
        });
        let (uid, gid) = resolve_owner(owner, group).unwrap_or_else(|error| {
            // An earlier task may only have said that it would install the package.
            let list = if self.check_mode { &mut self.findings.warnings } else { &mut self.findings.host };
            // Several files usually lack the same user.
            if !list.contains(&error) {
                list.push(error);
            }
            (NOT_YET, NOT_YET)
        });
        Attributes { uid, gid, mode }
    }

    fn problem(&mut self, message: String) {
        self.findings.problems.push(message);
    }
}

/// Permissions in octal. A number is refused, for `0640` without quotes has become 416 on its way here.
fn read_mode(value: &Value) -> Result<u32, String> {
    let Value::String(text) = value else {
        return Err(format!("must be octal and in quotes, as '0640', got the number {value}"));
    };
    let digits = text.trim().trim_start_matches("0o");
    let mode = if digits.len() >= 3 { u32::from_str_radix(digits, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| format!("must be octal, as '0640', got \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use test_case::test_case;

    #[test_case(json!("0640"), Some(0o640))]
    #[test_case(json!("755"), Some(0o755))]
    #[test_case(json!("2750"), Some(0o2750))]
    #[test_case(json!(416), None; "yaml octal")]
    #[test_case(json!("u=rw"), None)]
    #[test_case(json!("0980"), None)]
    #[test_case(json!("77777"), None)]
    #[test_case(json!("7"), None)]
    fn reads_modes(given: Value, mode: Option<u32>) {
        assert_eq!(read_mode(&given).ok(), mode);
    }
}
