//! The store on a real Postgres.

mod archive;
mod audit;
mod cancelled;
mod claims;
mod damages;
mod dead_letters;
mod deposits;
mod distributions;
mod fates;
mod feed;
mod ledger;
mod notifications;
mod plans;
mod reconciliation;
mod redrive;
mod rescue;
mod shares;
mod webhook_batches;
