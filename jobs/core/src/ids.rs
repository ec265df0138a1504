//! Ids, and how they are derived.
//!
//! A client's repetition must find the same operation and the same first job whatever Redis
//! remembers, so both are functions of (tenant, endpoint, `Idempotency-Key`), never random.
//! Every hash is over length-prefixed fields behind a purpose string: no two purposes and no two
//! splits of the same text can collide.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Timestamp;
use crate::provider::{Action, Provider};

/// SHA-256 over `purpose` and `fields`, each preceded by its length as eight bytes, big-endian.
fn digest(purpose: &str, fields: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in std::iter::once(&purpose.as_bytes()).chain(fields) {
        hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

fn uuid_v8(digest: [u8; 32]) -> Uuid {
    let (head, _) = digest.split_at(16);
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(head);
    Uuid::new_v8(bytes)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID read from a store or a URL.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A business fact that outlives its jobs: one payout, one mint.
    OperationId
}

uuid_id! {
    /// A unit of delivery. An operation has one job after another; each has its own id.
    JobId
}

impl OperationId {
    /// The operation that `key` names at `endpoint` for `tenant`, now and for ever.
    #[must_use]
    pub fn derive(tenant: &TenantId, endpoint: &str, key: &str) -> Self {
        let fields = [tenant.as_str().as_bytes(), endpoint.as_bytes(), key.as_bytes()];
        Self(uuid_v8(digest("operation", &fields)))
    }
}

impl JobId {
    /// The job that first brings an operation to a worker.
    #[must_use]
    pub fn first_of(operation: OperationId) -> Self {
        Self(uuid_v8(digest("first job", &[operation.0.as_bytes()])))
    }

    /// The job that wakes an operation after `version`. Each version has its own, so the next
    /// wake-up is never taken for a duplicate of the last.
    #[must_use]
    pub fn wake_up(operation: OperationId, version: i64) -> Self {
        Self(uuid_v8(digest("wake-up", &[operation.0.as_bytes(), &version.to_be_bytes()])))
    }

    /// The job of `purpose` that `about` asks for; the same words name the same job.
    #[must_use]
    pub fn named(purpose: &str, about: &[&[u8]]) -> Self {
        let mut fields = vec![purpose.as_bytes()];
        fields.extend_from_slice(about);
        Self(uuid_v8(digest("named job", &fields)))
    }

    /// A fresh id that sorts by time (`UUIDv7`).
    #[must_use]
    pub fn at(now: Timestamp, rng: &mut fastrand::Rng) -> Self {
        let ms = u64::try_from(now.unix_ms()).unwrap_or(0);
        let mut random = [0_u8; 10];
        rng.fill(&mut random);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
    }
}

/// Why a tenant or account name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to 64 characters of a-z, A-Z, 0-9, '_' or '-'")]
pub struct InvalidName {
    what: &'static str,
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self("default".to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                if is_name(&text) { Ok(Self(text)) } else { Err(InvalidName { what: $what }) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id! {
    /// Whose money it is. `default` until a deployment has more than one.
    TenantId, "tenant"
}

name_id! {
    /// Which of our accounts at a provider. `default` until a deployment has more than one.
    AccountId, "account"
}

name_id! {
    /// Where a tenant is told of its operations: a URL and its secrets, known under this name.
    ReceiverName, "receiver"
}

/// The idempotency key of one intent at its provider: 64 lower hex characters, the same on every
/// attempt of that intent. Providers that take less are given a prefix ([`ProviderKey::prefix`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// The key of intent `number` of `action` on `operation`.
    #[must_use]
    pub fn derive(
        provider: Provider,
        account: &AccountId,
        operation: OperationId,
        action: Action,
        number: i32,
    ) -> Self {
        let fields = [
            provider.as_str().as_bytes(),
            account.as_str().as_bytes(),
            operation.0.as_bytes(),
            action.as_str().as_bytes(),
            &number.to_be_bytes(),
        ];
        Self(hex::encode(digest("provider key", &fields)))
    }

    /// The whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first `length` characters (the whole key where it is shorter).
    #[must_use]
    pub fn prefix(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(&self.0)
    }
}

/// SHA-256 of a request's canonical form: what makes "the same key, another body" visible.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestHash([u8; 32]);

impl RequestHash {
    /// The hash of a request's canonical bytes.
    #[must_use]
    pub fn of(canonical: &[u8]) -> Self {
        Self(digest("request", &[canonical]))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower hex characters.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for RequestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Serialize for RequestHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for RequestHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<&[u8]> for RequestHash {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_name_the_same_operation_and_other_splits_do_not() {
        let tenant = TenantId::default();
        let id = OperationId::derive(&tenant, "/v1/payouts", "a");
        assert_eq!(id, OperationId::derive(&tenant, "/v1/payouts", "a"));
        assert_ne!(id, OperationId::derive(&tenant, "/v1/payout", "sa"));
        assert_eq!(id.as_uuid().get_version_num(), 8);
    }

    #[test]
    fn derived_ids_are_frozen() {
        // Changing a derivation would make every client's repetition a second payment.
        let id = OperationId::derive(&TenantId::default(), "/v1/payouts", "order-1");
        is_frozen(&id.to_string(), OPERATION);
        is_frozen(&JobId::first_of(id).to_string(), FIRST_JOB);
        is_frozen(&JobId::wake_up(id, 2).to_string(), WAKE_UP);
        let key = ProviderKey::derive(Provider::Heleket, &AccountId::default(), id, Action::Payout, 1);
        is_frozen(key.prefix(32), KEY);
    }

    const OPERATION: &str = "5a88b422-6dee-86f7-a3ca-fd294a9b7141";
    const FIRST_JOB: &str = "23c61440-f2cb-8321-bc07-fbd26baa3fd4";
    const WAKE_UP: &str = "f9464b39-6ae6-88ad-8b91-15c67b9fc946";
    const KEY: &str = "17653ade4e89e140d8f817ea3322386a";

    fn is_frozen(got: &str, want: &str) {
        assert_eq!(got, want);
    }

    #[test]
    fn every_part_of_an_intent_changes_its_key() {
        let account = AccountId::default();
        let id = OperationId::derive(&TenantId::default(), "/v1/payouts", "k");
        let key = ProviderKey::derive(Provider::Heleket, &account, id, Action::Payout, 1);
        assert_ne!(key, ProviderKey::derive(Provider::Heleket, &account, id, Action::Payout, 2));
        assert_ne!(key, ProviderKey::derive(Provider::Heleket, &account, id, Action::Mint, 1));
        assert_ne!(key, ProviderKey::derive(Provider::TrovoTech, &account, id, Action::Payout, 1));
        assert_eq!(key.prefix(32).len(), 32);
    }

    #[test]
    fn names_are_checked() {
        assert!(TenantId::try_from("acme-1_x".to_owned()).is_ok());
        for bad in ["", "a b", "a:b", &"x".repeat(65)] {
            assert!(TenantId::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
