//! Fields of a JSON object, each with an error that names it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::shortened;

/// Parses a JSON object and nothing else: serde would also read an array as a struct.
pub(crate) fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    match text.trim_start_matches([' ', '\t', '\r', '\n']).chars().next() {
        Some('{') => {}
        Some(_) => return Err("a message is a JSON object: the first character must be `{`".into()),
        None => return Err("the message is empty: send a JSON object".into()),
    }
    let unique: UniqueKeys =
        serde_json::from_str(text).map_err(|error| format!("malformed JSON: {error}"))?;
    Ok(unique.0)
}

/// The fields of an object of which none comes twice: readers that disagree on which one counts are how
/// messages are smuggled past a check.
struct UniqueKeys(Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueKeys, A::Error> {
        let mut fields = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("field `{}` comes twice", shortened(&name))));
            }
            fields.insert(name, value);
        }
        Ok(UniqueKeys(fields))
    }
}

/// What kind of JSON value this is, for error texts. Never the value itself: it may be a token.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Reads fields of one object; `place` says where it stands in the message (`""` or `subscriptions[2].`).
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    place: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, place: String) -> Self {
        Self { object, place }
    }

    /// A field that may be left out; null counts as left out.
    pub(crate) fn optional(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, String> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, "a string", other)),
        }
    }

    pub(crate) fn required_string(&self, name: &str) -> Result<String, String> {
        self.string(name)?.ok_or_else(|| format!("missing field `{}{name}`", self.place))
    }

    pub(crate) fn integer(&self, name: &str, max: u64) -> Result<Option<u64>, String> {
        match self.optional(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if number <= max => Ok(Some(number)),
                Some(_) => Err(format!("`{}{name}` must be at most {max}", self.place)),
                None if value.is_number() => {
                    Err(format!("`{}{name}` must be a whole number from 0 to {max}", self.place))
                }
                None => Err(self.wrong(name, "a whole number", value)),
            },
        }
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<&'a [Value]>, String> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.wrong(name, "an array", other)),
        }
    }

    fn wrong(&self, name: &str, expected: &str, found: &Value) -> String {
        format!("`{}{name}` must be {expected}, not {}", self.place, kind_of(found))
    }
}
