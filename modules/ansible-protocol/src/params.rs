//! From checked options to a module's typed parameters.

use crate::Object;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess};
use serde_json::{Error, Value};

/// Reads the parameters.
///
/// # Errors
///
/// Returns what is wrong, after the name of the option where it is a single option's value.
pub(crate) fn read<P: DeserializeOwned>(options: Object) -> Result<P, String> {
    let mut at = None;
    let entries = Entries { rest: options.into_iter(), value: Value::Null, at: &mut at };
    P::deserialize(MapAccessDeserializer::new(entries)).map_err(|error| match at {
        Some(option) => format!("{option}: {error}"),
        None => error.to_string(),
    })
}

/// The options one after the other; the one at hand is remembered for the message.
struct Entries<'a> {
    rest: serde_json::map::IntoIter,
    value: Value,
    at: &'a mut Option<String>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.rest.next() else {
            *self.at = None;
            return Ok(None);
        };
        self.value = value;
        let name = self.at.insert(name);
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.value.take())
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde::Deserialize;
    use serde_json::{Value, json};
    use test_case::test_case;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Params {
        timeout: u64,
        endpoints: Vec<String>,
    }

    #[test_case(&json!({ "timeout": 3, "endpoints": ["a"], "unused": 1 }), Ok(3))]
    #[test_case(&json!({ "timeout": -3, "endpoints": [] }), Err("timeout: invalid value: integer `-3`, expected u64"); "one value")]
    #[test_case(&json!({ "endpoints": ["a", 1], "timeout": 3 }), Err("endpoints: invalid type: integer `1`, expected a string"); "in a list")]
    #[test_case(&json!({ "timeout": 3 }), Err("missing field `endpoints`"); "all of them")]
    fn names_the_option(options: &Value, wanted: Result<u64, &str>) {
        let params = read::<Params>(options.as_object().cloned().unwrap());
        assert_eq!(params.map(|params| params.timeout), wanted.map_err(str::to_owned));
    }
}
