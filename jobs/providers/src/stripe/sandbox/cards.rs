//! Stripe's test payment methods: which are taken, which are declined and how, and which ask the payer.

use serde_json::{Value, json};

/// What becomes of a payment with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Paid; the money becomes available later.
    Paid,
    /// Paid; the money is available at once.
    PaidAndAvailable,
    /// Paid; a refund of it fails later.
    PaidRefundFails,
    /// Paid, and disputed by the payer's bank at once.
    PaidAndDisputed,
    /// The payer must authenticate first.
    Authenticate,
    /// Declined: code, decline code, advice.
    Declined(&'static str, &'static str, &'static str),
}

const DO_NOT: &str = "do_not_try_again";
const LATER: &str = "try_again_later";
const CONFIRM: &str = "confirm_card_data";

/// Test payment methods, by the part of their name after `pm_card_`.
const CARDS: &[(&str, Verdict)] = &[
    ("visa", Verdict::Paid),
    ("mastercard", Verdict::Paid),
    ("amex", Verdict::Paid),
    ("us", Verdict::Paid),
    ("bypassPending", Verdict::PaidAndAvailable),
    ("refundFail", Verdict::PaidRefundFails),
    ("createDispute", Verdict::PaidAndDisputed),
    ("authenticationRequired", Verdict::Authenticate),
    ("threeDSecure2Required", Verdict::Authenticate),
    ("chargeDeclined", Verdict::Declined("card_declined", "generic_decline", LATER)),
    ("chargeDeclinedInsufficientFunds", Verdict::Declined("card_declined", "insufficient_funds", LATER)),
    ("chargeDeclinedLostCard", Verdict::Declined("card_declined", "lost_card", DO_NOT)),
    ("chargeDeclinedStolenCard", Verdict::Declined("card_declined", "stolen_card", DO_NOT)),
    ("chargeDeclinedFraudulent", Verdict::Declined("card_declined", "fraudulent", DO_NOT)),
    ("chargeDeclinedExpiredCard", Verdict::Declined("expired_card", "expired_card", CONFIRM)),
    ("chargeDeclinedIncorrectCvc", Verdict::Declined("incorrect_cvc", "incorrect_cvc", CONFIRM)),
    ("chargeDeclinedProcessingError", Verdict::Declined("processing_error", "processing_error", LATER)),
];

/// What becomes of a payment with the test payment method `name`; `None` where it is none. The issuer may
/// be named too: `pm_card_visa_chargeDeclined`.
pub(super) fn verdict(name: &str) -> Option<Verdict> {
    let card = name.strip_prefix("pm_card_")?;
    let card = card.strip_prefix("visa_").unwrap_or(card);
    CARDS.iter().find(|(known, _)| *known == card).map(|(_, verdict)| *verdict)
}

/// The members of a payment method made of the test payment method `name`.
pub(super) fn payment_method(name: &str, customer: Option<&str>) -> Value {
    let brand = if name.contains("mastercard") { "mastercard" } else { "visa" };
    json!({
        "type": "card",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": null, "email": null, "name": null, "phone": null, "tax_id": null,
        },
        "card": {
            "brand": brand, "country": "US", "exp_month": 12, "exp_year": 2034,
            "fingerprint": "sandboxsandbox", "funding": "credit", "last4": "4242",
            "checks": null, "networks": null, "three_d_secure_usage": { "supported": true },
            "wallet": null, "generated_from": null,
        },
        "customer": customer,
        "customer_account": null,
        "metadata": {},
    })
}
