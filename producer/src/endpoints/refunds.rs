//! `POST /v1/refunds` gives a payment back, whole or in part.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::{Refund, RefundReason};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fields::{Fields, Use};
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const REASONS: &str = "duplicate, fraudulent, requested_by_customer";

/// A refund of a payment.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "payment": "5a88b422-6dee-86f7-a3ca-fd294a9b7141", "amount": "5", "asset": "USD",
    "reason": "requested_by_customer",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct RefundRequest {
    /// The operation that made the payment. The refund waits until the payment has settled.
    #[schema(schema_with = schemas::id)]
    payment: String,
    /// All refunds of a payment together never pass what it brought in.
    #[schema(schema_with = schemas::amount)]
    amount: String,
    #[schema(schema_with = schemas::currency)]
    asset: String,
    #[schema(schema_with = reason)]
    reason: Option<String>,
}

fn reason() -> Object {
    schemas::words("Why, in Stripe's words.", REASONS.split(", "))
}

/// Asks for a refund
///
/// One that would pass what is left fails and says how much that is.
#[utoipa::path(post, path = "/v1/refunds", operation_id = "create_refund", tag = "operations",
    params(IdempotencyKey), request_body = RefundRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Refund)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Refund> {
    let payment = fields.operation("payment");
    let money = fields.stripe_money(Use::Other);
    let reason = fields.one_of_or("reason", REASONS, None::<RefundReason>);
    Some(Refund { payment: payment?, money: money?, reason: reason? })
}
