//! Heleket: outgoing crypto.

pub(crate) mod mapping;
pub(crate) mod php;
pub(crate) mod sign;
pub(crate) mod webhook;
