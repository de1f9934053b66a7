//! Values of the type that etcd wants, from what people and older releases of ansible-core write.

use super::{KEYS, Key, Kind};
use ansible_protocol::{Object, nearest, order};
use serde_json::Value;

/// Fewer nanoseconds than this are seconds or milliseconds that someone forgot to say.
const SHORTEST: i64 = 1_000_000;

/// The value as etcd wants it in the file.
///
/// # Errors
///
/// Returns what is wrong with it, to follow the key's name: `must be a whole number, got "many"`.
pub fn coerce(kind: Kind, value: &Value) -> Result<Value, String> {
    let unfit = |wanted: &str| format!("must be {wanted}, got {}", shown(value));
    match kind {
        Kind::Bool => boolean(value).map(Value::Bool).ok_or_else(|| unfit("true or false")),
        Kind::Int => whole(value).map(Value::from).ok_or_else(|| unfit("a whole number")),
        Kind::Uint => match whole(value) {
            Some(number) if number >= 0 => Ok(number.into()),
            Some(number) => Err(format!("must not be negative, got {number}")),
            None => Err(unfit("a whole number")),
        },
        Kind::Duration => duration(value),
        Kind::Text => text(value).map(Value::from).ok_or_else(|| unfit("a text (in quotes)")),
        Kind::OneOf(choices) => {
            let text = text(value).ok_or_else(|| unfit("a text (in quotes)"))?;
            if choices.contains(&text.as_str()) {
                return Ok(text.into());
            }
            let hint = nearest(&text, choices.iter().copied()).filter(|near| !near.is_empty());
            let hint = hint.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            let choices: Vec<&str> = choices.iter().copied().filter(|choice| !choice.is_empty()).collect();
            Err(format!("must be one of {}, got \"{text}\"{hint}", choices.join(", ")))
        }
        Kind::Texts => list(value).map(Value::from).ok_or_else(|| unfit("a list of texts")),
        Kind::Commas | Kind::Urls => list(value).map(|parts| parts.join(",").into()).ok_or_else(|| unfit("a text")),
        Kind::Pairs => paired(value).map(Value::from).ok_or_else(|| unfit("a text name=value,...")),
        Kind::Section(keys) => match value {
            Value::Object(entries) => Ok(Value::Object(normalise_section(keys, entries))),
            _ => Err(unfit("a mapping")),
        },
    }
}

/// The configuration with every value of the type that etcd wants, in the order of the catalogue. Keys without value
/// are left out; what has no place in the catalogue, or the wrong type, stays as it is, at the end or in place.
#[must_use]
pub fn normalise(config: &Object) -> Object {
    normalise_section(KEYS, config)
}

fn normalise_section(keys: &[Key], config: &Object) -> Object {
    let given = |name: &str| config.get(name).filter(|value| !value.is_null());
    let mut normal: Object = keys
        .iter()
        .filter_map(|key| given(key.name).map(|value| (key, value)))
        .map(|(key, value)| (key.name.to_owned(), coerce(key.kind, value).unwrap_or_else(|_| value.clone())))
        .collect();
    let mut rest: Vec<_> =
        config.iter().filter(|(name, value)| !value.is_null() && !normal.contains_key(*name)).collect();
    order::sort_by(&mut rest, |(one, _), (other, _)| one.cmp(other));
    normal.extend(rest.into_iter().map(|(name, value)| (name.clone(), value.clone())));
    normal
}

