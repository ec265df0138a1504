//! What moves Stripe's balances, and its record of everything that happened.

use payfleet_core::{Money, Timestamp};

use super::{Fields, Metadata, Resource, Unreadable};
use crate::stripe::words::{
    BalanceStatus, BalanceTransactionType, PayoutMethod, PayoutStatus, PayoutType, ReconciliationStatus,
};

/// Money on its way to a bank account or card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// `po_...`
    pub id: String,
    /// How much.
    pub amount: Money,
    /// Where it is.
    pub status: PayoutStatus,
    /// How fast.
    pub method: PayoutMethod,
    /// To what.
    pub kind: PayoutType,
    /// When it is expected.
    pub arrival_date: Timestamp,
    /// Whether Stripe made it by its schedule.
    pub automatic: bool,
    /// Whether its balance transactions can be listed.
    pub reconciliation_status: ReconciliationStatus,
    /// The bank account or card.
    pub destination: Option<String>,
    /// Its booking.
    pub balance_transaction: Option<String>,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// The booking that brought the money back.
    pub failure_balance_transaction: Option<String>,
    /// The payout that reversed it.
    pub reversed_by: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is of the live mode.
    pub livemode: bool,
    /// What callers attached.
    pub metadata: Metadata,
}

impl Resource for Payout {
    const OBJECT: &'static str = "payout";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            amount: fields.money("amount")?,
            status: fields.text("status")?.as_str().into(),
            method: fields.text("method")?.as_str().into(),
            kind: fields.text("type")?.as_str().into(),
            arrival_date: fields.time("arrival_date")?,
            automatic: fields.flag("automatic")?,
            reconciliation_status: fields.text("reconciliation_status")?.as_str().into(),
            destination: fields.maybe_reference("destination")?,
            balance_transaction: fields.maybe_reference("balance_transaction")?,
            failure_code: fields.maybe_text("failure_code")?,
            failure_balance_transaction: fields.maybe_reference("failure_balance_transaction")?,
            reversed_by: fields.maybe_reference("reversed_by")?,
            created: fields.time("created")?,
            livemode: fields.flag("livemode")?,
            metadata: fields.map("metadata")?,
        })
    }
}

/// What an account has, one amount a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Can be transferred and paid out.
    pub available: Vec<Money>,
    /// Can be paid out instantly.
    pub instant_available: Vec<Money>,
    /// On its way.
    pub pending: Vec<Money>,
    /// Whether it is of the live mode.
    pub livemode: bool,
}

impl Resource for Balance {
    const OBJECT: &'static str = "balance";

    /// It has none.
    fn id(&self) -> &'static str {
        ""
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        let sums = |name| fields.objects(name)?.iter().map(|sum| sum.money("amount")).collect();
        let instant = fields.raw("instant_available").map_or(Ok(Vec::new()), |_| sums("instant_available"));
        Ok(Self {
            available: sums("available")?,
            instant_available: instant?,
            pending: sums("pending")?,
            livemode: fields.flag("livemode")?,
        })
    }
}

/// One booking on an account's balance: `net` is `amount` less `fee`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceTransaction {
    /// `txn_...`
    pub id: String,
    /// What moved it.
    pub kind: BalanceTransactionType,
    /// Before fees; negative where money left.
    pub amount: Money,
    /// Stripe's part.
    pub fee: Money,
    /// After fees.
    pub net: Money,
    /// Whether it can be used.
    pub status: BalanceStatus,
    /// From when.
    pub available_on: Timestamp,
    /// The charge, refund, transfer or payout behind it.
    pub source: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

impl Resource for BalanceTransaction {
    const OBJECT: &'static str = "balance_transaction";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        let this = Self {
            id: fields.text("id")?,
            kind: fields.text("type")?.as_str().into(),
            amount: fields.money("amount")?,
            fee: fields.money("fee")?,
            net: fields.money("net")?,
            status: fields.text("status")?.as_str().into(),
            available_on: fields.time("available_on")?,
            source: fields.maybe_reference("source")?,
            created: fields.time("created")?,
        };
        let adds_up = this.amount.amount().checked_sub(this.fee.amount()) == Some(this.net.amount());
        if adds_up { Ok(this) } else { Err(Unreadable("net")) }
    }
}

/// Something that happened, as the list of events has it; deliveries are read by `webhook::parse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_...`: the same in every delivery of it.
    pub id: String,
    /// `payout.paid`, ...
    pub kind: String,
    /// When.
    pub created: Timestamp,
    /// On which connected account.
    pub account: Option<String>,
    /// The object as it was then, as JSON.
    pub object: String,
    /// Whether it is of the live mode.
    pub livemode: bool,
}

impl Resource for Event {
    const OBJECT: &'static str = "event";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            kind: fields.text("type")?,
            created: fields.time("created")?,
            account: fields.maybe_text("account")?,
            object: fields.object("data")?.raw("object")?,
            livemode: fields.flag("livemode")?,
        })
    }
}
