//! Stripe and Stripe Connect.

mod amount;
#[cfg(feature = "client")]
mod capabilities;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod effects;
#[cfg(feature = "client")]
mod form;
#[cfg(feature = "client")]
mod limits;
#[cfg(feature = "client")]
mod listing;
#[cfg(feature = "client")]
mod lookup;
pub(crate) mod mapping;
#[cfg(feature = "client")]
mod objects;
#[cfg(feature = "client")]
mod params;
#[cfg(feature = "client")]
mod refusal;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
pub(crate) mod webhook;
#[cfg(feature = "client")]
mod words;

pub use amount::{CURRENCIES, NotSendable, Purpose, chargeable, from_minor, to_minor};
#[cfg(feature = "client")]
pub use capabilities::CAPABILITIES;
#[cfg(feature = "client")]
pub use client::{Answered, Client, Config, IdempotencyKey, Page, Scope};
#[cfg(feature = "client")]
pub use limits::{CLASSES, TEST_MODE};
#[cfg(feature = "client")]
pub(crate) use limits::{class, class_of, is_about_class};
#[cfg(feature = "client")]
pub use objects::*;
#[cfg(feature = "client")]
pub use params::{
    Confirmation, Created, CustomerFields, EventFilter, ListFilter, NewAccount, NewAccountLink,
    NewPaymentIntent, NewPayout, NewRefund, NewReversal, NewTransfer, NewWebhookEndpoint,
    PaymentMethodFilter, PayoutReversal, Redirects,
};
#[cfg(feature = "client")]
pub use words::*;

/// The key in an object's metadata under which we leave our reference, so that it is found by listing
/// when its `Idempotency-Key` is forgotten, and events about it tell whose it is.
pub const REFERENCE: &str = "payfleet_reference";

/// The version of the API, sent with every request and asked for of every webhook endpoint.
#[cfg(feature = "client")]
pub const API_VERSION: &str = "2026-10-28.endive";
