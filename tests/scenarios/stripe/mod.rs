//! What Stripe does for us, from HTTP to its sandbox and the ledger.

mod connect;
mod doubt;
mod events;
mod payments;
mod refunds;

use payfleet_tests::stripe::{
    account, ask, authorization, balance, effects, fund, funded_account, onboard, payment, payout, refund,
    shown, transfer, until,
};
