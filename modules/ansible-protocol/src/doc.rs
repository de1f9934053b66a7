//! Documentation rendered from the tables: `--help`, `--doc`, and the Python stubs that Ansible's tools read.

use crate::table::{Kind, ModuleSpec, Opt, Ret, Rule, Support};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The licence line of everything that imports Ansible.
const LICENCE: &str = "# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)\n# SPDX-License-Identifier: GPL-3.0-or-later\n";

/// The longest line of generated YAML.
const WIDTH: usize = 110;

/// One line per option, for `--help`.
#[must_use]
pub fn option_help(spec: &ModuleSpec) -> String {
    let mut text = String::from("Options in FILE:\n");
    for option in spec.all_options() {
        let mut facts = vec![option.kind.name().to_owned()];
        if option.required {
            facts.push("required".into());
        }
        if let Some(default) = option.default {
            facts.push(format!("default {}", default.to_value()));
        }
        if !option.choices.is_empty() {
            facts.push(format!("one of {}", option.choices.join(", ")));
        }
        let first = option.doc.first().copied().unwrap_or_default();
        let _ = writeln!(text, "  {} ({}): {}", option.name, facts.join("; "), plain(first));
    }
    text
}

/// Ansible's markup taken off: `O(x)` becomes `x`.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let markup = open > 0
            && rest[..open].ends_with(['O', 'V', 'C', 'I', 'B', 'M', 'E', 'P', 'U', 'L'])
            && !rest[..open - 1].ends_with(|c: char| c.is_alphanumeric());
        let close = rest[open..].find(')').map(|close| open + close);
        match (markup, close) {
            (true, Some(close)) => {
                plain.push_str(&rest[..open - 1]);
                plain.push_str(&rest[open + 1..close]);
                rest = &rest[close + 1..];
            }
            _ => {
                plain.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The module's documentation as YAML documents, as `ansible-doc` would read them.
#[must_use]
pub fn documentation(spec: &ModuleSpec) -> String {
    format!(
        "---\n{}---\n{}\n---\n{}",
        yaml(&documentation_value(spec, true), 0),
        spec.examples.trim(),
        yaml(&returns_value(spec.returns), 0)
    )
}

fn documentation_value(spec: &ModuleSpec, inline_fragments: bool) -> Value {
    let options: Map<String, Value> = if inline_fragments {
        spec.all_options().map(option_entry).collect()
    } else {
        spec.options.iter().map(option_entry).collect()
    };
    let mut value = json!({
        "module": spec.name,
        "short_description": spec.summary,
        "version_added": "0.1.0",
        "description": spec.description,
        "options": options,
    });
    if let Value::Object(object) = &mut value {
        let mut fragments: Vec<String> =
            spec.fragments.iter().map(|fragment| format!("quorum.etcd.{}", fragment.name)).collect();
        fragments.push("quorum.etcd.native".into());
        if !inline_fragments {
            object.insert("extends_documentation_fragment".into(), fragments.into());
        }
        object.insert(
            "attributes".into(),
            json!({
                "check_mode": { "support": support(spec.check_mode) },
                "diff_mode": { "support": support(spec.diff_mode) },
            }),
        );
        if !spec.notes.is_empty() {
            object.insert("notes".into(), json!(spec.notes));
        }
        object.insert("author".into(), json!(["The quorum.etcd authors (@quorum-etcd)"]));
    }
    value
}

fn support(support: Support) -> &'static str {
    match support {
        Support::Full => "full",
        Support::None => "none",
        Support::NotApplicable => "N/A",
    }
}

fn option_entry(option: &Opt) -> (String, Value) {
    let mut entry = Map::new();
    let mut description: Vec<String> = option.doc.iter().map(|text| (*text).to_owned()).collect();
    if let Some(variable) = option.env {
        description.push(format!("When not given, the environment variable E({variable}) is used."));
    }
    entry.insert("description".into(), description.into());
    argument_facts(option, &mut entry);
    if !option.suboptions.is_empty() {
        let suboptions: Map<String, Value> = option.suboptions.iter().map(option_entry).collect();
        entry.insert("suboptions".into(), suboptions.into());
    }
    (option.name.to_owned(), entry.into())
}

/// What documentation and argument_spec say alike.
fn argument_facts(option: &Opt, entry: &mut Map<String, Value>) {
    entry.insert("type".into(), option.kind.name().into());
    if let Kind::List(element) = option.kind {
        entry.insert("elements".into(), element.name().into());
    }
    if option.required {
        entry.insert("required".into(), true.into());
    }
    if let Some(default) = option.default {
        entry.insert("default".into(), default.to_value());
    }
    if !option.choices.is_empty() {
        entry.insert("choices".into(), option.choices.to_vec().into());
    }
    if !option.aliases.is_empty() {
        entry.insert("aliases".into(), option.aliases.to_vec().into());
    }
}

fn returns_value(returns: &[Ret]) -> Value {
    let entries: Map<String, Value> = returns
        .iter()
        .map(|ret| {
            let mut entry = json!({ "description": ret.doc, "type": ret.kind, "returned": ret.returned });
            if let (Value::Object(object), false) = (&mut entry, ret.contains.is_empty()) {
                if ret.kind == "list" {
                    object.insert("elements".into(), "dict".into());
                }
                object.insert("contains".into(), returns_value(ret.contains));
            } else if let (Value::Object(object), "list") = (&mut entry, ret.kind) {
                object.insert("elements".into(), "str".into());
            }
            (ret.name.to_owned(), entry)
        })
        .collect();
    entries.into()
}

/// The generated `plugins/modules/MODULE.py`.
#[must_use]
pub fn stub(spec: &ModuleSpec) -> String {
    let arguments: Map<String, Value> = spec.all_options().map(argument_entry).collect();
    let mut keywords = format!("argument_spec={}", python(&arguments.into(), 2));
    for (name, rules) in [
        (
            "required_if",
            rules(spec, |rule| match rule {
                Rule::RequiredIf(name, value, required) => Some(json!([name, typed(spec, name, value), required])),
                _ => None,
            }),
        ),
        (
            "mutually_exclusive",
            rules(spec, |rule| match rule {
                Rule::MutuallyExclusive(names) => Some(json!(names)),
                _ => None,
            }),
        ),
        (
            "required_together",
            rules(spec, |rule| match rule {
                Rule::RequiredTogether(names) => Some(json!(names)),
                _ => None,
            }),
        ),
        (
            "required_one_of",
            rules(spec, |rule| match rule {
                Rule::RequiredOneOf(names) => Some(json!(names)),
                _ => None,
            }),
        ),
    ] {
        if !rules.is_empty() {
            let _ = write!(keywords, ",\n        {name}={}", python(&rules.into(), 2));
        }
    }
    let supports_check = if spec.check_mode == Support::None { "False" } else { "True" };
    format!(
        r#"#!/usr/bin/python
{LICENCE}
# Generated by "cargo xtask docs" from the module's option table. Do not edit.
# The work is done by the native executable that the collection's action plugin runs.

from __future__ import annotations

DOCUMENTATION = r"""
{documentation}"""

EXAMPLES = r"""
{examples}
"""

RETURN = r"""
{returns}"""

from ansible.module_utils.basic import {imports}


def main():
    module = AnsibleModule(
        {keywords},
        supports_check_mode={supports_check},
    )
    module.fail_json(
        msg="quorum.etcd.{name} runs as a native executable through the collection's action plugin; "
        "call it by its full name with the whole collection installed"
    )


if __name__ == "__main__":
    main()
"#,
        documentation = yaml(&documentation_value(spec, false), 0),
        examples = spec.examples.trim(),
        returns = yaml(&returns_value(spec.returns), 0),
        imports = if spec.all_options().any(|option| option.env.is_some()) {
            "AnsibleModule, env_fallback"
        } else {
            "AnsibleModule"
        },
        name = spec.name,
    )
}

/// The generated documentation fragment of shared options.
#[must_use]
pub fn fragment(name: &str, options: &[Opt]) -> String {
    let options: Map<String, Value> = options.iter().map(option_entry).collect();
    format!(
        r#"{LICENCE}
# Generated by "cargo xtask docs" from the option table of the {name} options. Do not edit.

from __future__ import annotations


class ModuleDocFragment:

    DOCUMENTATION = r"""
{}"""
"#,
        yaml(&json!({ "options": options }), 0)
    )
}

/// The documentation fragment of what all native modules have in common.
#[must_use]
pub fn native_fragment() -> String {
    let attributes = json!({
        "attributes": {
            "check_mode": { "description": "Can run in check mode and say what would change, without changing it." },
            "diff_mode": { "description": "Says what changed, or in check mode would change, as a difference." },
        },
        "notes": [
            "Runs as a static native executable: the host needs no Python. The executable is kept in the home directory of the user it runs as, and verified before each use.",
            "Refusals and failures carry C(error.kind): V(unreachable), V(tls), V(auth), V(no_leader), V(quorum_risk), V(conflict), V(version_gate), V(invalid_option), V(io), V(timeout) or V(internal).",
        ],
    });
    format!(
        r#"{LICENCE}
# Generated by "cargo xtask docs". Do not edit.

from __future__ import annotations


class ModuleDocFragment:

    DOCUMENTATION = r"""
{}"""
"#,
        yaml(&attributes, 0)
    )
}

/// A table of the module's options in Markdown, for the README.
#[must_use]
pub fn markdown_options(spec: &ModuleSpec) -> String {
    let mut text = String::from("| option | type | default | what it is |\n| --- | --- | --- | --- |\n");
    for option in spec.options {
        let default = match (option.required, option.default) {
            (true, _) => "required".to_owned(),
            (_, Some(default)) => format!("`{}`", default.to_value()),
            (_, None) => String::new(),
        };
        let doc = option.doc.iter().map(|text| plain(text)).collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {default} | {doc} |", option.name, option.kind.name());
    }
    text
}

fn argument_entry(option: &Opt) -> (String, Value) {
    let mut entry = Map::new();
    argument_facts(option, &mut entry);
    if option.no_log {
        entry.insert("no_log".into(), true.into());
    } else if looks_secret(option.name) {
        // Ansible warns about names like these unless told that they are no secrets.
        entry.insert("no_log".into(), false.into());
    }
    if let Some(variable) = option.env {
        entry.insert("fallback".into(), json!({ "env_fallback": [variable] }));
    }
    if !option.suboptions.is_empty() {
        let suboptions: Map<String, Value> = option.suboptions.iter().map(argument_entry).collect();
        entry.insert("options".into(), suboptions.into());
    }
    (option.name.to_owned(), entry.into())
}

fn looks_secret(name: &str) -> bool {
    ["key", "pass", "token", "secret"].iter().any(|part| name.contains(part))
}

fn rules(spec: &ModuleSpec, pick: impl Fn(&Rule) -> Option<Value>) -> Vec<Value> {
    spec.rules.iter().filter_map(pick).collect()
}

/// The value of a rule in the option's own type.
fn typed(spec: &ModuleSpec, name: &str, value: &str) -> Value {
    match spec.all_options().find(|option| option.name == name).map(|option| option.kind) {
        Some(Kind::Bool) => (value == "true").into(),
        Some(Kind::Int) => value.parse::<i64>().map_or_else(|_| value.into(), Value::from),
        _ => value.into(),
    }
}

/// JSON as YAML in block style, two spaces deep; texts are quoted unless they are plain words.
#[must_use]
pub fn yaml(value: &Value, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            entries.iter().fold(String::new(), |text, (key, entry)| match entry {
                Value::Object(inner) if !inner.is_empty() => format!("{text}{pad}{key}:\n{}", yaml(entry, depth + 1)),
                Value::Array(inner) if !inner.is_empty() => format!("{text}{pad}{key}:\n{}", yaml(entry, depth + 1)),
                // A folded scalar is indented more than its key.
                _ => format!("{text}{pad}{key}: {}", yaml(entry, depth + 1)),
            })
        }
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .fold(String::new(), |text, item| format!("{text}{pad}- {}", yaml(item, depth + 1).trim_start())),
        Value::String(text) if is_plain_word(text) => format!("{text}\n"),
        Value::String(text) if text.len() > WIDTH - 2 * depth => format!(">-\n{}", folded(text, &pad)),
        other => format!("{other}\n"),
    }
}

