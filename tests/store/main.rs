//! The store on a real Postgres.

mod audit;
mod claims;
mod dead_letters;
mod ledger;
mod shares;
