//! Parameters as they come: `a=1&b[c]=2`, brackets literal or encoded, a space as `%20` or `+`.

use serde_json::{Map, Value};

use super::refused::Refused;

/// The parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// `None` where an escape is none or the result no UTF-8.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        };
        pairs.map(pair).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Refuses a parameter that is not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refused> {
        let top = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
        let is_known = |name: &str| name == "expand" || known.contains(&name);
        match self.0.iter().map(|(name, _)| top(name)).find(|name| !is_known(name)) {
            Some(name) => Err(Refused::unknown(&name)),
            None => Ok(()),
        }
    }

    /// What was given, also where it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refused> {
        self.text(name).ok_or_else(|| Refused::absent(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refused> {
        let invalid = || {
            let message = format!("Invalid integer: {name}");
            Refused::parameter("parameter_invalid_integer", name, &message)
        };
        self.text(name).map(|text| text.parse().map_err(|_| invalid())).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// `name[0]`, `name[1]`, ... or `name[]`.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let of = |key: &str| {
            let index = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
            index.is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
        };
        self.0.iter().filter(|(key, _)| of(key)).map(|(_, value)| value.as_str()).collect()
    }

    /// `name[key]`, as given.
    pub(super) fn map(&self, name: &str) -> Vec<(&str, &str)> {
        let key = |full: &'_ str| -> Option<(usize, usize)> {
            let rest = full.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            let start = name.len().saturating_add(1);
            Some((start, start.saturating_add(rest.len())))
        };
        let pairs = self.0.iter().filter_map(|(full, value)| {
            let (start, end) = key(full)?;
            Some((full.get(start..end)?, value.as_str()))
        });
        pairs.collect()
    }

    /// `old` with the metadata that was given; an empty value takes a key away.
    pub(super) fn metadata(&self, old: Option<&Value>) -> Value {
        let mut metadata: Map<String, Value> = old.and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in self.map("metadata") {
            if value.is_empty() {
                metadata.remove(key);
            } else {
                metadata.insert(key.to_owned(), value.into());
            }
        }
        Value::Object(metadata)
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stripe::form::Form;

    #[test]
    fn what_our_form_writes_is_read_back() {
        let mut form = Form::default();
        form.set("metadata[with space]", "a&b=c é");
        form.list("types", ["x", "y"]);
        let params = Params::parse(&form.into_text().unwrap()).unwrap();
        assert_eq!(params.map("metadata"), [("with space", "a&b=c é")]);
        assert_eq!(params.list("types"), ["x", "y"]);
        let encoded = Params::parse("types%5B%5D=x&types%5B%5D=y&a=1+2").unwrap();
        assert_eq!(encoded.list("types"), ["x", "y"]);
        assert_eq!(encoded.text("a"), Some("1 2"));
        assert_eq!(encoded.only(&["types"]).unwrap_err().error["code"], "parameter_unknown");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC*") {
            let _ = Params::parse(&text);
        }

        #[test]
        fn every_value_survives(name in "[a-z_]{1,10}", value in "\\PC*") {
            let mut form = Form::default();
            form.set(&name, &value);
            let params = Params::parse(&form.into_text().unwrap()).unwrap();
            prop_assert_eq!(params.given(&name), Some(value.as_str()));
        }
    }
}
