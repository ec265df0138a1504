//! The bodies we send to TrovoTech. Its amounts are JSON numbers: they are written from decimals,
//! digit for digit, never through a float.

use payfleet_core::kinds::mint::{AssetType, Share};
use payfleet_core::kinds::telemetry::Reading;
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use super::distribution::Revenue;

/// `POST /token/mint`.
#[derive(Serialize)]
pub(super) struct Mint<'a> {
    issuer_id: &'a str,
    asset_type: AssetType,
    asset_metadata: Metadata<'a>,
    investor_wallet: &'a str,
    fraction_owned: Box<RawValue>,
    invest_amount: Box<RawValue>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    model: &'a str,
    purchase_date: &'a str,
    purchase_price: Box<RawValue>,
    lifespan_years: u16,
}

impl<'a> Mint<'a> {
    /// `None` where the purchase price is no decimal.
    pub(super) fn of(share: &'a Share, issuer_id: &'a str) -> Option<Self> {
        let metadata = &share.metadata;
        Some(Self {
            issuer_id,
            asset_type: share.asset_type,
            asset_metadata: Metadata {
                name: &metadata.name,
                model: &metadata.model,
                purchase_date: &metadata.purchase_date,
                purchase_price: number(parse_plain_decimal(&metadata.purchase_price).ok()?)?,
                lifespan_years: metadata.lifespan_years,
            },
            investor_wallet: &share.wallet,
            fraction_owned: number(share.percent.value())?,
            invest_amount: number(share.invested.amount())?,
        })
    }
}

/// `POST /wallet/create`.
#[derive(Serialize)]
pub(super) struct CreateWallet<'a> {
    pub(super) issuer_id: &'a str,
    pub(super) investor_email: &'a str,
    pub(super) investor_name: &'a str,
    pub(super) kyc_verified: bool,
}

/// `POST /payout/distribute`.
#[derive(Serialize)]
pub(super) struct Distribute<'a> {
    issuer_id: &'a str,
    token_ids: &'a [String],
    total_amount: Box<RawValue>,
    period: &'a str,
    description: &'a str,
}

impl<'a> Distribute<'a> {
    pub(super) fn of(revenue: &Revenue<'a>, issuer_id: &'a str) -> Option<Self> {
        Some(Self {
            issuer_id,
            token_ids: revenue.token_ids,
            total_amount: number(revenue.total.amount())?,
            period: revenue.period,
            description: revenue.description,
        })
    }
}

/// `POST /telemetry/sync`.
#[derive(Serialize)]
pub(super) struct SyncTelemetry<'a> {
    asset_id: &'a str,
    telemetry_data: TelemetryData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TelemetryData<'a> {
    battery_level: Box<RawValue>,
    kilometers: Box<RawValue>,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    timestamp: &'a str,
}

#[derive(Serialize)]
struct Location {
    lat: Box<RawValue>,
    lng: Box<RawValue>,
}

impl<'a> SyncTelemetry<'a> {
    pub(super) fn of(reading: &'a Reading) -> Option<Self> {
        let location = match reading.location {
            Some((lat, lng)) => Some(Location { lat: number(lat)?, lng: number(lng)? }),
            None => None,
        };
        Some(Self {
            asset_id: &reading.asset_id,
            telemetry_data: TelemetryData {
                battery_level: number(reading.battery_level)?,
                kilometers: number(reading.kilometers)?,
                status: &reading.status,
                location,
                timestamp: &reading.timestamp,
            },
        })
    }
}

fn number(amount: Decimal) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use payfleet_core::{Asset, Money};
    use proptest::prelude::*;

    use super::*;
    use crate::json::Object;

    #[test]
    fn amounts_are_written_as_the_numbers_they_are() {
        let share: Share = serde_json::from_str(
            r#"{"asset_id":"ev-1","asset_type":"EV","wallet":"GW","percent":"12.5000",
            "metadata":{"name":"n","type":"t","purchase_date":"2026-01-01","purchase_price":"12345678901234567.89","lifespan_years":8},
            "invested":{"amount":"0.10","asset":"NGN"}}"#,
        )
        .unwrap();
        assert_eq!(
            serde_json::to_string(&Mint::of(&share, "iss").unwrap()).unwrap(),
            r#"{"issuer_id":"iss","asset_type":"EV","asset_metadata":{"name":"n","type":"t","purchase_date":"2026-01-01","purchase_price":12345678901234567.89,"lifespan_years":8},"investor_wallet":"GW","fraction_owned":12.5,"invest_amount":0.1}"#
        );
    }

    proptest! {
        #[test]
        fn every_amount_of_every_asset_survives_as_a_number(index in 0..Asset::ALL.len(), units in 1_i64..) {
            let asset = Asset::ALL[index];
            let money = Money::new(Decimal::new(units, asset.scale()), asset).unwrap();
            let written = number(money.amount()).unwrap();
            let body = format!(r#"{{"amount":{written}}}"#);
            let read = Object::parse(body.as_bytes()).unwrap().text("amount").unwrap();
            let read = Money::new(parse_plain_decimal(&read).unwrap(), asset);
            prop_assert_eq!(read, Ok(money));
        }
    }
}
