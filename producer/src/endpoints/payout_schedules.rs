//! `POST /v1/payout_schedules` asks for payouts by the clock, of what is owed to a beneficiary; `POST
//! /v1/payout_schedules/{id}/dues` says that more is.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use payfleet_core::Asset;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::mint::Percent;
use payfleet_core::kinds::payout::Destination;
use payfleet_core::kinds::payout_schedule::PayoutSchedule;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_providers::stripe::CURRENCIES;
use payfleet_queue::{Error, When};
use utoipa::ToSchema;

use super::payouts;
use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_CRON: usize = 100;
const LONGEST_ZONE: usize = 64;
const LONGEST_REFERENCE: usize = 200;
/// Minute, hour, day of month, month, day of week.
const FIELDS_OF_CRON: usize = 5;
const ALL_OF_IT: &str = "100";

/// Payouts by the clock: `network` and `address` say where in crypto, or `account` whose bank.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "asset": "USDT", "network": "TRON", "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm",
    "cron": "0 8 * * MON", "zone": "Africa/Lagos", "share": "100", "minimum": "10", "reference": "rider 7",
}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct PayoutScheduleRequest {
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
    #[schema(schema_with = payouts::speed)]
    speed: Option<String>,
    /// When: minute, hour, day of month, month, day of week.
    #[schema(min_length = 1, max_length = 100)]
    cron: String,
    /// By whose clock: an IANA time zone [UTC].
    #[schema(min_length = 1, max_length = 64)]
    zone: Option<String>,
    /// How much of what is owed, in percent: above 0, at most 100, with at most four decimals [100].
    #[schema(min_length = 1, max_length = 40)]
    share: Option<String>,
    /// Below this nothing is paid: it waits until there is more.
    #[schema(schema_with = schemas::amount)]
    minimum: Option<String>,
    /// Your own words for it, shown to people, sent to nobody.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
}

/// What is owed beside what was owed before.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": "15.5", "asset": "USDT"}))]
#[expect(dead_code, reason = "the contract's words for what `owe` reads")]
struct DueRequest {
    #[schema(schema_with = schemas::amount)]
    amount: String,
    /// That of the schedule.
    #[schema(schema_with = schemas::asset)]
    asset: String,
}

/// Asks for payouts by the clock
///
/// At each of its moments, the share of what is owed is paid. Moments that were missed are made up for by
/// one payout. A payout that fails or comes back is owed again.
#[utoipa::path(post, path = "/v1/payout_schedules", operation_id = "create_payout_schedule", tag = "operations",
    params(IdempotencyKey), request_body = PayoutScheduleRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| read(fields).map(Request::PayoutSchedule)).await
}

/// Says that a beneficiary is owed more
///
/// It is paid at the schedule's next moment, as far as its share and minimum say. The same key is the same due, once.
#[utoipa::path(post, path = "/v1/payout_schedules/{id}/dues", operation_id = "create_due", tag = "operations",
    params(IdempotencyKey, ("id" = String, Path, format = "uuid", description = "The operation_id of the schedule.")),
    request_body = DueRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn owe(id: Result<Path<String>, PathRejection>, post: Post) -> Result<Response, Problem> {
    let read = |fields: &mut Fields| {
        let asset = fields.parsed::<Asset>("asset");
        Some(Event::Owed { money: fields.money("amount", asset)? })
    };
    post.wish(OperationKind::PayoutSchedule, id, read).await
}

/// Reads every field before it gives up, so that all mistakes are reported together.
fn read(fields: &mut Fields) -> Option<PayoutSchedule> {
    let asset = fields.parsed::<Asset>("asset");
    let to = to(fields, asset);
    let moments = moments(fields);
    let share = if fields.has("share") { fields.decimal_text("share") } else { Some(ALL_OF_IT.to_owned()) };
    let share =
        share.and_then(|text| Percent::try_from(text).map_err(|error| fields.refuse("share", error)).ok());
    let minimum = fields.has("minimum").then(|| fields.money("minimum", asset)).flatten();
    let reference = fields.optional_text("reference", LONGEST_REFERENCE);
    let (cron, zone) = moments?;
    Some(PayoutSchedule {
        asset: asset?,
        to: to?,
        cron,
        zone,
        share: share?,
        minimum: minimum.map(|money| money.amount()),
        reference,
    })
}

fn to(fields: &mut Fields, asset: Option<Asset>) -> Option<Destination> {
    if !payouts::is_to_bank(fields) {
        return payouts::address(fields, asset);
    }
    if let Some(asset) = asset
        && !CURRENCIES.contains(&asset.code())
    {
        fields.refuse("asset", "is no currency that is paid to banks; with an address it can be crypto");
    }
    payouts::bank(fields)
}

/// Pattern and zone. More often than each minute nothing is paid by the clock.
fn moments(fields: &mut Fields) -> Option<(String, String)> {
    let cron = fields.text("cron", LONGEST_CRON);
    let zone = fields.optional_text("zone", LONGEST_ZONE).unwrap_or_else(|| "UTC".to_owned());
    let cron = cron?;
    if cron.split_whitespace().count() != FIELDS_OF_CRON {
        fields.refuse("cron", "must be minute, hour, day of month, month and day of week: 0 8 * * MON");
        return None;
    }
    match When::parse(&cron, &zone) {
        Ok(_) => Some((cron, zone)),
        Err(Error::InvalidArgument { field, reason }) => {
            fields.refuse(field, format_args!("cannot be used: {reason}"));
            None
        }
        Err(error) => {
            fields.refuse("cron", error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"asset": "USDT", "network": "TRON", "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm",
        "cron": "0 8 * * MON", "zone": "Africa/Lagos", "share": "50", "minimum": "10"}"#;

    fn parse(body: &str) -> Result<PayoutSchedule, Problem> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        let schedule = read(&mut fields);
        fields.finish(schedule)
    }

    #[test]
    fn a_schedule_is_read_as_it_was_asked() {
        let schedule = parse(GOOD).unwrap();
        assert_eq!((schedule.cron.as_str(), schedule.zone.as_str()), ("0 8 * * MON", "Africa/Lagos"));
        assert_eq!((schedule.share.value(), schedule.minimum), (50.into(), Some(10.into())));
        let bare =
            r#"{"asset": "USD", "account": "5a88b422-6dee-86f7-a3ca-fd294a9b7141", "cron": "0 8 1 * *"}"#;
        let bare = parse(bare).unwrap();
        assert_eq!((bare.zone.as_str(), bare.share.value(), bare.minimum), ("UTC", 100.into(), None));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for (good, wrong) in [
            ("0 8 * * MON", "* * * * * *"),
            ("0 8 * * MON", "61 * * * *"),
            ("0 8 * * MON", "every monday"),
            ("Africa/Lagos", "Mars/Olympus"),
            ("\"50\"", "\"0\""),
            ("\"50\"", "\"100.1\""),
            ("\"10\"", "\"-1\""),
            ("\"10\"", "\"0.0000001\""),
            ("\"network\"", "\"speed\": \"standard\", \"network\""),
        ] {
            assert!(parse(&GOOD.replacen(good, wrong, 1)).is_err(), "{wrong}");
        }
    }
}
