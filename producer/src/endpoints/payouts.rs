//! `POST /v1/payouts` asks for one payment to one beneficiary: in crypto to an address, or from a
//! connected account to its own bank.

use axum::response::Response;
use payfleet_core::Asset;
use payfleet_core::address::Network;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::payout::{Destination, Origin, Payout, Speed};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fields::{Fields, Use};
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_ADDRESS: usize = 128;
const LONGEST_REFERENCE: usize = 200;
const SPEEDS: &str = "standard, instant";
const ORIGINS: &str = "manual, bonus";

/// One payment to one beneficiary: `network` and `address` say where in crypto, or `account` whose bank.
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
    /// One that the network carries, or a currency for a bank.
    #[schema(schema_with = schemas::asset)]
    asset: String,
    #[schema(schema_with = schemas::network)]
    network: Option<String>,
    /// An address on the network; its checksum is checked.
    #[schema(min_length = 1, max_length = 128)]
    address: Option<String>,
    /// The operation that made the connected account whose balance is paid to its bank.
    #[schema(schema_with = schemas::id)]
    account: Option<String>,
    #[schema(schema_with = speed)]
    speed: Option<String>,
    /// Your own words for it, shown to people, sent to nobody.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
    #[schema(schema_with = origin)]
    origin: Option<String>,
}

fn origin() -> Object {
    schemas::words(
        "Why it is made [manual]. Those of schedules and distributions say so by themselves.",
        ORIGINS.split(", "),
    )
}

pub(super) fn speed() -> Object {
    let words = "How fast a bank is paid: in days (the default), or in minutes at a fee.";
    schemas::words(words, SPEEDS.split(", "))
}

/// Asks for a payout
#[utoipa::path(post, path = "/v1/payouts", operation_id = "create_payout", tag = "operations",
    params(IdempotencyKey), request_body = PayoutRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Payout)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Payout> {
    let (money, to) = if is_to_bank(fields) {
        (fields.stripe_money(Use::Payout), bank(fields))
    } else {
        let asset = fields.parsed::<Asset>("asset");
        (fields.money("amount", asset), address(fields, asset))
    };
    let reference = fields.optional_text("reference", LONGEST_REFERENCE);
    let origin = fields.one_of_or("origin", ORIGINS, Origin::Manual);
    Some(Payout { money: money?, to: to?, reference, origin: origin? })
}

/// Whether `account` or `speed` say that a bank is paid.
pub(super) fn is_to_bank(fields: &Fields) -> bool {
    fields.has("account") || fields.has("speed")
}

/// The bank of a connected account.
pub(super) fn bank(fields: &mut Fields) -> Option<Destination> {
    let account = fields.operation("account");
    let speed = fields.one_of_or("speed", SPEEDS, Speed::Standard);
    for name in ["network", "address"] {
        if fields.has(name) {
            fields.ignore(name);
            fields.refuse(name, "does not go with account or speed; send the one or the other");
        }
    }
    account.zip(speed).map(|(account, speed)| Destination::Bank { account, speed })
}

/// An address on a chain.
pub(super) fn address(fields: &mut Fields, asset: Option<Asset>) -> Option<Destination> {
    if !fields.has("network") && !fields.has("address") {
        fields.refuse("address", "is required, or account: say to whom");
        return None;
    }
    let network = fields.parsed::<Network>("network");
    let address = fields.text("address", LONGEST_ADDRESS);
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
    network.zip(address).map(|(network, address)| Destination::Crypto { network, address })
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
    fn a_payout_goes_to_an_address_or_to_a_bank_and_never_to_both() {
        let bank = r#"{"amount": "15.5", "asset": "USD", "account": "5a88b422-6dee-86f7-a3ca-fd294a9b7141"}"#;
        let payout = parse(bank).unwrap();
        assert!(matches!(payout.to, Destination::Bank { speed: Speed::Standard, .. }));
        for wrong in [
            bank.replace("USD", "USDT"),
            bank.replacen('{', r#"{"address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm","#, 1),
            bank.replacen('{', r#"{"speed": "slow","#, 1),
            r#"{"amount": "15.5", "asset": "USD"}"#.to_owned(),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_request_written_differently_has_the_same_hash() {
        let other = GOOD.replace("15.5", "15.50").replace(": ", ":").replace('\n', " ");
        let hash = |body: &str| Request::Payout(parse(body).unwrap()).hash();
        assert_eq!(hash(GOOD), hash(&other));
        assert_ne!(hash(GOOD), hash(&GOOD.replace("15.5", "15.51")));
    }
}
