//! Reads a query string parameter by parameter and remembers everything that is wrong with it, as
//! [`Fields`](crate::fields::Fields) does with a body: a misspelt filter must not silently select
//! everything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use payfleet_core::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::problem::{FieldError, Problem};

/// The parameters of a query string that is being read.
pub(crate) struct Parameters {
    values: BTreeMap<String, String>,
    asked: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|error| {
            let message = "cannot be read: write name=value pairs with & between them, percent-encoded";
            Problem::fields(vec![FieldError { field: "query".to_owned(), message: message.to_owned() }])
                .because(error)
        })?;
        Ok(Self::over(pairs))
    }
}

impl Parameters {
    fn over(pairs: Vec<(String, String)>) -> Self {
        let mut parameters = Self { values: BTreeMap::new(), asked: Vec::new(), errors: Vec::new() };
        for (name, value) in pairs {
            match parameters.values.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(entry) => {
                    let name = entry.key().clone();
                    parameters.refuse(&name, "is there more than once; send it once");
                }
            }
        }
        parameters
    }

    /// Notes that `name` needs correction. Messages never repeat the value.
    pub(crate) fn refuse(&mut self, name: &str, message: impl fmt::Display) {
        self.errors.push(FieldError { field: name.to_owned(), message: message.to_string() });
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        self.values.remove(name)
    }

    /// A text that names a `T`.
    pub(crate) fn parsed<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let value = self.take(name)?;
        value.parse().map_err(|error| self.refuse(name, error)).ok()
    }

    /// One of `words`.
    pub(crate) fn one_of(&mut self, name: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.take(name)?;
        let word = words.iter().find(|word| **word == value).copied();
        if word.is_none() {
            self.refuse(name, format_args!("must be one of {}", words.join(", ")));
        }
        word
    }

    /// Any of `words`, with commas between them.
    pub(crate) fn some_of(
        &mut self,
        name: &'static str,
        words: &[&'static str],
    ) -> Option<Vec<&'static str>> {
        let value = self.take(name)?;
        let known = |part: &str| words.iter().find(|word| **word == part).copied();
        let found: Option<Vec<&'static str>> = value.split(',').map(known).collect();
        if found.is_none() {
            self.refuse(name, format_args!("must be some of {}, with commas between them", words.join(", ")));
        }
        found
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.one_of(name, &["true", "false"]).map(|word| word == "true")
    }

    /// A whole number from 1 to `largest`.
    pub(crate) fn whole(&mut self, name: &'static str, largest: u16) -> Option<u16> {
        let value = self.take(name)?;
        let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|number| is_plain && (1..=largest).contains(number));
        if number.is_none() {
            self.refuse(name, format_args!("must be a whole number from 1 to {largest}"));
        }
        number
    }

    /// Where the page before ended, by the number of what was last on it.
    pub(crate) fn number_of_a_page(&mut self, name: &'static str) -> Option<i64> {
        let value = self.take(name)?;
        let number = value.parse().ok().filter(|number: &i64| *number > 0);
        if number.is_none() {
            self.refuse(name, "must be the next_cursor of a page, as it came");
        }
        number
    }

    /// A moment, to the millisecond.
    pub(crate) fn moment(&mut self, name: &'static str) -> Option<Timestamp> {
        let value = self.take(name)?;
        let moment = OffsetDateTime::parse(&value, &Rfc3339);
        if moment.is_err() {
            self.refuse(name, "must be a moment such as 2025-02-28T00:00:00Z, and its + written as %2B");
        }
        moment.ok().map(Timestamp::from)
    }

    /// Any text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.take(name)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 with all that was wrong, and with every parameter nobody asked for.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let known = self.asked.join(", ");
        for name in std::mem::take(&mut self.values).into_keys() {
            let message = if known.is_empty() {
                "is not a parameter; there is none here".to_owned()
            } else {
                format!("is not a parameter here; known are {known}")
            };
            self.refuse(&name, message);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::fields(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::over(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let mut parameters = over(&[
            ("limit", "+5"),
            ("from", "yesterday"),
            ("parked", "yes"),
            ("sate", "x"),
            ("by", "day,hour"),
        ]);
        assert_eq!(parameters.whole("limit", 9), None);
        assert_eq!(parameters.moment("from"), None);
        assert_eq!(parameters.flag("parked"), None);
        assert_eq!(parameters.some_of("by", &["day"]), None);
        assert_eq!(parameters.errors.len(), 4);
        assert!(parameters.finish().is_err());
    }

    #[test]
    fn a_parameter_that_is_there_twice_or_empty_is_refused() {
        assert!(over(&[("a", "1"), ("a", "1")]).finish().is_err());
        let mut empty = over(&[("limit", "")]);
        assert_eq!(empty.whole("limit", 9), None);
        assert!(empty.finish().is_err());
    }

    #[test]
    fn what_is_right_is_read() {
        let mut parameters = over(&[("limit", "5"), ("from", "1970-01-01T00:00:01Z"), ("by", "day,state")]);
        assert_eq!(parameters.whole("limit", 9), Some(5));
        assert_eq!(parameters.moment("from"), Some(Timestamp::from_unix_ms(1_000)));
        assert_eq!(parameters.some_of("by", &["state", "day"]), Some(vec!["day", "state"]));
        assert_eq!(parameters.moment("to"), None);
        assert!(parameters.finish().is_ok());
    }
}
