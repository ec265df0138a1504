//! `POST /v1/wallets` asks for an investor's custodial wallet. An investor has one: asking again, under
//! whatever key, finds the first.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::wallet::Wallet;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;

const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 200;

/// A custodial wallet for an investor.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "investor_email": "investor@example.com", "investor_name": "An Investor", "kyc_verified": true,
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct WalletRequest {
    /// How the provider tells investors apart.
    #[schema(min_length = 3, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    investor_email: String,
    #[schema(min_length = 1, max_length = 200)]
    investor_name: String,
    /// Whether you have checked who they are.
    kyc_verified: bool,
}

/// Asks for a wallet
#[utoipa::path(post, path = "/v1/wallets", operation_id = "create_wallet", tag = "operations",
    params(IdempotencyKey), request_body = WalletRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Wallet)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Wallet> {
    let email = fields.email("investor_email", LONGEST_EMAIL);
    let name = fields.text("investor_name", LONGEST_NAME);
    let kyc_verified = fields.flag("kyc_verified");
    Some(Wallet { email: email?, name: name?, kyc_verified: kyc_verified? })
}
