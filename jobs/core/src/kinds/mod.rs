//! The kinds: what the fleet does. An *operation kind* has a row, states, and `plan`/`apply`; a
//! *job kind* is a delivery. Adding one means a folder here and a variant below; the exhaustive
//! matches then make the compiler list every other place.

pub mod confirm;
pub mod lifecycle;
pub mod mint;
pub mod payout;
pub mod reconcile;
pub mod webhook;

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Money;
use crate::address::Network;
use crate::backoff::Backoff;
use crate::ids::{AccountId, OperationId, RequestHash, TenantId};
use crate::job::{InvalidQueueName, QueueName};
use crate::ledger::Movement;
use crate::provider::{Effect, Provider, Report};

/// What has a row in `operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// One payment to one beneficiary.
    Payout,
    /// A share of an asset, minted to an investor.
    Mint,
}

impl OperationKind {
    /// Every operation kind.
    pub const ALL: [Self; 2] = [Self::Payout, Self::Mint];

    /// Its frozen name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.job_kind().as_str()
    }

    /// The job that advances it.
    #[must_use]
    pub const fn job_kind(self) -> JobKind {
        match self {
            Self::Payout => JobKind::Payout,
            Self::Mint => JobKind::Mint,
        }
    }

    /// The endpoint whose `Idempotency-Key` names its operations. Part of their ids: never change one.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Payout => "/v1/payouts",
            Self::Mint => "/v1/mints",
        }
    }
}

/// What a worker can be handed. Names are frozen for ever: they are in stored jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Advances a payout.
    Payout,
    /// Advances a mint.
    Mint,
    /// Puts one verified event into the inbox of the operation it belongs to.
    Webhook,
    /// Asks a provider or a chain how far an operation has come.
    Confirm,
    /// Compares a provider's record of a window with ours.
    Reconcile,
}

/// No job kind has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown job kind {0:?}")]
pub struct UnknownJobKind(String);

/// How a kind is delivered and tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// After how many failures before the executor reached Postgres its job is dead.
    pub max_attempts: u32,
    /// The schedule of those attempts, of an intent's attempts, and of probes.
    pub backoff: Backoff,
    /// How many attempts an intent gets at the provider before the operation is parked.
    pub max_provider_attempts: i32,
    /// 0 urgent, 1 normal, 2 background.
    pub priority: u8,
}

impl JobKind {
    /// Every job kind.
    pub const ALL: [Self; 5] = [Self::Payout, Self::Mint, Self::Webhook, Self::Confirm, Self::Reconcile];

    /// Its frozen name, which is also its queue's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Mint => "mint",
            Self::Webhook => "webhook",
            Self::Confirm => "confirm",
            Self::Reconcile => "reconcile",
        }
    }

    /// The queue its jobs wait in.
    ///
    /// # Errors
    /// Never for the kinds there are: a test checks every name.
    pub fn queue(self) -> Result<QueueName, InvalidQueueName> {
        QueueName::try_from(self.as_str())
    }

    /// How it is delivered.
    #[must_use]
    pub const fn policy(self) -> Policy {
        let money = Policy {
            max_attempts: 10,
            backoff: Backoff { base_ms: 500, cap_ms: 300_000 },
            // More than two hours: a provider's outage must not become the night shift's.
            max_provider_attempts: 64,
            priority: 1,
        };
        match self {
            Self::Payout | Self::Mint => money,
            Self::Webhook => Policy { max_attempts: 12, priority: 0, ..money },
            Self::Confirm => Policy { max_attempts: 20, ..money },
            Self::Reconcile => Policy {
                max_attempts: 12,
                priority: 2,
                backoff: Backoff { base_ms: 15_000, cap_ms: 1_800_000 },
                ..money
            },
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = UnknownJobKind;

    fn from_str(name: &str) -> Result<Self, UnknownJobKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownJobKind(name.to_owned()))
    }
}

/// What was asked, by operation kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    /// See [`payout::Payout`].
    Payout(payout::Payout),
    /// See [`mint::Share`].
    Mint(mint::Share),
}

impl Request {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Payout(_) => OperationKind::Payout,
            Self::Mint(_) => OperationKind::Mint,
        }
    }

    /// Who carries it out.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        match self {
            Self::Payout(_) => Provider::Heleket,
            Self::Mint(_) => Provider::TrovoTech,
        }
    }

    /// What the client gave as the amount.
    #[must_use]
    pub const fn money(&self) -> Money {
        match self {
            Self::Payout(payout) => payout.money,
            Self::Mint(share) => share.invested,
        }
    }

    /// The chain it happens on.
    #[must_use]
    pub const fn network(&self) -> Network {
        match self {
            Self::Payout(payout) => payout.network,
            Self::Mint(_) => Network::Bantu,
        }
    }

    /// The call that carries it out.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Payout(payout) => payout.effect(),
            Self::Mint(share) => Effect::Mint(share.clone()),
        }
    }

    /// What must be set aside with the intent, so that concurrent operations cannot promise it twice.
    #[must_use]
    pub fn reservation(&self) -> Option<Reservation> {
        match self {
            Self::Payout(_) => None,
            Self::Mint(share) => {
                Some(Reservation { asset_id: share.asset_id.clone(), percent: share.percent.value() })
            }
        }
    }

    /// How a provider's report differs from what was asked, in words, if it does.
    #[must_use]
    pub fn difference(&self, report: &Report) -> Option<String> {
        match self {
            Self::Payout(payout) => payout.difference(report),
            Self::Mint(share) => share.difference(report),
        }
    }

    /// The ledger's record of its settlement.
    #[must_use]
    pub fn settlement(&self, tenant: &TenantId, account: &AccountId, report: &Report) -> Movement {
        match self {
            Self::Payout(payout) => payout.settlement(tenant, account, report),
            Self::Mint(share) => share.settlement(tenant),
        }
    }

    /// SHA-256 of its canonical form: equal requests, equal hashes, however they were written.
    #[must_use]
    pub fn hash(&self) -> RequestHash {
        // Serialising these structs cannot fail: no maps with other keys than text, no floats.
        RequestHash::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// A share of an asset set aside for one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Which asset.
    pub asset_id: String,
    /// Percent of it.
    pub percent: Decimal,
}

/// Everything needed to make an operation's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOperation {
    /// Whose it is.
    pub tenant: TenantId,
    /// The client's `Idempotency-Key`.
    pub idempotency_key: String,
    /// Our account at the provider.
    pub account: AccountId,
    /// What was asked.
    pub request: Request,
}

impl NewOperation {
    /// Its id, derived: see [`OperationId::derive`].
    #[must_use]
    pub fn id(&self) -> OperationId {
        OperationId::derive(&self.tenant, self.request.kind().endpoint(), &self.idempotency_key)
    }
}

/// The payload of every job that advances an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// Which operation.
    pub operation_id: OperationId,
    /// What was asked; on the first job only. Later ones find the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<NewOperation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_queue_and_is_found_by_its_name() {
        for kind in JobKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert!(kind.queue().is_ok(), "{kind}");
        }
        assert!("payouts".parse::<JobKind>().is_err());
    }
}
