//! Stripe's objects in our words, from an answer or from an event.
//!
//! A transfer that exists has happened: it has no status, until all of it is reversed. A payout is not settled by `paid` alone, which
//! can still become `failed`; whoever waits out those five business days asks again. Unknown words stay
//! as they came.

use payfleet_core::provider::{Facts, Progress, Report};
use serde_json::Value;

use super::amount::from_minor;
use crate::json::Object;

/// The word for something that exists and has no status of its own.
const EXISTS: &str = "exists";

/// The word for a transfer of which nothing is left.
const REVERSED: &str = "reversed";

/// What `object` says about one of our effects: `None` where it is no such thing, or cannot be read as
/// one.
pub(crate) fn report(object: &Object<'_>) -> Option<Report> {
    let kind = object.text("object")?;
    let status = object.filled("status");
    let (progress, raw_status) = match kind.as_str() {
        "payment_intent" => (payment(status.as_deref()?), status?),
        "refund" => (refund(status.as_deref()?, object.filled("failure_reason")), status?),
        "payout" => (payout(status.as_deref()?, object.filled("failure_code")), status?),
        "transfer" if object.flag("reversed") == Some(true) => (failed(REVERSED, None), REVERSED.to_owned()),
        "transfer" | "transfer_reversal" | "account" => (Progress::Succeeded, EXISTS.to_owned()),
        _ => return None,
    };
    // Of a payment that was captured in part, what came in is less than what was agreed.
    let is_paid = kind == "payment_intent" && progress == Progress::Succeeded;
    let amount = if is_paid {
        object.text("amount_received").or_else(|| object.text("amount"))
    } else {
        object.text("amount")
    };
    let minor = |text: String| text.parse::<i64>().ok();
    // What is left of a transfer of which a part was reversed is another amount than was asked for.
    let reversed = object.text("amount_reversed").filter(|_| progress == Progress::Succeeded).and_then(minor);
    let money = amount
        .and_then(minor)
        .and_then(|amount| amount.checked_sub(reversed.unwrap_or(0)))
        .and_then(|left| from_minor(left, &object.text("currency")?));
    let facts = match kind.as_str() {
        "account" => of_account(object),
        // What the payer or the client has to do next.
        "payment_intent" => Facts::from([("status".to_owned(), raw_status.clone().into())]),
        _ => Facts::new(),
    };
    Some(Report {
        money,
        destination: destination(object),
        facts,
        ..Report::of(object.filled("id")?, progress, raw_status)
    })
}

