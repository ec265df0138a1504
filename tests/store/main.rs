//! The store on a real Postgres.

mod audit;
mod claims;
mod dead_letters;
mod distributions;
mod ledger;
mod shares;
