//! One operation: its row, history, movements, intents, reservation and evidence against each other.

use payfleet_core::kinds::Standing;
use payfleet_core::kinds::lifecycle::{Operation, State};
use payfleet_core::provider::Action;
use payfleet_core::{OperationId, ProviderKey};
use rust_decimal::Decimal;

use super::facts::{Facts, HistoryRow, Intent, Reserved, Row, Told};
use super::replay::{Broken, Replayed, replay};
use super::{Check, Desk, money};
use crate::StoreError;
use crate::claim::resolved;
use crate::operation_row::{OperationRow, json, kind, tenant, to_json};

/// Names whatever differs.
pub(super) fn check(facts: &Facts, desk: &mut Desk<'_>) {
    count(facts, desk);
    let subject = format!("operation {}", facts.row.id);
    money::balances(&facts.movements, desk);
    wake_up(&subject, facts, desk);
    transitions(&subject, facts, desk);
    let operation = match read(&facts.row) {
        Ok(operation) => operation,
        Err(why) => return desk.found(Check::Unreadable, subject, why),
    };
    row(&subject, &facts.row, &operation, desk);
    intents(&subject, &facts.intents, &operation, desk);
    if !is_whole(&subject, &facts.row, &facts.history, desk) {
        return;
    }
    match replay(&operation, &facts.history) {
        Ok(replayed) => against(&subject, facts, &operation, &replayed, desk),
        Err(Broken::Unreadable(why)) => desk.found(Check::Unreadable, subject, why),
        Err(Broken::Differs(why)) => desk.found(Check::Replay, subject, why),
    }
}

fn count(facts: &Facts, desk: &mut Desk<'_>) {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let postings = facts.movements.iter().map(|movement| movement.postings.len()).sum();
    let summary = &mut desk.summary;
    summary.operations = summary.operations.saturating_add(1);
    summary.events = summary.events.saturating_add(number(facts.history.len()));
    summary.movements = summary.movements.saturating_add(number(facts.movements.len()));
    summary.postings = summary.postings.saturating_add(number(postings));
}

fn read(row: &Row) -> Result<Operation, String> {
    let subject = subject(row).map_err(|error| format!("what it builds on: {error}"))?;
    let row = OperationRow {
        id: row.id,
        tenant: row.tenant.clone(),
        account: row.account.clone(),
        request: row.request.clone(),
        state_data: row.state_data.clone(),
    };
    let operation = Operation::try_from(row).map_err(|error| error.to_string())?;
    Ok(Operation { subject, ..operation })
}

fn subject(row: &Row) -> Result<Option<Standing>, StoreError> {
    let (Some(name), Some(owner), Some(state)) = (&row.subject_kind, &row.subject_tenant, &row.subject_state)
    else {
        return Ok(None);
    };
    let id = OperationId::from_uuid(row.id);
    let state = json("subject.state_data", &id, state.clone())?;
    let (kind, tenant) = (kind(&id, name)?, tenant(&id, owner.clone())?);
    Ok(Some(Standing { kind, tenant, state, provider_ref: row.subject_ref.clone() }))
}

/// Looks at columns alone, so that a row that cannot be read is looked at too.
fn wake_up(subject: &str, facts: &Facts, desk: &mut Desk<'_>) {
    let row = &facts.row;
    let is_final = matches!(row.state.as_str(), "settled" | "returned" | "failed");
    if is_final && row.parked {
        desk.found(Check::WakeUp, subject, format!("is {} and parked", row.state));
    } else if is_final && row.wakes && !row.has_events {
        desk.found(Check::WakeUp, subject, format!("is {}, and will be woken for nothing", row.state));
    } else if !is_final && !row.wakes && !row.parked {
        desk.found(Check::WakeUp, subject, format!("is {}, and nothing will wake it", row.state));
    }
    if !row.wakes {
        for key in &facts.evidence {
            let detail = format!("{key} waits in its inbox, and nothing will wake it");
            desk.found(Check::Evidence, subject, detail);
        }
    }
}

/// Whether web apps are told the way to where the operation is: numbered without a gap, each beginning
/// where the one before ended. One that is older than transitions counts none.
fn transitions(subject: &str, facts: &Facts, desk: &mut Desk<'_>) {
    let Facts { row, told, .. } = facts;
    let mut found = |detail: String| desk.found(Check::Transitions, subject, detail);
    if told.is_empty() && (row.transitions == 0 || row.transitions_archived) {
        return;
    }
    let is_cut = row.transitions_archived && told.first().is_some_and(|first| first.sequence > 1);
    let mut before = told.first().filter(|_| is_cut).map(|first| {
        let sequence = first.sequence.saturating_sub(1);
        (sequence, first.from_state.as_deref().unwrap_or_default())
    });
    for Told { sequence, from_state, to_state, .. } in told {
        let (last, at) = before.unwrap_or((0, from_state.as_deref().unwrap_or_default()));
        if *sequence != last.saturating_add(1) {
            return found(format!("transition {sequence} comes after {last}"));
        }
        if from_state.as_deref().unwrap_or_default() != at {
            return found(format!(
                "transition {sequence} does not begin at {at}, where the one before ended"
            ));
        }
        before = Some((*sequence, to_state));
    }
    let (last, at) = before.unwrap_or_default();
    if (last, at) != (row.transitions, row.state.as_str()) {
        let (count, state) = (row.transitions, &row.state);
        found(format!("transition {last} leads to {at}; the operation is {state} and counts {count}"));
    }
}

