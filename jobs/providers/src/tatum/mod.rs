//! Tatum: incoming crypto.

#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
pub(crate) mod webhook;