/// What a connected account may do, and what its owner still has to bring.
fn of_account(account: &Object<'_>) -> Facts {
    let flags = ["charges_enabled", "payouts_enabled", "details_submitted"];
    let flags = flags.into_iter().filter_map(|name| Some((name, account.flag(name)?.into())));
    let capabilities = account.object("capabilities");
    let transfers = capabilities.and_then(|capabilities| capabilities.filled("transfers"));
    let requirements = account.object("requirements");
    let due = |name| {
        let listed = requirements.as_ref()?.raw(name)?;
        serde_json::from_str::<Vec<String>>(listed.get()).ok().filter(|due| !due.is_empty()).map(Value::from)
    };
    let more = [
        ("transfers", transfers.map(Value::from)),
        ("currently_due", due("currently_due")),
        (
            "disabled_reason",
            requirements.as_ref().and_then(|object| object.filled("disabled_reason")).map(Value::from),
        ),
    ];
    let more = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
    flags.chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The same of entries of a list.
#[cfg(feature = "client")]
mod listed {
    use payfleet_core::Money;
    use payfleet_core::provider::{Progress, Report};

    use super::super::objects::{PaymentIntent, Payout, Refund, Transfer};
    use super::super::words::PaymentIntentStatus;

    impl From<&PaymentIntent> for Report {
        fn from(payment: &PaymentIntent) -> Self {
            let status = payment.status.as_str();
            let is_paid = payment.status == PaymentIntentStatus::Succeeded;
            let money = if is_paid { payment.amount_received } else { payment.amount };
            Self { money: Some(money), ..Self::of(&payment.id, super::payment(status), status) }
        }
    }

    impl From<&Refund> for Report {
        fn from(refund: &Refund) -> Self {
            let status = refund.status.as_ref().map_or("", |status| status.as_str());
            let progress = super::refund(status, refund.failure_reason.clone());
            Self { money: Some(refund.amount), ..Self::of(&refund.id, progress, status) }
        }
    }

    impl From<&Payout> for Report {
        fn from(payout: &Payout) -> Self {
            let status = payout.status.as_str();
            let progress = super::payout(status, payout.failure_code.clone());
            let destination = payout.destination.clone();
            Self { money: Some(payout.amount), destination, ..Self::of(&payout.id, progress, status) }
        }
    }

    impl From<&Transfer> for Report {
        fn from(transfer: &Transfer) -> Self {
            let destination = transfer.destination.clone();
            if transfer.reversed {
                let report = Self::of(&transfer.id, super::failed(super::REVERSED, None), super::REVERSED);
                return Self { money: Some(transfer.amount), destination, ..report };
            }
            let left = transfer.amount.amount().checked_sub(transfer.amount_reversed.amount());
            let money = left.and_then(|left| Money::new(left, transfer.amount.asset()).ok());
            let report = Self::of(&transfer.id, Progress::Succeeded, super::EXISTS);
            Self { money, destination, ..report }
        }
    }
}

fn destination(object: &Object<'_>) -> Option<String> {
    object.filled("destination").or_else(|| object.object("destination")?.filled("id"))
}

fn payment(status: &str) -> Progress {
    match status {
        "succeeded" => Progress::Succeeded,
        "canceled" => Progress::Failed { reason: status.to_owned() },
        // A failed attempt leaves `requires_payment_method`, from which the payer may try again.
        "requires_payment_method"
        | "requires_confirmation"
        | "requires_action"
        | "processing"
        | "requires_capture" => Progress::Pending,
        _ => Progress::Unknown,
    }
}

fn refund(status: &str, why: Option<String>) -> Progress {
    match status {
        "succeeded" => Progress::Succeeded,
        "failed" | "canceled" => failed(status, why),
        "pending" | "requires_action" => Progress::Pending,
        _ => Progress::Unknown,
    }
}

fn payout(status: &str, why: Option<String>) -> Progress {
    match status {
        "paid" => Progress::Succeeded,
        "failed" | "canceled" => failed(status, why),
        "pending" | "in_transit" => Progress::Pending,
        _ => Progress::Unknown,
    }
}

fn failed(status: &str, reason: Option<String>) -> Progress {
    Progress::Failed { reason: reason.unwrap_or_else(|| status.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(kind: &str, status: &str, more: &str) -> Report {
        let body = format!(
            r#"{{"id":"x_1","object":"{kind}","status":"{status}","amount":1050,"currency":"usd"{more}}}"#
        );
        report(&Object::parse(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn every_status_means_what_it_says_and_an_unknown_one_is_unknown() {
        let failed = |reason: &str| Progress::Failed { reason: reason.to_owned() };
        for (kind, status, more, want) in [
            ("payment_intent", "requires_payment_method", "", Progress::Pending),
            ("payment_intent", "requires_confirmation", "", Progress::Pending),
            ("payment_intent", "requires_action", "", Progress::Pending),
            ("payment_intent", "processing", "", Progress::Pending),
            ("payment_intent", "requires_capture", "", Progress::Pending),
            ("payment_intent", "succeeded", "", Progress::Succeeded),
            ("payment_intent", "canceled", "", failed("canceled")),
            ("refund", "pending", "", Progress::Pending),
            ("refund", "requires_action", "", Progress::Pending),
            ("refund", "succeeded", "", Progress::Succeeded),
            ("refund", "failed", r#","failure_reason":"lost_or_stolen_card""#, failed("lost_or_stolen_card")),
            ("refund", "canceled", "", failed("canceled")),
            ("payout", "pending", "", Progress::Pending),
            ("payout", "in_transit", "", Progress::Pending),
            ("payout", "paid", "", Progress::Succeeded),
            ("payout", "failed", r#","failure_code":"account_closed""#, failed("account_closed")),
            ("payout", "failed", r#","failure_code":null"#, failed("failed")),
            ("payout", "canceled", "", failed("canceled")),
            ("payout", "held_by_the_moon", "", Progress::Unknown),
            ("refund", "held_by_the_moon", "", Progress::Unknown),
            ("payment_intent", "held_by_the_moon", "", Progress::Unknown),
        ] {
            let report = of(kind, status, more);
            assert_eq!(report.progress, want, "{kind} {status}");
            assert_eq!(report.raw_status, status);
            assert_eq!(report.money.unwrap().to_string(), "10.5 USD");
        }
    }

    #[test]
    fn a_transfer_that_exists_has_happened() {
        let body = br#"{"id":"tr_1","object":"transfer","amount":5,"currency":"jpy","destination":"acct_1"}"#;
        let report = report(&Object::parse(body).unwrap()).unwrap();
        assert_eq!((report.progress, report.destination.as_deref()), (Progress::Succeeded, Some("acct_1")));
        assert_eq!(report.money.unwrap().to_string(), "5 JPY");
    }

    #[test]
    fn a_transfer_that_was_reversed_came_back_or_is_less_than_was_asked() {
        let of = |more: &str| {
            let body = format!(r#"{{"id":"tr_1","object":"transfer","amount":500,"currency":"usd",{more}}}"#);
            report(&Object::parse(body.as_bytes()).unwrap()).unwrap()
        };
        let all = of(r#""amount_reversed":500,"reversed":true"#);
        assert_eq!(all.progress, Progress::Failed { reason: "reversed".to_owned() });
        assert_eq!(all.money.unwrap().to_string(), "5 USD");
        let part = of(r#""amount_reversed":120,"reversed":false"#);
        assert_eq!(
            (part.progress, part.money.unwrap().to_string()),
            (Progress::Succeeded, "3.8 USD".to_owned())
        );
    }

    #[test]
    fn a_payment_says_what_is_to_be_done_next() {
        let facts = of("payment_intent", "requires_capture", "").facts;
        assert_eq!(facts["status"], "requires_capture");
    }

    #[test]
    fn an_account_says_what_it_may_do_and_what_is_missing() {
        let body = br#"{"id":"acct_1","object":"account","charges_enabled":false,"payouts_enabled":true,
            "capabilities":{"transfers":"inactive"},
            "requirements":{"currently_due":["external_account","tos_acceptance.date"],"disabled_reason":null}}"#;
        let facts = report(&Object::parse(body).unwrap()).unwrap().facts;
        let want = json!({
            "charges_enabled": false,
            "currently_due": ["external_account", "tos_acceptance.date"],
            "payouts_enabled": true,
            "transfers": "inactive",
        });
        assert_eq!(json!(facts), want);
    }

    #[test]
    fn other_objects_and_amounts_that_cannot_be_held_say_nothing() {
        for body in [&br#"{"id":"a","object":"customer","status":"paid"}"#[..], br#"{"object":"payout"}"#] {
            assert_eq!(report(&Object::parse(body).unwrap()), None);
        }
        let odd = br#"{"id":"po_1","object":"payout","status":"paid","amount":1.5,"currency":"usd"}"#;
        assert_eq!(report(&Object::parse(odd).unwrap()).unwrap().money, None);
    }
}
