//! Parameters of connected accounts, transfers and payouts.

use payfleet_core::Money;

use super::{Parameters, set_amount, set_money};
use crate::failure::ProviderError;
use crate::stripe::amount::Purpose;
use crate::stripe::form::Form;
use crate::stripe::objects::Metadata;
use crate::stripe::words::{AccountLinkType, BusinessType, PayoutMethod, SourceType};

/// `POST /v1/accounts`: an Express account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAccount {
    /// Two letters, upper case.
    pub country: Option<String>,
    /// The owner's address.
    pub email: Option<String>,
    /// What it is to be able to do: `card_payments`, `transfers`.
    pub capabilities: Vec<String>,
    /// What kind of business it is.
    pub business_type: Option<BusinessType>,
    /// Ours.
    pub metadata: Metadata,
}

impl Parameters for NewAccount {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.set("type", "express");
        form.maybe("country", self.country.as_deref());
        form.maybe("email", self.email.as_deref());
        for capability in &self.capabilities {
            form.set(&format!("capabilities[{capability}][requested]"), "true");
        }
        form.maybe("business_type", self.business_type.as_ref().map(BusinessType::as_str));
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/account_links`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccountLink {
    /// Whose.
    pub account: String,
    /// Where the owner is sent when the link has expired or was used.
    pub refresh_url: String,
    /// Where the owner comes back to, whatever was filled in.
    pub return_url: String,
    /// What for.
    pub kind: AccountLinkType,
}

impl Parameters for NewAccountLink {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.set("account", &self.account);
        form.set("refresh_url", &self.refresh_url);
        form.set("return_url", &self.return_url);
        form.set("type", self.kind.as_str());
        Ok(form)
    }
}

/// `POST /v1/transfers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// How much.
    pub amount: Money,
    /// To which account.
    pub destination: String,
    /// Joins it with payments.
    pub transfer_group: Option<String>,
    /// The charge it is paid from; without one it needs available balance.
    pub source_transaction: Option<String>,
    /// From which part of the balance.
    pub source_type: Option<SourceType>,
    /// Shown in Stripe's dashboard.
    pub description: Option<String>,
    /// Ours.
    pub metadata: Metadata,
}

impl NewTransfer {
    /// `amount` to `destination` and nothing else.
    #[must_use]
    pub fn of(amount: Money, destination: String) -> Self {
        Self {
            amount,
            destination,
            transfer_group: None,
            source_transaction: None,
            source_type: None,
            description: None,
            metadata: Metadata::new(),
        }
    }
}

impl Parameters for NewTransfer {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        set_money(&mut form, &self.amount, Purpose::Payment)?;
        form.set("destination", &self.destination);
        form.maybe("transfer_group", self.transfer_group.as_deref());
        form.maybe("source_transaction", self.source_transaction.as_deref());
        form.maybe("source_type", self.source_type.as_ref().map(SourceType::as_str));
        form.maybe("description", self.description.as_deref());
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/transfers/{id}/reversals`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewReversal {
    /// How much, in the transfer's currency; `None` is what is left.
    pub amount: Option<Money>,
    /// Ours.
    pub metadata: Metadata,
}

impl Parameters for NewReversal {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        if let Some(amount) = &self.amount {
            set_amount(&mut form, "amount", amount, Purpose::Payment)?;
        }
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/payouts`: on the account whose balance is paid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayout {
    /// How much.
    pub amount: Money,
    /// How fast.
    pub method: Option<PayoutMethod>,
    /// The bank account or card; `None` is the currency's default.
    pub destination: Option<String>,
    /// From which part of the balance.
    pub source_type: Option<SourceType>,
    /// What the beneficiary's statement says.
    pub statement_descriptor: Option<String>,
    /// Ours.
    pub metadata: Metadata,
}

impl NewPayout {
    /// `amount` to the default destination and nothing else.
    #[must_use]
    pub fn of(amount: Money) -> Self {
        Self {
            amount,
            method: None,
            destination: None,
            source_type: None,
            statement_descriptor: None,
            metadata: Metadata::new(),
        }
    }
}

impl Parameters for NewPayout {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        set_money(&mut form, &self.amount, Purpose::Payout)?;
        form.maybe("method", self.method.as_ref().map(PayoutMethod::as_str));
        form.maybe("destination", self.destination.as_deref());
        form.maybe("source_type", self.source_type.as_ref().map(SourceType::as_str));
        form.maybe("statement_descriptor", self.statement_descriptor.as_deref());
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/payouts/{id}/reverse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayoutReversal {
    /// Ours.
    pub metadata: Metadata,
}

impl Parameters for PayoutReversal {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/webhook_endpoints`. The version is always ours: payloads follow the endpoint's, not the
/// request's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhookEndpoint {
    /// Where to.
    pub url: String,
    /// Which events; `*` is all.
    pub enabled_events: Vec<String>,
    /// Whether it takes the events of connected accounts rather than our own.
    pub connect: Option<bool>,
}

impl Parameters for NewWebhookEndpoint {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.set("url", &self.url);
        form.list("enabled_events", self.enabled_events.iter().map(String::as_str));
        form.set("api_version", crate::stripe::API_VERSION);
        form.flag("connect", self.connect);
        Ok(form)
    }
}
