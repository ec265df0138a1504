//! `POST /v1/payment_methods` keeps what a customer pays with, or lets it go.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::{MethodChange, PaymentMethod};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const CHANGES: &str = "attach, detach";

/// A change of what a customer can pay with.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer": "5a88b422-6dee-86f7-a3ca-fd294a9b7141", "payment_method": "pm_card_visa", "change": "attach",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct PaymentMethodRequest {
    /// The operation that made the customer.
    #[schema(schema_with = schemas::id)]
    customer: String,
    /// Stripe's id of it, which your page got from Stripe.
    #[schema(schema_with = schemas::stripe_id)]
    payment_method: String,
    #[schema(schema_with = change)]
    change: String,
}

fn change() -> Object {
    schemas::words("Whether to keep it, or to let it go for good.", CHANGES.split(", "))
}

/// Keeps or lets go what a customer pays with
///
/// What was let go cannot be kept again.
#[utoipa::path(post, path = "/v1/payment_methods", operation_id = "create_payment_method", tag = "operations",
    params(IdempotencyKey), request_body = PaymentMethodRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::PaymentMethod)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<PaymentMethod> {
    let customer = fields.operation("customer");
    let payment_method = fields.stripe_id("payment_method");
    let change = fields.one_of::<MethodChange>("change", CHANGES);
    Some(PaymentMethod { customer: customer?, payment_method: payment_method?, change: change? })
}
