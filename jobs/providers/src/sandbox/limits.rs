//! So many calls a second and no more: what is above is answered 429 and does not happen. Seconds are
//! those of the sandbox's clock, so a test decides when one is over.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use payfleet_core::Clock;
use serde_json::json;

use super::{Options, locked};

/// How many calls were made in the present second.
pub(crate) struct Limit {
    clock: Arc<dyn Clock>,
    per_second: Option<u32>,
    window: Mutex<(i64, u32)>,
}

impl Limit {
    pub(crate) fn of(options: &Options) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(&options.clock),
            per_second: options.per_second.map(std::num::NonZeroU32::get),
            window: Mutex::new((0, 0)),
        })
    }

    fn admits(&self) -> bool {
        let Some(per_second) = self.per_second else { return true };
        let now = self.clock.now().unix_s();
        let mut window = locked(&self.window);
        if window.0 != now {
            *window = (now, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1 <= per_second
    }
}

/// The middleware. The paths that steer a sandbox are never limited.
pub(crate) async fn admit(State(limit): State<Arc<Limit>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/_") || limit.admits() {
        return next.run(request).await;
    }
    let body = json!({ "statusCode": 429, "errorCode": "too.many.requests", "message": "Too many requests" });
    (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")], Json(body)).into_response()
}
