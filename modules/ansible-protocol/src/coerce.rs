//! Conversions of single values, as `AnsibleModule` makes them
//! (`ansible/module_utils/common/validation.py`): templated values arrive as text on ansible-core up to 2.18.

use crate::table::Kind;
use serde_json::{Number, Value};

/// Converts the value to the kind.
///
/// # Errors
///
/// Returns what is wrong, to follow the option's name: `must be an int, got "seven"`.
pub(crate) fn coerce(kind: Kind, value: Value) -> Result<Value, String> {
    match kind {
        Kind::Raw => Ok(value),
        Kind::Str => to_text(value),
        Kind::Path => to_text(value).map(expand),
        Kind::Int => to_int(value),
        Kind::Float => to_float(value),
        Kind::Bool => to_bool(value),
        Kind::Dict => to_dict(value),
        Kind::List(element) => to_list(*element, value),
    }
}

fn unfit(wanted: &str, value: &Value) -> String {
    let mut shown = value.to_string();
    if let Some((end, _)) = shown.char_indices().nth(60) {
        shown.truncate(end);
        shown.push('…');
    }
    format!("must be {wanted}, got {shown}")
}

fn to_text(value: Value) -> Result<Value, String> {
    match value {
        Value::String(_) => Ok(value),
        Value::Number(number) => Ok(number.to_string().into()),
        // As Python writes them.
        Value::Bool(yes) => Ok(if yes { "True" } else { "False" }.into()),
        other => Err(unfit("a text", &other)),
    }
}

/// Expands a leading `~` and `$NAME` or `${NAME}`; unknown variables stay as they are.
fn expand(value: Value) -> Value {
    let Value::String(text) = value else { return value };
    let home = |rest: &str| std::env::var("HOME").map(|home| format!("{home}{rest}"));
    let text = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => home(rest).unwrap_or(text),
        _ => text,
    };
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find('$') {
        expanded.push_str(&rest[..start]);
        rest = &rest[start..];
        let (name, length) = variable(&rest[1..]);
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => expanded.push_str(&value),
            _ => expanded.push_str(&rest[..=length]),
        }
        rest = &rest[length + 1..];
    }
    expanded.push_str(rest);
    expanded.into()
}

/// The variable's name at the start of the text after a `$`, and how many bytes it takes up.
fn variable(text: &str) -> (&str, usize) {
    if let Some(inner) = text.strip_prefix('{') {
        return inner.find('}').map_or(("", 0), |end| (&inner[..end], end + 2));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    (&text[..end], end)
}

fn to_int(value: Value) -> Result<Value, String> {
    let number = match &value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(Value::from).ok_or_else(|| unfit("an int", &value))
}

#[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "only exact whole numbers pass")]
fn whole(number: f64) -> Option<i64> {
    (number.trunc() == number && number.abs() < 9e15).then_some(number as i64)
}

fn to_float(value: Value) -> Result<Value, String> {
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.and_then(Number::from_f64).map(Value::Number).ok_or_else(|| unfit("a float", &value))
}

fn to_bool(value: Value) -> Result<Value, String> {
    boolean(&value).map(Value::Bool).ok_or_else(|| unfit("a bool", &value))
}

/// A value as AnsibleModule takes it for a boolean: also `yes`, `"True"`, `1` and their like.
#[must_use]
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_dict(value: Value) -> Result<Value, String> {
    match value {
        Value::Object(_) => Ok(value),
        Value::String(ref text) if text.trim_start().starts_with('{') => match serde_json::from_str(text) {
            Ok(parsed @ Value::Object(_)) => Ok(parsed),
            _ => Err(unfit("a dict", &value)),
        },
        Value::String(ref text) if text.contains('=') => text
            .split(',')
            .map(|pair| {
                let (key, entry) = pair.split_once('=').ok_or_else(|| unfit("a dict", &value))?;
                Ok((key.trim().to_owned(), Value::from(entry.trim())))
            })
            .collect::<Result<crate::Object, String>>()
            .map(Value::Object),
        other => Err(unfit("a dict", &other)),
    }
}

fn to_list(element: Kind, value: Value) -> Result<Value, String> {
    let items = match value {
        Value::Array(items) => items,
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => text.split(',').map(|item| Value::from(item.trim())).collect(),
        Value::Number(_) => vec![value.to_string().into()],
        other => return Err(unfit("a list", &other)),
    };
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| coerce(element, item).map_err(|error| format!("element {index} {error}")))
        .collect::<Result<Vec<_>, _>>()
        .map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use test_case::test_case;

    #[test_case(Kind::Int, json!("7"), json!(7); "int of text")]
    #[test_case(Kind::Int, json!(7.0), json!(7); "int of whole float")]
    #[test_case(Kind::Bool, json!("yes"), json!(true); "bool of yes")]
    #[test_case(Kind::Bool, json!("Off"), json!(false); "bool of off")]
    #[test_case(Kind::Bool, json!(1), json!(true); "bool of one")]
    #[test_case(Kind::Str, json!(2379), json!("2379"); "text of number")]
    #[test_case(Kind::Str, json!(true), json!("True"); "text of bool")]
    #[test_case(Kind::List(&Kind::Str), json!("a, b"), json!(["a", "b"]); "list of text")]
    #[test_case(Kind::List(&Kind::Int), json!(["1", 2]), json!([1, 2]); "list of ints")]
    #[test_case(Kind::List(&Kind::Str), json!(""), json!([]); "list of nothing")]
    #[test_case(Kind::Dict, json!("{\"a\": 1}"), json!({"a": 1}); "dict of json")]
    #[test_case(Kind::Dict, json!("a=1, b=x"), json!({"a": "1", "b": "x"}); "dict of pairs")]
    #[test_case(Kind::Float, json!("1.5"), json!(1.5); "float of text")]
    #[test_case(Kind::Path, json!("/x/$QUORUM_NOT_SET/${ALSO_NOT_SET}/$"), json!("/x/$QUORUM_NOT_SET/${ALSO_NOT_SET}/$"); "path keeps unknown variables")]
    fn converts(kind: Kind, given: Value, wanted: Value) {
        assert_eq!(coerce(kind, given), Ok(wanted));
    }

    #[test_case(Kind::Int, json!("seven"), "must be an int, got \"seven\""; "int")]
    #[test_case(Kind::Int, json!(7.5), "must be an int, got 7.5"; "int of fraction")]
    #[test_case(Kind::Bool, json!("maybe"), "must be a bool, got \"maybe\""; "bool")]
    #[test_case(Kind::Str, json!({}), "must be a text, got {}"; "text")]
    #[test_case(Kind::Dict, json!("x"), "must be a dict, got \"x\""; "dict")]
    #[test_case(Kind::List(&Kind::Int), json!("1,b"), "element 1 must be an int, got \"b\""; "list")]
    fn refuses(kind: Kind, given: Value, error: &str) {
        assert_eq!(coerce(kind, given), Err(error.to_owned()));
    }
}
