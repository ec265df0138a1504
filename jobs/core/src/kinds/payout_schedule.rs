//! A payout schedule: at each of its moments it pays a beneficiary what is owed, or a part of that.
//!
//! What is owed is what the client has said is ([`Event::Owed`]), less the schedule's payouts; one that
//! failed or came back is owed again. Less than the minimum waits for the next moment.
//!
//! [`Event::Owed`]: crate::kinds::lifecycle::Event::Owed
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::{Asked, Subject};
use super::mint::Percent;
use super::payout::Destination;
use crate::address::Network;
use crate::kinds::OperationKind;
use crate::provider::{Action, Provider};
use crate::{Asset, Money};

/// What a client asked to have paid again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutSchedule {
    /// Of what.
    pub asset: Asset,
    /// To whom.
    pub to: Destination,
    /// When: a cron pattern.
    pub cron: String,
    /// By whose clock: an IANA time zone.
    pub zone: String,
    /// How much of what is owed.
    pub share: Percent,
    /// Below this, nothing is paid until there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// The client's own words for it, shown to people, sent to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl PayoutSchedule {
    /// What is to be paid now, if anything is: `told` is all that was ever said to be owed, `taken` what
    /// its payouts have paid or are paying. Never more than the difference, whatever is rounded.
    #[must_use]
    pub fn due(&self, told: Option<Money>, taken: Decimal) -> Option<Money> {
        let owed = told?.amount().checked_sub(taken)?;
        let part = owed.checked_mul(self.share.value())?.checked_div(Decimal::ONE_HUNDRED)?;
        let part = part.round_dp_with_strategy(self.asset.scale(), RoundingStrategy::ToZero).min(owed);
        let is_enough = part > Decimal::ZERO && part >= self.minimum.unwrap_or_default();
        Money::new(part, self.asset).ok().filter(|_| is_enough)
    }
}

impl Asked for PayoutSchedule {
    fn kind(&self) -> OperationKind {
        OperationKind::PayoutSchedule
    }

    fn provider(&self) -> Provider {
        self.to.provider()
    }

    /// What its payouts do: it calls nobody itself.
    fn action(&self) -> Action {
        Action::Payout
    }

    fn network(&self) -> Option<Network> {
        self.to.network()
    }

    fn subject(&self) -> Option<Subject> {
        self.to.subject()
    }

    fn is_standing(&self) -> bool {
        true
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        let own = [
            ("asset", json!(self.asset)),
            ("cron", json!(self.cron)),
            ("zone", json!(self.zone)),
            ("share", json!(self.share)),
            ("minimum", json!(self.minimum)),
            ("reference", json!(self.reference)),
        ];
        self.to.shown().into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::OperationId;
    use crate::kinds::payout::Speed;

    fn schedule(share: &str, minimum: Option<&str>) -> PayoutSchedule {
        PayoutSchedule {
            asset: "USD".parse().unwrap(),
            to: Destination::Bank {
                account: OperationId::from_uuid(uuid::Uuid::nil()),
                speed: Speed::Standard,
            },
            cron: "0 8 * * MON".to_owned(),
            zone: "UTC".to_owned(),
            share: share.to_owned().try_into().unwrap(),
            minimum: minimum.map(|minimum| minimum.parse().unwrap()),
            reference: None,
        }
    }

    fn due(of: &PayoutSchedule, told: &str, taken: &str) -> Option<String> {
        let told = Money::new(told.parse().unwrap(), of.asset).unwrap();
        of.due(Some(told), taken.parse().unwrap()).map(|money| money.amount().to_string())
    }

    #[test]
    fn a_part_of_what_is_owed_is_paid_and_never_a_cent_more() {
        assert_eq!(due(&schedule("100", None), "10", "4").as_deref(), Some("6"));
        assert_eq!(due(&schedule("33.3333", None), "10", "0").as_deref(), Some("3.33"));
        assert_eq!(due(&schedule("50", None), "0.01", "0"), None, "half a cent is none");
        assert_eq!(due(&schedule("100", None), "10", "10"), None);
        assert_eq!(due(&schedule("100", None), "10", "12"), None);
        assert_eq!(schedule("100", None).due(None, Decimal::ZERO), None);
    }

    #[test]
    fn less_than_the_minimum_waits() {
        let of = schedule("50", Some("5"));
        assert_eq!(due(&of, "9.99", "0"), None);
        assert_eq!(due(&of, "10", "0").as_deref(), Some("5"));
    }

    proptest! {
        #[test]
        fn whatever_is_paid_is_owed(cents in 0_i64..1_000_000_000, share in 1_i64..=1_000_000) {
            let of = schedule(&Decimal::new(share, 4).to_string(), None);
            let told = Money::new(Decimal::new(cents, 2), of.asset).unwrap();
            if let Some(paid) = of.due(Some(told), Decimal::ZERO) {
                prop_assert!(paid.amount() <= told.amount() && paid.amount() > Decimal::ZERO);
            }
        }
    }
}
