//! The subcommands, one file each.

pub(crate) mod archive;
pub(crate) mod audit;
pub(crate) mod breakers;
pub(crate) mod discrepancies;
pub(crate) mod dlq;
pub(crate) mod events;
pub(crate) mod hash_token;
pub(crate) mod limits;
pub(crate) mod migrate;
pub(crate) mod operations;
pub(crate) mod orders;
pub(crate) mod providers;
pub(crate) mod rebuild;
pub(crate) mod receivers;
pub(crate) mod redrive;
mod said;
pub(crate) mod sandbox;
pub(crate) mod show;
mod stores;
pub(crate) mod webhook;
