//! Rows of `operations`, read back into the model. A row that contradicts it is named, not guessed at.

use payfleet_core::kinds::lifecycle::{Operation, State};
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_core::{AccountId, OperationId, TenantId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::StoreError;

/// The columns that make an [`Operation`].
pub(crate) struct OperationRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) account: String,
    pub(crate) request: Value,
    pub(crate) state_data: Value,
}

impl TryFrom<OperationRow> for Operation {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self, StoreError> {
        let id = OperationId::from_uuid(row.id);
        Ok(Self {
            id,
            tenant: tenant(&id, row.tenant)?,
            account: AccountId::try_from(row.account).map_err(|error| corrupt("account", &id, &error))?,
            request: json::<Request>("request", &id, row.request)?,
            address: None,
            subject: None,
            state: json::<State>("state_data", &id, row.state_data)?,
        })
    }
}

pub(crate) fn tenant(id: &OperationId, text: String) -> Result<TenantId, StoreError> {
    TenantId::try_from(text).map_err(|error| corrupt("tenant", id, &error))
}

pub(crate) fn kind(id: &OperationId, text: &str) -> Result<OperationKind, StoreError> {
    OperationKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| corrupt("kind", id, &format!("unknown kind {text:?}")))
}

pub(crate) fn json<T: DeserializeOwned>(
    column: &'static str,
    id: &OperationId,
    value: Value,
) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|error| corrupt(column, id, &error))
}

pub(crate) fn corrupt(column: &'static str, id: &OperationId, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { table: "operations", column, id: id.to_string(), why: why.to_string() }
}

/// A value of ours as JSON that Postgres can hold: it refuses the character NUL, which a provider's
/// text may contain and which must not keep an answer from being written.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Value {
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_str(&text.replace("\\u0000", "\\ufffd")).unwrap_or(Value::Null)
}

/// Text that Postgres can hold: without the character NUL.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
