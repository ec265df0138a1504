//! Reads a JSON object field by field and remembers everything that is wrong with it, so that a
//! caller corrects a body once and not field after field.
//!
//! Values stay raw text until they are asked for: no number passes through a float. A field that
//! nobody asked for, or that is there twice, is an error: in a request about money, a misspelt
//! field must not be silently something else.

mod more;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::str::FromStr;

pub(crate) use more::{LONGEST_STRIPE_ID, LONGEST_URL, Use};
use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Asset, Money};
use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::problem::{FieldError, Kind, Problem};

/// An object's members as they came.
#[derive(Default)]
struct Members {
    values: BTreeMap<String, Box<RawValue>>,
    repeated: Vec<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    match members.values.entry(name) {
                        Entry::Vacant(entry) => drop(entry.insert(value)),
                        Entry::Occupied(entry) => members.repeated.push(entry.key().clone()),
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A JSON object that is being read.
pub(crate) struct Fields {
    prefix: String,
    members: Members,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Starts with a body.
    ///
    /// # Errors
    /// 400 where it is not JSON, or not an object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let members = serde_json::from_slice(body).map_err(|error| broken(&error))?;
        Ok(Self::over(members, String::new()))
    }

    fn over(mut members: Members, prefix: String) -> Self {
        let repeated = std::mem::take(&mut members.repeated);
        let mut fields = Self { prefix, members, errors: Vec::new() };
        for name in repeated {
            fields.refuse(&name, "is there more than once; send it once");
        }
        fields
    }

    /// Notes that `name` needs correction. Messages never repeat the value.
    pub(crate) fn refuse(&mut self, name: &str, message: impl fmt::Display) {
        let field = format!("{}{name}", self.prefix);
        self.errors.push(FieldError { field, message: message.to_string() });
    }

    /// The raw value of `name`; `null` counts as absent.
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.members.values.remove(name).filter(|value| value.get() != "null")
    }

    fn take_required(&mut self, name: &str) -> Option<Box<RawValue>> {
        let value = self.take(name);
        if value.is_none() {
            self.refuse(name, "is required");
        }
        value
    }

    fn as_text(&mut self, name: &str, value: &RawValue) -> Option<String> {
        let text = serde_json::from_str::<String>(value.get());
        if text.is_err() {
            match type_of(value) {
                "text" => self.refuse(name, "holds an escape that stands for no character"),
                other => self.refuse(name, format_args!("must be a JSON string, not {other}")),
            }
        }
        text.ok()
    }

    fn checked(&mut self, name: &str, text: String, longest: usize) -> Option<String> {
        let problem = if text.trim().is_empty() {
            "must not be empty".to_owned()
        } else if text.chars().count() > longest {
            format!("must be at most {longest} characters")
        } else if text.chars().any(char::is_control) {
            "must not contain control characters".to_owned()
        } else {
            return Some(text);
        };
        self.refuse(name, problem);
        None
    }

