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
    pub(crate) config_state: Option<State>,
    pub(crate) merge: bool,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) mode: Value,
    #[serde(default)]
    pub(crate) files: Vec<File>,
    pub(crate) units: Vec<String>,
    pub(crate) version: Option<String>,
    pub(crate) etcd_binary: String,
    pub(crate) translate: bool,
    pub(crate) backup: bool,
    pub(crate) restarts_follow: bool,
}

/// Whether something shall be there.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Present,
    Absent,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Directory {
    path: PathBuf,
    state: State,
    owner: String,
    group: String,
    mode: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct File {
    path: PathBuf,
    state: State,
    content: Option<String>,
    executable: bool,
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
    /// The configuration file.
    pub(crate) config: Option<WantedFile>,
}

impl Wanted {
    /// The files in the order in which they are put in place: the configuration last.
    pub(crate) fn all_files(&self) -> impl Iterator<Item = &WantedFile> {
        self.files.iter().chain(&self.config)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct WantedDirectory {
    pub(crate) path: PathBuf,
    /// None where it shall not be.
    pub(crate) attributes: Option<Attributes>,
}

#[derive(Clone, Debug)]
pub(crate) struct WantedFile {
    pub(crate) path: PathBuf,
    /// None where it shall not be.
    pub(crate) present: Option<Present>,
    pub(crate) sensitive: bool,
    pub(crate) backup: bool,
}

/// What a file shall be like.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub(crate) content: Vec<u8>,
    pub(crate) attributes: Attributes,
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
            let attributes = (item.state == State::Present)
                .then(|| read.attributes(&item.path, &item.owner, &item.group, &item.mode));
            let directory = read.path(&item.path).map(|path| WantedDirectory { path, attributes });
            wanted.directories.extend(directory);
        }
        for item in &self.files {
            let present = (item.state == State::Present).then(|| {
                let attributes = read.attributes(&item.path, &item.owner, &item.group, &item.mode);
                Present { content: read.content(item), attributes }
            });
            let (sensitive, backup) = (item.sensitive, self.backup && !item.sensitive);
            let file = read.path(&item.path).map(|path| WantedFile { path, present, sensitive, backup });
            wanted.files.extend(file);
        }
        let absent = self.config_state == Some(State::Absent);
        if absent && self.config.is_some() {
            read.problem("config and config_state: absent exclude each other".into());
        }
        if absent || config_text.is_some() {
            let present = config_text.map(|text| {
                let attributes = read.attributes(&self.config_file, &self.owner, &self.group, &self.mode);
                Present { content: text.into_bytes(), attributes }
            });
            let path = read.path(&self.config_file);
            wanted.config = path.map(|path| WantedFile { path, present, sensitive: false, backup: self.backup });
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

    fn content(&mut self, file: &File) -> Vec<u8> {
        match (&file.content, file.executable) {
            (None, true) => {
                return std::fs::read("/proc/self/exe").unwrap_or_else(|error| {
                    self.findings.host.push(format!("cannot read the executable: {error}"));
                    Vec::new()
                });
            }
            (Some(_), true) => {
                self.problem(format!("{}: content and executable exclude each other", file.path.display()));
            }
            (None, false) => self.problem(format!("{} needs content, or state: absent", file.path.display())),
            (Some(_), false) => {}
        }
        file.content.clone().unwrap_or_default().into_bytes()
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
