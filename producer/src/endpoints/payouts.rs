//! `POST /v1/payouts` asks for one payment in crypto.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use payfleet_core::Asset;
use payfleet_core::address::Network;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::payout::{Destination, Payout};
use payfleet_core::kinds::{OperationKind, Request};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::json::JsonBody;
use crate::operations::{self, Accepted};
use crate::problem::Problem;
use crate::schemas;
use crate::state::AppState;

const LONGEST_ADDRESS: usize = 128;
const LONGEST_REFERENCE: usize = 200;

/// One payment in crypto to one beneficiary.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "amount": "15.5", "asset": "USDT", "network": "TRON",
    "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "reference": "order 7",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct PayoutRequest {
    #[schema(schema_with = schemas::amount)]
    amount: String,
    /// One that the network carries.
    #[schema(schema_with = schemas::asset)]
    asset: String,
    #[schema(schema_with = schemas::network)]
    network: String,
    /// An address on the network; its checksum is checked.
    #[schema(min_length = 1, max_length = 128)]
    address: String,
    /// Your own words for it, shown to people, sent to nobody.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
}

/// Asks for a payout
#[utoipa::path(post, path = "/v1/payouts", operation_id = "create_payout", tag = "operations",
    params(IdempotencyKey), request_body = PayoutRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    key: IdempotencyKey,
    body: JsonBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let payout = read(&mut fields);
    let payout = fields.finish(payout)?;
    operations::accept(&state, caller, key, Request::Payout(payout)).await
}

/// Cancels a payout
///
/// It ends a payout that nothing was sent for yet. Afterwards it comes too late, and changes nothing.
#[utoipa::path(post, path = "/v1/payouts/{id}/cancel", operation_id = "cancel_payout", tag = "operations",
    params(("id" = String, Path, format = "uuid", description = "The operation_id of the payout.")),
    responses((status = 202, body = Accepted)))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let event = Event::Cancelled { by: "client".to_owned() };
    operations::wish(&state, caller, OperationKind::Payout, id, event).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Payout> {
    let asset = fields.parsed::<Asset>("asset");
    let money = fields.money("amount", asset);
    let network = fields.parsed::<Network>("network");
    let address = fields.text("address", LONGEST_ADDRESS);
    let reference = fields.optional_text("reference", LONGEST_REFERENCE);
    if let (Some(network), Some(asset)) = (network, asset)
        && !network.carries(asset)
    {
        let assets = network.assets().join(", ");
        fields.refuse("asset", format_args!("cannot be paid out on {network}; {network} carries {assets}"));
    }
    if let (Some(network), Some(address)) = (network, &address)
        && let Err(error) = network.check_address(address)
    {
        fields.refuse("address", error);
    }
    Some(Payout {
        money: money?,
        to: Destination::Crypto { network: network?, address: address? },
        reference,
    })
}

#[cfg(test)]
mod tests {
    use payfleet_core::Money;

    use super::*;

    const GOOD: &str = r#"{"amount": "15.5", "asset": "USDT", "network": "TRON",
        "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "reference": "order 7"}"#;

    fn parse(body: &str) -> Result<Payout, Problem> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        let payout = read(&mut fields);
        fields.finish(payout)
    }

    #[test]
    fn a_payout_is_read_as_it_was_asked() {
        let payout = parse(GOOD).unwrap();
        assert_eq!(payout.money, Money::parse_positive("15.5", "USDT".parse().unwrap()).unwrap());
        assert!(matches!(payout.to, Destination::Crypto { network: Network::Tron, .. }));
        assert_eq!(payout.reference.as_deref(), Some("order 7"));
    }

    #[test]
    fn the_same_request_written_differently_has_the_same_hash() {
        let other = GOOD.replace("15.5", "15.50").replace(": ", ":").replace('\n', " ");
        let hash = |body: &str| Request::Payout(parse(body).unwrap()).hash();
        assert_eq!(hash(GOOD), hash(&other));
        assert_ne!(hash(GOOD), hash(&GOOD.replace("15.5", "15.51")));
    }
}
