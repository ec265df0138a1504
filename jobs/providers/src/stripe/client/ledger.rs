//! Payouts, balances, and what Stripe tells of its own past.

use super::{Answered, IdempotencyKey, Page, Scope};
use crate::client::ProviderError;
use crate::stripe::form::Form;
use crate::stripe::objects::{Balance, BalanceTransaction, Event, Payout};
use crate::stripe::params::{EventFilter, ListFilter, NewPayout, PayoutReversal};

impl ListFilter {
    /// The next page, of the largest size where none was asked for.
    pub(super) fn after(&self, last: Option<String>) -> Self {
        let starting_after = last.or_else(|| self.starting_after.clone());
        Self { starting_after, limit: self.limit.or(Some(100)), ..self.clone() }
    }
}

impl EventFilter {
    fn after(&self, last: Option<String>) -> Self {
        let starting_after = last.or_else(|| self.starting_after.clone());
        Self { starting_after, limit: self.limit.or(Some(100)), ..self.clone() }
    }
}

impl Scope<'_> {
    /// Pays out to a bank account or card.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_payout(
        &self,
        params: &NewPayout,
        key: &IdempotencyKey,
    ) -> Result<Answered<Payout>, ProviderError> {
        self.post(&["payouts"], params, key).await
    }

    /// Asks for a payout.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn payout(&self, id: &str) -> Result<Answered<Payout>, ProviderError> {
        self.get(&["payouts", id], &Form::default()).await
    }

    /// A page of payouts.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn payouts(&self, filter: &ListFilter) -> Result<Page<Payout>, ProviderError> {
        self.page(&["payouts"], filter).await
    }

    /// All payouts that `filter` lets through.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_payouts(&self, filter: &ListFilter) -> Result<Vec<Payout>, ProviderError> {
        self.all(&["payouts"], |after| filter.after(after)).await
    }

    /// Stops a payout, which works only while it is pending.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn cancel_payout(
        &self,
        id: &str,
        key: &IdempotencyKey,
    ) -> Result<Answered<Payout>, ProviderError> {
        self.post(&["payouts", id, "cancel"], &Form::default(), key).await
    }

    /// Asks a paid payout back; the answer is the payout that brings it.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn reverse_payout(
        &self,
        id: &str,
        params: &PayoutReversal,
        key: &IdempotencyKey,
    ) -> Result<Answered<Payout>, ProviderError> {
        self.post(&["payouts", id, "reverse"], params, key).await
    }

    /// Asks what the account has. Also the connection test: one cheap call that changes nothing.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn balance(&self) -> Result<Answered<Balance>, ProviderError> {
        self.get(&["balance"], &Form::default()).await
    }

    /// A page of bookings.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn balance_transactions(
        &self,
        filter: &ListFilter,
    ) -> Result<Page<BalanceTransaction>, ProviderError> {
        self.page(&["balance_transactions"], filter).await
    }

    /// All bookings that `filter` lets through; with `payout` it is what that payout was made of.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_balance_transactions(
        &self,
        filter: &ListFilter,
    ) -> Result<Vec<BalanceTransaction>, ProviderError> {
        self.all(&["balance_transactions"], |after| filter.after(after)).await
    }

    /// Asks for one event.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn event(&self, id: &str) -> Result<Answered<Event>, ProviderError> {
        self.get(&["events", id], &Form::default()).await
    }

    /// A page of events.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn events(&self, filter: &EventFilter) -> Result<Page<Event>, ProviderError> {
        self.page(&["events"], filter).await
    }

    /// All events that `filter` lets through, of the last 30 days at most.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_events(&self, filter: &EventFilter) -> Result<Vec<Event>, ProviderError> {
        self.all(&["events"], |after| filter.after(after)).await
    }
}
