use serde::Serialize;
use serde_json::{Value, json};

/// What a role may do with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Access {
    /// Only read.
    Read,
    /// Only write.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "readwrite",
        }
    }
}

/// Keys as etcd names them: one key, those from a key up to an end, or with the end `\0` all from a key on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) key: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

const ZERO: &[u8] = b"\0";

impl Range {
    /// The keys that begin with the prefix; all keys for an empty one.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        if prefix.is_empty() {
            return Self { key: ZERO.to_vec(), end: ZERO.to_vec() };
        }
        Self { key: prefix.to_vec(), end: prefix_end(prefix) }
    }

    /// The range of an option, or what is wrong with it.
    pub(crate) fn of_option(key: &str, range_end: Option<&str>, prefix: bool) -> Result<Self, String> {
        let end = range_end.unwrap_or_default().as_bytes();
        match (prefix, key.is_empty()) {
            (true, _) if !end.is_empty() => Err("prefix and range_end exclude each other".into()),
            (true, _) => Ok(Self::prefix(key.as_bytes())),
            (false, true) => Err("key is empty: name a key, or set prefix to mean all keys".into()),
            (false, false) if !end.is_empty() && end != ZERO && end <= key.as_bytes() => {
                Err(format!("range_end {:?} does not come after key {key:?}", range_end.unwrap_or_default()))
            }
            (false, false) => Ok(Self { key: key.as_bytes().to_vec(), end: end.to_vec() }),
        }
    }

    /// The range as options.
    pub(crate) fn to_value(&self, access: Access) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if *self == Self::prefix(b"") {
            return json!({ "permission": access, "key": "", "prefix": true });
        }
        if self.end.is_empty() {
            return json!({ "permission": access, "key": text(&self.key) });
        }
        if self.end == prefix_end(&self.key) && self.end != ZERO {
            return json!({ "permission": access, "key": text(&self.key), "prefix": true });
        }
        json!({ "permission": access, "key": text(&self.key), "range_end": text(&self.end) })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.key.escape_ascii();
        if *self == Self::prefix(b"") {
            formatter.write_str("all keys")
        } else if self.end.is_empty() {
            write!(formatter, "{key}")
        } else if self.end == ZERO {
            write!(formatter, "all keys from {key} on")
        } else if self.end == prefix_end(&self.key) {
            write!(formatter, "{key}*")
        } else {
            write!(formatter, "{key} up to {}", self.end.escape_ascii())
        }
    }
}

/// The first key after all those that begin with the prefix.
fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|byte| *byte < 0xff) else { return ZERO.to_vec() };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("/a/", None, true, "/a/*")]
    #[test_case("", None, true, "all keys")]
    #[test_case("/a", None, false, "/a")]
    #[test_case("/a", Some("/c"), false, "/a up to /c")]
    #[test_case("/a", Some("/b"), false, "/a*"; "the same as a prefix")]
    #[test_case("/a", Some("\0"), false, "all keys from /a on")]
    #[test_case("\0", Some("\0"), false, "all keys"; "all keys the long way")]
    fn shows_what_it_means(key: &str, end: Option<&str>, prefix: bool, wanted: &str) {
        assert_eq!(Range::of_option(key, end, prefix).unwrap().to_string(), wanted);
    }

    #[test_case("", None, false, "key is empty: name a key, or set prefix to mean all keys")]
    #[test_case("b", Some("a"), false, r#"range_end "a" does not come after key "b""#)]
    #[test_case("b", Some("c"), true, "prefix and range_end exclude each other")]
    fn refuses(key: &str, end: Option<&str>, prefix: bool, wanted: &str) {
        assert_eq!(Range::of_option(key, end, prefix).unwrap_err(), wanted);
    }

    proptest! {
        /// A prefix holds exactly the keys that begin with it.
        #[test]
        fn a_prefix_is_its_range(prefix in proptest::collection::vec(any::<u8>(), 1..4), key in proptest::collection::vec(any::<u8>(), 0..5)) {
            let range = Range::prefix(&prefix);
            let inside = key >= range.key && (range.end == ZERO || key < range.end);
            prop_assert_eq!(inside, key.starts_with(&prefix));
        }

        /// What results show can be given as options again.
        #[test]
        fn what_is_shown_can_be_given(key in "[a-c/]{1,3}", end in proptest::option::of("[a-d/]{1,3}"), prefix in any::<bool>()) {
            let end = end.filter(|end| !prefix && *end > key);
            let range = Range::of_option(&key, end.as_deref(), prefix).unwrap();
            let shown = range.to_value(Access::Read);
            let again = Range::of_option(
                shown["key"].as_str().unwrap(), shown["range_end"].as_str(), shown["prefix"].as_bool().unwrap_or(false));
            prop_assert_eq!(again.unwrap(), range);
        }
    }
}
