//! Hiding secrets in whatever leaves the process.

use crate::Object;
use crate::order;
use serde_json::Value;

const STARS: &str = "********";

/// Knows the secrets of this call and replaces them in texts.
#[derive(Clone, Debug, Default)]
pub struct Masker {
    secrets: Vec<String>,
}

impl Masker {
    /// Adds every non-empty text in the value.
    pub fn learn(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.learn_text(text),
            Value::Number(number) => self.learn_text(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(entries) => entries.values().for_each(|entry| self.learn(entry)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn learn_text(&mut self, text: &str) {
        // A secret file's content and the secret in it differ by the line end; and messages quote values.
        let quoted = Value::from(text.trim_end()).to_string();
        for secret in [text, text.trim_end(), &quoted[1..quoted.len() - 1]] {
            if !secret.is_empty() && !self.secrets.iter().any(|known| known == secret) {
                self.secrets.push(secret.to_owned());
            }
        }
        // The longest first, so that a secret containing another leaves no remainder.
        order::sort_by_key(&mut self.secrets, |secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without secrets.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret) { text.replace(secret, STARS) } else { text }
        })
    }

    /// Masks every text in the object, in place. The names are the module's own and stay: a playbook would not find
    /// `etcd` again where that is the password. Only those that repeat the options may hold a secret.
    pub fn mask_object(&self, object: &mut Object) {
        for (name, value) in object.iter_mut() {
            self.mask_value(value, name == "invocation");
        }
    }

    fn mask_value(&self, value: &mut Value, names_too: bool) {
        match value {
            Value::String(text) => *text = self.mask(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_value(item, names_too)),
            Value::Object(entries) => {
                entries.values_mut().for_each(|entry| self.mask_value(entry, names_too));
                if names_too {
                    *entries =
                        std::mem::take(entries).into_iter().map(|(name, entry)| (self.mask(&name), entry)).collect();
                }
            }
            // A number that is a secret is replaced as a whole, never in part.
            Value::Number(number) if self.secrets.contains(&number.to_string()) => *value = STARS.into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn masks_secrets_in_nested_values_longest_first() {
        let mut masker = Masker::default();
        masker.learn(&json!(["abc", { "k": "abcdef\n" }]));
        let mut object = json!({ "msg": "x abcdef abc", "list": ["abc"] }).as_object().cloned().unwrap();
        masker.mask_object(&mut object);
        assert_eq!(Value::from(object), json!({ "msg": "x ******** ********", "list": [STARS] }));
    }

    #[test]
    fn names_stay_except_where_the_options_are_repeated() {
        let mut masker = Masker::default();
        masker.learn(&json!("etcd"));
        let mut object =
            json!({ "etcd": { "etcd": "etcd" }, "invocation": { "etcd": 1 } }).as_object().cloned().unwrap();
        masker.mask_object(&mut object);
        assert_eq!(Value::from(object), json!({ "etcd": { "etcd": STARS }, "invocation": { STARS: 1 } }));
    }

    #[test]
    fn a_quoted_secret_is_one_too() {
        let mut masker = Masker::default();
        masker.learn(&json!("a\"b\\c"));
        assert_eq!(masker.mask(&format!("got {:?}", "a\"b\\c")), "got \"********\"");
    }

    #[test]
    fn a_number_is_masked_only_as_a_whole() {
        let mut masker = Masker::default();
        masker.learn(&json!(42));
        let mut object = json!({ "a": 42, "b": 1420 }).as_object().cloned().unwrap();
        masker.mask_object(&mut object);
        assert_eq!(Value::from(object), json!({ "a": STARS, "b": 1420 }));
    }
}
