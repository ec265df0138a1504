//! Tatum: incoming crypto. Addresses are derived here, watched there; webhooks tell what came, and the
//! chains are asked before it is believed.

#[cfg(feature = "client")]
mod address;
#[cfg(feature = "client")]
mod answer;
mod chain;
#[cfg(feature = "client")]
mod chain_data;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod deliveries;
#[cfg(feature = "client")]
mod effects;
#[cfg(feature = "client")]
mod payments;
#[cfg(feature = "client")]
mod rates;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
#[cfg(feature = "client")]
mod signed;
#[cfg(feature = "client")]
mod subscriptions;
mod transfer;
pub(crate) mod webhook;

#[cfg(feature = "client")]
pub use address::{AddressError, LAST_INDEX, Xpub};
#[cfg(feature = "client")]
pub use answer::CREDITS_SPENT;
pub use chain::{Chain, Mode};
#[cfg(feature = "client")]
pub use chain_data::{ChainTransaction, Depth, confirmations};
#[cfg(feature = "client")]
pub use client::{CAPABILITIES, Client, Config};
#[cfg(feature = "client")]
pub use deliveries::ExecutedWebhook;
#[cfg(feature = "client")]
pub use payments::{Output, Payments, Shown, Told};
#[cfg(feature = "client")]
pub use rates::Rate;
#[cfg(feature = "client")]
pub use signed::{NotATransaction, SignedTransaction};
#[cfg(feature = "client")]
pub use subscriptions::{NotAnId, Subscription, SubscriptionId, Template, Watch};
pub use transfer::{Stage, Transfer, TransferError, read_transfer};
