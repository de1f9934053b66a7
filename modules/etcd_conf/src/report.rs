//! What is returned: results and differences.

use crate::apply::Backups;
use crate::desired::Desired;
use crate::disk::{Attributes, Disk, Seen};
use crate::params::{Wanted, WantedFile};
use crate::plan::Step;
use crate::removal::is_private_key;
use ansible_protocol::{Diff, Masker, Object, Outcome};
use etcd_ops::config::{changed_keys, parse, restart_keys};
use serde_json::{Value, json};
use std::path::Path;

/// What was, or would be, done.
pub(crate) struct Report<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) disk: &'a Disk,
    pub(crate) steps: &'a [Step],
    pub(crate) backups: &'a Backups,
}

impl Report<'_> {
    /// The module's result.
    pub(crate) fn outcome(&self, desired: Option<&Desired>) -> Outcome {
        let mut outcome = Outcome::new(!self.steps.is_empty());
        if let Some(file) = &self.wanted.config {
            let config = match desired {
                Some(desired) => self.config(desired, file),
                None => self.result(&file.path),
            };
            outcome = outcome.with("config", config);
        }
        let files: Vec<Object> = self.wanted.files.iter().map(|file| self.result(&file.path)).collect();
        let above = self.steps.iter().filter_map(|step| match step {
            Step::MakeDirectory(path, None) => Some(path),
            _ => None,
        });
        let directories = above.chain(self.wanted.directories.iter().map(|directory| &directory.path));
        let directories: Vec<Object> = directories.map(|path| self.result(path)).collect();
        outcome = outcome.with("files", files).with("directories", directories);
        let secrets = self.secrets(desired);
        outcome.diff = self.steps.iter().map(|step| self.diff(step, &secrets)).collect();
        outcome
    }

    fn result(&self, path: &Path) -> Object {
        let changed = self.steps.iter().any(|step| step.path() == path);
        let mut result = Object::new();
        result.insert("path".into(), path.to_string_lossy().into());
        result.insert("changed".into(), changed.into());
        if let Some(backup) = self.backups.get(path) {
            result.insert("backup".into(), backup.to_string_lossy().into());
        }
        result
    }

    fn config(&self, desired: &Desired, file: &WantedFile) -> Object {
        let changed = changed_keys(&self.present_config(&file.path), &desired.config);
        let mut result = self.result(&file.path);
        result.insert("restart_keys".into(), restart_keys(&changed).into());
        result.insert("changed_keys".into(), changed.into());
        result.insert("version".into(), desired.version.map(|version| version.to_string()).into());
        result.insert("translated".into(), desired.translated.clone().into());
        result
    }

    /// What a restart would pick up of the change to a configuration that was there before.
    pub(crate) fn pending(&self, desired: Option<&Desired>) -> Option<String> {
        let (desired, file) = desired.zip(self.wanted.config.as_ref())?;
        let Seen::File(..) = self.disk.at(&file.path) else { return None };
        let keys = restart_keys(&changed_keys(&self.present_config(&file.path), &desired.config));
        (!keys.is_empty()).then(|| {
            format!(
                "{} changed, and a member that runs picks it up when it restarts only: {}",
                file.path.display(),
                keys.join(", ")
            )
        })
    }

    /// What cannot be read as a configuration has no keys.
    fn present_config(&self, path: &Path) -> Object {
        match self.disk.at(path) {
            Seen::File(_, content) => parse(&String::from_utf8_lossy(content)).unwrap_or_default(),
            _ => Object::new(),
        }
    }

    fn diff(&self, step: &Step, secrets: &Masker) -> Diff {
        let path = step.path();
        let (before, after) = match step {
            Step::RemoveLeftover(_) => ("left by a run that was killed\n".into(), String::new()),
            Step::MakeDirectory(_, attributes) => {
                let lines = attributes.map(|attributes| lines(&attributes)).unwrap_or_default();
                (String::new(), format!("directory\n{lines}"))
            }
            Step::SetAttributes(_, attributes) => self.attributes(path, attributes),
            Step::WriteFile { content, attributes, .. } => self.content(path, content, attributes),
            Step::RemoveFile { .. } => (self.removed(path), String::new()),
            Step::RemoveDirectory(_) => ("directory\n".into(), String::new()),
        };
        Diff::of(path.to_string_lossy(), secrets.mask(&before), secrets.mask(&after))
    }

    /// Owner and permissions, if there is something and they differ.
    fn attributes(&self, path: &Path, wanted: &Attributes) -> (String, String) {
        match self.disk.at(path) {
            Seen::File(present, _) | Seen::Directory(present) if present != wanted => (lines(present), lines(wanted)),
            _ => Default::default(),
        }
    }

    fn content(&self, path: &Path, content: &[u8], attributes: &Attributes) -> (String, String) {
        let (mut before, mut after) = self.attributes(path, attributes);
        let present = match self.disk.at(path) {
            Seen::File(_, present) => Some(present.as_slice()),
            _ => None,
        };
        // What is no text is not shown, and executables have the words in them that private keys begin with.
        let secret = |content: &[u8]| self.is_sensitive(path) || (is_private_key(content) && !content.contains(&0));
        if present.is_some_and(&secret) || secret(content) {
            before.push_str(present.map_or("", |_| "(the previous content, which is sensitive)\n"));
            after.push_str("(the new content, which is sensitive)\n");
        } else {
            before.push_str(&present.map(shown).unwrap_or_default());
            after.push_str(&shown(content));
        }
        (before, after)
    }

    /// What is removed. Whoever asks for that need not say that it is sensitive, so of other files than the
    /// configuration only those are shown that everyone on the host may read.
    fn removed(&self, path: &Path) -> String {
        let Seen::File(Attributes { mode, .. }, content) = self.disk.at(path) else { return String::new() };
        let is_config = self.wanted.config.as_ref().is_some_and(|config| config.path == path);
        if self.is_sensitive(path) || is_private_key(content) || !(is_config || mode & 0o004 != 0) {
            return "(the content, which is sensitive)\n".into();
        }
        shown(content)
    }

    fn is_sensitive(&self, path: &Path) -> bool {
        self.wanted.files.iter().any(|file| file.path == path && file.sensitive)
    }

    /// The secrets that the configuration may hold.
    fn secrets(&self, desired: Option<&Desired>) -> Masker {
        let mut masker = Masker::default();
        let present = self.wanted.config.as_ref().map(|config| self.present_config(&config.path));
        for config in present.iter().chain(desired.map(|desired| &desired.config)) {
            let auth = config.get("discovery-config").and_then(|discovery| discovery.get("client")?.get("auth"));
            for key in ["password", "token"] {
                masker.learn(auth.and_then(|auth| auth.get(key)).unwrap_or(&Value::Null));
            }
        }
        masker
    }
}

/// The content, or of what is no text how much it is.
fn shown(content: &[u8]) -> String {
    if content.contains(&0) {
        return format!("({} bytes that are no text)\n", content.len());
    }
    String::from_utf8_lossy(content).into_owned()
}

fn lines(attributes: &Attributes) -> String {
    let Attributes { uid, gid, mode } = attributes;
    format!("owner: {}\ngroup: {}\nmode: {mode:04o}\n", name("passwd", *uid), name("group", *gid))
}

/// The name of a user or group on this host, or its number.
fn name(database: &str, id: u32) -> String {
    if id == crate::disk::NOT_YET {
        return "(does not exist yet)".into();
    }
    let text = std::fs::read_to_string(format!("/etc/{database}")).unwrap_or_default();
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(json!(id).to_string().as_str()));
    line.and_then(|line| line.split(':').next()).map_or_else(|| id.to_string(), str::to_owned)
}
