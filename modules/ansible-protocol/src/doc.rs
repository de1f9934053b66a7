//! Documentation rendered from the tables, for people: `--help` and `--doc`.

use crate::table::{Kind, ModuleSpec, Opt, Ret, Support};
use crate::yaml::yaml;
use serde_json::{Map, Value, json};
use std::fmt::Write;

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

pub(crate) fn documentation_value(spec: &ModuleSpec, inline_fragments: bool) -> Value {
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

pub(crate) fn option_entry(option: &Opt) -> (String, Value) {
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
pub(crate) fn argument_facts(option: &Opt, entry: &mut Map<String, Value>) {
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

pub(crate) fn returns_value(returns: &[Ret]) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_off() {
        assert_eq!(plain("Use O(name) or V(x), see (this) and etcd(8)."), "Use name or x, see (this) and etcd(8).");
    }
}
