//! `POST /v1/mints` asks for a share of an asset as a token in an investor's wallet.

use axum::response::Response;
use payfleet_core::Asset;
use payfleet_core::address::Network;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::mint::{AssetMetadata, AssetType, Percent, Share};
use payfleet_core::money::parse_plain_decimal;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_NAME: usize = 200;
const LONGEST_ID: usize = 100;
const LONGEST_LIFE_YEARS: u16 = 200;
const ASSET_TYPES: &str = "EV, Battery, SwapCabinet, BiogasSite";

/// A share of an asset for one investor.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "asset_id": "ev-1", "asset_type": "EV",
    "asset_metadata": {"name": "Van 1", "type": "van", "purchase_date": "2025-02-28",
        "purchase_price": "50000", "lifespan_years": 8},
    "investor_wallet": "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57",
    "fraction_owned": "12.5", "amount": "6250", "asset": "USD",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct MintRequest {
    /// Your id of the asset; its shares sum to at most 100 %.
    #[schema(min_length = 1, max_length = 100)]
    asset_id: String,
    #[schema(schema_with = asset_type)]
    asset_type: String,
    asset_metadata: MintedAsset,
    /// The investor's wallet on Bantu; its checksum is checked.
    #[schema(min_length = 1, max_length = 100)]
    investor_wallet: String,
    /// Percent of the asset: above 0, at most 100, with at most four decimals.
    #[schema(schema_with = schemas::amount)]
    fraction_owned: String,
    /// What the investor paid.
    #[schema(schema_with = schemas::amount)]
    amount: String,
    #[schema(schema_with = schemas::asset)]
    asset: String,
}

/// What the provider records about an asset.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the contract's words for what `metadata` reads")]
struct MintedAsset {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Its model or make.
    #[schema(min_length = 1, max_length = 200)]
    r#type: String,
    #[schema(schema_with = schemas::day)]
    purchase_date: String,
    #[schema(schema_with = schemas::amount)]
    purchase_price: String,
    #[schema(minimum = 1, maximum = 200)]
    lifespan_years: u16,
}

fn asset_type() -> Object {
    schemas::words("What kind of thing it is.", ASSET_TYPES.split(", "))
}

/// Asks for a mint
#[utoipa::path(post, path = "/v1/mints", operation_id = "create_mint", tag = "operations",
    params(IdempotencyKey), request_body = MintRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::Mint)).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<Share> {
    let asset_id = fields.text("asset_id", LONGEST_ID);
    let asset_type = fields.one_of::<AssetType>("asset_type", ASSET_TYPES);
    let metadata = fields.object("asset_metadata", metadata);
    let wallet = wallet(fields);
    let percent = percent(fields);
    let asset = fields.parsed::<Asset>("asset");
    let invested = fields.money("amount", asset);
    Some(Share {
        asset_id: asset_id?,
        asset_type: asset_type?,
        metadata: metadata?,
        wallet: wallet?,
        percent: percent?,
        invested: invested?,
    })
}

fn metadata(fields: &mut Fields) -> Option<AssetMetadata> {
    let name = fields.text("name", LONGEST_NAME);
    let model = fields.text("type", LONGEST_NAME);
    let purchase_date = fields.date("purchase_date");
    let purchase_price = purchase_price(fields);
    let lifespan_years = fields.whole("lifespan_years", LONGEST_LIFE_YEARS);
    Some(AssetMetadata {
        name: name?,
        model: model?,
        purchase_date: purchase_date?,
        purchase_price: purchase_price?,
        lifespan_years: lifespan_years?,
    })
}

/// Without trailing zeros: the same price, however it is written, is the same request.
fn purchase_price(fields: &mut Fields) -> Option<String> {
    let text = fields.decimal_text("purchase_price")?;
    let price = parse_plain_decimal(&text).map_err(|error| fields.refuse("purchase_price", error)).ok()?;
    Some(price.normalize().to_string())
}

fn wallet(fields: &mut Fields) -> Option<String> {
    let wallet = fields.text("investor_wallet", LONGEST_ID)?;
    let checked = Network::Bantu.check_address(&wallet);
    checked.map_err(|error| fields.refuse("investor_wallet", error)).ok()?;
    Some(wallet)
}

fn percent(fields: &mut Fields) -> Option<Percent> {
    let text = fields.decimal_text("fraction_owned")?;
    Percent::try_from(text).map_err(|error| fields.refuse("fraction_owned", error)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"asset_id": "ev-1", "asset_type": "EV",
        "asset_metadata": {"name": "Van 1", "type": "van", "purchase_date": "2025-02-28",
            "purchase_price": "50000.00", "lifespan_years": 8},
        "investor_wallet": "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57",
        "fraction_owned": "12.50", "amount": "6250", "asset": "USD"}"#;

    fn parse(body: &str) -> Result<Share, Problem> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        let share = read(&mut fields);
        fields.finish(share)
    }

    #[test]
    fn a_share_is_read_as_it_was_asked() {
        let share = parse(GOOD).unwrap();
        assert_eq!(share.percent.value().to_string(), "12.5");
        assert_eq!(share.metadata.purchase_price, "50000");
        assert_eq!(share.asset_type, AssetType::Ev);
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for day in ["2025-02-29", "2025-13-01", "28-02-2025", "2025-2-3", ""] {
            assert!(parse(&GOOD.replace("2025-02-28", day)).is_err(), "{day}");
        }
    }
}
