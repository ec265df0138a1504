//! The producer over real HTTP, in front of a real Redis. Postgres is nowhere unless a test says so:
//! nothing that is accepted may need it.

mod bad_input;
mod contract;
mod intake;
mod limits;
mod listed;
mod outages;
mod payouts_and_mints;
mod providers;
mod reconciled;
mod shown;
mod webhooks;