/// The parts of `name=value,name=value`.
#[must_use]
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A boolean is refused: whoever wrote `on` or `no` meant that text, and it is lost.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of a list, or of a text with commas.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(text) => {
            Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// `name=value,...` of a text, of a list, or of a mapping whose values may be lists.
fn paired(value: &Value) -> Option<String> {
    let Value::Object(entries) = value else { return Some(list(value)?.join(",")) };
    let mut parts = Vec::new();
    for (name, value) in entries {
        let values = match value {
            Value::Bool(yes) => vec![yes.to_string()],
            other => list(other)?,
        };
        parts.extend(values.iter().map(|value| format!("{name}={value}")));
    }
    Some(parts.join(","))
}

fn duration(value: &Value) -> Result<Value, String> {
    let unfit = || format!("must be a time such as 30s, 5m or 1h30m, got {}", shown(value));
    let nanoseconds = match value {
        Value::String(text) => text.trim().parse().ok().or_else(|| nanoseconds(text.trim())).ok_or_else(unfit)?,
        other => whole(other).ok_or_else(unfit)?,
    };
    if nanoseconds > 0 && nanoseconds < SHORTEST {
        return Err(format!("is {nanoseconds} nanoseconds to etcd: write the unit, as in {nanoseconds}s"));
    }
    Ok(nanoseconds.into())
}

/// A duration as Go writes it.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number * unit(&rest[..letters])?;
        rest = &rest[letters..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked against what the type holds exactly enough")]
    let whole = (!text.is_empty() && total < 9e18).then_some(total.round() as i64)?;
    Some(if negative { -whole } else { whole })
}

fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use test_case::test_case;

    #[test_case(Kind::Uint, json!("1000"), json!(1000); "templated number")]
    #[test_case(Kind::Bool, json!("True"), json!(true); "templated bool")]
    #[test_case(Kind::Text, json!(24), json!("24"); "text that looks like a number")]
    #[test_case(Kind::Duration, json!("1h30m"), json!(5_400_000_000_000_i64); "duration")]
    #[test_case(Kind::Duration, json!("500ms"), json!(500_000_000); "milliseconds")]
    #[test_case(Kind::Duration, json!("1.5s"), json!(1_500_000_000); "fraction")]
    #[test_case(Kind::Duration, json!(0), json!(0); "no duration")]
    #[test_case(Kind::Duration, json!("5000000000"), json!(5_000_000_000_i64); "nanoseconds as text")]
    #[test_case(Kind::Texts, json!("stderr"), json!(["stderr"]); "list of one")]
    #[test_case(Kind::Urls, json!(["http://a:1", "http://b:1"]), json!("http://a:1,http://b:1"); "joined urls")]
    #[test_case(Kind::Urls, json!("http://a:1, http://b:1"), json!("http://a:1,http://b:1"); "spaces between urls")]
    #[test_case(Kind::Pairs, json!({ "a": "http://a:1", "b": ["u", "v"] }), json!("a=http://a:1,b=u,b=v"); "members")]
    #[test_case(Kind::Pairs, json!({ "InitialCorruptCheck": true }), json!("InitialCorruptCheck=true"); "gates")]
    fn converts(kind: Kind, given: Value, wanted: Value) {
        assert_eq!(coerce(kind, &given), Ok(wanted));
    }

    #[test_case(Kind::Uint, json!(-1), "must not be negative, got -1"; "negative")]
    #[test_case(Kind::Int, json!("many"), "must be a whole number, got \"many\""; "no number")]
    #[test_case(Kind::Int, json!(1.5), "must be a whole number, got 1.5"; "fraction")]
    #[test_case(Kind::Text, json!(true), "must be a text (in quotes), got true"; "bool for text")]
    #[test_case(Kind::Duration, json!(5), "is 5 nanoseconds to etcd: write the unit, as in 5s"; "no unit")]
    #[test_case(Kind::Duration, json!("5 apples"), "must be a time such as 30s, 5m or 1h30m, got \"5 apples\""; "no time")]
    #[test_case(Kind::OneOf(&["new", "existing"]), json!("exsting"), "must be one of new, existing, got \"exsting\", did you mean existing?"; "choice")]
    fn refuses(kind: Kind, given: Value, error: &str) {
        assert_eq!(coerce(kind, &given), Err(error.to_owned()));
    }

    #[test]
    fn the_file_has_the_order_of_the_catalogue_whatever_was_given() {
        let given = json!({ "zzz": 1, "election-timeout": "1000", "wal-dir": null, "name": "a", "aaa": 2 });
        let normal = normalise(given.as_object().unwrap());
        assert_eq!(Value::from(normal).to_string(), r#"{"name":"a","election-timeout":1000,"aaa":2,"zzz":1}"#);
    }
}
