//! Renamed keys in a release's own terms.

use super::{KEYS, Key, Kind, Now, coerce, find, pairs};
use crate::version::Version;
use ansible_protocol::Object;
use serde_json::{Value, json};

const GATES_KEY: &str = "feature-gates";

/// The configuration with renamed keys in the version's own terms, both ways: `experimental-corrupt-check-time`
/// becomes `corrupt-check-time` for 3.6, and the reverse for 3.5. Removed keys that asked for nothing, such as
/// `enable-v2: false`, are dropped. Also returns a sentence for each change.
///
/// What cannot be translated stays, for [`super::check`] to report.
#[must_use]
pub fn translate(version: Version, config: &Object) -> (Object, Vec<String>) {
    let mut work = Translation { version, config: config.clone(), notes: Vec::new() };
    for name in config.keys() {
        if let Some(key) = find(name) {
            work.forward(key);
            work.backward(key);
        }
    }
    (work.config, work.notes)
}

struct Translation {
    version: Version,
    config: Object,
    notes: Vec<String>,
}

impl Translation {
    fn knows(&self, key: &Key) -> bool {
        key.known_by(Some(self.version))
    }

    /// A key that has another name by now.
    fn forward(&mut self, key: &Key) {
        let Some(value) = self.config.get(key.name).cloned() else { return };
        let done = match key.now {
            Now::Same => return,
            Now::Key(new) => find(new).is_some_and(|new| self.knows(new)) && self.put(new, value),
            Now::Inside(section, new) => {
                find(&format!("{section}.{new}")).is_some_and(|new| self.knows(new)) && self.put_in(section, new, value)
            }
            Now::Gate(gate) => find(GATES_KEY).is_some_and(|gates| self.knows(gates)) && self.put_gate(gate, &value),
            Now::Gone(_) => !self.knows(key) && asks_for_nothing(&value),
        };
        if done {
            self.config.shift_remove(key.name);
            self.notes.push(match super::successor(key) {
                Some(new) => format!("{} is written as {}", key.name, new.trim_end_matches("=true")),
                None => format!("{} is left out: etcd {} has no such key", key.name, self.version),
            });
        }
    }

    /// A key that does not have this name yet.
    fn backward(&mut self, key: &Key) {
        if self.knows(key) {
            return;
        }
        if key.name == GATES_KEY {
            return self.gates_backward();
        }
        let old = KEYS.iter().find(|old| old.now == Now::Key(key.name) && self.knows(old));
        let Some((old, value)) = old.and_then(|old| Some((old, self.config.get(key.name)?.clone()))) else { return };
        if self.put(old.name, value) {
            self.config.shift_remove(key.name);
            self.notes.push(format!("{} is written as {}", key.name, old.name));
        }
    }

    fn gates_backward(&mut self) {
        let Some(Value::String(text)) = self.config.get(GATES_KEY).and_then(|value| coerce(Kind::Pairs, value).ok())
        else {
            return;
        };
        let mut left = Vec::new();
        for (gate, setting) in pairs(&text) {
            let old = KEYS.iter().find(|old| matches!(old.now, Now::Gate(name) if name == gate) && self.knows(old));
            match (old, coerce(Kind::Bool, &Value::from(setting.clone()))) {
                (Some(old), Ok(value)) if self.put(old.name, value.clone()) => {
                    self.notes.push(format!("{GATES_KEY}: {gate} is written as {}", old.name));
                }
                _ => left.push(format!("{gate}={setting}")),
            }
        }
        if left.is_empty() {
            self.config.shift_remove(GATES_KEY);
        } else {
            self.config.insert(GATES_KEY.into(), left.join(",").into());
        }
    }

    /// Sets the key unless it has another value already; returns whether it has this one now.
    fn put(&mut self, name: &str, value: Value) -> bool {
        *self.config.entry(name).or_insert_with(|| value.clone()) == value
    }

    fn put_in(&mut self, section: &str, name: &str, value: Value) -> bool {
        let Some(inner) = self.config.entry(section).or_insert_with(|| json!({})).as_object_mut() else { return false };
        *inner.entry(name).or_insert_with(|| value.clone()) == value
    }

    fn put_gate(&mut self, gate: &str, value: &Value) -> bool {
        let Ok(Value::Bool(wanted)) = coerce(Kind::Bool, value) else { return false };
        let present = self.config.get(GATES_KEY).cloned().unwrap_or_else(|| "".into());
        let Ok(Value::String(mut text)) = coerce(Kind::Pairs, &present) else { return false };
        let wanted = wanted.to_string();
        if let Some((_, setting)) = pairs(&text).into_iter().find(|(name, _)| name == gate) {
            return setting == wanted;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&format!("{gate}={wanted}"));
        self.config.insert(GATES_KEY.into(), text.into());
        true
    }
}

fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => matches!(text.to_ascii_lowercase().as_str(), "" | "off" | "false" | "no"),
        _ => false,
    }
}
