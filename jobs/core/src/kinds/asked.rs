//! What each kind must say of what was asked: the executor, the store and the views ask here and
//! nowhere else, so that a kind is one file.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::Money;
use crate::address::Network;
use crate::ids::{AccountId, OperationId, TenantId};
use crate::kinds::OperationKind;
use crate::kinds::lifecycle::State;
use crate::kinds::payout::Origin;
use crate::ledger::Movement;
use crate::provider::{Action, Provider, Report};

/// A day, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 3_600_000;

/// One kind's request.
pub trait Asked {
    /// Its kind.
    fn kind(&self) -> OperationKind;

    /// Who carries it out.
    fn provider(&self) -> Provider;

    /// What it does there.
    fn action(&self) -> Action;

    /// How much the client asked for, where it is about an amount.
    fn money(&self) -> Option<Money> {
        None
    }

    /// The chain it happens on, where it happens on one.
    fn network(&self) -> Option<Network> {
        None
    }

    /// The operation whose object at the provider this one is about: the payment that is refunded, the
    /// account that is paid.
    fn subject(&self) -> Option<Subject> {
        None
    }

    /// Whether the subject must have settled before; else it is enough that it exists there.
    fn needs_settled_subject(&self) -> bool {
        false
    }

    /// Whether it waits for somebody else's doing: money that is to come in.
    fn is_awaited(&self) -> bool {
        self.lifetime_ms() > 0
    }

    /// How long it waits for that, in milliseconds; 0 where it does not.
    fn lifetime_ms(&self) -> u64 {
        0
    }

    /// Whether it is no call of its own but becomes operations that are.
    fn is_divided(&self) -> bool {
        false
    }

    /// Whether the client adds to it after it was asked.
    fn is_added_to(&self) -> bool {
        false
    }

    /// Whether its provider is asked how far it has come, once it has been accepted.
    fn is_polled(&self) -> bool {
        !self.is_awaited() && !self.is_divided() && !self.is_standing()
    }

    /// How long its provider is asked that, in milliseconds; then a person is told.
    fn polled_for_ms(&self) -> u64 {
        3 * DAY_MS
    }

    /// Whether it stands until it is cancelled, and makes payouts by the clock meanwhile.
    fn is_standing(&self) -> bool {
        false
    }

    /// Why it is made, where that is told apart.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Why it cannot be done to its subject, whatever the provider would say.
    fn objection(&self, _subject: &Standing) -> Option<String> {
        None
    }

    /// Whether it changes its subject at the provider, which must then be looked at.
    fn changes_subject(&self) -> bool {
        false
    }

    /// What must be set aside with the intent, so that concurrent operations cannot promise it twice.
    /// `subject` is how far what it builds on has come.
    fn reservation(&self, _subject: Option<&Standing>) -> Option<Reservation> {
        None
    }

    /// How a provider's report differs from what was asked, in words, if it does.
    fn difference(&self, _report: &Report) -> Option<String> {
        None
    }

    /// The ledger's record of its settlement, where money or shares moved.
    fn settlement(&self, _settled: &Settled<'_>) -> Option<Movement> {
        None
    }

    /// Whether the provider can take a success back later, as banks do.
    fn may_return(&self) -> bool {
        false
    }

    /// Whether what it made goes on changing at the provider, so that its facts are kept up to date.
    fn is_alive(&self) -> bool {
        false
    }

    /// For how long it may stay as it is before somebody should look, in milliseconds; `None`: for ever.
    fn patience_ms(&self) -> Option<u64> {
        (!self.is_awaited()).then_some(DAY_MS)
    }

    /// Whether it is in the lists that reconciliation reads.
    fn is_listed(&self) -> bool {
        false
    }

    /// What people call it by, for lists and details, in the words of the API.
    fn shown(&self) -> BTreeMap<&'static str, serde_json::Value>;
}

/// What an operation builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which operation.
    pub operation: OperationId,
    /// Of which kind it must be.
    pub kind: OperationKind,
}

/// How far the subject of an operation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub kind: OperationKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it is.
    pub state: State,
    /// The provider's id of it, once the provider has given one. It outlives a state that does not hold
    /// it: what failed, or was given up, is still known there.
    pub provider_ref: Option<String>,
}

/// Something of which there is only so much, set aside for one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// What it is taken from: `share:ASSET`, `refund:PAYMENT`.
    pub pool: String,
    /// How much of it.
    pub amount: Decimal,
    /// How much there is in all.
    pub whole: Decimal,
}

/// The circumstances of a settlement.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// Whose operation.
    pub tenant: &'a TenantId,
    /// Our account at the provider.
    pub account: &'a AccountId,
    /// The provider's id of what the operation builds on.
    pub on: Option<&'a str>,
    /// What the provider says.
    pub report: &'a Report,
}

impl Settled<'_> {
    /// Our own account at `provider`, as the ledger names it.
    #[must_use]
    pub fn ours_at(&self, provider: Provider) -> String {
        format!("provider:{provider}:{}", self.account)
    }

    /// The account of somebody else that we move money of, as the ledger names it.
    #[must_use]
    pub fn theirs_at(&self, provider: Provider) -> String {
        format!("provider:{provider}:{}", self.on.unwrap_or("unknown"))
    }

    /// The tenant's account `name`.
    #[must_use]
    pub fn tenants(&self, name: &str) -> String {
        format!("{name}:{}", self.tenant)
    }

    /// `money` from one account to another, at the settlement.
    #[must_use]
    pub fn moves(money: Money, from: &str, to: &str) -> Movement {
        Movement::transfer("settled", money.asset().code(), money.amount(), from, to)
    }
}

/// Another amount than asked, in words.
#[must_use]
pub fn other_money(asked: Money, report: &Report) -> Option<String> {
    let said = report.money.filter(|said| *said != asked)?;
    Some(format!("asked for {asked}, the provider says {said}"))
}

/// Another destination than asked, in words. Neither is quoted: it may be personal.
#[must_use]
pub fn other_destination(asked: &str, report: &Report) -> Option<String> {
    (report.destination.as_deref().is_some_and(|said| said != asked))
        .then(|| "the provider names another destination than was asked for".to_owned())
}