fn row(subject: &str, row: &Row, operation: &Operation, desk: &mut Desk<'_>) {
    if operation.request.hash().as_bytes().as_slice() != row.request_hash {
        desk.found(Check::RequestHash, subject, "the stored hash is another request's");
    }
    let request = &operation.request;
    let pairs = [
        ("state", row.state.as_str(), operation.state.name()),
        ("kind", row.kind.as_str(), request.kind().as_str()),
        ("provider", row.provider.as_str(), request.provider().as_str()),
    ];
    for (column, is, should) in pairs.into_iter().filter(|(_, is, should)| is != should) {
        desk.found(Check::Columns, subject, format!("{column} is {is}, what it repeats says {should}"));
    }
}

fn intents(subject: &str, intents: &[Intent], operation: &Operation, desk: &mut Desk<'_>) {
    let open: Vec<i32> = intents.iter().filter(|intent| intent.open).map(|intent| intent.number).collect();
    let name = operation.state.name();
    match (&operation.state, open.as_slice()) {
        (_, [_, _, ..]) => {
            desk.found(Check::Intent, subject, format!("intents {open:?} are open, at most one may be"));
        }
        (State::Submitting { intent } | State::Retrying { intent } | State::InDoubt { intent }, [one])
            if one == intent => {}
        (state, []) if resolved(state) => {}
        // The last was refused; the next is not opened yet.
        (State::Retrying { intent }, [])
            if intents.iter().any(|one| one.number.saturating_add(1) == *intent) => {}
        (state, [one]) if resolved(state) => {
            desk.found(Check::Intent, subject, format!("is {name}, and intent {one} is still open"));
        }
        (_, open) => {
            let detail = format!("is {name} over an intent that is not the open one (open: {open:?})");
            desk.found(Check::Intent, subject, detail);
        }
    }
    for intent in intents {
        let Ok(action) = serde_json::from_value::<Action>(intent.action.clone().into()) else {
            let detail = format!("intent {} does {:?}, which nothing does", intent.number, intent.action);
            desk.found(Check::IntentKey, subject, detail);
            continue;
        };
        let provider = operation.request.provider();
        let key = ProviderKey::derive(provider, &operation.account, operation.id, action, intent.number);
        if intent.provider_key != key.as_str() {
            let detail = format!("the key of intent {} is not the one derived for it", intent.number);
            desk.found(Check::IntentKey, subject, detail);
        }
    }
}

/// Whether the history begins at the beginning, has no gap, and ends where the operation is. One whose
/// first months are archived is looked at from where it goes on, and cannot be replayed.
fn is_whole(subject: &str, row: &Row, history: &[HistoryRow], desk: &mut Desk<'_>) -> bool {
    let begins = history.first().map(|step| step.from_state.as_str());
    let is_cut = row.archived && begins != Some(State::Requested.name());
    if is_cut && history.is_empty() {
        return false;
    }
    let mut at = begins.filter(|_| is_cut).unwrap_or(State::Requested.name());
    for step in history {
        if step.from_state != at {
            let place = format!("version {} step {}", step.version, step.step);
            let detail = format!("{place} goes on from {}, after {at}", step.from_state);
            desk.found(Check::History, subject, detail);
            return false;
        }
        at = &step.to_state;
    }
    let last = history.last().map_or(0, |step| step.version);
    if last > row.version {
        let detail = format!("reaches version {last}, the operation is at {}", row.version);
        desk.found(Check::History, subject, detail);
    }
    if at != row.state {
        desk.found(Check::History, subject, format!("ends at {at}, the operation is {}", row.state));
    }
    at == row.state && !is_cut
}

/// What the history makes of the operation, against what is stored.
fn against(subject: &str, facts: &Facts, operation: &Operation, replayed: &Replayed, desk: &mut Desk<'_>) {
    // As the history has it: without secrets, and without what Postgres cannot hold.
    if to_json(&replayed.operation.state) != to_json(&operation.state.for_the_record()) {
        let name = operation.state.name();
        desk.found(Check::Replay, subject, format!("its history leads to another {name} than is stored"));
    }
    money::check(subject, &facts.movements, &replayed.movements, desk);
    reservation(subject, facts.reservation.as_ref(), operation, replayed.reserved, desk);
}

fn reservation(
    subject: &str,
    held: Option<&Reserved>,
    operation: &Operation,
    should: Option<bool>,
    desk: &mut Desk<'_>,
) {
    let word = |held: Option<bool>| match held {
        None => "nothing was ever set aside",
        Some(true) => "its part is set aside",
        Some(false) => "its part was given back",
    };
    let is = held.map(|reserved| !reserved.released);
    if is != should {
        let detail = format!("{}; by its history {}", word(is), word(should));
        desk.found(Check::Reservation, subject, detail);
    }
    if let (Some(held), Some(due)) = (held, operation.reservation())
        && (held.pool != due.pool || held.amount.parse::<Decimal>() != Ok(due.amount))
    {
        let detail = format!(
            "{} of {} is set aside, asked were {} of {}",
            held.amount, held.pool, due.amount, due.pool
        );
        desk.found(Check::Reservation, subject, detail);
    }
}
