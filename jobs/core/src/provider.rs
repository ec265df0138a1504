//! What we ask of providers and what they answer, in words of our own. Each provider's folder maps
//! its wire types to these; nothing else in the house knows a provider's field names.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Money;
use crate::kinds::Request;
use crate::outcome::OutcomeClass;

/// The four providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Stripe with Connect: cards, transfers, bank payouts.
    Stripe,
    /// Tatum: incoming crypto.
    Tatum,
    /// Heleket: outgoing crypto.
    Heleket,
    /// TrovoTech on the Bantu chain: custody wallets and asset shares.
    TrovoTech,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 4] = [Self::Stripe, Self::Tatum, Self::Heleket, Self::TrovoTech];

    /// Its name in URLs, tables and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Tatum => "tatum",
            Self::Heleket => "heleket",
            Self::TrovoTech => "trovotech",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No provider has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown provider; known are stripe, tatum, heleket, trovotech")]
pub struct UnknownProvider;

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name).ok_or(UnknownProvider)
    }
}

/// What an intent does at the provider. Part of the intent's key: never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Pay a beneficiary.
    Payout,
    /// Move money to a connected account.
    Transfer,
    /// Mint a share of an asset.
    Mint,
    /// Make a custodial wallet.
    Wallet,
    /// Send readings on.
    Telemetry,
    /// Make a connected account.
    Account,
    /// Make a link to an account's onboarding.
    AccountLink,
    /// Make a customer.
    Customer,
    /// Keep what a customer pays with.
    PaymentMethodAttach,
    /// Let go what a customer pays with.
    PaymentMethodDetach,
    /// Make a payment.
    Payment,
    /// Try to pay.
    PaymentConfirm,
    /// Take what was authorized.
    PaymentCapture,
    /// Give a payment up.
    PaymentCancel,
    /// Give money back.
    Refund,
    /// Split a revenue.
    Distribution,
    /// Have an address watched.
    Watch,
}

impl Action {
    /// Its frozen name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Transfer => "transfer",
            Self::Mint => "mint",
            Self::Wallet => "wallet",
            Self::Telemetry => "telemetry",
            Self::Account => "account",
            Self::AccountLink => "account_link",
            Self::Customer => "customer",
            Self::PaymentMethodAttach => "payment_method_attach",
            Self::PaymentMethodDetach => "payment_method_detach",
            Self::Payment => "payment",
            Self::PaymentConfirm => "payment_confirm",
            Self::PaymentCapture => "payment_capture",
            Self::PaymentCancel => "payment_cancel",
            Self::Refund => "refund",
            Self::Distribution => "distribution",
            Self::Watch => "watch",
        }
    }
}

/// A call, as the executor hands it to a provider's client: what was asked, and the object there that
/// it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// What was asked.
    pub asked: Request,
    /// The provider's id of the request's subject, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
}

impl Effect {
    /// The action, which is part of the intent's key.
    #[must_use]
    pub fn action(&self) -> Action {
        self.asked.action()
    }
}

/// How doubt about an effect is resolved, declared by its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoubtPolicy {
    /// The same request with the same key, within this window of the intent's opening; then a look-up.
    SameKey {
        /// Milliseconds for which the provider is known to remember the key.
        window_ms: i64,
        /// Whether a documented refusal under the key is the key's answer for good. It then proves that
        /// no earlier sending had an effect: that would have been answered with the effect.
        refusals_decide: bool,
    },
    /// Ask what became of it by our reference.
    LookUp,
    /// The provider makes the same thing of it however often it is sent: send it again.
    Repeat,
    /// The provider offers neither key nor look-up: a person decides, with evidence.
    Operator,
}

/// How far the provider says the effect has come. Every provider's enum is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// Accepted, not final.
    Pending,
    /// Final: it happened.
    Succeeded,
    /// Final: it did not happen.
    Failed {
        /// The provider's word for why.
        reason: String,
    },
    /// A status this version does not know. A discrepancy, never a guess.
    Unknown,
}

/// What a provider says about one of our effects, from its answer, a look-up or a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The provider's id of it.
    pub provider_ref: String,
    /// How far it has come.
    pub progress: Progress,
    /// The provider's own status word, raw.
    pub raw_status: String,
    /// What the provider says it moved, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// Where the provider says it went, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// On which chain, in our word, or the provider's where we have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The transaction on the chain, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    /// The provider's fee in the asset of the effect, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Decimal>,
    /// What the client needs to go on, by our names: a wallet's `address`, a link's `url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: Facts,
}

/// What is told by name: text, numbers, lists.
pub type Facts = BTreeMap<String, Value>;

/// Facts that let whoever has them act: they are for the client that asked, and for no record.
const SECRET_FACTS: [&str; 2] = ["client_secret", "url"];

/// What stands in a record in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// Hides what no record should hold.
pub(crate) fn hide_secrets(facts: &mut Facts) {
    for (name, value) in facts {
        if SECRET_FACTS.contains(&name.as_str()) {
            *value = Value::from(HIDDEN);
        }
    }
}

impl Report {
    /// That `provider_ref` has come as far as `progress`, in the provider's word `raw_status`, and
    /// nothing else.
    #[must_use]
    pub fn of(provider_ref: impl Into<String>, progress: Progress, raw_status: impl Into<String>) -> Self {
        Self {
            provider_ref: provider_ref.into(),
            progress,
            raw_status: raw_status.into(),
            money: None,
            destination: None,
            network: None,
            tx_hash: None,
            fee: None,
            facts: Facts::new(),
        }
    }
}

/// The code of a [`CallOutcome::Failed`] whose provider refuses our credentials or permissions. The
/// operation is not at fault, so it is parked instead of failed.
pub const UNAUTHORIZED: &str = "unauthorized";

/// The code of a failure that the provider asks not to repeat. It proves nothing: look it up instead.
pub const DO_NOT_REPEAT: &str = "do_not_repeat";

/// The code of a failure that is a stored answer: the same key can never be answered otherwise.
pub const REPLAYED_FAILURE: &str = "replayed_failure";

/// The codes after which an intent's key is not sent again.
pub const KEY_IS_SPENT: [&str; 2] = [DO_NOT_REPEAT, REPLAYED_FAILURE];

/// The code of a [`CallOutcome::Failed`] whose provider knows the key as another request's. It proves
/// nothing about the request that the key was first used for.
pub const IDEMPOTENCY_ERROR: &str = "idempotency_error";

/// The code of a [`CallOutcome::Failed`] whose provider refuses for now, and remembers that under the
/// key: money on its way has not arrived. The same key would be told the same again, so the intent is
/// closed and the next try is a new one.
pub const BALANCE_INSUFFICIENT: &str = "balance_insufficient";

/// What became of one call of an intent, classified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CallOutcome {
    /// The provider took it.
    Accepted {
        /// What it answered.
        report: Report,
    },
    /// It did not take it, or nobody knows.
    Failed {
        /// What that says about money.
        class: OutcomeClass,
        /// A short machine-readable code: `timeout`, `http_500`, `insufficient_funds`.
        code: String,
        /// For people; never a payload or a secret.
        message: String,
    },
}

/// What a probe of an open intent found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// It happened.
    Found {
        /// What the provider says of it.
        report: Report,
    },
    /// The key's own answer is a documented refusal: it did not happen.
    Refused {
        /// The refusal's short machine-readable code.
        code: String,
        /// For people.
        message: String,
    },
    /// Asked, and not answered in a way that decides.
    StillUnknown {
        /// Why not.
        reason: String,
    },
}
