//! Parameters as Stripe takes them: `a=1&b[c]=2&d[0]=3`, in the order they were added.
//!
//! Everything but unreserved characters is percent-encoded, a space as `%20`; brackets stay literal in
//! names and values, as the official libraries write them. An empty value clears a field.

use std::fmt::Write as _;

/// A body or a query under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(String);

impl Form {
    /// `name=value`. Nested names are written out: `transfer_data[destination]`.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value, &mut self.0);
    }

    /// As [`Self::set`], where there is a value.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    pub(crate) fn number(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.set(name, &value.to_string());
        }
    }

    pub(crate) fn flag(&mut self, name: &str, value: Option<bool>) {
        self.maybe(name, value.map(|value| if value { "true" } else { "false" }));
    }

    /// `name[0]=a&name[1]=b`.
    pub(crate) fn list<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        for (number, value) in values.into_iter().enumerate() {
            self.set(&format!("{name}[{number}]"), value);
        }
    }

    /// `name[a]=b`.
    pub(crate) fn map<'a>(&mut self, name: &str, values: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (key, value) in values {
            self.set(&format!("{name}[{key}]"), value);
        }
    }

    /// The encoded text; `None` where nothing was added.
    pub(crate) fn into_text(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~[]".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_and_values_are_encoded_but_for_their_brackets() {
        let mut form = Form::default();
        form.set("query", "metadata['order_id']:'ord_1'");
        form.maybe("absent", None);
        form.flag("confirm", Some(true));
        form.number("amount", Some(1999));
        form.list("expand", ["latest_charge", "customer"]);
        form.map("metadata", &BTreeMap::from([("with space".to_owned(), "a&b=c é+".to_owned())]));
        form.set("description", "");
        let expected = "query=metadata[%27order_id%27]%3A%27ord_1%27&confirm=true&amount=1999\
            &expand[0]=latest_charge&expand[1]=customer&metadata[with%20space]=a%26b%3Dc%20%C3%A9%2B\
            &description=";
        assert_eq!(form.into_text().as_deref(), Some(expected));
        assert_eq!(Form::default().into_text(), None);
    }
}
