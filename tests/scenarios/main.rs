//! Whole fleets: from HTTP to provider and ledger.

mod custody;
mod dead_letters;
mod doubt;
mod happy;
mod outages;
mod reconciliation;
mod traces;
mod webhooks;
