//! Heleket: outgoing crypto.

#[cfg(feature = "client")]
mod account;
#[cfg(feature = "client")]
mod answer;
#[cfg(feature = "client")]
mod client;
pub(crate) mod mapping;
pub(crate) mod php;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
pub(crate) mod sign;
pub(crate) mod webhook;
#[cfg(feature = "client")]
mod wire;

#[cfg(feature = "client")]
pub use account::{Balance, Moved, Pretended, Preview, PreviewPath, Service, Wallet};
#[cfg(feature = "client")]
pub use client::{CAPABILITIES, Client, Config};
