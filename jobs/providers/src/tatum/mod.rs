//! Tatum: incoming crypto.

pub(crate) mod webhook;
