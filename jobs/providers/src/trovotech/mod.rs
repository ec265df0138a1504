//! TrovoTech, and the Bantu chain it works on.

pub(crate) mod webhook;
