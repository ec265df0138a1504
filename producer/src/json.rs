//! The body of an API request: JSON, and labelled so.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::bounds::LONGEST_BODY;
use crate::fields::Fields;
use crate::problem::{Kind, Problem};

/// The bytes of a body that calls itself JSON.
pub(crate) struct JsonBody(Bytes);

impl JsonBody {
    /// Starts reading it.
    ///
    /// # Errors
    /// 400 where it is no JSON object.
    pub(crate) fn fields(&self) -> Result<Fields, Problem> {
        Fields::parse(&self.0)
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Send JSON, uncompressed, with the header Content-Type: application/json.";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        let body = to_bytes(request.into_body(), LONGEST_BODY).await;
        body.map(Self).map_err(|error| Problem::new(Kind::Internal, "Try again.").because(error))
    }
}

/// `application/json`, with or without parameters, and not compressed: nothing is inflated here.
fn is_json(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let plain = header(CONTENT_ENCODING).is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    let essence = header(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or("");
    plain && essence.trim().eq_ignore_ascii_case("application/json")
}
