//! `POST /v1/payment_changes` confirms, captures or cancels a payment.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::{Change, PaymentChange};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fields::{Fields, Use};
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const CHANGES: &str = "confirm, capture, cancel";

/// A change of a payment.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "payment": "5a88b422-6dee-86f7-a3ca-fd294a9b7141", "change": "capture", "amount": "12", "asset": "USD",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct PaymentChangeRequest {
    /// The operation that made the payment.
    #[schema(schema_with = schemas::id)]
    payment: String,
    #[schema(schema_with = change)]
    change: String,
    /// To confirm: Stripe's id of what is paid with, where the payment does not say.
    #[schema(schema_with = schemas::stripe_id)]
    payment_method: Option<String>,
    /// To capture: how much, where it is less than all.
    #[schema(schema_with = schemas::amount)]
    amount: Option<String>,
    #[schema(schema_with = schemas::currency)]
    asset: Option<String>,
}

/// The words for what can be done.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Confirm,
    Capture,
    Cancel,
}

fn change() -> Object {
    let words = "Try to pay; take what was authorized; or give the payment up.";
    schemas::words(words, CHANGES.split(", "))
}

/// Confirms, captures or cancels a payment
///
/// What becomes of the money is told by the payment.
#[utoipa::path(post, path = "/v1/payment_changes", operation_id = "create_payment_change", tag = "operations",
    params(IdempotencyKey), request_body = PaymentChangeRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::PaymentChange)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<PaymentChange> {
    let payment = fields.operation("payment");
    let word = fields.one_of::<Word>("change", CHANGES);
    let payment_method = fields.optional_stripe_id("payment_method");
    let says_how_much = fields.has("amount") || fields.has("asset");
    let money = if says_how_much { fields.stripe_money(Use::Other) } else { None };
    if says_how_much && matches!(word, Some(Word::Confirm | Word::Cancel)) {
        fields.refuse("amount", "is only for capture; leave it out");
    }
    if payment_method.is_some() && matches!(word, Some(Word::Capture | Word::Cancel)) {
        fields.refuse("payment_method", "is only for confirm; leave it out");
    }
    let change = match word? {
        Word::Confirm => Change::Confirm { payment_method },
        Word::Capture => Change::Capture { money },
        Word::Cancel => Change::Cancel,
    };
    Some(PaymentChange { payment: payment?, change })
}
