//! `POST /v1/accounts` makes a connected account at Stripe.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::account::Account;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;

const LONGEST_EMAIL: usize = 254;

/// A connected account that is to receive money.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"country": "US", "email": "carrier@example.com"}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct AccountRequest {
    /// Where its owner is, two upper-case letters.
    #[schema(pattern = "^[A-Z]{2}$")]
    country: String,
    /// Its owner's.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    email: String,
}

/// Makes a connected account
///
/// Its `result` says what it may do and what its owner still has to bring, as far as Stripe has told.
#[utoipa::path(post, path = "/v1/accounts", operation_id = "create_account", tag = "operations",
    params(IdempotencyKey), request_body = AccountRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Account)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Account> {
    let country = fields.country("country");
    let email = fields.email("email", LONGEST_EMAIL);
    Some(Account { country: country?, email: email? })
}
