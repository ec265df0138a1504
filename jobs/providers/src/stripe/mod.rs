//! Stripe and Stripe Connect.

pub(crate) mod webhook;
