//! What the events of an operation's history make of it, by the same `apply` that made them.

use payfleet_core::kinds::lifecycle::{Event, Operation, State};
use payfleet_core::ledger::Movement;

use super::facts::HistoryRow;

/// What an operation should be, by its history.
pub(super) struct Replayed {
    pub(super) operation: Operation,
    pub(super) movements: Vec<Movement>,
    /// Whether something is set aside for it; `None` where nothing ever was.
    pub(super) reserved: Option<bool>,
}

/// Where the history leaves the model.
pub(super) enum Broken {
    /// An event that this version cannot read.
    Unreadable(String),
    /// An event that leads elsewhere than the history says.
    Differs(String),
}

/// Replays `history` from the beginning.
pub(super) fn replay(operation: &Operation, history: &[HistoryRow]) -> Result<Replayed, Broken> {
    let mut now = Operation { state: State::Requested, ..operation.clone() };
    let mut movements = Vec::new();
    let mut reserved = None;
    for step in history {
        let place = format!("version {} step {}", step.version, step.step);
        let event: Event = serde_json::from_value(step.event.clone())
            .map_err(|error| Broken::Unreadable(format!("the event of {place}: {error}")))?;
        let applied = now.apply(&event).map_err(|illegal| Broken::Differs(format!("{place}: {illegal}")))?;
        if applied.state.name() != step.to_state {
            let (got, said) = (applied.state.name(), &step.to_state);
            let name = event.name();
            return Err(Broken::Differs(format!("{place}: {name} leads to {got}, the history says {said}")));
        }
        if matches!(event, Event::IntentOpened { .. }) && operation.reservation().is_some() {
            reserved = Some(true);
        }
        if applied.outcome.releases_reservation {
            reserved = reserved.map(|_| false);
        }
        movements.extend(applied.outcome.movement);
        now.state = applied.state;
    }
    Ok(Replayed { operation: now, movements, reserved })
}
