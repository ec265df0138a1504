//! Bearer tokens: who calls, and for which tenant. Tokens are known by their SHA-256 only, and a
//! presented one is compared with all of them in constant time. Nothing here asks a store, so intake
//! needs neither Postgres nor a cache to know its callers.

use std::collections::BTreeSet;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use payfleet_core::TenantId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// What `API_TOKENS` should look like, for mistakes and `--help`.
pub(crate) const TOKENS_FORM: &str =
    "name:tenant:sha256hex, comma-separated; sha256hex is the SHA-256 of the token, 64 hex characters";

/// A token a caller may present.
#[derive(Clone, Debug)]
struct Token {
    name: String,
    tenant: TenantId,
    sha256: [u8; 32],
}

/// Every token that is accepted.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Token>);

/// What is wrong with a list of tokens. Names entries by position: an entry may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// Not a single token.
    #[error("names no token; give {TOKENS_FORM}")]
    Empty,
    /// An entry of another form.
    #[error("entry {0} is not of the form {TOKENS_FORM}")]
    Form(usize),
    /// An entry whose tenant is no name.
    #[error("entry {0}: the tenant must be 1 to 64 characters of a-z, A-Z, 0-9, '_' or '-'")]
    Tenant(usize),
    /// Two entries under one name, or with one hash.
    #[error("entry {0} repeats the name or the hash of an earlier one; each must be its own")]
    Repeated(usize),
}

impl Tokens {
    /// Reads `name:tenant:sha256hex,...`; spaces around entries are ignored.
    ///
    /// # Errors
    /// [`TokensError`] for the first entry that cannot be used.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let mut tokens = Vec::new();
        let mut seen = (BTreeSet::new(), BTreeSet::new());
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (entry, position) in entries.zip(1..) {
            let token = Token::parse(entry, position)?;
            if !seen.0.insert(token.name.clone()) || !seen.1.insert(token.sha256) {
                return Err(TokensError::Repeated(position));
            }
            tokens.push(token);
        }
        if tokens.is_empty() { Err(TokensError::Empty) } else { Ok(Self(tokens)) }
    }

    /// The token whose hash is that of `presented`. Looks at all of them, whichever it is.
    fn find(&self, presented: &str) -> Option<&Token> {
        let sha256: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        self.0.iter().fold(
            None,
            |found, token| {
                if bool::from(token.sha256.ct_eq(&sha256)) { Some(token) } else { found }
            },
        )
    }
}

impl Token {
    fn parse(entry: &str, position: usize) -> Result<Self, TokensError> {
        let form = || TokensError::Form(position);
        let (name, rest) = entry.split_once(':').ok_or_else(form)?;
        let (tenant, hash) = rest.split_once(':').ok_or_else(form)?;
        if name.is_empty() {
            return Err(form());
        }
        let mut sha256 = [0_u8; 32];
        hex::decode_to_slice(hash, &mut sha256).map_err(|_| form())?;
        let tenant = TenantId::try_from(tenant.to_owned()).map_err(|_| TokensError::Tenant(position))?;
        Ok(Self { name: name.to_owned(), tenant, sha256 })
    }
}

/// A caller whose token was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose operations it may make and see.
    pub(crate) tenant: TenantId,
}

impl Caller {
    /// Whether it may see what is about the deployment's accounts and not about one tenant's operations:
    /// its own tenant, `default`, and nobody else.
    pub(crate) fn runs_the_deployment(&self) -> bool {
        self.tenant == TenantId::default()
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refuse = || {
            let detail = "Send the header Authorization: Bearer <token> with a token of this deployment.";
            Problem::new(Kind::Unauthorized, detail)
        };
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(refuse()) };
        let presented = value.to_str().ok().and_then(bearer).ok_or_else(refuse)?;
        let state = AppState::from_ref(state);
        let token = state.tokens().find(presented).ok_or_else(refuse)?;
        let span = tracing::Span::current();
        span.record("tenant", token.tenant.as_str());
        span.record("caller", token.name.as_str());
        Ok(Self { tenant: token.tenant.clone() })
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(token: &str) -> String {
        hex::encode(Sha256::digest(token.as_bytes()))
    }

    #[test]
    fn a_token_is_found_by_its_hash_and_by_nothing_else() {
        let text = format!("shop:acme:{}, ops:default:{}", hash("one"), hash("two").to_uppercase());
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.find("one").unwrap().tenant.as_str(), "acme");
        assert_eq!(tokens.find("two").unwrap().name, "ops");
        assert!(tokens.find("").is_none());
        assert!(tokens.find(&hash("one")).is_none());
    }

    #[test]
    fn a_list_that_cannot_be_used_names_the_entry_and_not_its_text() {
        let good = format!("a:default:{}", hash("x"));
        for (text, error) in [
            (String::new(), TokensError::Empty),
            (" , ".to_owned(), TokensError::Empty),
            ("plain-token".to_owned(), TokensError::Form(1)),
            ("a:default:abcd".to_owned(), TokensError::Form(1)),
            (format!("{good},:default:{}", hash("y")), TokensError::Form(2)),
            (format!("a:not a name:{}", hash("x")), TokensError::Tenant(1)),
            (format!("{good},a:default:{}", hash("y")), TokensError::Repeated(2)),
            (format!("{good},b:other:{}", hash("x")), TokensError::Repeated(2)),
        ] {
            assert_eq!(Tokens::parse(&text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn only_the_bearer_scheme_carries_a_token() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