    /// A text of 1 to `longest` characters, none of them a control character.
    pub(crate) fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let value = self.take_required(name)?;
        let text = self.as_text(name, &value)?;
        self.checked(name, text, longest)
    }

    /// As [`Fields::text`], but it may be absent.
    pub(crate) fn optional_text(&mut self, name: &str, longest: usize) -> Option<String> {
        let value = self.take(name)?;
        let text = self.as_text(name, &value)?;
        self.checked(name, text, longest)
    }

    /// The text of a decimal number. A JSON number is refused: many clients would round it.
    pub(crate) fn decimal_text(&mut self, name: &str) -> Option<String> {
        let value = self.take_required(name)?;
        if type_of(&value) == "a number" {
            self.refuse(name, "send a decimal string such as \"15.5\", not a JSON number");
            return None;
        }
        self.as_text(name, &value)
    }

    /// A positive amount of `asset`; where the asset itself is wrong, only the amount's form is checked.
    pub(crate) fn money(&mut self, name: &str, asset: Option<Asset>) -> Option<Money> {
        let text = self.decimal_text(name)?;
        let money = match asset {
            Some(asset) => Money::parse_positive(&text, asset).map(Some),
            None => parse_plain_decimal(&text).map(|_| None),
        };
        money.map_err(|error| self.refuse(name, error)).ok().flatten()
    }

    /// A day, `YYYY-MM-DD`.
    pub(crate) fn date(&mut self, name: &str) -> Option<String> {
        let value = self.take_required(name)?;
        let text = self.as_text(name, &value)?;
        if Date::parse(&text, format_description!("[year]-[month]-[day]")).is_err() {
            self.refuse(name, "must be a day such as 2025-02-28");
            return None;
        }
        Some(text)
    }

    /// A text that names a `T`.
    pub(crate) fn parsed<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let value = self.take_required(name)?;
        let text = self.as_text(name, &value)?;
        text.parse().map_err(|error| self.refuse(name, error)).ok()
    }

    /// A text that is one of a closed set of words, as `T`'s own deserializer knows them.
    pub(crate) fn one_of<T: for<'de> Deserialize<'de>>(&mut self, name: &str, words: &str) -> Option<T> {
        let value = self.take_required(name)?;
        let word = serde_json::from_str(value.get());
        if word.is_err() {
            self.refuse(name, format_args!("must be one of {words}"));
        }
        word.ok()
    }

    /// A whole number from 1 to `largest`.
    pub(crate) fn whole(&mut self, name: &str, largest: u16) -> Option<u16> {
        let value = self.take_required(name)?;
        let number = serde_json::from_str(value.get()).ok().filter(|number| (1..=largest).contains(number));
        if number.is_none() {
            self.refuse(name, format_args!("must be a whole JSON number from 1 to {largest}"));
        }
        number
    }

    /// Whether `name` is there; `null` counts as absent.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.values.get(name).is_some_and(|value| value.get() != "null")
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.take_required(name)?;
        let flag = serde_json::from_str(value.get()).ok();
        if flag.is_none() {
            self.refuse(name, format_args!("must be true or false, not {}", type_of(&value)));
        }
        flag
    }

    /// A whole number within bounds.
    pub(crate) fn whole_within(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.take_required(name)?;
        let number = serde_json::from_str(value.get()).ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.refuse(name, format_args!("must be a whole JSON number from {least} to {most}"));
        }
        number
    }

    /// A JSON number within bounds, read digit for digit.
    pub(crate) fn number(&mut self, name: &str, least: Decimal, most: Decimal) -> Option<Decimal> {
        let value = self.take_required(name)?;
        let number = Decimal::from_str_exact(value.get()).ok().filter(|n| (least..=most).contains(n));
        if number.is_none() {
            self.refuse(
                name,
                format_args!("must be a JSON number from {least} to {most}, without an exponent"),
            );
        }
        number.map(|number| number.normalize())
    }

    /// An address of mail: something, an at sign, something.
    pub(crate) fn email(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = self.text(name, longest)?;
        let parts = text.split_once('@').filter(|(who, host)| !who.is_empty() && !host.is_empty());
        let is_one =
            parts.is_some_and(|(_, host)| !host.contains('@')) && !text.contains(char::is_whitespace);
        if !is_one {
            self.refuse(name, "must be an e-mail address such as name@example.com");
            return None;
        }
        Some(text)
    }

    /// A moment, RFC 3339, as it was written.
    pub(crate) fn moment(&mut self, name: &str) -> Option<String> {
        let value = self.take_required(name)?;
        let text = self.as_text(name, &value)?;
        if OffsetDateTime::parse(&text, &Rfc3339).is_err() {
            self.refuse(name, "must be a moment such as 2026-01-31T12:00:00Z");
            return None;
        }
        Some(text)
    }

    /// Reads each object of the array `name` with `read`: 1 to `most`, reported as `name[0].field`.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.take_required(name)?;
        let Ok(all) = serde_json::from_str::<Vec<Members>>(value.get()) else {
            self.refuse(name, format_args!("must be an array of JSON objects"));
            return None;
        };
        if !(1..=most).contains(&all.len()) {
            self.refuse(name, format_args!("must have 1 to {most} entries, this has {}", all.len()));
            return None;
        }
        let mut read_all = Vec::with_capacity(all.len());
        for (place, members) in all.into_iter().enumerate() {
            let mut nested = Self::over(members, format!("{}{name}[{place}].", self.prefix));
            read_all.push(read(&mut nested));
            self.errors.append(&mut nested.all_errors());
        }
        read_all.into_iter().collect()
    }

    /// As [`Fields::object`], but it may be absent.
    pub(crate) fn optional_object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.has(name) {
            return self.object(name, read);
        }
        self.take(name);
        None
    }

    /// Reads the object `name` with `read`; its fields are reported as `name.field`.
    pub(crate) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let value = self.take_required(name)?;
        let Ok(members) = serde_json::from_str(value.get()) else {
            self.refuse(name, format_args!("must be a JSON object, not {}", type_of(&value)));
            return None;
        };
        let mut nested = Self::over(members, format!("{}{name}.", self.prefix));
        let read = read(&mut nested);
        self.errors.append(&mut nested.all_errors());
        read
    }

    /// What was noted, and every field nobody asked for.
    fn all_errors(mut self) -> Vec<FieldError> {
        for name in std::mem::take(&mut self.members.values).into_keys() {
            self.refuse(&name, "is not a field of this request; leave it out");
        }
        self.errors
    }

    /// Hands over what was read, if nothing was wrong.
    ///
    /// # Errors
    /// 422 with all that was.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Problem> {
        let errors = self.all_errors();
        match read {
            Some(read) if errors.is_empty() => Ok(read),
            _ => Err(Problem::fields(errors)),
        }
    }
}

