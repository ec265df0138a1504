//! The kinds: what the fleet does. An *operation kind* is a resource of the API: it has a row, states,
//! and one call at a provider under one key. A *job kind* is a delivery, with a queue of its own;
//! related operation kinds share one. Adding a kind means a file here and a variant below; the
//! exhaustive matches then make the compiler list every other place.

pub mod account;
pub mod asked;
pub mod collect;
pub mod confirm;
pub mod control;
pub mod distribution;
pub mod lifecycle;
pub mod mint;
pub mod notify;
pub mod order;
pub mod payout;
pub mod payout_schedule;
pub mod reconcile;
pub mod redrive;
pub mod telemetry;
pub mod transfer;
pub mod wallet;
pub mod webhook;

use std::fmt;
use std::str::FromStr;

pub use asked::{Asked, Reservation, Settled, Standing, Subject};
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::ids::{AccountId, OperationId, RequestHash, TenantId};
use crate::job::{InvalidQueueName, QueueName};

/// What has a row in `operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// One payment to one beneficiary.
    Payout,
    /// Payouts of what is owed to a beneficiary, by the clock.
    PayoutSchedule,
    /// Money of ours to a connected account's balance.
    Transfer,
    /// A share of an asset, minted to an investor.
    Mint,
    /// A custodial wallet for an investor.
    Wallet,
    /// Readings of assets, sent on.
    Telemetry,
    /// A connected account.
    Account,
    /// A link to a connected account's onboarding.
    AccountLink,
    /// A customer who pays.
    Customer,
    /// What a customer pays with.
    PaymentMethod,
    /// An incoming card payment.
    Payment,
    /// What is done with a payment after it was made.
    PaymentChange,
    /// Money given back.
    Refund,
    /// A revenue split over the holders of an asset.
    Distribution,
    /// An incoming payment on a chain.
    Order,
}

impl OperationKind {
    /// Every operation kind.
    pub const ALL: [Self; 15] = [
        Self::Payout,
        Self::PayoutSchedule,
        Self::Transfer,
        Self::Mint,
        Self::Wallet,
        Self::Telemetry,
        Self::Account,
        Self::AccountLink,
        Self::Customer,
        Self::PaymentMethod,
        Self::Payment,
        Self::PaymentChange,
        Self::Refund,
        Self::Distribution,
        Self::Order,
    ];

