//! Reading JSON that others wrote: an object whose members are looked at one at a time, each kept as
//! its raw text. Numbers are never floats, a member of another type than expected is an absent one,
//! and an object that has a key twice is refused: two readers could see two different amounts.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Not a JSON object, or one that has a key twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object, or one with a repeated key")]
pub(crate) struct NotAnObject;

/// One JSON object, in the order it was written.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, NotAnObject> {
        serde_json::from_slice(body).map_err(|_| NotAnObject)
    }

    fn parse_str(text: &'a str) -> Result<Self, NotAnObject> {
        serde_json::from_str(text).map_err(|_| NotAnObject)
    }

    /// The members in their order.
    pub(crate) fn members(&self) -> &[(String, &'a RawValue)] {
        &self.members
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// A string's content, or a number as it was written.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.raw(name)?)
    }

    /// As [`Self::text`], where an empty one says as little as an absent one.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.raw(name)?.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::parse_str(self.raw(name)?.get()).ok()
    }

    /// The objects of an array; `None` where it is no array or holds anything else.
    pub(crate) fn objects(&self, name: &str) -> Option<Vec<Self>> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }
}

/// A string's content, or a number as it was written.
pub(crate) fn text(value: &RawValue) -> Option<String> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'-' | b'0'..=b'9' => Some(raw.to_owned()),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut seen = std::collections::HashSet::new();
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom("repeated key"));
            }
            members.push((key, value));
        }
        Ok(Object { members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_other_types_are_absent() {
        let object = Object::parse(br#"{"a":129.10,"b":"x\u00e9","c":null,"d":{"e":true},"f":""}"#).unwrap();
        assert_eq!(object.text("a").as_deref(), Some("129.10"));
        assert_eq!(object.text("b").as_deref(), Some("xé"));
        assert_eq!(object.text("c"), None);
        assert_eq!(object.text("d"), None);
        assert_eq!(object.filled("f"), None);
        assert_eq!(object.object("d").unwrap().flag("e"), Some(true));
    }

    #[test]
    fn a_repeated_key_is_refused_however_it_is_spelled() {
        for body in [&br#"{"a":1,"a":2}"#[..], br#"{"a":1,"\u0061":2}"#, b"[1]", b"", b"\xff", b"{} x"] {
            assert!(Object::parse(body).is_err(), "{body:?}");
        }
    }
}
