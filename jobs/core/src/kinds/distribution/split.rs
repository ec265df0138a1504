//! Splitting an amount so that the parts sum to the whole, exactly: the largest remainder method.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use rust_decimal::{Decimal, RoundingStrategy};

/// Why something cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSplittable {
    /// Nobody is there to get anything.
    #[error("there is nobody to split it over")]
    Nobody,
    /// A weight is zero or negative, or all of them are more than can be held.
    #[error("a weight must be above zero, and all together must be held exactly")]
    Weights,
    /// The amount is more than can be split exactly.
    #[error("the amount is more than can be split exactly")]
    TooLarge,
}

/// Splits `whole` by `weights` into parts of at most `scale` decimals. Everyone gets what is theirs,
/// rounded down; what that leaves goes, a smallest unit each, to those who lost most by it, the first
/// of equals first. The same question has the same answer for ever.
///
/// # Errors
/// [`NotSplittable`].
pub fn split(whole: Decimal, weights: &[Decimal], scale: u32) -> Result<Vec<Decimal>, NotSplittable> {
    if weights.is_empty() {
        return Err(NotSplittable::Nobody);
    }
    let mut sum = Decimal::ZERO;
    for weight in weights {
        if *weight <= Decimal::ZERO {
            return Err(NotSplittable::Weights);
        }
        sum = sum.checked_add(*weight).ok_or(NotSplittable::Weights)?;
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut lost = Vec::with_capacity(weights.len());
    let mut given = Decimal::ZERO;
    for (place, weight) in weights.iter().enumerate() {
        let fraction = weight.checked_div(sum).ok_or(NotSplittable::Weights)?;
        let due = whole.checked_mul(fraction).ok_or(NotSplittable::TooLarge)?;
        let part = due.round_dp_with_strategy(scale, RoundingStrategy::ToZero);
        given = given.checked_add(part).ok_or(NotSplittable::TooLarge)?;
        lost.push((due.checked_sub(part).ok_or(NotSplittable::TooLarge)?, place));
        parts.push(part);
    }
    lost.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
    let unit = Decimal::new(1, scale);
    let mut rest = whole.checked_sub(given).ok_or(NotSplittable::TooLarge)?;
    // Division is rounded at 28 digits, so what is due may sum to a little more than the whole: then the
    // last of the losers give a unit back.
    for (_, place) in lost.iter().cycle() {
        if rest < unit {
            break;
        }
        if let Some(part) = parts.get_mut(*place) {
            *part = part.checked_add(unit).ok_or(NotSplittable::TooLarge)?;
        }
        rest = rest.checked_sub(unit).ok_or(NotSplittable::TooLarge)?;
    }
    for (_, place) in lost.iter().rev().cycle() {
        if rest >= Decimal::ZERO {
            break;
        }
        if let Some(part) = parts.get_mut(*place).filter(|part| **part >= unit) {
            *part = part.checked_sub(unit).ok_or(NotSplittable::TooLarge)?;
            rest = rest.checked_add(unit).ok_or(NotSplittable::TooLarge)?;
        }
    }
    Ok(parts)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests sum small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimals(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_rounding_leaves_goes_to_those_who_lost_most() {
        let parts = split("100".parse().unwrap(), &decimals(&["1", "1", "1"]), 2).unwrap();
        assert_eq!(parts, decimals(&["33.34", "33.33", "33.33"]));
        let parts = split("10".parse().unwrap(), &decimals(&["41", "26", "33"]), 0).unwrap();
        assert_eq!(parts, decimals(&["4", "3", "3"]));
    }

    #[test]
    fn nobody_and_weights_of_nothing_are_refused() {
        assert_eq!(split(Decimal::ONE, &[], 2), Err(NotSplittable::Nobody));
        assert_eq!(split(Decimal::ONE, &[Decimal::ZERO], 2), Err(NotSplittable::Weights));
        assert_eq!(split(Decimal::ONE, &[Decimal::MAX, Decimal::MAX], 2), Err(NotSplittable::Weights));
    }

    #[test]
    fn the_parts_of_ten_thousand_holders_sum_to_the_whole() {
        let weights: Vec<Decimal> = (1..=10_000_i64).map(|n| Decimal::new(n % 97 + 1, 4)).collect();
        let whole: Decimal = "123456.78".parse().unwrap();
        let parts = split(whole, &weights, 2).unwrap();
        assert_eq!(parts.iter().sum::<Decimal>(), whole);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_nobody_gets_a_unit_more_than_due(
            cents in 0_i64..100_000_000_000,
            weights in prop::collection::vec(1_i64..10_000_000, 1..60),
            scale in 0_u32..9,
        ) {
            let whole = Decimal::new(cents, scale);
            let weights: Vec<Decimal> = weights.into_iter().map(|weight| Decimal::new(weight, 4)).collect();
            let parts = split(whole, &weights, scale).unwrap();
            prop_assert_eq!(parts.iter().sum::<Decimal>(), whole);
            let sum: Decimal = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let due = whole * weight / sum;
                prop_assert!(*part >= Decimal::ZERO);
                prop_assert!((*part - due).abs() <= Decimal::new(1, scale), "{} of {}", part, due);
            }
        }
    }
}
