//! `POST /v1/customers` makes a customer, so that what they pay with can be kept for the next time.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::Customer;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;

const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 200;

/// Who pays.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "payer@example.com", "name": "A Payer"}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct CustomerRequest {
    /// Where receipts go.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    email: String,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// Makes a customer
///
/// At Stripe; `provider_ref` is its id there. Its `result` shows the newest `payment_methods` that it has at Stripe, also
/// those that others have attached: once Stripe's `payment_method.*` events have told so.
#[utoipa::path(post, path = "/v1/customers", operation_id = "create_customer", tag = "operations",
    params(IdempotencyKey), request_body = CustomerRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Customer)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Customer> {
    let email = fields.email("email", LONGEST_EMAIL);
    let name = fields.optional_text("name", LONGEST_NAME);
    Some(Customer { email: email?, name })
}
