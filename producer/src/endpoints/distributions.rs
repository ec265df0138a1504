//! `POST /v1/distributions` asks for a revenue to be split over the holders of an asset: by us, into
//! payouts, or by TrovoTech over the holders of its tokens.

use std::collections::BTreeSet;

use axum::response::Response;
use payfleet_core::address::Network;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::distribution::{Distribution, Holder, Splitter};
use payfleet_core::kinds::payout::Destination;
use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Asset, Money};
use rust_decimal::Decimal;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_ID: usize = 64;
const LONGEST_PERIOD: usize = 40;
const LONGEST_ADDRESS: usize = 128;
const LONGEST_DESCRIPTION: usize = 200;

/// A revenue and who gets a part of it. Holders with an address are paid by us; holders of tokens by
/// TrovoTech, which splits by what it knows of them.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "asset_id": "ev-1", "period": "2026-05", "amount": "100", "asset": "USDT", "minimum": "1",
    "holders": [
        {"holder": "investor-1", "weight": "60", "network": "TRON",
         "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"},
        {"holder": "investor-2", "weight": "40", "network": "TRON",
         "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"},
    ],
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct DistributionRequest {
    /// Your id of the asset that earned it.
    #[schema(min_length = 1, max_length = 64)]
    asset_id: String,
    /// When it was earned, in your words. A holder gets at most one part of an asset and period.
    #[schema(min_length = 1, max_length = 40)]
    period: String,
    #[schema(schema_with = schemas::amount)]
    amount: String,
    #[schema(schema_with = schemas::asset)]
    asset: String,
    /// All with an address, or all with a `token_id`.
    #[schema(min_items = 1, max_items = 1000)]
    holders: Vec<HolderRequest>,
    /// Parts below this are carried over to the holder's next one.
    #[schema(schema_with = schemas::amount)]
    minimum: Option<String>,
    /// For people at TrovoTech.
    #[schema(min_length = 1, max_length = 200)]
    description: Option<String>,
}

/// Somebody who owns a part of the asset: `token_id` alone, or all of the others.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the contract's words for what `holder` reads")]
struct HolderRequest {
    /// TrovoTech's id of the token that they hold, once in the list.
    #[schema(min_length = 1, max_length = 64)]
    token_id: Option<String>,
    /// Your id of them, once in the list.
    #[schema(min_length = 1, max_length = 64)]
    holder: Option<String>,
    /// How much they own, in any unit that all holders share.
    #[schema(schema_with = schemas::amount)]
    weight: Option<String>,
    #[schema(schema_with = schemas::network)]
    network: Option<String>,
    /// Where they are paid.
    #[schema(min_length = 1, max_length = 128)]
    address: Option<String>,
}

/// An entry of `holders`.
enum Entry {
    Paid(Holder),
    Token(String),
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Paid(holder) => &holder.holder,
            Self::Token(token_id) => token_id,
        }
    }
}

/// Asks for a distribution
#[utoipa::path(post, path = "/v1/distributions", operation_id = "create_distribution", tag = "operations",
    params(IdempotencyKey), request_body = DistributionRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Distribution)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Distribution> {
    let asset_id = fields.text("asset_id", LONGEST_ID);
    let period = fields.text("period", LONGEST_PERIOD);
    let asset = fields.parsed::<Asset>("asset");
    let money = fields.money("amount", asset);
    let minimum = fields.has("minimum").then(|| fields.money("minimum", asset)).flatten();
    let description = fields.optional_text("description", LONGEST_DESCRIPTION);
    let entries = fields.objects("holders", Distribution::MOST_HOLDERS, |one| {
        if one.has("token_id") {
            one.text("token_id", LONGEST_ID).map(Entry::Token)
        } else {
            holder(one, asset).map(Entry::Paid)
        }
    });
    let by = splitter(fields, entries?, minimum, description);
    Some(Distribution { asset_id: asset_id?, period: period?, money: money?, by: by? })
}

fn splitter(
    fields: &mut Fields,
    entries: Vec<Entry>,
    minimum: Option<Money>,
    description: Option<String>,
) -> Option<Splitter> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = entries.iter().position(|entry| !seen.insert(entry.name())) {
        fields.refuse(&format!("holders[{twice}]"), "is in the list twice; send each once");
        return None;
    }
    let (mut holders, mut token_ids) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Paid(holder) => holders.push(holder),
            Entry::Token(token_id) => token_ids.push(token_id),
        }
    }
    match (holders.is_empty(), token_ids.is_empty()) {
        (_, true) => Some(Splitter::Us { holders, minimum: minimum.map(|money| money.amount()) }),
        (true, false) => {
            if minimum.is_some() {
                fields.refuse("minimum", "is only for holders that we pay; leave it out");
                return None;
            }
            Some(Splitter::TrovoTech { token_ids, description: description.unwrap_or_default() })
        }
        (false, false) => {
            fields.refuse("holders", "send either all with a token_id or none");
            None
        }
    }
}

fn holder(fields: &mut Fields, asset: Option<Asset>) -> Option<Holder> {
    let holder = fields.text("holder", LONGEST_ID);
    let weight = weight(fields);
    let network = fields.parsed::<Network>("network");
    let address = fields.text("address", LONGEST_ADDRESS);
    if let (Some(network), Some(asset)) = (network, asset)
        && !network.carries(asset)
    {
        let assets = network.assets().join(", ");
        fields.refuse("network", format_args!("does not carry {asset}; {network} carries {assets}"));
    }
    if let (Some(network), Some(address)) = (network, &address)
        && let Err(error) = network.check_address(address)
    {
        fields.refuse("address", error);
    }
    let to = Destination::Crypto { network: network?, address: address? };
    Some(Holder { holder: holder?, weight: weight?, to })
}

fn weight(fields: &mut Fields) -> Option<Decimal> {
    let text = fields.decimal_text("weight")?;
    match parse_plain_decimal(&text) {
        Ok(weight) if weight > Decimal::ZERO => Some(weight.normalize()),
        Ok(_) => {
            fields.refuse("weight", "must be above zero; leave out who owns nothing");
            None
        }
        Err(error) => {
            fields.refuse("weight", error);
            None
        }
    }
}
