//! YAML as etcd's parser (goyaml 2) reads it: `on`, `017` and `1_000` are no texts, and neither are `1e3` and `~`.
//!
//! It reads what people write into configuration files, anchors and merge keys included. It is stricter than etcd on
//! two mistakes that etcd does not notice: a key that is given twice, and a second document. The limits on depth and
//! on the number of values keep a small text from becoming a large value.

use ansible_protocol::Object;
use granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag, options};
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// Lists and mappings inside each other, at most.
const MAX_DEPTH: usize = 32;
/// Values in one document, at most; each use of an alias counts as what it stands for.
const MAX_VALUES: usize = 10_000;

/// Reads one document; nothing for a text without any.
pub(crate) fn read(text: &str) -> Result<Option<Value>, String> {
    let options = options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        place: Marker::default(),
        anchors: BTreeMap::new(),
        values: 0,
    };
    let mut document = None;
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(document),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if document.is_some() => return Err(reader.wrong("a second document")),
            event => document = Some(reader.value(event)?),
        }
    }
}

struct Reader<'text> {
    events: Parser<'text, StrInput<'text>>,
    /// Where the event at hand begins.
    place: Marker,
    /// What aliases stand for, and how many values that is.
    anchors: BTreeMap<usize, (Value, usize)>,
    values: usize,
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<Event<'text>, String> {
        match self.events.next() {
            None => Ok(Event::StreamEnd),
            Some(Ok((event, span))) => {
                self.place = span.start;
                Ok(event)
            }
            Some(Err(error)) => {
                self.place = *error.marker();
                Err(self.wrong(&error.info()))
            }
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at line {} column {}", self.place.line(), self.place.col() + 1)
    }

    /// The value that begins with the event.
    fn value(&mut self, event: Event<'text>) -> Result<Value, String> {
        let before = self.values;
        self.count(1)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref()), anchor),
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping()?, anchor),
            Event::Alias(anchor) => {
                let found = self.anchors.get(&anchor).cloned();
                let (value, values) = found.ok_or_else(|| self.wrong("an alias inside of what it stands for"))?;
                self.count(values)?;
                return Ok(value);
            }
            _ => return Err(self.wrong("no value")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), self.values - before));
        }
        Ok(value)
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.values += more;
        if self.values > MAX_VALUES { Err(self.wrong(&format!("more than {MAX_VALUES} values"))) } else { Ok(()) }
    }

    fn list(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => items.push(self.value(event)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let (mut own, mut merged) = (Object::new(), Object::new());
        loop {
            let (key, style) = match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(key, style, ..) => (key.into_owned(), style),
                _ => return Err(self.wrong("a key that is no text")),
            };
            let twice = self.wrong(&format!("{key} again"));
            let event = self.next()?;
            let value = self.value(event)?;
            if key == "<<" && style == ScalarStyle::Plain {
                self.merge(value, &mut merged)?;
            } else if own.insert(key, value).is_some() {
                return Err(twice);
            }
        }
        for (key, value) in merged {
            own.entry(key).or_insert(value);
        }
        Ok(Value::Object(own))
    }

    /// Takes over the entries of the mapping, or of the mappings in the list, that are not there yet.
    fn merge(&self, value: Value, into: &mut Object) -> Result<(), String> {
        let sources = if let Value::Array(sources) = value { sources } else { vec![value] };
        for source in sources {
            let Value::Object(entries) = source else {
                return Err(self.wrong("<< with something else than a mapping"));
            };
            for (key, value) in entries {
                into.entry(key).or_insert(value);
            }
        }
        Ok(())
    }
}

/// A plain scalar is what it looks like, unless the tag says that it is text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str") || tag.parts() == ("", "!"));
    if style == ScalarStyle::Plain && !is_text { plain(text) } else { text.into() }
}

/// Infinity and not-a-number stay texts: no key of etcd has a use for them, and JSON has no way to write them.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let plain = text.replace('_', "");
    whole(&plain).or_else(|| fraction(&plain))
}

/// Hexadecimal, octal (with and without the `o`) and binary numbers as well as decimal ones.
fn whole(text: &str) -> Option<Number> {
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (base, digits) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, magnitude.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, magnitude.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, magnitude.get(2..)?),
        [b'0', _, ..] => (8, magnitude.get(1..)?),
        _ => (10, magnitude),
    };
    // The standard library would take another sign.
    let digits = Some(digits).filter(|digits| !digits.starts_with(['+', '-']))?;
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if text.starts_with('-') {
        0_i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(Number::from(magnitude))
    }
}

