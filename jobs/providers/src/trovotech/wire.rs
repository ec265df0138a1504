//! The bodies we send to TrovoTech. Its amounts are JSON numbers: they are written from decimals,
//! digit for digit, never through a float.

use payfleet_core::kinds::mint::{AssetType, Share};
use payfleet_core::money::parse_plain_decimal;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

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

fn number(amount: Decimal) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
