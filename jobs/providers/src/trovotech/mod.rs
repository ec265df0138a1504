//! TrovoTech, and the Bantu chain it works on.

#[cfg(feature = "client")]
mod answer;
#[cfg(feature = "client")]
pub mod bantupay;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod ledger;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
#[cfg(feature = "client")]
pub mod transaction;
pub(crate) mod webhook;
#[cfg(feature = "client")]
mod wire;

#[cfg(feature = "client")]
pub use client::{CAPABILITIES, Client, Config};
