//! `GET /v1/events?after=CURSOR&limit=N`: each transition of the caller's operations is an event, in
//! the order in which they were committed. Whoever reads on from `next` misses none and gets none
//! twice; the same events, in the same shape, are what callbacks carry.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use payfleet_core::kinds::notify::Transition;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Array, ObjectBuilder, Type};

use crate::auth::Caller;
use crate::problem::{FieldError, Problem};
use crate::schemas;
use crate::state::AppState;
use crate::unavailable::store_problem;

const USUAL_LIMIT: i64 = 100;
const LARGEST_LIMIT: i64 = 1_000;
/// How long Postgres may take.
const STORE_WITHIN: Duration = Duration::from_secs(5);

/// A stretch of the feed.
#[derive(Serialize, ToSchema)]
#[schema(as = Events)]
pub(crate) struct Page {
    /// Oldest first.
    #[schema(schema_with = events)]
    events: Vec<Transition>,
    /// The cursor to read on with; it stays as it was where there was nothing new.
    next: String,
    /// Whether there is more already.
    more: bool,
}

/// Lists what happened to your operations, oldest first
///
/// Each transition of an operation is an event. Read on with `after` set to the last answer's `next`:
/// no event is missed and none comes twice. Callbacks carry the same events.
#[utoipa::path(get, path = "/v1/events", operation_id = "list_events", tag = "operations",
    params(
        ("after" = inline(Option<i64>), Query, description = "The next of an earlier answer; without it, from the beginning.",
            minimum = 0),
        ("limit" = inline(Option<i64>), Query, description = "How many at most [100].", minimum = 1, maximum = 1000)),
    responses((status = 200, body = Page)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(pairs) = query.map_err(|error| {
        let message = "must be after=CURSOR and limit=N, joined by &".to_owned();
        Problem::fields(vec![FieldError { field: "query".to_owned(), message }]).because(error)
    })?;
    let (after, limit) = read(&pairs)?;
    let page = timeout(STORE_WITHIN, state.store().feed(&caller.tenant, after, limit)).await;
    let page = page.map_err(|_| store_problem("Postgres did not answer in time"))?;
    let page = page.map_err(|error| store_problem(&error))?;
    let page = Page { events: page.transitions, next: page.next.to_string(), more: page.more };
    Ok(Json(page).into_response())
}

/// Events in the contract: what `Transition` is serialised to.
fn events() -> Array {
    let text =
        |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let data = ObjectBuilder::new()
        .property("operation_id", schemas::id())
        .property("kind", schemas::kind())
        .property("idempotency_key", text("Your own name for the operation."))
        .property(
            "sequence",
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .description(Some("1, 2, 3, ... within the operation, without gaps.")),
        )
        .property(
            "previous_state",
            ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .description(Some("null: the operation began.")),
        )
        .property("state", schemas::state())
        .property("provider_ref", text("The provider's id of it, once the provider has answered."))
        .property("tx_hash", text("The transaction on the chain, once known."))
        .property("reason", text("Why it failed."))
        .property("difference", text("How the provider's record differs from what was asked."));
    let data = ["operation_id", "kind", "idempotency_key", "sequence", "previous_state", "state"]
        .into_iter()
        .fold(data, ObjectBuilder::required);
    let event = ObjectBuilder::new()
        .property("id", text("The same in the feed and in every callback: what you know an event by."))
        .property("type", text("The operation's kind and the state it came to: payout.settled."))
        .property("timestamp", schemas::moment())
        .property("data", data);
    let event = ["id", "type", "timestamp", "data"].into_iter().fold(event, ObjectBuilder::required);
    Array::new(event)
}

/// Cursor and limit. All mistakes are named together.
fn read(pairs: &[(String, String)]) -> Result<(i64, i64), Problem> {
    let (mut after, mut limit) = (None, None);
    let mut errors = Vec::new();
    for (name, value) in pairs {
        let (slot, least, most, message) = match name.as_str() {
            "after" => {
                (&mut after, 0, i64::MAX, "must be the next of an earlier answer; leave it out to begin")
            }
            "limit" => (&mut limit, 1, LARGEST_LIMIT, "must be a whole number from 1 to 1000"),
            _ => {
                let message = "is no parameter of this endpoint: it takes after and limit";
                errors.push(FieldError { field: name.clone(), message: message.to_owned() });
                continue;
            }
        };
        let number = value.parse().ok().filter(|number| (least..=most).contains(number));
        let message = if number.is_none() { Some(message) } else { slot.map(|_: i64| "must be given once") };
        *slot = number.or(*slot);
        errors.extend(message.map(|message| FieldError { field: name.clone(), message: message.to_owned() }));
    }
    if errors.is_empty() {
        Ok((after.unwrap_or(0), limit.unwrap_or(USUAL_LIMIT)))
    } else {
        Err(Problem::fields(errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<(i64, i64), String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(&pairs).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn cursor_and_limit_are_whole_numbers_given_once() {
        assert_eq!(of(&[]), Ok((0, 100)));
        assert_eq!(of(&[("limit", "1000"), ("after", "77")]), Ok((77, 1000)));
        for (bad, field) in [
            (vec![("limit", "0")], "limit"),
            (vec![("limit", "1001")], "limit"),
            (vec![("limit", "ten")], "limit"),
            (vec![("after", "-1")], "after"),
            (vec![("after", "99999999999999999999")], "after"),
            (vec![("after", "")], "after"),
            (vec![("after", "1"), ("after", "1")], "after"),
            (vec![("before", "1")], "before"),
        ] {
            let problem = of(&bad).unwrap_err();
            assert!(problem.contains(&format!("field: \"{field}\"")), "{bad:?}: {problem}");
        }
        assert_eq!(of(&[("limit", "0"), ("after", "x")]).unwrap_err().matches("field:").count(), 2);
    }
}
