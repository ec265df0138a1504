//! Connected accounts, what is sent to them, and where Stripe tells us of it.

use std::collections::BTreeMap;

use payfleet_core::{Money, Timestamp};

use super::{Fields, Metadata, Resource, Unreadable};
use crate::stripe::words::CapabilityStatus;

/// A carrier's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `acct_...`
    pub id: String,
    /// Whether it may take payments.
    pub charges_enabled: bool,
    /// Whether it may be paid out.
    pub payouts_enabled: bool,
    /// Whether its owner has been through the onboarding.
    pub details_submitted: bool,
    /// `card_payments`, `transfers`, ...: which are on.
    pub capabilities: BTreeMap<String, CapabilityStatus>,
    /// What is missing.
    pub requirements: Requirements,
    /// What callers attached.
    pub metadata: Metadata,
}

/// What an account still has to bring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Needed by a date to stay enabled.
    pub currently_due: Vec<String>,
    /// Needed some day.
    pub eventually_due: Vec<String>,
    /// Overdue: why something is switched off.
    pub past_due: Vec<String>,
    /// Why it may not do what it may not do.
    pub disabled_reason: Option<String>,
}

impl Account {
    /// Whether money may be transferred to it.
    #[must_use]
    pub fn may_receive(&self) -> bool {
        self.capabilities.get("transfers") == Some(&CapabilityStatus::Active)
    }

    /// Whether its balance may be paid out to its owner.
    #[must_use]
    pub fn may_be_paid_out(&self) -> bool {
        self.payouts_enabled && self.requirements.disabled_reason.is_none()
    }
}

impl Resource for Account {
    const OBJECT: &'static str = "account";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        let requirements = fields.maybe_object("requirements")?;
        let requirements = requirements.as_ref().map(Requirements::read).transpose()?;
        let capabilities = fields.map("capabilities")?;
        Ok(Self {
            id: fields.text("id")?,
            charges_enabled: fields.flag("charges_enabled")?,
            payouts_enabled: fields.flag("payouts_enabled")?,
            details_submitted: fields.flag("details_submitted")?,
            capabilities: capabilities.into_iter().map(|(name, word)| (name, word.as_str().into())).collect(),
            requirements: requirements.unwrap_or_default(),
            metadata: fields.map("metadata")?,
        })
    }
}

impl Requirements {
    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            currently_due: fields.texts("currently_due")?,
            eventually_due: fields.texts("eventually_due")?,
            past_due: fields.texts("past_due")?,
            disabled_reason: fields.maybe_text("disabled_reason")?,
        })
    }
}

/// A page of Stripe's for an account's owner. Single use, minutes of life.
#[derive(Clone, Debug)]
pub struct AccountLink {
    /// Where to send the owner. Whoever has it can fill in the owner's data.
    pub url: secrecy::SecretString,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Resource for AccountLink {
    const OBJECT: &'static str = "account_link";

    /// It has none.
    fn id(&self) -> &'static str {
        ""
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self { url: fields.text("url")?.into(), expires_at: fields.time("expires_at")? })
    }
}

/// Money moved to a connected account. It has no status: it happened, and may be reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// `tr_...`
    pub id: String,
    /// How much.
    pub amount: Money,
    /// How much of it came back.
    pub amount_reversed: Money,
    /// Whether all of it did.
    pub reversed: bool,
    /// To whom.
    pub destination: Option<String>,
    /// The charge it is paid from.
    pub source_transaction: Option<String>,
    /// Joins it with payments.
    pub transfer_group: Option<String>,
    /// Its booking.
    pub balance_transaction: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is of the live mode.
    pub livemode: bool,
    /// What callers attached.
    pub metadata: Metadata,
}

impl Resource for Transfer {
    const OBJECT: &'static str = "transfer";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            amount: fields.money("amount")?,
            amount_reversed: fields.money("amount_reversed")?,
            reversed: fields.flag("reversed")?,
            destination: fields.maybe_reference("destination")?,
            source_transaction: fields.maybe_reference("source_transaction")?,
            transfer_group: fields.maybe_text("transfer_group")?,
            balance_transaction: fields.maybe_reference("balance_transaction")?,
            created: fields.time("created")?,
            livemode: fields.flag("livemode")?,
            metadata: fields.map("metadata")?,
        })
    }
}

/// A part of a transfer that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferReversal {
    /// `trr_...`
    pub id: String,
    /// How much.
    pub amount: Money,
    /// Of which transfer.
    pub transfer: String,
    /// When.
    pub created: Timestamp,
    /// What callers attached.
    pub metadata: Metadata,
}

impl Resource for TransferReversal {
    const OBJECT: &'static str = "transfer_reversal";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            amount: fields.money("amount")?,
            transfer: fields.reference("transfer")?,
            created: fields.time("created")?,
            metadata: fields.map("metadata")?,
        })
    }
}

/// Where Stripe sends events.
#[derive(Clone, Debug)]
pub struct WebhookEndpoint {
    /// `we_...`
    pub id: String,
    /// Where to.
    pub url: String,
    /// What signs them; told once, when the endpoint is made.
    pub secret: Option<secrecy::SecretString>,
    /// `enabled` or `disabled`.
    pub status: String,
    /// The version its payloads are of; `None` is the account's default.
    pub api_version: Option<String>,
    /// Which events.
    pub enabled_events: Vec<String>,
}

impl Resource for WebhookEndpoint {
    const OBJECT: &'static str = "webhook_endpoint";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            url: fields.text("url")?,
            secret: fields.maybe_text("secret")?.map(Into::into),
            status: fields.text("status")?,
            api_version: fields.maybe_text("api_version")?,
            enabled_events: fields.texts("enabled_events")?,
        })
    }
}
