//! When a plan wants a second person. It is configuration: the author of a plan does not choose it with
//! the plan.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use payfleet_core::money::Asset;
use payfleet_store::ApproveAbove;
use rust_decimal::Decimal;

const LETTERS: &str = "REDRIVE_APPROVE_ABOVE";
const AMOUNTS: &str = "REDRIVE_APPROVE_ABOVE_AMOUNTS";
/// How many letters one person may release where nothing is set.
const ONE_PERSON_S: i64 = 100;

/// What is set.
pub(super) fn from_environment() -> anyhow::Result<ApproveAbove> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    Ok(ApproveAbove {
        letters: letters(set(LETTERS).as_deref())?,
        amounts: amounts(set(AMOUNTS).as_deref())?,
    })
}

fn letters(set: Option<&str>) -> anyhow::Result<i64> {
    let Some(set) = set else { return Ok(ONE_PERSON_S) };
    let letters = set.trim().parse().with_context(|| format!("{LETTERS}: {set} is no number of letters"))?;
    ensure!(letters >= 0, "{LETTERS}: {set} is no number of letters");
    Ok(letters)
}

fn amounts(set: Option<&str>) -> anyhow::Result<BTreeMap<String, Decimal>> {
    let mut amounts = BTreeMap::new();
    for one in set.iter().flat_map(|set| set.split(',')) {
        let say = || format!("{AMOUNTS}: {one} is not such as USDT=10000, of an asset that is known");
        let (asset, amount) = one.split_once('=').with_context(say)?;
        let asset: Asset = asset.trim().parse().with_context(say)?;
        let amount: Decimal = amount.trim().parse().with_context(say)?;
        ensure!(amount >= Decimal::ZERO, say());
        let is_new = amounts.insert(asset.code().to_owned(), amount).is_none();
        ensure!(is_new, "{AMOUNTS}: {} stands there twice", asset.code());
    }
    Ok(amounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_and_what_is_wrong_is_refused() {
        assert_eq!(letters(None).unwrap(), ONE_PERSON_S);
        assert_eq!(letters(Some("0")).unwrap(), 0);
        assert!(amounts(None).unwrap().is_empty());
        let read = amounts(Some("USDT=10000, BTC=0.1")).unwrap();
        assert_eq!(read.get("BTC"), Some(&Decimal::new(1, 1)));
        assert_eq!(read.len(), 2);
        for wrong in ["USDT", "USDT=", "USDT=-1", "TUSD=1", "BTC=1,BTC=2", "BTC=1,"] {
            assert!(amounts(Some(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["many", "-1"] {
            assert!(letters(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
