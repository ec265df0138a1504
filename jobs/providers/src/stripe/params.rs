//! What we ask of Stripe, operation by operation. A field that is `None` is not sent; an empty text
//! clears what is there. The order of the fields is the order on the wire, which keeps a repeated
//! request byte for byte what it was.

mod connect;
mod lists;
mod payment;

pub use connect::{
    NewAccount, NewAccountLink, NewPayout, NewReversal, NewTransfer, NewWebhookEndpoint, PayoutReversal,
};
pub use lists::{Created, EventFilter, ListFilter, PaymentMethodFilter};
use payfleet_core::Money;
pub use payment::{Confirmation, CustomerFields, NewPaymentIntent, NewRefund, Redirects};

use super::amount::{Purpose, currency, to_minor};
use super::form::Form;
use crate::failure::ProviderError;

/// Parameters that can be written as a form.
pub(crate) trait Parameters {
    /// The form; an error where an amount cannot be sent. Nothing has been sent by then.
    fn form(&self) -> Result<Form, ProviderError>;
}

/// `amount` under `name`.
fn set_amount(form: &mut Form, name: &str, amount: &Money, purpose: Purpose) -> Result<(), ProviderError> {
    let minor = to_minor(amount, purpose)
        .map_err(|error| ProviderError::refused("amount_not_sendable", error.to_string()))?;
    form.number(name, Some(minor));
    Ok(())
}

/// `amount` and `currency`.
fn set_money(form: &mut Form, amount: &Money, purpose: Purpose) -> Result<(), ProviderError> {
    set_amount(form, "amount", amount, purpose)?;
    form.maybe("currency", currency(amount.asset()).as_deref());
    Ok(())
}
