//! What Stripe can do for us, and its published limits.

use crate::capabilities::{Amounts, Capabilities, Doubt, Listing, Operation, Paging};

/// Stripe keeps a key for at least 24 hours; after that the same key runs again as a new one. We stop an hour
/// before: what is sent inside the window must arrive inside it.
pub(super) const KEY_WINDOW_MS: i64 = 23 * 3_600_000;
const SAME_KEY: Doubt = Doubt::SameKey { window_ms: KEY_WINDOW_MS };
const PAGES: Paging = Paging::Cursor { page: 100 };

/// What Stripe can do for us.
pub const CAPABILITIES: Capabilities = Capabilities {
    operations: &[
        Operation::new("create_payment_intent", SAME_KEY),
        Operation::new("confirm_payment_intent", SAME_KEY),
        Operation::new("capture_payment_intent", SAME_KEY),
        Operation::new("cancel_payment_intent", SAME_KEY),
        Operation::new("payment_intent", Doubt::Read),
        Operation::new("search_payment_intents", Doubt::Read),
        Operation::new("create_refund", SAME_KEY),
        Operation::new("refund", Doubt::Read),
        Operation::new("create_customer", SAME_KEY),
        Operation::new("update_customer", SAME_KEY),
        Operation::new("customer", Doubt::Read),
        // It carries no key; what is gone stays gone.
        Operation::new("delete_customer", Doubt::Repeat),
        Operation::new("attach_payment_method", SAME_KEY),
        Operation::new("detach_payment_method", SAME_KEY),
        Operation::new("create_account", SAME_KEY),
        Operation::new("connected_account", Doubt::Read),
        Operation::new("create_account_link", SAME_KEY),
        Operation::new("create_transfer", SAME_KEY),
        Operation::new("transfer", Doubt::Read),
        Operation::new("reverse_transfer", SAME_KEY),
        Operation::new("create_payout", SAME_KEY),
        Operation::new("payout", Doubt::Read),
        Operation::new("cancel_payout", SAME_KEY),
        Operation::new("reverse_payout", SAME_KEY),
        Operation::new("balance", Doubt::Read),
        Operation::new("event", Doubt::Read),
        Operation::new("create_webhook_endpoint", SAME_KEY),
    ],
    listings: &[
        Listing { name: "payment_intents", paging: PAGES, names_our_reference: true },
        Listing { name: "refunds", paging: PAGES, names_our_reference: true },
        Listing { name: "customers", paging: PAGES, names_our_reference: true },
        Listing { name: "payment_methods", paging: PAGES, names_our_reference: false },
        Listing { name: "accounts", paging: PAGES, names_our_reference: true },
        Listing { name: "transfers", paging: PAGES, names_our_reference: true },
        Listing { name: "payouts", paging: PAGES, names_our_reference: true },
        Listing { name: "balance_transactions", paging: PAGES, names_our_reference: false },
        Listing { name: "events", paging: PAGES, names_our_reference: true },
    ],
    amounts: Amounts::MinorUnits,
    // Live; its test mode takes 25, and one endpoint 25 by default.
    per_second: Some(100),
    has_event_ids: true,
    signs_time: true,
};
