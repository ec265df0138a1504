//! The `Idempotency-Key` header: the caller's own name for a request. It is part of the operation's
//! id, so it is taken as it comes: no trimming, no unquoting, no folding of case.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::problem::Problem;

const NAME: &str = "Idempotency-Key";
const LONGEST: usize = 255;

/// A key of 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, IntoParams)]
#[into_params(names("Idempotency-Key"), parameter_in = Header)]
pub(crate) struct IdempotencyKey(
    /// Your own unique name for this request, and the same one when you repeat it.
    #[param(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) String,
);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers)
    }
}

fn read(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut values = headers.get_all(NAME).iter();
    let missing =
        "is missing: send your own unique name for this request, and the same one when you repeat it";
    let value = values.next().ok_or_else(|| Problem::header(NAME, missing))?;
    if values.next().is_some() {
        return Err(Problem::header(NAME, "must be sent once"));
    }
    let bytes = value.as_bytes();
    if (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic) {
        Ok(IdempotencyKey(String::from_utf8_lossy(bytes).into_owned()))
    } else {
        Err(Problem::header(NAME, "must be 1 to 255 visible ASCII characters, without spaces"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn keys_are_1_to_255_visible_characters_sent_once() {
        let longest = [b'k'; LONGEST];
        for good in [b"a".as_slice(), b"\"order-1\"", &longest] {
            assert_eq!(read(&headers(&[good])).unwrap().0.as_bytes(), good);
        }
        let too_long = [b'k'; LONGEST + 1];
        for bad in [b"".as_slice(), b"a b", b"caf\xc3\xa9", &too_long] {
            assert!(read(&headers(&[bad])).is_err(), "{bad:?}");
        }
        assert!(read(&headers(&[])).is_err());
        assert!(read(&headers(&[b"a", b"a"])).is_err());
    }
}
