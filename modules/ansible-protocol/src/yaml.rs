//! JSON as YAML, for documentation.

use serde_json::Value;

/// The longest line of generated YAML.
const WIDTH: usize = 110;

/// JSON as YAML in block style, two spaces deep; texts are quoted unless they are plain words.
#[must_use]
pub(crate) fn yaml(value: &Value, depth: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