fn broken(error: &serde_json::Error) -> Problem {
    let detail = match error.classify() {
        Category::Data => "The body must be a JSON object.".to_owned(),
        Category::Eof => "The JSON ends too early.".to_owned(),
        Category::Syntax | Category::Io => {
            format!("The JSON cannot be read at line {}, column {}.", error.line(), error.column())
        }
    };
    Problem::new(Kind::BrokenJson, detail)
}

fn type_of(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors_of(body: &str, read: impl FnOnce(&mut Fields)) -> Vec<(String, String)> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        read(&mut fields);
        fields.all_errors().into_iter().map(|error| (error.field, error.message)).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let errors =
            errors_of(r#"{"amount": 1.5, "nmae": "x", "inner": {"extra": 1}, "n": 0.5}"#, |fields| {
                fields.decimal_text("amount");
                fields.text("name", 5);
                fields.object("inner", |inner| inner.text("name", 5));
                fields.whole("n", 9);
            });
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["amount", "name", "inner.name", "inner.extra", "n", "nmae"]);
        assert!(errors[0].1.contains("decimal string"), "{errors:?}");
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused() {
        let errors = errors_of(r#"{"amount": "1", "amount": "2"}"#, |fields| {
            fields.decimal_text("amount");
        });
        assert_eq!(errors.len(), 1);
        assert!(errors[0].1.contains("more than once"));
    }

    #[test]
    fn texts_are_bounded_and_hold_no_control_characters() {
        for body in [
            r#"{"a": ""}"#,
            r#"{"a": "  "}"#,
            r#"{"a": "123456"}"#,
            r#"{"a": "x\u0000"}"#,
            r#"{"a": "\ud800"}"#,
        ] {
            assert_eq!(errors_of(body, |fields| drop(fields.text("a", 5))).len(), 1, "{body}");
        }
        assert!(errors_of(r#"{"a": "žluťě"}"#, |fields| drop(fields.text("a", 5))).is_empty());
        assert!(errors_of(r#"{"a": null}"#, |fields| drop(fields.optional_text("a", 5))).is_empty());
    }

    #[test]
    fn what_is_not_a_json_object_is_a_bad_request() {
        for body in ["", "{", "[]", "\"x\"", "{\"a\": 1,}", "{\"a\": 1} x", "\u{feff}{}"] {
            assert!(Fields::parse(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(Fields::parse(b"{\"a\": \"\xff\"}").is_err());
        assert!(Fields::parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
