//! Outcomes and failures, and how they look on the wire.

use crate::Object;
use serde::Serialize;
use serde_json::{Value, json};

/// What kind of failure it is. Playbooks may test `error.kind`; the set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No endpoint answered.
    Unreachable,
    /// The certificates do not fit: unknown authority, expired, wrong name, or none presented.
    Tls,
    /// Wrong user or password, or a user that may not do this.
    Auth,
    /// The cluster answers but has no leader.
    NoLeader,
    /// Going on could cost the cluster its quorum.
    QuorumRisk,
    /// What is there contradicts what is asked for.
    Conflict,
    /// The version of etcd does not allow it.
    VersionGate,
    /// The options are wrong.
    InvalidOption,
    /// The host's files, processes or permissions are in the way.
    Io,
    /// It did not happen in time.
    Timeout,
    /// A defect of the module itself.
    Internal,
}

/// A failure as the user sees it: one sentence that names the thing, the cause and the next step.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What kind it is.
    pub kind: ErrorKind,
    /// The sentence.
    pub msg: String,
    /// Further values of the result, such as the view a refusal is based on.
    pub details: Box<Object>,
    /// Warnings gathered before the failure.
    pub warnings: Vec<String>,
}

impl Failure {
    /// A failure of the kind with the sentence.
    pub fn new(kind: ErrorKind, msg: impl Into<String>) -> Self {
        Self { kind, msg: msg.into(), details: Box::default(), warnings: Vec::new() }
    }

    /// Wrong options.
    pub fn invalid_option(msg: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidOption, msg)
    }

    /// Something the host's files, processes or permissions prevent: `cannot {what}: {error}`.
    pub fn io(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {what}: {error}"))
    }

    /// Adds a value to the result.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_else(|error| error.to_string().into());
        self.details.insert(name.into(), value);
        self
    }

    /// Puts `context: ` before the sentence.
    #[must_use]
    pub fn context(mut self, context: impl std::fmt::Display) -> Self {
        self.msg = format!("{context}: {}", self.msg);
        self
    }

    /// The JSON object to print.
    #[must_use]
    pub fn into_object(self) -> Object {
        let mut object = *self.details;
        object.insert("failed".into(), true.into());
        object.insert("changed".into(), object.get("changed").cloned().unwrap_or_else(|| false.into()));
        object.insert("msg".into(), self.msg.into());
        object.insert("error".into(), json!({ "kind": self.kind }));
        if !self.warnings.is_empty() {
            object.insert("warnings".into(), self.warnings.into());
        }
        object
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.msg)
    }
}

impl std::error::Error for Failure {}

/// A difference: Ansible makes the unified diff from both texts.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Diff {
    /// What is there now.
    pub before: String,
    /// What will be there.
    pub after: String,
    /// The name of the thing before, usually a path.
    pub before_header: String,
    /// The name of the thing after.
    pub after_header: String,
}

impl Diff {
    /// The difference of one thing that keeps its name.
    pub fn of(name: impl Into<String>, before: impl Into<String>, after: impl Into<String>) -> Self {
        let name = name.into();
        Self { before: before.into(), after: after.into(), before_header: name.clone(), after_header: name }
    }
}

/// What a module did, or in check mode would do.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Whether anything changed.
    pub changed: bool,
    /// The named results.
    pub values: Object,
    /// The differences; left out of the result unless they were asked for.
    pub diff: Vec<Diff>,
    /// Remarks for the user.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// An outcome without results so far.
    #[must_use]
    pub fn new(changed: bool) -> Self {
        Self { changed, ..Self::default() }
    }

    /// Adds a value to the result.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_else(|error| error.to_string().into());
        self.values.insert(name.into(), value);
        self
    }

    /// Adds a remark for the user.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The JSON object to print.
    #[must_use]
    pub fn into_object(self, with_diff: bool) -> Object {
        let mut object = self.values;
        object.insert("changed".into(), self.changed.into());
        if with_diff && !self.diff.is_empty() {
            object.insert("diff".into(), json!(self.diff));
        }
        if !self.warnings.is_empty() {
            object.insert("warnings".into(), Value::from(self.warnings));
        }
        object
    }
}
