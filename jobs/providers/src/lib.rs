//! The four providers: one folder each, one file per capability. Webhook verification needs no
//! feature and no network; `client` calls the providers; `sandbox` is a server that behaves like one.
//!
//! Nothing outside this crate knows a provider's field names, status words or signature scheme: the
//! folders translate them into the vocabulary of `payfleet_core::provider`. Amounts never pass
//! through a float, and neither a secret nor a payload is ever part of an error or a log line.
//!
//! Every HTTP client of the fleet is built here, so that all keep the same rules about where they
//! connect to; that of the callbacks to web apps too.

#[cfg(feature = "client")]
pub mod callback;
#[cfg(feature = "client")]
pub mod capabilities;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
mod departure;
#[cfg(feature = "client")]
mod egress;
#[cfg(feature = "client")]
mod elements;
#[cfg(feature = "client")]
mod failure;
#[cfg(feature = "client")]
pub mod gate;
pub mod heleket;
#[cfg(feature = "client")]
mod http;
mod json;
#[cfg(feature = "client")]
mod listing;
#[cfg(feature = "client")]
pub mod published;
#[cfg(feature = "client")]
pub mod registry;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod signature;
pub mod stripe;
pub mod tatum;
pub mod trovotech;
pub mod webhook;

#[cfg(feature = "client")]
pub use client::{Client, ConfigError, ProviderError, Reply};
#[cfg(feature = "client")]
pub use listing::Listing;
#[cfg(feature = "client")]
pub use registry::{Clients, Configs};
