//! Over whom a distribution is split: those of its request, and those the client named since, who are
//! events in its inbox. More holders than fit into one request come in several.

use std::collections::BTreeSet;

use payfleet_core::OperationId;
use payfleet_core::kinds::distribution::{Distribution, Holder, Splitter};
use payfleet_core::kinds::lifecycle::Event;

use crate::operation_row::json;
use crate::{Store, StoreError};

/// Whether all holders are known.
pub(crate) enum Holders {
    /// These are all there are.
    All(Vec<Holder>),
    /// Others are still to come.
    Some {
        /// How many are known.
        have: usize,
        /// How many there are.
        of: usize,
    },
    /// They are not what was announced.
    Wrong {
        /// Why.
        reason: String,
    },
}

impl Store {
    /// The holders of a distribution that its latest claim has seen.
    pub(crate) async fn holders(
        &self,
        distribution: OperationId,
        of: &Distribution,
    ) -> Result<Holders, StoreError> {
        let Splitter::Us { holders, in_all, .. } = &of.by else {
            return Ok(Holders::Wrong { reason: "it is not ours to divide".to_owned() });
        };
        let mut holders = holders.clone();
        if in_all.is_some() {
            holders.extend(self.holders_added(distribution).await?);
        }
        let in_all = in_all.and_then(|count| usize::try_from(count).ok()).unwrap_or(holders.len());
        Ok(check(holders, in_all, of))
    }

    async fn holders_added(&self, distribution: OperationId) -> Result<Vec<Holder>, StoreError> {
        let events = sqlx::query_scalar!(
            "/* distribution_holders_added */ SELECT event FROM inbox
             WHERE operation_id = $1 AND event ->> 'event' = 'holders_added' AND applied_at IS NOT NULL
             ORDER BY id",
            distribution.as_uuid(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut added = Vec::new();
        for event in events {
            if let Event::HoldersAdded { holders, .. } = json("inbox.event", &distribution, event)? {
                added.extend(holders);
            }
        }
        Ok(added)
    }
}

fn check(holders: Vec<Holder>, in_all: usize, of: &Distribution) -> Holders {
    let mut seen = BTreeSet::new();
    if let Some(twice) = holders.iter().find(|holder| !seen.insert(&holder.holder)) {
        return Holders::Wrong { reason: format!("{:?} was named twice", twice.holder) };
    }
    let asset = of.money.asset();
    if let Some(holder) = holders.iter().find(|holder| !holder.to.carries(asset)) {
        return Holders::Wrong { reason: format!("{:?} cannot be paid in {asset} there", holder.holder) };
    }
    let have = holders.len();
    match have.cmp(&in_all) {
        std::cmp::Ordering::Less => Holders::Some { have, of: in_all },
        std::cmp::Ordering::Equal => Holders::All(holders),
        std::cmp::Ordering::Greater => {
            Holders::Wrong { reason: format!("{have} holders were named, {in_all} were announced") }
        }
    }
}