    /// Its frozen name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::PayoutSchedule => "payout_schedule",
            Self::Transfer => "transfer",
            Self::Mint => "mint",
            Self::Wallet => "wallet",
            Self::Telemetry => "telemetry",
            Self::Account => "account",
            Self::AccountLink => "account_link",
            Self::Customer => "customer",
            Self::PaymentMethod => "payment_method",
            Self::Payment => "payment",
            Self::PaymentChange => "payment_change",
            Self::Refund => "refund",
            Self::Distribution => "distribution",
            Self::Order => "order",
        }
    }

    /// The job that advances it.
    #[must_use]
    pub const fn job_kind(self) -> JobKind {
        match self {
            Self::Payout | Self::PayoutSchedule | Self::Transfer => JobKind::Payout,
            Self::Mint => JobKind::Mint,
            Self::Wallet => JobKind::Wallet,
            Self::Distribution => JobKind::Distribution,
            Self::Order => JobKind::Order,
            Self::Telemetry => JobKind::Telemetry,
            Self::Account | Self::AccountLink => JobKind::Account,
            Self::Customer | Self::PaymentMethod | Self::Payment | Self::PaymentChange | Self::Refund => {
                JobKind::Collect
            }
        }
    }

    /// The endpoint whose `Idempotency-Key` names its operations. Part of their ids: never change one.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Payout => "/v1/payouts",
            Self::PayoutSchedule => "/v1/payout_schedules",
            Self::Transfer => "/v1/transfers",
            Self::Mint => "/v1/mints",
            Self::Wallet => "/v1/wallets",
            Self::Telemetry => "/v1/telemetry",
            Self::Account => "/v1/accounts",
            Self::AccountLink => "/v1/account_links",
            Self::Customer => "/v1/customers",
            Self::PaymentMethod => "/v1/payment_methods",
            Self::Payment => "/v1/payments",
            Self::PaymentChange => "/v1/payment_changes",
            Self::Refund => "/v1/refunds",
            Self::Distribution => "/v1/distributions",
            Self::Order => "/v1/orders",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a worker can be handed. Names are frozen for ever: they are in stored jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Advances a payout, a payout schedule or a transfer.
    Payout,
    /// Advances a mint.
    Mint,
    /// Advances the making of a wallet.
    Wallet,
    /// Advances a batch of readings.
    Telemetry,
    /// Advances the splitting of a revenue.
    Distribution,
    /// Advances an order.
    Order,
    /// Advances what concerns connected accounts.
    Account,
    /// Advances what concerns incoming card payments.
    Collect,
    /// Puts one verified event into the inbox of the operation it belongs to.
    Webhook,
    /// Asks a provider or a chain how far an operation has come.
    Confirm,
    /// Compares a provider's record of a window with ours.
    Reconcile,
    /// Tells a web app of a transition of one of its operations.
    Notify,
    /// Does what an operator asked of the fleet.
    Control,
    /// Releases dead letters, a step of a plan at a time.
    Redrive,
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
    pub const ALL: [Self; 14] = [
        Self::Payout,
        Self::Mint,
        Self::Wallet,
        Self::Telemetry,
        Self::Distribution,
        Self::Order,
        Self::Account,
        Self::Collect,
        Self::Webhook,
        Self::Confirm,
        Self::Reconcile,
        Self::Notify,
        Self::Control,
        Self::Redrive,
    ];

    /// Its frozen name, which is also its queue's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Mint => "mint",
            Self::Wallet => "wallet",
            Self::Telemetry => "telemetry",
            Self::Distribution => "distribution",
            Self::Order => "order",
            Self::Account => "account",
            Self::Collect => "collect",
            Self::Webhook => "webhook",
            Self::Confirm => "confirm",
            Self::Reconcile => "reconcile",
            Self::Notify => "notify",
            Self::Control => "control",
            Self::Redrive => "redrive",
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
            Self::Payout | Self::Mint | Self::Wallet | Self::Distribution | Self::Account => money,
            // Somebody waits at a till.
            Self::Collect | Self::Order => Policy { priority: 0, ..money },
            Self::Telemetry => Policy { priority: 2, ..money },
            Self::Webhook => Policy { max_attempts: 12, priority: 0, ..money },
            Self::Confirm => Policy { max_attempts: 20, ..money },
            Self::Reconcile => Policy {
                max_attempts: 12,
                priority: 2,
                backoff: Backoff { base_ms: 15_000, cap_ms: 1_800_000 },
                ..money
            },
            // For failures of ours; a receiver's are counted in Postgres, by `notify::RETRY_AFTER_MS`.
            Self::Notify => Policy { max_attempts: 20, priority: 2, ..money },
            // Somebody waits for it.
            Self::Control => Policy { priority: 0, ..money },
            Self::Redrive => Policy { max_attempts: 20, priority: 2, ..money },
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
    /// See [`payout_schedule::PayoutSchedule`].
    PayoutSchedule(payout_schedule::PayoutSchedule),
    /// See [`transfer::Transfer`].
    Transfer(transfer::Transfer),
    /// See [`mint::Share`].
    Mint(mint::Share),
    /// See [`wallet::Wallet`].
    Wallet(wallet::Wallet),
    /// See [`telemetry::Telemetry`].
    Telemetry(telemetry::Telemetry),
    /// See [`account::Account`].
    Account(account::Account),
    /// See [`account::AccountLink`].
    AccountLink(account::AccountLink),
    /// See [`collect::Customer`].
    Customer(collect::Customer),
    /// See [`collect::PaymentMethod`].
    PaymentMethod(collect::PaymentMethod),
    /// See [`collect::Payment`].
    Payment(collect::Payment),
    /// See [`collect::PaymentChange`].
    PaymentChange(collect::PaymentChange),
    /// See [`collect::Refund`].
    Refund(collect::Refund),
    /// See [`distribution::Distribution`].
    Distribution(distribution::Distribution),
    /// See [`order::Order`].
    Order(order::Order),
}

/// The kind's own answers.
impl std::ops::Deref for Request {
    type Target = dyn Asked + Send + Sync;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Payout(asked) => asked,
            Self::PayoutSchedule(asked) => asked,
            Self::Transfer(asked) => asked,
            Self::Mint(asked) => asked,
            Self::Wallet(asked) => asked,
            Self::Telemetry(asked) => asked,
            Self::Account(asked) => asked,
            Self::AccountLink(asked) => asked,
            Self::Customer(asked) => asked,
            Self::PaymentMethod(asked) => asked,
            Self::Payment(asked) => asked,
            Self::PaymentChange(asked) => asked,
            Self::Refund(asked) => asked,
            Self::Distribution(asked) => asked,
            Self::Order(asked) => asked,
        }
    }
}

impl Request {
    /// SHA-256 of its canonical form: equal requests, equal hashes, however they were written.
    #[must_use]
    pub fn hash(&self) -> RequestHash {
        // Serialising these structs cannot fail: no maps with other keys than text, no floats.
        RequestHash::of(&serde_json::to_vec(self).unwrap_or_default())
    }
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
    /// What is to be put into its inbox before anything else: a client's wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<lifecycle::Event>,
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
