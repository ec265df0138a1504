//! The store on a real Postgres.

mod claims;
mod ledger;
mod shares;
