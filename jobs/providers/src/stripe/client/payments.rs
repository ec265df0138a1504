//! Incoming payments: intents, refunds, customers and their payment methods.

use payfleet_core::Money;

use super::{Answered, IdempotencyKey, Page, Scope};
use crate::client::ProviderError;
use crate::stripe::amount::{Purpose, to_minor};
use crate::stripe::form::Form;
use crate::stripe::objects::{Customer, PaymentIntent, PaymentMethod, Refund};
use crate::stripe::params::{
    Confirmation, CustomerFields, ListFilter, NewPaymentIntent, NewRefund, Parameters, PaymentMethodFilter,
};
use crate::stripe::words::CancellationReason;

/// Parameters too small for a type of their own.
impl Parameters for Form {
    fn form(&self) -> Result<Form, ProviderError> {
        Ok(self.clone())
    }
}

impl Scope<'_> {
    /// Makes a payment intent.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_payment_intent(
        &self,
        params: &NewPaymentIntent,
        key: &IdempotencyKey,
    ) -> Result<Answered<PaymentIntent>, ProviderError> {
        self.post(&["payment_intents"], params, key).await
    }

    /// Tries to pay.
    ///
    /// # Errors
    /// [`ProviderError`] with its class; a decline is terminal for this key.
    pub async fn confirm_payment_intent(
        &self,
        id: &str,
        params: &Confirmation,
        key: &IdempotencyKey,
    ) -> Result<Answered<PaymentIntent>, ProviderError> {
        self.post(&["payment_intents", id, "confirm"], params, key).await
    }

    /// Takes what was authorized: `amount`, or all of it.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn capture_payment_intent(
        &self,
        id: &str,
        amount: Option<&Money>,
        key: &IdempotencyKey,
    ) -> Result<Answered<PaymentIntent>, ProviderError> {
        let minor = amount.map(|amount| to_minor(amount, Purpose::Payment)).transpose();
        let minor =
            minor.map_err(|error| ProviderError::refused("amount_not_sendable", error.to_string()))?;
        let mut form = Form::default();
        form.number("amount_to_capture", minor);
        self.post(&["payment_intents", id, "capture"], &form, key).await
    }

    /// Gives a payment intent up. What was authorized is released.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn cancel_payment_intent(
        &self,
        id: &str,
        reason: Option<&CancellationReason>,
        key: &IdempotencyKey,
    ) -> Result<Answered<PaymentIntent>, ProviderError> {
        let mut form = Form::default();
        form.maybe("cancellation_reason", reason.map(CancellationReason::as_str));
        self.post(&["payment_intents", id, "cancel"], &form, key).await
    }

    /// Asks for a payment intent; `expand` names members to be answered whole.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn payment_intent(
        &self,
        id: &str,
        expand: &[&str],
    ) -> Result<Answered<PaymentIntent>, ProviderError> {
        let mut form = Form::default();
        form.list("expand", expand.iter().copied());
        self.get(&["payment_intents", id], &form).await
    }

    /// A page of payment intents.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn payment_intents(&self, filter: &ListFilter) -> Result<Page<PaymentIntent>, ProviderError> {
        self.page(&["payment_intents"], filter).await
    }

    /// All payment intents that `filter` lets through.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_payment_intents(
        &self,
        filter: &ListFilter,
    ) -> Result<Vec<PaymentIntent>, ProviderError> {
        self.all(&["payment_intents"], |after| filter.after(after)).await
    }

    /// What a search finds. It lags behind: what it does not find may exist all the same.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn search_payment_intents(&self, query: &str) -> Result<Page<PaymentIntent>, ProviderError> {
        let mut form = Form::default();
        form.set("query", query);
        self.page(&["payment_intents", "search"], &form).await
    }

    /// Gives money back: a part, or what is left.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_refund(
        &self,
        params: &NewRefund,
        key: &IdempotencyKey,
    ) -> Result<Answered<Refund>, ProviderError> {
        self.post(&["refunds"], params, key).await
    }

    /// Asks for a refund.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn refund(&self, id: &str) -> Result<Answered<Refund>, ProviderError> {
        self.get(&["refunds", id], &Form::default()).await
    }

    /// A page of refunds.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn refunds(&self, filter: &ListFilter) -> Result<Page<Refund>, ProviderError> {
        self.page(&["refunds"], filter).await
    }

    /// All refunds that `filter` lets through.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_refunds(&self, filter: &ListFilter) -> Result<Vec<Refund>, ProviderError> {
        self.all(&["refunds"], |after| filter.after(after)).await
    }

    /// Makes a customer.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn create_customer(
        &self,
        params: &CustomerFields,
        key: &IdempotencyKey,
    ) -> Result<Answered<Customer>, ProviderError> {
        self.post(&["customers"], params, key).await
    }

    /// Changes a customer.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn update_customer(
        &self,
        id: &str,
        params: &CustomerFields,
        key: &IdempotencyKey,
    ) -> Result<Answered<Customer>, ProviderError> {
        self.post(&["customers", id], params, key).await
    }

    /// Asks for a customer.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn customer(&self, id: &str) -> Result<Answered<Customer>, ProviderError> {
        self.get(&["customers", id], &Form::default()).await
    }

    /// All customers that `filter` lets through.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_customers(&self, filter: &ListFilter) -> Result<Vec<Customer>, ProviderError> {
        self.all(&["customers"], |after| filter.after(after)).await
    }

    /// Deletes a customer; deleting a deleted one is refused as not found.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn delete_customer(&self, id: &str) -> Result<Answered<Customer>, ProviderError> {
        self.delete(&["customers", id]).await
    }

    /// Attaches a payment method to a customer.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn attach_payment_method(
        &self,
        id: &str,
        customer: &str,
        key: &IdempotencyKey,
    ) -> Result<Answered<PaymentMethod>, ProviderError> {
        let mut form = Form::default();
        form.set("customer", customer);
        self.post(&["payment_methods", id, "attach"], &form, key).await
    }

    /// Detaches a payment method for good.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn detach_payment_method(
        &self,
        id: &str,
        key: &IdempotencyKey,
    ) -> Result<Answered<PaymentMethod>, ProviderError> {
        self.post(&["payment_methods", id, "detach"], &Form::default(), key).await
    }

    /// A page of a customer's payment methods.
    ///
    /// # Errors
    /// [`ProviderError`] with its class.
    pub async fn payment_methods(
        &self,
        customer: &str,
        filter: &PaymentMethodFilter,
    ) -> Result<Page<PaymentMethod>, ProviderError> {
        self.page(&["customers", customer, "payment_methods"], filter).await
    }

    /// All of a customer's payment methods.
    ///
    /// # Errors
    /// [`ProviderError`] where any page is missing.
    pub async fn all_payment_methods(&self, customer: &str) -> Result<Vec<PaymentMethod>, ProviderError> {
        let page = |starting_after| PaymentMethodFilter { kind: None, limit: Some(100), starting_after };
        self.all(&["customers", customer, "payment_methods"], page).await
    }
}
