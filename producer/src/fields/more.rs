//! Readers of what several endpoints have: references to operations, ids of Stripe's, addresses of
//! pages, and amounts that Stripe can be sent.

use axum::http::Uri;
use payfleet_core::{Asset, Money, OperationId};
use payfleet_providers::stripe::{NotSendable, Purpose, chargeable, to_minor};
use serde::de::Deserialize;

use super::Fields;

/// The longest address of a page.
pub(crate) const LONGEST_URL: usize = 2_000;
/// The longest id of Stripe's that we take.
pub(crate) const LONGEST_STRIPE_ID: usize = 255;

/// What money is for, at Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A card is charged.
    Charge,
    /// It goes to a bank.
    Payout,
    /// It moves within Stripe, or back.
    Other,
}

impl Fields {
    /// Takes `name` for read.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.members.values.remove(name);
    }

    /// The id of an operation of ours. Whether there is one, a worker knows.
    pub(crate) fn operation(&mut self, name: &str) -> Option<OperationId> {
        let text = self.text(name, 100)?;
        let id = text.parse();
        id.map_err(|_| self.refuse(name, "must be the operation_id of the answer to your request")).ok()
    }

    /// As [`Self::operation`], but it may be absent.
    pub(crate) fn optional_operation(&mut self, name: &str) -> Option<OperationId> {
        if self.has(name) { self.operation(name) } else { None }
    }

    /// As [`Fields::one_of`], but it may be absent: then it is `otherwise`.
    pub(crate) fn one_of_or<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &str,
        words: &str,
        otherwise: T,
    ) -> Option<T> {
        if self.has(name) { self.one_of(name, words) } else { Some(otherwise) }
    }

    /// An id that Stripe gave, such as `pm_card_visa`.
    pub(crate) fn stripe_id(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, LONGEST_STRIPE_ID)?;
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.refuse(name, "must be an id of Stripe's such as pm_1abc");
            return None;
        }
        Some(text)
    }

    /// As [`Self::stripe_id`], but it may be absent.
    pub(crate) fn optional_stripe_id(&mut self, name: &str) -> Option<String> {
        if self.has(name) { self.stripe_id(name) } else { None }
    }

    /// Two upper-case letters.
    pub(crate) fn country(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, 100)?;
        if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_uppercase()) {
            self.refuse(name, "must be a country's two upper-case letters, such as US");
            return None;
        }
        Some(text)
    }

    /// The address of a page that people are sent to: https only, since what they carry is theirs.
    pub(crate) fn page(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, LONGEST_URL)?;
        let url = text.parse::<Uri>().ok();
        let is_https = url.is_some_and(|url| {
            url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty())
        });
        if !is_https {
            self.refuse(name, "must be the address of a page, starting with https://");
            return None;
        }
        Some(text)
    }

    /// A positive amount under `amount` of the currency under `asset`, as Stripe can be sent it.
    pub(crate) fn stripe_money(&mut self, purpose: Use) -> Option<Money> {
        let asset = self.parsed::<Asset>("asset");
        let money = self.money("amount", asset)?;
        let checked = match purpose {
            Use::Charge => chargeable(&money),
            Use::Payout => to_minor(&money, Purpose::Payout).map(drop),
            Use::Other => to_minor(&money, Purpose::Payment).map(drop),
        };
        let Err(error) = checked else { return Some(money) };
        self.refuse(if error == NotSendable::NotACurrency { "asset" } else { "amount" }, error);
        None
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
    fn people_are_sent_to_https_pages_only() {
        for (url, is_fine) in [
            ("https://shop.example/back?x=1", true),
            ("http://shop.example/back", false),
            ("https://", false),
            ("https:///back", false),
            ("/back", false),
            ("javascript:alert(1)", false),
            ("https://shop.example/a b", false),
        ] {
            let errors = errors_of(&format!(r#"{{"u": "{url}"}}"#), |fields| drop(fields.page("u")));
            assert_eq!(errors.is_empty(), is_fine, "{url}: {errors:?}");
        }
    }

    #[test]
    fn amounts_that_stripe_cannot_be_sent_are_refused_by_the_field_at_fault() {
        for (amount, asset, purpose, field) in [
            ("0.49", "USD", Use::Charge, Some("amount")),
            ("0.49", "USD", Use::Other, None),
            ("10.45", "HUF", Use::Payout, Some("amount")),
            ("10.45", "HUF", Use::Charge, None),
            ("1.5", "JPY", Use::Charge, Some("amount")),
            ("1.234", "KWD", Use::Other, Some("amount")),
            ("5", "USDT", Use::Other, Some("asset")),
        ] {
            let errors = errors_of(&format!(r#"{{"amount": "{amount}", "asset": "{asset}"}}"#), |fields| {
                fields.stripe_money(purpose);
            });
            let named: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!(named, field.into_iter().collect::<Vec<_>>(), "{amount} {asset} {purpose:?}");
        }
    }

    #[test]
    fn ids_and_countries_have_their_form() {
        let body =
            r#"{"a": "pm_1/../x", "b": "us", "c": "order-1", "d": "5a88b422-6dee-86f7-a3ca-fd294a9b7141"}"#;
        let errors = errors_of(body, |fields| {
            fields.stripe_id("a");
            fields.country("b");
            fields.operation("c");
            fields.operation("d");
        });
        assert_eq!(errors.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
