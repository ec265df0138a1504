//! `POST /v1/orders` asks for an address to be paid at.

use axum::response::Response;
use payfleet_core::Asset;
use payfleet_core::address::Network;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::order::Order;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_REFERENCE: usize = 200;

/// One incoming payment in crypto.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "amount": "15.5", "asset": "USDT", "network": "TRON", "lifetime_s": 3600, "reference": "cart 7",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct OrderRequest {
    #[schema(schema_with = schemas::amount)]
    amount: String,
    /// One that the network carries.
    #[schema(schema_with = schemas::asset)]
    asset: String,
    /// TRON, ETH, POLYGON or BTC.
    #[schema(schema_with = schemas::network)]
    network: String,
    /// How long the payer has, in seconds; an hour where it is left out, a week at most.
    #[schema(minimum = 60, maximum = 604_800)]
    lifetime_s: Option<u32>,
    /// Your own words for it.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
}

/// Asks for an order
#[utoipa::path(post, path = "/v1/orders", operation_id = "create_order", tag = "operations",
    params(IdempotencyKey), request_body = OrderRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Order)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Order> {
    let asset = fields.parsed::<Asset>("asset");
    let money = fields.money("amount", asset);
    let network = fields.parsed::<Network>("network");
    let reference = fields.optional_text("reference", LONGEST_REFERENCE);
    let lifetime_s = if fields.has("lifetime_s") {
        fields.whole_within("lifetime_s", 60, Order::LONGEST_LIFETIME_S)
    } else {
        Some(Order::LIFETIME_S)
    };
    if let (Some(network), Some(asset)) = (network, asset)
        && !network.carries(asset)
    {
        let assets = network.assets().join(", ");
        fields.refuse("asset", format_args!("does not come in on {network}; {network} carries {assets}"));
    }
    if matches!(network, Some(Network::Bsc | Network::Bantu)) {
        fields.refuse("network", "is not watched; use TRON, ETH, POLYGON or BTC");
    }
    Some(Order { money: money?, network: network?, lifetime_s: lifetime_s?, reference })
}