/// Words in lines of at most [`WIDTH`], as a folded scalar holds them.
fn folded(text: &str, pad: &str) -> String {
    let mut lines = vec![pad.to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() == pad.len() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{pad}{word}")),
        }
    }
    lines.join("\n") + "\n"
}

fn is_plain_word(text: &str) -> bool {
    let words = ["yes", "no", "on", "off", "true", "false", "null", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// JSON as a Python literal in the style of `black`.
fn python(value: &Value, depth: usize) -> String {
    let pad = "    ".repeat(depth + 1);
    let end = "    ".repeat(depth);
    match value {
        Value::Null => "None".into(),
        Value::Bool(yes) => if *yes { "True" } else { "False" }.into(),
        Value::Object(entries) if entries.len() == 1 && entries.contains_key("env_fallback") => {
            format!("(env_fallback, {})", python(&entries["env_fallback"], depth))
        }
        Value::Object(entries) if !entries.is_empty() => {
            let lines = entries.iter().fold(String::new(), |text, (key, entry)| {
                format!("{text}{pad}\"{key}\": {},\n", python(entry, depth + 1))
            });
            format!("{{\n{lines}{end}}}")
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_array) => {
            let lines = items.iter().fold(String::new(), |text, item| format!("{text}{pad}{},\n", python(item, depth)));
            format!("[\n{lines}{end}]")
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| python(item, depth)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_off() {
        assert_eq!(plain("Use O(name) or V(x), see (this) and etcd(8)."), "Use name or x, see (this) and etcd(8).");
    }

    #[test]
    fn long_texts_are_folded() {
        let text = "word ".repeat(40);
        let yaml = yaml(&json!({ "a": [text], "b": text }), 0);
        assert!(yaml.lines().all(|line| line.len() <= WIDTH), "{yaml}");
        assert!(yaml.starts_with("a:\n  - >-\n    word word") && yaml.contains("\nb: >-\n  word"), "{yaml}");
    }

    #[test]
    fn yaml_is_nested_and_quoted() {
        let value = json!({ "a": { "b": ["x", "yes", "two words"], "c": {} }, "d": [{ "e": 1, "f": true }] });
        insta::assert_snapshot!(yaml(&value, 0), @r#"
        a:
          b:
            - x
            - "yes"
            - "two words"
          c: {}
        d:
          - e: 1
            f: true
        "#);
    }
}
