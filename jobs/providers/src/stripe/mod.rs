//! Stripe and Stripe Connect.

#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
pub(crate) mod webhook;