/// A number with point or exponent. It becomes a whole one where it is: etcd takes `8e9` as a number of bytes.
fn fraction(text: &str) -> Option<Number> {
    /// Up to here, each whole number has a floating-point number of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = text.parse().ok().filter(|_| fits)?;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return format!("{number:.0}").parse::<i64>().ok().map(Number::from);
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::to_yaml;
    use proptest::prelude::*;
    use serde_json::json;
    use test_case::test_case;

    #[test_case("on", &json!(true); "boolean")]
    #[test_case("NO", &json!(false); "boolean in capitals")]
    #[test_case("oN", &json!("oN"); "boolean in neither")]
    #[test_case("", &json!(null); "nothing")]
    #[test_case("~", &json!(null); "tilde")]
    #[test_case("017", &json!(15); "octal")]
    #[test_case("08", &json!(8); "no octal digit")]
    #[test_case("-0x1F", &json!(-31); "hexadecimal")]
    #[test_case("0x-1", &json!("0x-1"); "sign in the middle")]
    #[test_case("0x", &json!("0x"); "base without digits")]
    #[test_case("1_000", &json!(1000); "underscore")]
    #[test_case("8e9", &json!(8_000_000_000_i64); "exponent")]
    #[test_case("-.5", &json!(-0.5); "fraction")]
    #[test_case("18446744073709551615", &json!(u64::MAX); "largest")]
    #[test_case("-9223372036854775808", &json!(i64::MIN); "smallest")]
    #[test_case("1e999", &json!("1e999"); "too large")]
    #[test_case(".inf", &json!(".inf"); "infinity")]
    #[test_case("-", &json!("-"); "sign alone")]
    #[test_case("12:30", &json!("12:30"); "no base sixty")]
    #[test_case("2001-01-01", &json!("2001-01-01"); "date")]
    #[test_case("10.0.0.1", &json!("10.0.0.1"); "address")]
    fn plain_scalars_are_what_etcd_takes_them_for(text: &str, wanted: &Value) {
        assert_eq!(&plain(text), wanted);
    }

    #[test_case("a: 'on'\nb: !!str 24\nc: ! on\nd: \"~\"\n", &json!({ "a": "on", "b": "24", "c": "on", "d": "~" }); "texts")]
    #[test_case("a: !!int 24\nb: !x on\n", &json!({ "a": 24, "b": true }); "other tags say nothing")]
    #[test_case("a: |\n  x\n  y\nb: >-\n  x\n  y\n", &json!({ "a": "x\ny\n", "b": "x y" }); "blocks")]
    #[test_case("a: &it {x: 1}\nb: *it\nc: [*it]\n", &json!({ "a": { "x": 1 }, "b": { "x": 1 }, "c": [{ "x": 1 }] }); "aliases")]
    #[test_case("a: &a {x: 1, y: 1}\nb: {y: 2, <<: *a}\n", &json!({ "a": { "x": 1, "y": 1 }, "b": { "y": 2, "x": 1 } }); "merge")]
    #[test_case("<<: [{x: 1}, {x: 2, y: 2}]\n\"<<\": z\n", &json!({ "<<": "z", "x": 1, "y": 2 }); "merge of several")]
    #[test_case("\u{feff}%YAML 1.1\n---\na:\n...\n", &json!({ "a": null }); "markers")]
    fn documents(text: &str, wanted: &Value) {
        assert_eq!(read(text), Ok(Some(wanted.clone())));
    }

    #[test_case("a: 1\nb: {}\na: 2\n", "a again at line 3 column 1")]
    #[test_case("a: 1\n---\na: 2\n", "a second document at line 3 column 1")]
    #[test_case("[a]: 1\n", "a key that is no text at line 1 column 1")]
    #[test_case("a: &it [*it]\n", "an alias inside of what it stands for at line 1 column 9")]
    #[test_case("a: {<<: 1}\n", "<< with something else than a mapping at line 1 column 9")]
    fn mistakes_are_named_with_their_place(text: &str, wanted: &str) {
        assert_eq!(read(text), Err(wanted.into()));
    }

    #[test]
    fn a_small_text_does_not_become_a_large_value() {
        let mut text = "a0: &a0 x\n".to_owned();
        for level in 1..20 {
            let below = level - 1;
            text += &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n");
        }
        assert!(read(&text).unwrap_err().starts_with("more than 10000 values at line "));
        for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
            let nested = |depth: usize| read(&format!("{}x{}", open.repeat(depth), close.repeat(depth)));
            assert!(nested(MAX_DEPTH).is_ok(), "{open}");
            assert!(nested(MAX_DEPTH + 1).is_err() && nested(100_000).is_err(), "{open}");
        }
    }

    /// Any value a configuration can hold.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(|number| Value::from(number + 0.1)),
            any::<String>().prop_map(Value::from),
            "[-+.0-9_xobeEyn~<&*!|>%@`'\"#:,?{}\\[\\] \n\t]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,8}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in values()) {
            let config: Object = [("key".to_owned(), value)].into_iter().collect();
            let yaml = to_yaml(&config).unwrap();
            prop_assert_eq!(read(&yaml).map_err(|error| format!("{error} in {yaml}")), Ok(Some(Value::Object(config))));
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>(), yaml in "([-?:,{}\\[\\]#&*!|>'\"%@` \n\t]|\r\n|- |: |<<|&a|\\*a|!!|x|0){0,40}") {
            let _ = (read(&text), read(&yaml));
        }
    }
}
