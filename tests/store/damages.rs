//! Every way in which a database can lie, as it is done by a superuser with the triggers switched off,
//! and what the audit must name for it.

use payfleet_store::Check;

/// What is done to the database, and what the audit must name for it.
pub(crate) struct Damage {
    pub(crate) check: Check,
    pub(crate) subject: &'static str,
    pub(crate) sql: &'static str,
}

const fn damage(check: Check, subject: &'static str, sql: &'static str) -> Damage {
    Damage { check, subject, sql }
}

pub(crate) const DAMAGES: [Damage; 47] = [
    damage(
        Check::Unreadable,
        "operation {settled}",
        "UPDATE operations SET state_data = '{\"state\": \"paid\"}' WHERE id = '{settled}'",
    ),
    damage(
        Check::Unreadable,
        "operation {accepted}",
        "UPDATE operation_history SET event = '{\"event\": \"blessed\"}' WHERE operation_id = '{accepted}' AND version = 2",
    ),
    damage(
        Check::RequestHash,
        "operation {settled}",
        "UPDATE operations SET request = jsonb_set(request, '{money,amount}', '\"99\"') WHERE id = '{settled}'",
    ),
    damage(Check::Columns, "operation {accepted}", "UPDATE operations SET kind = 'mint' WHERE id = '{accepted}'"),
    damage(
        Check::Columns,
        "operation {accepted}",
        "UPDATE operations SET provider = 'stripe' WHERE id = '{accepted}'",
    ),
    damage(Check::Columns, "operation {doubt}", "UPDATE operations SET state = 'retrying' WHERE id = '{doubt}'"),
    damage(
        Check::WakeUp,
        "operation {accepted}",
        "UPDATE operations SET next_wake_at = NULL WHERE id = '{accepted}'",
    ),
    damage(
        Check::WakeUp,
        "operation {settled}",
        "UPDATE operations SET next_wake_at = now() WHERE id = '{settled}'",
    ),
    damage(
        Check::WakeUp,
        "operation {refused}",
        "UPDATE operations SET parked = 'in_doubt' WHERE id = '{refused}'",
    ),
    damage(
        Check::History,
        "operation {accepted}",
        "DELETE FROM operation_history WHERE operation_id = '{accepted}' AND version = 2",
    ),
    damage(
        Check::History,
        "operation {settled}",
        "DELETE FROM operation_history WHERE operation_id = '{settled}'",
    ),
    damage(Check::History, "operation {settled}", "UPDATE operations SET version = 1 WHERE id = '{settled}'"),
    damage(
        Check::Replay,
        "operation {accepted}",
        "UPDATE operations SET state_data = jsonb_set(state_data, '{provider_ref}', '\"other\"') WHERE id = '{accepted}'",
    ),
    damage(
        Check::Replay,
        "operation {accepted}",
        "UPDATE operation_history SET event = '{\"event\": \"left_open\", \"intent\": 1}'
         WHERE operation_id = '{accepted}' AND version = 3",
    ),
    damage(
        Check::Replay,
        "operation {refused}",
        "UPDATE operation_history SET event = '{\"event\": \"intent_opened\", \"intent\": 1}'
         WHERE operation_id = '{refused}'",
    ),
    damage(
        Check::MovementMissing,
        "operation {settled}",
        "DELETE FROM postings USING movements m WHERE m.id = movement_id AND m.operation_id = '{settled}';
         DELETE FROM movements WHERE operation_id = '{settled}'",
    ),
    damage(
        Check::MovementStray,
        "movement",
        "INSERT INTO movements (operation_id, event) VALUES ('{accepted}', 'settled');
         INSERT INTO postings SELECT max(id), 1, 'a', 'USDT', 5 FROM movements;
         INSERT INTO postings SELECT max(id), 2, 'b', 'USDT', -5 FROM movements",
    ),
    damage(
        Check::MovementStray,
        "movement",
        "ALTER TABLE movements DROP CONSTRAINT movements_once;
         INSERT INTO movements (operation_id, event) VALUES ('{settled}', 'settled');
         INSERT INTO postings SELECT (SELECT max(id) FROM movements), line, account, unit, amount
         FROM postings JOIN movements m ON m.id = movement_id WHERE operation_id = '{settled}'",
    ),
    damage(
        Check::MovementDiffers,
        "movement",
        "UPDATE postings SET amount = amount * 2 FROM movements m WHERE m.id = movement_id AND operation_id = '{settled}'",
    ),
    damage(
        Check::MovementDiffers,
        "movement",
        "UPDATE postings SET account = 'payouts:other' FROM movements m
         WHERE m.id = movement_id AND operation_id = '{settled}' AND line = 2",
    ),
    damage(Check::Unbalanced, "movement", "UPDATE postings SET amount = amount + 1 WHERE line = 1"),
    damage(Check::Unbalanced, "movement", "UPDATE postings SET amount = 'NaN' WHERE line = 1"),
    damage(Check::Unbalanced, "movement", "DELETE FROM postings"),
    damage(
        Check::Intent,
        "operation {doubt}",
        "DROP INDEX intents_one_open;
         INSERT INTO intents (operation_id, number, action, provider, account, provider_key, reference, request_hash)
         SELECT operation_id, 2, action, provider, account, provider_key, 'another', request_hash
         FROM intents WHERE operation_id = '{doubt}'",
    ),
    damage(
        Check::Intent,
        "operation {accepted}",
        "UPDATE intents SET closed_at = NULL WHERE operation_id = '{accepted}'",
    ),
    damage(Check::Intent, "operation {doubt}", "UPDATE intents SET closed_at = now() WHERE operation_id = '{doubt}'"),
    damage(
        Check::IntentKey,
        "operation {doubt}",
        "UPDATE intents SET provider_key = repeat('0', 64) WHERE operation_id = '{doubt}'",
    ),
    damage(
        Check::Reservation,
        "operation {minted}",
        "DELETE FROM reservations WHERE operation_id = '{minted}'",
    ),
    damage(
        Check::Reservation,
        "operation {refused}",
        "UPDATE reservations SET released_at = NULL WHERE operation_id = '{refused}'",
    ),
    damage(
        Check::Reservation,
        "operation {minted}",
        "UPDATE reservations SET amount = 1 WHERE operation_id = '{minted}'",
    ),
    damage(Check::Pool, "pool share:bus-1", "UPDATE pools SET reserved = 10"),
    damage(
        Check::Pool,
        "account shares:issued:default",
        "UPDATE postings SET amount = amount * 3 WHERE unit = 'share:bus-1'",
    ),
    damage(
        Check::Evidence,
        "operation {doubt}",
        "UPDATE operations SET next_wake_at = NULL, parked = 'in_doubt' WHERE id = '{doubt}';
         INSERT INTO inbox (operation_id, event_key, event) VALUES ('{doubt}', 'evidence:1:2', '{\"event\": \"evidence\"}')",
    ),
    damage(
        Check::Transitions,
        "operation {accepted}",
        "DELETE FROM transitions WHERE operation_id = '{accepted}' AND sequence = 2",
    ),
    damage(
        Check::Transitions,
        "operation {settled}",
        "UPDATE transitions SET to_state = 'failed' WHERE operation_id = '{settled}' AND sequence = 3",
    ),
    damage(
        Check::Transitions,
        "operation {minted}",
        "UPDATE operations SET transitions = transitions + 1 WHERE id = '{minted}'",
    ),
    damage(
        Check::Parts,
        "distribution {divided}",
        "UPDATE distribution_parts SET amount = amount + 1 WHERE distribution_id = '{divided}' AND holder = 'most'",
    ),
    damage(
        Check::Parts,
        "part of most in distribution {divided}",
        "UPDATE operations SET request = jsonb_set(request, '{money,amount}', '\"99\"')
         WHERE id = (SELECT payout_id FROM distribution_parts WHERE distribution_id = '{divided}' AND holder = 'most')",
    ),
    damage(
        Check::Parts,
        "part of most in distribution {divided}",
        "UPDATE distribution_parts SET unpaid = true WHERE distribution_id = '{divided}' AND holder = 'most'",
    ),
    damage(
        Check::Parts,
        "part of least in distribution {divided}",
        "UPDATE distribution_parts SET carried_to = NULL WHERE carried_to = '{divided}'",
    ),
    damage(
        Check::Schedules,
        "payout schedule {schedule}",
        "UPDATE inbox SET event = jsonb_set(event, '{money,amount}', '\"7\"') WHERE operation_id = '{schedule}'",
    ),
    damage(
        Check::Deposits,
        "deposit tx-1 to order {order}",
        "UPDATE deposits SET amount = amount * 2",
    ),
    damage(Check::Deposits, "deposit tx-1 to order {order}", "UPDATE deposits SET status = 'gone'"),
    damage(
        Check::Deposits,
        "deposit tx-2 to order {order}",
        "INSERT INTO deposits SELECT network, 'tx-2', place, address_key, operation_id, amount, asset, is_coin, block,
             status FROM deposits",
    ),
    damage(Check::Webhook, "webhook event", "DELETE FROM inbox WHERE event_key LIKE 'webhook:%'"),
    damage(Check::Run, "reconciliation run", "DELETE FROM discrepancies WHERE run_id IS NOT NULL"),
    damage(Check::Orphan, "posting", "DELETE FROM movements"),
];

/// What else belongs to an operation that is gone.
pub(crate) const ORPHANS: [&str; 9] =
    ["movement", "intent", "inbox", "reservation", "history", "attempt", "transition", "part", "deposit"];

/// What a damage may touch.
pub(crate) const TABLES: [&str; 16] = [
    "operations",
    "intents",
    "inbox",
    "pools",
    "reservations",
    "operation_history",
    "transitions",
    "distribution_parts",
    "deposit_addresses",
    "deposits",
    "intent_attempts",
    "movements",
    "postings",
    "webhook_events",
    "discrepancies",
    "reconciliation_runs",
];
