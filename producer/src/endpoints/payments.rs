//! `POST /v1/payments` asks for an incoming card payment.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::{Capture, Payment};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fields::{Fields, Use};
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_DESCRIPTION: usize = 500;
const CAPTURES: &str = "automatic, manual";

/// A payment that is to come in.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": "19.99", "asset": "USD", "description": "order 7"}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct PaymentRequest {
    #[schema(schema_with = schemas::amount)]
    amount: String,
    #[schema(schema_with = schemas::currency)]
    asset: String,
    /// The operation that made the customer, where one pays.
    #[schema(schema_with = schemas::id)]
    customer: Option<String>,
    /// Stripe's id of what is paid with. With one, the payment is tried at once; without, the payer
    /// goes on with the `client_secret` of the result, or a payment change confirms it.
    #[schema(schema_with = schemas::stripe_id)]
    payment_method: Option<String>,
    #[schema(schema_with = capture)]
    capture: Option<String>,
    /// Shown to people at Stripe.
    #[schema(min_length = 1, max_length = 500)]
    description: Option<String>,
}

fn capture() -> Object {
    let words = "When the money is taken: at once (the default), or by a payment change of its own.";
    schemas::words(words, CAPTURES.split(", "))
}

/// Asks for an incoming payment
///
/// It is `accepted` until it is paid, which the payer, a payment change or nobody does.
#[utoipa::path(post, path = "/v1/payments", operation_id = "create_payment", tag = "operations",
    params(IdempotencyKey), request_body = PaymentRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Payment)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Payment> {
    let money = fields.stripe_money(Use::Charge);
    let customer = fields.optional_operation("customer");
    let payment_method = fields.optional_stripe_id("payment_method");
    let capture = fields.one_of_or("capture", CAPTURES, Capture::Automatic);
    let description = fields.optional_text("description", LONGEST_DESCRIPTION);
    Some(Payment { money: money?, customer, payment_method, capture: capture?, description })
}
