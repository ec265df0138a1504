//! The store on a real Postgres.

mod audit;
mod claims;
mod dead_letters;
mod distributions;
mod feed;
mod ledger;
mod notifications;
mod shares;
