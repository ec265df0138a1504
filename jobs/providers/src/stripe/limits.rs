//! What Stripe limits: all calls together, each endpoint by itself, and some endpoints more narrowly.
//! Source: docs.stripe.com, rate limits. What it limits per object (1,000 updates of a payment intent an
//! hour) and at a time is left to its answers.

use payfleet_core::provider::Action;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::published::{ALL, Class, Rate};

/// All calls of a key in test mode; the first of [`CLASSES`] is the live one.
pub const TEST_MODE: Rate = Rate::per_second(25);

/// Each endpoint takes 25 a second unless it is named. Reading and writing of one resource are
/// counted together here, which is the narrower side.
pub const CLASSES: &[Class] = &[
    Class::per_second(ALL, 100),
    Class::per_second("payout-create", 15),
    Class::per_second("account-create", 30),
    Class::per_second("search", 20),
    Class::per_second("payment_intents", 25),
    Class::per_second("refunds", 25),
    Class::per_second("customers", 25),
    Class::per_second("payment_methods", 25),
    Class::per_second("accounts", 25),
    Class::per_second("account_links", 25),
    Class::per_second("transfers", 25),
    Class::per_second("payouts", 25),
    Class::per_second("balance", 25),
    Class::per_second("balance_transactions", 25),
    Class::per_second("events", 25),
    Class::per_second("webhook_endpoints", 25),
    Class::per_second("other", 25),
];

/// The class of a request; `path` begins with `v1`.
pub(crate) fn class(method: &Method, path: &[&str]) -> &'static str {
    let resource = path.get(1).copied().unwrap_or_default();
    match (method == Method::POST, path) {
        (true, [_, "payouts"]) => "payout-create",
        (true, [_, "accounts"]) => "account-create",
        (false, [_, _, "search"]) => "search",
        _ => {
            let of_resource = CLASSES.iter().find(|class| class.name == resource && resource != ALL);
            of_resource.map_or("other", |class| class.name)
        }
    }
}

/// The class of the first request that doing `action` makes.
pub(crate) const fn class_of(action: Action) -> &'static str {
    match action {
        Action::Payout => "payout-create",
        Action::Transfer => "transfers",
        Action::Account => "account-create",
        Action::AccountLink => "account_links",
        Action::Customer => "customers",
        Action::PaymentMethodAttach | Action::PaymentMethodDetach => "payment_methods",
        Action::Payment | Action::PaymentConfirm | Action::PaymentCapture | Action::PaymentCancel => {
            "payment_intents"
        }
        Action::Refund => "refunds",
        // Not offered there.
        Action::Mint | Action::Wallet | Action::Telemetry | Action::Distribution | Action::Watch => "other",
    }
}

/// Whether a 429 is about one endpoint. One without a reason means that an object is being worked on,
/// which no rate helps against, and so does one about a resource.
pub(crate) fn is_about_class(headers: &HeaderMap) -> Option<bool> {
    match headers.get("stripe-rate-limited-reason")?.as_bytes() {
        b"endpoint-rate" | b"endpoint-concurrency" => Some(true),
        b"resource-specific" => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn every_request_is_in_a_class_that_is_limited() {
        for (method, path, want) in [
            (Method::POST, "v1/payouts", "payout-create"),
            (Method::GET, "v1/payouts", "payouts"),
            (Method::POST, "v1/payouts/po_1/cancel", "payouts"),
            (Method::POST, "v1/accounts", "account-create"),
            (Method::GET, "v1/payment_intents/search", "search"),
            (Method::POST, "v1/payment_intents/pi_1/confirm", "payment_intents"),
            (Method::GET, "v1/all", "other"),
            (Method::GET, "v1", "other"),
        ] {
            let parts: Vec<&str> = path.split('/').collect();
            let class = class(&method, &parts);
            assert_eq!(class, want, "{method} {path}");
            assert!(CLASSES.iter().any(|one| one.name == class));
        }
    }

    #[test]
    fn a_refusal_says_whether_the_endpoint_or_the_whole_is_called_too_often() {
        for (reason, want) in [
            (Some("global-rate"), Some(false)),
            (Some("global-concurrency"), Some(false)),
            (Some("endpoint-rate"), Some(true)),
            (Some("endpoint-concurrency"), Some(true)),
            (Some("resource-specific"), None),
            (None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(reason.map(|reason| {
                let name = reqwest::header::HeaderName::from_static("stripe-rate-limited-reason");
                (name, HeaderValue::from_static(reason))
            }));
            assert_eq!(is_about_class(&headers), want, "{reason:?}");
        }
    }
}
