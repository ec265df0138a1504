//! Heleket's payout object in our words.
//!
//! `fail`, `cancel` and `system_fail` can still be re-sent by their support while `is_final` is false,
//! so only both together are final. The status is an open enum: an unknown word stays as it came.

use payfleet_core::address::Network;
use payfleet_core::money::parse_plain_decimal;
use payfleet_core::provider::{Progress, Report};
use payfleet_core::{Asset, Money};

use crate::json::Object;

/// What `object` says about a payout. `None` where id or status are missing. `money` is missing where
/// amount and currency cannot be held exactly in an asset of ours: whoever needs it must refuse that.
pub(crate) fn report(object: &Object<'_>) -> Option<Report> {
    let raw_status = object.filled("status")?;
    let progress = progress(&raw_status, object.flag("is_final") == Some(true));
    Some(Report {
        money: money(object),
        destination: object.filled("address"),
        network: object.filled("network").map(|name| network(&name)),
        tx_hash: object.filled("txid"),
        fee: object.text("commission").and_then(|text| parse_plain_decimal(&text).ok()),
        ..Report::of(object.filled("uuid")?, progress, raw_status)
    })
}

fn progress(status: &str, is_final: bool) -> Progress {
    match (status, is_final) {
        ("paid", true) => Progress::Succeeded,
        ("fail" | "cancel" | "system_fail", true) => Progress::Failed { reason: status.to_owned() },
        ("process" | "check" | "paid" | "fail" | "cancel" | "system_fail", _) => Progress::Pending,
        _ => Progress::Unknown,
    }
}

fn money(object: &Object<'_>) -> Option<Money> {
    let asset: Asset = object.text("currency")?.parse().ok()?;
    Money::parse_positive(&object.text("amount")?, asset).ok()
}

/// Requests name networks in upper case, webhooks have been seen in lower case.
fn network(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.parse().map_or_else(|_| name.to_owned(), |network: Network| network.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn of(status: &str, is_final: &str) -> Report {
        let body = format!(
            r#"{{"uuid":"u1","status":"{status}","is_final":{is_final},"amount":"207.00000000","currency":"USDT",
            "network":"bsc","commission":"0.30000000","txid":null,"address":"T1"}}"#
        );
        report(&Object::parse(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn only_a_final_status_is_final() {
        let failed = |reason: &str| Progress::Failed { reason: reason.to_owned() };
        for (status, is_final, want) in [
            ("process", "false", Progress::Pending),
            ("check", "false", Progress::Pending),
            ("paid", "true", Progress::Succeeded),
            ("paid", "false", Progress::Pending),
            ("paid", "null", Progress::Pending),
            ("fail", "true", failed("fail")),
            ("fail", "false", Progress::Pending),
            ("cancel", "true", failed("cancel")),
            ("system_fail", "true", failed("system_fail")),
            ("system_fail", "false", Progress::Pending),
            ("on_the_moon", "true", Progress::Unknown),
        ] {
            assert_eq!(of(status, is_final).progress, want, "{status} {is_final}");
        }
    }

    #[test]
    fn a_payout_is_read_exactly_and_in_our_words() {
        let report = of("process", "false");
        assert_eq!(report.money.unwrap().to_string(), "207 USDT");
        assert_eq!(report.network.as_deref(), Some("BSC"));
        assert_eq!(report.fee.unwrap().to_string(), "0.30000000");
        assert_eq!(report.tx_hash, None);
    }

    proptest! {
        #[test]
        fn every_amount_of_every_asset_survives_the_wire(
            index in 0..Asset::ALL.len(),
            units in 1_i64..,
            is_number in any::<bool>(),
        ) {
            let asset = Asset::ALL[index];
            let money = Money::new(Decimal::new(units, asset.scale()), asset).unwrap();
            // As a request writes it, as an answer does with its eight places, and as a bare number.
            let (asked, mut padded) = (money.amount().to_string(), money.amount());
            padded.rescale(padded.scale().max(8));
            for amount in [asked, padded.to_string()] {
                let amount = if is_number { amount } else { format!("\"{amount}\"") };
                let body = format!(
                    r#"{{"uuid":"u","status":"paid","is_final":true,"amount":{amount},"currency":"{asset}"}}"#
                );
                let read = report(&Object::parse(body.as_bytes()).unwrap()).unwrap();
                prop_assert_eq!(read.money, Some(money), "{}", body);
            }
        }

        #[test]
        fn an_unknown_status_survives_as_it_came(status in "[a-z_]{1,40}", is_final in any::<bool>()) {
            let known = ["process", "check", "paid", "fail", "cancel", "system_fail"];
            let report = of(&status, if is_final { "true" } else { "false" });
            prop_assert_eq!(&report.raw_status, &status);
            prop_assert_eq!(report.progress == Progress::Unknown, !known.contains(&status.as_str()));
        }
    }
}
