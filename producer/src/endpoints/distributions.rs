//! `POST /v1/distributions` asks for a revenue to be split over the holders of an asset: by us, into
//! payouts or transfers, or by TrovoTech over the holders of its tokens. Where the holders are more than
//! fit into a request, `POST /v1/distributions/{id}/holders` names the others.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use payfleet_core::address::Network;
use payfleet_core::kinds::distribution::{Distribution, Holder, Payee, Splitter};
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Asset, Money};
use payfleet_providers::stripe::{Purpose, to_minor};
use rust_decimal::Decimal;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::json::JsonBody;
use crate::operations::{self, Accepted, Post};
use crate::problem::Problem;
use crate::schemas;
use crate::state::AppState;

const LONGEST_ID: usize = 64;
const LONGEST_PERIOD: usize = 40;
const LONGEST_ADDRESS: usize = 128;
const LONGEST_DESCRIPTION: usize = 200;

/// A revenue and who gets a part of it. Holders with an address are paid by us on its chain, those with an
/// account by transfers at Stripe; holders of tokens by TrovoTech, which splits by what it knows of them.
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
    /// All with an address, all with an `account`, or all with a `token_id`.
    #[schema(min_items = 1, max_items = 1000)]
    holders: Vec<HolderRequest>,
    /// How many holders there are, where they are more than these. Nobody is paid before all are named,
    /// for which there is a day.
    #[schema(minimum = 2, maximum = 20000)]
    holders_in_all: Option<u32>,
    /// Parts below this are carried over to the holder's next one, as what could not be paid always is.
    #[schema(schema_with = schemas::amount)]
    minimum: Option<String>,
    /// For people at TrovoTech.
    #[schema(min_length = 1, max_length = 200)]
    description: Option<String>,
}

/// More of the holders of a distribution that has announced how many there are.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "holders": [
        {"holder": "investor-3", "weight": "20", "network": "TRON",
         "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"},
    ],
}))]
#[expect(dead_code, reason = "the contract's words for what `read_more` reads")]
struct MoreHoldersRequest {
    /// Each paid as the others are: at an address, or to an `account`.
    #[schema(min_items = 1, max_items = 1000)]
    holders: Vec<HolderRequest>,
}

/// Somebody who owns a part of the asset: `token_id` alone, or `holder` and `weight` with `network` and `address`,
/// or with `account`.
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
    /// The operation that made the connected account they are paid to.
    #[schema(schema_with = schemas::id)]
    account: Option<String>,
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

/// Names more holders of a distribution
///
/// The same holders, sent again, change nothing. A holder who is named twice, or one more than was announced,
/// fails the distribution, and nobody is paid.
#[utoipa::path(post, path = "/v1/distributions/{id}/holders", operation_id = "add_holders", tag = "operations",
    params(("id" = String, Path, format = "uuid", description = "The operation_id of the distribution.")),
    request_body = MoreHoldersRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn add_holders(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    operations::wish_of(&state, caller, OperationKind::Distribution, id, &body, read_more).await
}

/// What the distribution's asset is only the worker knows: it refuses a chain that does not carry it.
fn read_more(fields: &mut Fields) -> Option<Event> {
    let holders = fields.objects("holders", Distribution::MOST_HOLDERS, |one| holder(one, None))?;
    if is_one_twice(fields, holders.iter().map(|holder| holder.holder.as_str())) {
        return None;
    }
    let count = u32::try_from(holders.len()).unwrap_or(u32::MAX);
    Some(Event::HoldersAdded { holders, count })
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
    let in_all = if fields.has("holders_in_all") {
        fields.whole_within("holders_in_all", 2, Distribution::MOST_IN_ALL)
    } else {
        None
    };
    let by = splitter(fields, entries?, minimum, in_all, description);
    Some(Distribution { asset_id: asset_id?, period: period?, money: money?, by: by? })
}

fn splitter(
    fields: &mut Fields,
    entries: Vec<Entry>,
    minimum: Option<Money>,
    in_all: Option<u32>,
    description: Option<String>,
) -> Option<Splitter> {
    if is_one_twice(fields, entries.iter().map(Entry::name)) {
        return None;
    }
    if in_all.is_some_and(|in_all| usize::try_from(in_all).is_ok_and(|in_all| in_all <= entries.len())) {
        fields.refuse("holders_in_all", "is for more holders than these; leave it out where these are all");
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
        (_, true) => Some(Splitter::Us { holders, minimum: minimum.map(|money| money.amount()), in_all }),
        (true, false) => {
            for (name, is_there) in [("minimum", minimum.is_some()), ("holders_in_all", in_all.is_some())] {
                if is_there {
                    fields.refuse(name, "is only for holders that we pay; leave it out");
                    return None;
                }
            }
            Some(Splitter::TrovoTech { token_ids, description: description.unwrap_or_default() })
        }
        (false, false) => {
            fields.refuse("holders", "send either all with a token_id or none");
            None
        }
    }
}

fn is_one_twice<'a>(fields: &mut Fields, mut names: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = BTreeSet::new();
    let twice = names.position(|name| !seen.insert(name));
    if let Some(twice) = twice {
        fields.refuse(&format!("holders[{twice}]"), "is in the list twice; send each once");
    }
    twice.is_some()
}

fn holder(fields: &mut Fields, asset: Option<Asset>) -> Option<Holder> {
    let holder = fields.text("holder", LONGEST_ID);
    let weight = weight(fields);
    let to = if fields.has("account") { to_account(fields, asset) } else { to_address(fields, asset) };
    Some(Holder { holder: holder?, weight: weight?, to: to? })
}

/// An account is paid by a transfer, which takes amounts of any size that the split can come to.
fn to_account(fields: &mut Fields, asset: Option<Asset>) -> Option<Payee> {
    let account = fields.operation("account");
    let least = asset.and_then(|asset| Money::new(Decimal::new(1, asset.scale()), asset).ok());
    if let Some(Err(error)) = least.map(|least| to_minor(&least, Purpose::Payment)) {
        fields.refuse("account", format_args!("cannot be paid parts of this asset: {error}"));
        return None;
    }
    Some(Payee::Account { account: account? })
}

fn to_address(fields: &mut Fields, asset: Option<Asset>) -> Option<Payee> {
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
    Some(Payee::Crypto { network: network?, address: address? })
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
