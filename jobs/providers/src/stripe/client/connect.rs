//! Connected accounts and what is sent to them.

use super::{Answered, IdempotencyKey, Page, Scope};
use crate::client::ProviderError;
use crate::stripe::form::Form;
use crate::stripe::objects::{Account, AccountLink, Transfer, TransferReversal, WebhookEndpoint};
use crate::stripe::params::{
    ListFilter, NewAccount, NewAccountLink, NewReversal, NewTransfer, NewWebhookEndpoint,
};

impl Scope<'_> {
    /// Makes an Express account.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_account(
        &self,
        params: &NewAccount,
        key: &IdempotencyKey,
    ) -> Result<Answered<Account>, ProviderError> {
        self.post(&["accounts"], params, key).await
    }

    /// Asks what an account may do and what is missing.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn connected_account(&self, id: &str) -> Result<Answered<Account>, ProviderError> {
        self.get(&["accounts", id], &Form::default()).await
    }

    /// All connected accounts that `filter` lets through.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_connected_accounts(&self, filter: &ListFilter) -> Result<Vec<Account>, ProviderError> {
        self.all(&["accounts"], |after| filter.after(after)).await
    }

    /// Makes a link to an account's onboarding.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_account_link(
        &self,
        params: &NewAccountLink,
        key: &IdempotencyKey,
    ) -> Result<Answered<AccountLink>, ProviderError> {
        self.post(&["account_links"], params, key).await
    }

    /// Moves money to a connected account.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_transfer(
        &self,
        params: &NewTransfer,
        key: &IdempotencyKey,
    ) -> Result<Answered<Transfer>, ProviderError> {
        self.post(&["transfers"], params, key).await
    }

    /// Asks for a transfer.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn transfer(&self, id: &str) -> Result<Answered<Transfer>, ProviderError> {
        self.get(&["transfers", id], &Form::default()).await
    }

    /// A page of transfers.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn transfers(&self, filter: &ListFilter) -> Result<Page<Transfer>, ProviderError> {
        self.page(&["transfers"], filter).await
    }

    /// All transfers that `filter` lets through.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_transfers(&self, filter: &ListFilter) -> Result<Vec<Transfer>, ProviderError> {
        self.all(&["transfers"], |after| filter.after(after)).await
    }

    /// Takes a transfer back: a part, or what is left.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn reverse_transfer(
        &self,
        id: &str,
        params: &NewReversal,
        key: &IdempotencyKey,
    ) -> Result<Answered<TransferReversal>, ProviderError> {
        self.post(&["transfers", id, "reversals"], params, key).await
    }

    /// Tells Stripe where to send events, in our version.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_webhook_endpoint(
        &self,
        params: &NewWebhookEndpoint,
        key: &IdempotencyKey,
    ) -> Result<Answered<WebhookEndpoint>, ProviderError> {
        self.post(&["webhook_endpoints"], params, key).await
    }
}
