//! Finding out at Stripe: what became of a call whose end nobody knows, and how far something has come.

use payfleet_core::kinds::Request;
use payfleet_core::kinds::collect::MethodChange;
use payfleet_core::provider::{Effect, Finding, Report};
use payfleet_core::{ProviderKey, Timestamp};

use super::REFERENCE;
use super::client::Client;
use super::effects::{changed, exists, paying_with};
use super::objects::Metadata;
use super::params::{Created, ListFilter, PaymentMethodFilter};
use crate::client::{ProviderError, not_offered};

/// The most payment methods of a customer that are shown; Stripe's largest page.
const SHOWN_METHODS: u8 = 100;

/// How far Stripe's clock may be behind ours.
const CLOCK_SLACK_MS: i64 = 300_000;

impl Client {
    /// Looks for our reference in the list of what was made since `opened`. Not finding it decides
    /// nothing: a list may lag, and a call may still be on its way.
    pub(crate) async fn look_up(&self, effect: &Effect, key: &ProviderKey, opened: Timestamp) -> Finding {
        match self.search(effect, key, opened).await {
            Ok(Some(report)) => Finding::Found { report },
            Ok(None) => Finding::StillUnknown { reason: "nothing there bears our reference".to_owned() },
            Err(error) => Finding::StillUnknown { reason: error.to_string() },
        }
    }

    async fn search(
        &self,
        effect: &Effect,
        key: &ProviderKey,
        opened: Timestamp,
    ) -> Result<Option<Report>, ProviderError> {
        let since = Created { from: Some(opened.plus_ms(-CLOCK_SLACK_MS)), to: None };
        let mut filter = ListFilter { created: since, limit: Some(100), ..ListFilter::default() };
        let on = effect.on.clone();
        match &effect.asked {
            Request::Payout(_) => {
                let account = on.ok_or_else(not_offered)?;
                let payouts = self.account(&account).all_payouts(&filter).await?;
                Ok(payouts.iter().find(|one| is_ours(&one.metadata, key)).map(Report::from))
            }
            Request::Transfer(_) => {
                filter.destination = on;
                let transfers = self.platform().all_transfers(&filter).await?;
                Ok(transfers.iter().find(|one| is_ours(&one.metadata, key)).map(Report::from))
            }
            Request::Payment(_) => {
                let payments = self.platform().all_payment_intents(&filter).await?;
                Ok(payments.iter().find(|one| is_ours(&one.metadata, key)).map(Report::from))
            }
            Request::Refund(_) => {
                filter.payment_intent = on;
                let refunds = self.platform().all_refunds(&filter).await?;
                Ok(refunds.iter().find(|one| is_ours(&one.metadata, key)).map(Report::from))
            }
            Request::Account(_) => {
                let accounts = self.platform().all_connected_accounts(&filter).await?;
                match accounts.iter().find(|one| is_ours(&one.metadata, key)) {
                    Some(found) => Ok(self.platform().connected_account(&found.id).await?.report),
                    None => Ok(None),
                }
            }
            Request::Customer(_) => {
                let customers = self.platform().all_customers(&filter).await?;
                let found = customers.into_iter().find(|one| is_ours(&one.metadata, key));
                match found {
                    Some(customer) => Ok(Some(self.customer(&customer.id).await?)),
                    None => Ok(None),
                }
            }
            Request::PaymentMethod(method) => {
                let customer = on.ok_or_else(not_offered)?;
                let attached = self.platform().all_payment_methods(&customer).await?;
                let is_attached = attached.iter().any(|one| one.id == method.payment_method);
                // It bears no reference, and needs none: it is where it was wanted, or not.
                let is_done = match method.change {
                    MethodChange::Attach => is_attached,
                    MethodChange::Detach => !is_attached,
                };
                Ok(is_done.then(|| changed(method, &method.payment_method, key)))
            }
            // A link and a change of a payment leave nothing that bears our reference: a person decides.
            Request::AccountLink(_)
            | Request::PaymentChange(_)
            | Request::Mint(_)
            | Request::Wallet(_)
            | Request::Telemetry(_)
            | Request::Distribution(_)
            | Request::PayoutSchedule(_)
            | Request::Order(_) => Ok(None),
        }
    }

    /// Asks how far what `effect` made has come.
    pub(crate) async fn poll(&self, effect: &Effect, provider_ref: &str) -> Result<Report, ProviderError> {
        let report = match &effect.asked {
            Request::Payout(_) => {
                let account = effect.on.as_deref().ok_or_else(not_offered)?;
                self.account(account).payout(provider_ref).await?.report
            }
            Request::Transfer(_) => self.platform().transfer(provider_ref).await?.report,
            Request::Payment(_) => self.platform().payment_intent(provider_ref, &[]).await?.report,
            Request::Refund(_) => self.platform().refund(provider_ref).await?.report,
            Request::Account(_) => self.platform().connected_account(provider_ref).await?.report,
            Request::Customer(_) => Some(self.customer(provider_ref).await?),
            // These are done when they are answered.
            Request::AccountLink(_)
            | Request::PaymentMethod(_)
            | Request::PaymentChange(_)
            | Request::Mint(_)
            | Request::Wallet(_)
            | Request::Telemetry(_)
            | Request::Distribution(_)
            | Request::PayoutSchedule(_)
            | Request::Order(_) => None,
        };
        report.ok_or_else(not_offered)
    }
}

impl Client {
    /// What customer `id` pays with, as Stripe has it: the newest [`SHOWN_METHODS`] of it.
    async fn customer(&self, id: &str) -> Result<Report, ProviderError> {
        let newest = PaymentMethodFilter { kind: None, limit: Some(SHOWN_METHODS), starting_after: None };
        let facts = match self.platform().payment_methods(id, &newest).await {
            Ok(page) => paying_with(&page.data),
            // Deleted there by hand: nothing is left to pay with.
            Err(error) if error.code() == "resource_missing" => {
                let mut facts = paying_with(&[]);
                facts.insert("deleted".to_owned(), true.into());
                facts
            }
            Err(error) => return Err(error),
        };
        Ok(exists(id.to_owned(), facts))
    }
}

fn is_ours(metadata: &Metadata, key: &ProviderKey) -> bool {
    metadata.get(REFERENCE).is_some_and(|reference| reference == key.as_str())
}
