//! Whole fleets: from HTTP to provider and ledger.

mod chains;
mod custody;
mod dead_letters;
mod distributions;
mod doubt;
mod happy;
mod notify;
mod orders;
mod outages;
mod providers;
mod rebuild;
mod reconciliation;
mod redrive;
mod rescue;
mod schedules;
mod stripe;
mod traces;
mod weather;
mod webhooks;
