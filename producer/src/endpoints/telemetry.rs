//! `POST /v1/telemetry` hands over readings of assets, to be sent on in their order.

use axum::response::Response;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::telemetry::{Reading, Telemetry};
use rust_decimal::Decimal;
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::idempotency::IdempotencyKey;
use crate::operations::{Accepted, Post};
use crate::problem::Problem;
use crate::schemas;

const LONGEST_ID: usize = 100;
const LONGEST_STATUS: usize = 100;
/// Kilometres no vehicle drives.
const FARTHEST: i64 = 1_000_000_000;

/// Readings of assets.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"readings": [{
    "asset_id": "ev-1", "battery_level": 87.5, "kilometers": 12043, "status": "moving",
    "location": {"lat": 6.5244, "lng": 3.3792}, "timestamp": "2026-01-31T12:00:00Z",
}]}))]
#[expect(dead_code, reason = "the contract's words for what `read` reads")]
struct TelemetryRequest {
    #[schema(min_items = 1, max_items = 100)]
    readings: Vec<ReadingRequest>,
}

/// One reading of one asset.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the contract's words for what `reading` reads")]
struct ReadingRequest {
    #[schema(min_length = 1, max_length = 100)]
    asset_id: String,
    /// Percent.
    #[schema(minimum = 0, maximum = 100)]
    battery_level: f64,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    kilometers: f64,
    /// The asset's own word.
    #[schema(min_length = 1, max_length = 100)]
    status: String,
    location: Option<LocationRequest>,
    #[schema(schema_with = schemas::moment)]
    timestamp: String,
}

/// Degrees north and east.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the contract's words for what `reading` reads")]
struct LocationRequest {
    #[schema(minimum = -90, maximum = 90)]
    lat: f64,
    #[schema(minimum = -180, maximum = 180)]
    lng: f64,
}

/// Hands readings over
#[utoipa::path(post, path = "/v1/telemetry", operation_id = "create_telemetry", tag = "operations",
    params(IdempotencyKey), request_body = TelemetryRequest, responses((status = 202, body = Accepted)))]
pub(crate) async fn create(post: Post) -> Result<Response, Problem> {
    post.accept(|fields| {
        let readings = fields.objects("readings", Telemetry::MOST, reading)?;
        Some(Request::Telemetry(Telemetry { readings }))
    })
    .await
}

fn reading(fields: &mut Fields) -> Option<Reading> {
    let asset_id = fields.text("asset_id", LONGEST_ID);
    let battery_level = fields.number("battery_level", Decimal::ZERO, Decimal::ONE_HUNDRED);
    let kilometers = fields.number("kilometers", Decimal::ZERO, Decimal::from(FARTHEST));
    let status = fields.text("status", LONGEST_STATUS);
    let location = fields.optional_object("location", |place| {
        let lat = place.number("lat", Decimal::from(-90), Decimal::from(90));
        let lng = place.number("lng", Decimal::from(-180), Decimal::from(180));
        Some((lat?, lng?))
    });
    let timestamp = fields.moment("timestamp");
    Some(Reading {
        asset_id: asset_id?,
        battery_level: battery_level?,
        kilometers: kilometers?,
        status: status?,
        location,
        timestamp: timestamp?,
    })
}
