//! `GET /v1/webhooks`: the log of providers' events, with what became of each; one of them with its body,
//! masked.
//!
//! An event is about an account of the deployment, and only mostly about one tenant's operation: the log
//! is shown to the deployment's own tenant, `default`, and to nobody else.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use payfleet_core::Timestamp;
use payfleet_core::provider::Provider;
use payfleet_providers::webhook::masked;
use payfleet_store::{LoggedWebhook, WEBHOOK_OUTCOMES, WebhookFilter, WebhookWithBody};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::auth::Caller;
use crate::operations::listed;
use crate::parameters::Parameters;
use crate::problem::{Kind, Problem};
use crate::schemas;
use crate::state::AppState;
use crate::view::rfc3339;

const PAGE: u16 = 50;
const LARGEST_PAGE: u16 = 200;

/// Which events.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the contract's words for what `list` reads")]
struct Selection {
    /// Only of this provider.
    #[param(schema_with = schemas::provider, required = false)]
    provider: Option<Provider>,
    /// Only of which became this.
    #[param(schema_with = outcome, required = false)]
    outcome: Option<String>,
    /// Only of this type, in the provider's word: `payout.paid`.
    #[param(min_length = 1, max_length = 100)]
    event_type: Option<String>,
    /// Only those that reached us at this moment or later.
    #[param(schema_with = schemas::moment, required = false)]
    received_from: Option<Timestamp>,
    /// Only those that reached us before this moment.
    #[param(schema_with = schemas::moment, required = false)]
    received_to: Option<Timestamp>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u16,
    /// The `next_cursor` of the page before.
    #[param(minimum = 1)]
    cursor: Option<i64>,
}

fn outcome() -> Object {
    let words = "What became of it: received (stored), parked (its operation is not known yet), processed (its \
                 operation has it), ignored (none of our business), failed (unreadable, or for a person).";
    schemas::words(words, WEBHOOK_OUTCOMES)
}

/// An event on the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Logged {
    /// Its number.
    id: i64,
    #[schema(schema_with = schemas::provider)]
    provider: String,
    /// Unique per provider: the event's id, or what stands for one.
    event_key: String,
    /// What its provider calls it.
    event_type: String,
    /// Whether another body came before under the same key.
    is_variant: bool,
    #[schema(schema_with = outcome)]
    outcome: String,
    /// Why, where that needs words.
    detail: Option<String>,
    /// The operation that has it, if one has.
    operation_id: Option<String>,
    #[schema(schema_with = schemas::moment)]
    received_at: String,
    /// When what became of it was written down.
    handled_at: Option<String>,
}

/// Events, the last one first.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookPage {
    webhooks: Vec<Logged>,
    /// Names the next page, as `cursor`; null on the last one.
    next_cursor: Option<i64>,
}

/// An event with its body.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedWithBody {
    #[serde(flatten)]
    logged: Logged,
    /// What the provider sent: ids, states and amounts; everything else is hidden. Null where it is no
    /// JSON object, or its month has been archived.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>)]
    body: Option<Box<RawValue>>,
}

/// Lists providers' events, the last one first
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    params(Selection), responses((status = 200, body = WebhookPage)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let filter = read(&mut parameters);
    let limit = parameters.whole("limit", LARGEST_PAGE).unwrap_or(PAGE);
    let cursor = parameters.number_of_a_page("cursor");
    parameters.finish()?;
    let mut webhooks = Vec::new();
    if caller.runs_the_deployment() {
        let most = i64::from(limit).saturating_add(1);
        webhooks = listed(state.store().webhook_log(&filter, cursor, most)).await?;
    }
    let more = webhooks.len() > usize::from(limit);
    webhooks.truncate(limit.into());
    let next_cursor = webhooks.last().filter(|_| more).map(|webhook| webhook.id);
    let webhooks = webhooks.into_iter().map(Logged::from).collect();
    Ok(Json(WebhookPage { webhooks, next_cursor }).into_response())
}

/// Shows a provider's event, masked
#[utoipa::path(get, path = "/v1/webhooks/{number}", operation_id = "show_webhook", tag = "webhooks",
    params(("number" = i64, Path, description = "Its number.", minimum = 1)),
    responses((status = 200, body = LoggedWithBody)))]
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Caller,
    number: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let number = number.ok().and_then(|Path(text)| text.parse::<i64>().ok());
    let number = number.filter(|_| caller.runs_the_deployment()).ok_or_else(no_such)?;
    let WebhookWithBody { logged, body } =
        listed(state.store().logged_webhook(number)).await?.ok_or_else(no_such)?;
    let provider = logged.provider.parse::<Provider>().ok();
    let body = provider.zip(body).and_then(|(provider, body)| masked(provider, &body));
    Ok(Json(LoggedWithBody { logged: logged.into(), body }).into_response())
}

fn read(parameters: &mut Parameters) -> WebhookFilter {
    let filter = WebhookFilter {
        provider: parameters.parsed("provider"),
        outcome: parameters.one_of("outcome", &WEBHOOK_OUTCOMES),
        event_type: parameters.text("event_type"),
        from: parameters.moment("received_from"),
        to: parameters.moment("received_to"),
    };
    if filter.event_type.as_ref().is_some_and(|word| !(1..=100).contains(&word.chars().count())) {
        parameters.refuse("event_type", "must be the provider's word for a type, of 1 to 100 characters");
    }
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from >= to
    {
        parameters.refuse("received_to", "must be later than received_from");
    }
    filter
}

fn no_such() -> Problem {
    Problem::new(Kind::NotFound, "No event has this number. GET /v1/webhooks lists those there are.")
}

impl From<LoggedWebhook> for Logged {
    fn from(logged: LoggedWebhook) -> Self {
        Self {
            id: logged.id,
            provider: logged.provider,
            event_key: logged.event_key,
            event_type: logged.event_type,
            is_variant: logged.variant,
            outcome: logged.outcome,
            detail: logged.detail,
            operation_id: logged.operation_id.map(|id| id.to_string()),
            received_at: rfc3339(logged.received_at),
            handled_at: logged.handled_at.map(rfc3339),
        }
    }
}
