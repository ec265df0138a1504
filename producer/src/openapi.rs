//! The contract as `OpenAPI` 3.1: made from what stands at the handlers (`#[utoipa::path]`), served at
//! `/openapi.json`, and committed as `docs/openapi.json`, which a test holds against it.
//!
//! A handler declares what it takes and how it answers when all is well. The refusals that every
//! request can meet (a token, a body, a store that is away) are added here, so that no endpoint
//! forgets one.

use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, HttpMethod, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use crate::endpoints;
use crate::problem;
use crate::schemas;

const BEARER: &str = "bearer";

/// What stands above the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Payfleet",
        description = "A durable worker fleet for moving money. A POST that is answered 202 is accepted: \
                       it is done once, whatever dies meanwhile. Amounts are decimal strings, times are \
                       RFC 3339 in UTC, errors are RFC 9457 problems that name each field and its remedy.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "operations", description = "What was asked of the fleet, and what became of it."),
        (name = "webhooks", description = "Where providers send their events."),
        (name = "service", description = "The process itself."),
    ),
)]
struct Contract;

/// The document without its paths.
pub(crate) fn without_paths() -> utoipa::openapi::OpenApi {
    Contract::openapi()
}

/// The document as it is served and committed.
#[must_use]
pub fn contract() -> String {
    let mut text = endpoints::document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Adds to every operation what every one of its kind can answer.
pub(crate) fn complete(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert(Components::new());
    components.schemas.insert(problem::Wire::name().into_owned(), problem::Wire::schema());
    components.schemas.insert(problem::FieldError::name().into_owned(), problem::FieldError::schema());
    for (name, schema) in schemas::shared() {
        components.schemas.insert(name, schema.into());
    }
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.security_schemes.insert(BEARER.to_owned(), SecurityScheme::Http(scheme).into());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            for (status, why) in refusals(path, &method, operation) {
                let known = &mut operation.responses.responses;
                known.entry(status.to_owned()).or_insert_with(|| refusal(why).into());
            }
            if path.starts_with("/v1/") {
                operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let all = [(HttpMethod::Get, &mut item.get), (HttpMethod::Post, &mut item.post)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?))).collect()
}

/// How a request can be refused before, or whatever, its handler decides.
fn refusals(path: &str, method: &HttpMethod, operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("408", "The body took too long to arrive."),
        ("413", "The body is too large."),
        ("500", "A mistake of ours. Repeat the request with the same key."),
    ];
    if path.contains('{') {
        all.push(("404", "There is no such thing, or it is another tenant's."));
    }
    if path.starts_with("/v1/") {
        all.push(("401", "No token, or none of this deployment."));
        all.push(("503", "A store is away. Nothing is confirmed; repeat the request."));
        if *method == HttpMethod::Post || has_query(operation) {
            all.push(("422", "Fields or parameters need correction; each is named."));
        }
    }
    if path.starts_with("/v1/") && *method == HttpMethod::Post {
        all.push(("400", "A header is missing or malformed, or the body is no JSON object."));
        all.push(("409", "The Idempotency-Key was used for another request."));
        all.push(("415", "The body is not labelled as JSON, or compressed."));
    }
    all
}

fn has_query(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    })
}

/// A response that carries a problem.
fn refusal(why: &str) -> Response {
    let schema = Ref::from_schema_name(problem::Wire::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(why).content("application/problem+json", content).build()
}
