//! `POST /v1/account_links` makes a link to a connected account's onboarding.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::account::AccountLink;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

/// A link for an account's owner.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "account": "5a88b422-6dee-86f7-a3ca-fd294a9b7141",
    "refresh_url": "https://shop.example/onboarding", "return_url": "https://shop.example/welcome",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct AccountLinkRequest {
    /// The operation that made the account.
    #[schema(schema_with = schemas::id)]
    account: String,
    /// Where the owner is sent when the link has expired or was used; https only.
    #[schema(schema_with = schemas::page)]
    refresh_url: String,
    /// Where the owner comes back to, whatever was filled in; https only.
    #[schema(schema_with = schemas::page)]
    return_url: String,
}

/// Makes a link to an onboarding
///
/// The link is in the `result`. It lives for minutes and works once; ask for a new one when it is needed.
#[utoipa::path(post, path = "/v1/account_links", operation_id = "create_account_link", tag = "operations",
    params(IdempotencyKey), request_body = AccountLinkRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::AccountLink)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<AccountLink> {
    let account = fields.operation("account");
    let refresh_url = fields.page("refresh_url");
    let return_url = fields.page("return_url");
    Some(AccountLink { account: account?, refresh_url: refresh_url?, return_url: return_url? })
}
