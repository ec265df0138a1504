//! `POST /v1/transfers` moves money of ours to a connected account's balance.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::payout::Origin;
use payfleet_core::kinds::transfer::Transfer;
use utoipa::ToSchema;

use crate::fields::{Fields, Use};
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_GROUP: usize = 200;

/// Money for a connected account.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "amount": "40", "asset": "USD", "account": "5a88b422-6dee-86f7-a3ca-fd294a9b7141", "group": "trip 7",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct TransferRequest {
    #[schema(schema_with = schemas::amount)]
    amount: String,
    #[schema(schema_with = schemas::currency)]
    asset: String,
    /// The operation that made the account. One that may not receive is refused with what is missing.
    #[schema(schema_with = schemas::id)]
    account: String,
    /// Joins it with payments in Stripe's records.
    #[schema(min_length = 1, max_length = 200)]
    group: Option<String>,
}

/// Asks for a transfer
///
/// It waits while our balance does not cover it.
#[utoipa::path(post, path = "/v1/transfers", operation_id = "create_transfer", tag = "operations",
    params(IdempotencyKey), request_body = TransferRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Transfer)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Transfer> {
    let money = fields.stripe_money(Use::Other);
    let account = fields.operation("account");
    let group = fields.optional_text("group", LONGEST_GROUP);
    Some(Transfer { money: money?, account: account?, group, origin: Origin::Manual })
}
