//! Stripe's objects as its answers and events carry them: the members we use, each of its declared type
//! and optional only where Stripe declares it nullable. Amounts are exact, words are open, and an object
//! of another shape than declared is refused rather than half understood.

mod connect;
mod fields;
mod ledger;
mod payment;

pub use connect::{Account, AccountLink, Requirements, Transfer, TransferReversal, WebhookEndpoint};
pub(crate) use fields::{Fields, Resource, Unreadable};
pub use ledger::{Balance, BalanceTransaction, Event, Payout};
pub use payment::{Customer, PaymentError, PaymentIntent, PaymentMethod, Refund};

/// What callers attach to objects.
pub type Metadata = std::collections::BTreeMap<String, String>;
