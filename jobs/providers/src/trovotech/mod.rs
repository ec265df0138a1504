//! TrovoTech, and the Bantu chain it works on.

#[cfg(feature = "client")]
mod answer;
#[cfg(feature = "client")]
pub mod bantupay;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod custody;
#[cfg(feature = "client")]
mod distribution;
mod event;
#[cfg(feature = "client")]
mod ledger;
#[cfg(feature = "client")]
mod listing;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
#[cfg(feature = "client")]
mod telemetry;
#[cfg(feature = "client")]
mod tokens;
#[cfg(feature = "client")]
pub mod transaction;
pub(crate) mod webhook;
#[cfg(feature = "client")]
mod wire;

#[cfg(feature = "client")]
pub use client::{CAPABILITIES, Client, Config};
#[cfg(feature = "client")]
pub use custody::{CustodyWallet, Investor};
#[cfg(feature = "client")]
pub use distribution::{Distributed, Part, Revenue};
pub use event::{Event, EventError, EventPart, read_event};
#[cfg(feature = "client")]
pub use ledger::{LedgerEntry, LedgerPage};
#[cfg(feature = "client")]
pub(crate) use listing::Tokens;
#[cfg(feature = "client")]
pub use telemetry::Synced;
#[cfg(feature = "client")]
pub use tokens::Token;
