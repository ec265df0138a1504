//! Our clients against the sandboxes, over real connections: what each answer, each fault and each
//! webhook comes to, and what really happened at the provider.

mod bench;
mod command;
mod conformance;
mod deliveries;
mod differences;
mod faults;
mod garbage;
mod heleket;
mod heleket_account;
mod ledger;
mod pace;
mod record;
mod stripe;
mod tatum;
mod transport;
mod trovotech;
mod trovotech_account;
mod vectors;
mod webhooks;
