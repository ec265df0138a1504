//! What of a list to read. Lists are newest first; a page goes on after the last id of the one before.

use payfleet_core::Timestamp;

use super::Parameters;
use crate::failure::ProviderError;
use crate::stripe::form::Form;

/// A span of time in whole seconds, which is all the precision Stripe has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// From this second, inclusive.
    pub from: Option<Timestamp>,
    /// To this second, exclusive.
    pub to: Option<Timestamp>,
}

impl Created {
    fn set(self, name: &str, form: &mut Form) {
        form.number(&format!("{name}[gte]"), self.from.map(Timestamp::unix_s));
        form.number(&format!("{name}[lt]"), self.to.map(Timestamp::unix_s));
    }
}

/// Which entries of a list. Fields that a list does not know are refused by Stripe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Payouts in this status.
    pub status: Option<String>,
    /// Payouts that arrive in this span.
    pub arrival_date: Created,
    /// Of this payment intent (refunds).
    pub payment_intent: Option<String>,
    /// Of this customer (payment intents).
    pub customer: Option<String>,
    /// To this account or bank account (transfers, payouts).
    pub destination: Option<String>,
    /// Joined under this name (transfers).
    pub transfer_group: Option<String>,
    /// Paid out by this payout (balance transactions).
    pub payout: Option<String>,
    /// Of this kind (balance transactions).
    pub kind: Option<String>,
    /// How many a page, 1 to 100.
    pub limit: Option<u8>,
    /// Only what is older than this entry.
    pub starting_after: Option<String>,
    /// Only what is newer than this entry.
    pub ending_before: Option<String>,
    /// Made in this span.
    pub created: Created,
}

impl Parameters for ListFilter {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.maybe("status", self.status.as_deref());
        self.arrival_date.set("arrival_date", &mut form);
        form.maybe("payment_intent", self.payment_intent.as_deref());
        form.maybe("customer", self.customer.as_deref());
        form.maybe("destination", self.destination.as_deref());
        form.maybe("transfer_group", self.transfer_group.as_deref());
        form.maybe("payout", self.payout.as_deref());
        form.maybe("type", self.kind.as_deref());
        form.number("limit", self.limit.map(i64::from));
        form.maybe("starting_after", self.starting_after.as_deref());
        form.maybe("ending_before", self.ending_before.as_deref());
        self.created.set("created", &mut form);
        Ok(form)
    }
}

/// Which events. They are kept for 30 days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of these types.
    pub types: Vec<String>,
    /// How many a page, 1 to 100.
    pub limit: Option<u8>,
    /// Only what is older than this entry.
    pub starting_after: Option<String>,
    /// Only what is newer than this entry.
    pub ending_before: Option<String>,
    /// Only those that reached every endpoint, or only those that did not.
    pub delivery_success: Option<bool>,
    /// Made in this span.
    pub created: Created,
}

impl Parameters for EventFilter {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.list("types", self.types.iter().map(String::as_str));
        form.number("limit", self.limit.map(i64::from));
        form.maybe("starting_after", self.starting_after.as_deref());
        form.maybe("ending_before", self.ending_before.as_deref());
        form.flag("delivery_success", self.delivery_success);
        self.created.set("created", &mut form);
        Ok(form)
    }
}

/// Which payment methods of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentMethodFilter {
    /// Of this kind: `card`.
    pub kind: Option<String>,
    /// How many a page, 1 to 100.
    pub limit: Option<u8>,
    /// Only what is older than this entry.
    pub starting_after: Option<String>,
}

impl Parameters for PaymentMethodFilter {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.maybe("type", self.kind.as_deref());
        form.number("limit", self.limit.map(i64::from));
        form.maybe("starting_after", self.starting_after.as_deref());
        Ok(form)
    }
}
