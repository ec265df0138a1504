//! The `notify` job: tells one receiver of a web app about the next transition of one operation.
//!
//! A receiver is told of an operation's transitions one by one and in their order. How far it has
//! been told is in Postgres, and so is when it is to be told next; the job only carries that out.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ids::{OperationId, ReceiverName};
use crate::job::TraceContext;
use crate::{JobId, Timestamp};

/// The job's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// Whose transition; which one is found in Postgres: the first that the receiver has not taken.
    pub operation_id: OperationId,
    /// Who is told.
    pub receiver: ReceiverName,
    /// The notification's version when this job was asked for. Whoever sends raises it, so each
    /// version is sent once, and a job that comes twice ends.
    pub version: i64,
}

impl Notify {
    /// The id of its job: one per version, however often it is asked for.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        let operation = self.operation_id.as_uuid();
        let about =
            [operation.as_bytes().as_slice(), self.receiver.as_str().as_bytes(), &self.version.to_be_bytes()];
        JobId::named("notify", &about)
    }
}

/// How long after each failed attempt the next one follows, in milliseconds: ten attempts within
/// three days and three hours. The example schedule of the Standard Webhooks specification.
pub const RETRY_AFTER_MS: [u64; 9] =
    [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000];

/// One transition of an operation, as web apps are told of it. Serialised, it is the body of a
/// callback and an entry of the feed:
///
/// ```json
/// {"id": "evt_3f0e..._4", "type": "payout.settled", "timestamp": "2026-01-31T10:00:00Z",
///  "data": {"operation_id": "...", "kind": "payout", "idempotency_key": "order-1", "sequence": 4,
///           "previous_state": "accepted", "state": "settled", "provider_ref": "..."}}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose.
    pub operation_id: OperationId,
    /// The operation's kind, by name.
    pub kind: String,
    /// The client's own name for the operation.
    pub idempotency_key: String,
    /// 1 = the first of its operation, without gaps.
    pub sequence: i32,
    /// The state before, by name; `None` where the operation began.
    pub from: Option<String>,
    /// The state it came to, by name.
    pub to: String,
    /// What of that state a web app may know.
    pub details: Details,
    /// When.
    pub at: Timestamp,
    /// The trace in which it happened.
    pub trace: TraceContext,
}

/// What of a state a web app may know. A list of what is shown, so that what a state is given later
/// is not shown by accident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The provider's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_ref: Option<String>,
    /// The transaction on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the provider's record differs from what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
}

impl Details {
    /// Picks them out of a state as it is stored.
    #[must_use]
    pub fn of_state(state: Value) -> Self {
        serde_json::from_value(state).unwrap_or_default()
    }
}

impl Transition {
    /// Its id: unique, and the same wherever and however often it is told. Without a dot, which
    /// separates the parts that are signed.
    #[must_use]
    pub fn id(&self) -> String {
        format!("evt_{}_{}", self.operation_id.as_uuid().simple(), self.sequence)
    }
}

impl Serialize for Transition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Data<'a> {
            operation_id: OperationId,
            kind: &'a str,
            idempotency_key: &'a str,
            sequence: i32,
            previous_state: Option<&'a str>,
            state: &'a str,
            #[serde(flatten)]
            details: &'a Details,
        }
        let at = OffsetDateTime::from(self.at).format(&Rfc3339).unwrap_or_default();
        let mut object = serializer.serialize_struct("Transition", 4)?;
        object.serialize_field("id", &self.id())?;
        object.serialize_field("type", &format_args!("{}.{}", self.kind, self.to))?;
        object.serialize_field("timestamp", &at)?;
        let data = Data {
            operation_id: self.operation_id,
            kind: &self.kind,
            idempotency_key: &self.idempotency_key,
            sequence: self.sequence,
            previous_state: self.from.as_deref(),
            state: &self.to,
            details: &self.details,
        };
        object.serialize_field("data", &data)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::TenantId;

    #[test]
    fn a_transition_is_shown_with_what_a_web_app_may_know_and_nothing_else() {
        let operation_id = OperationId::derive(&TenantId::default(), "/v1/payouts", "order-1");
        let state = json!({"state": "accepted", "provider_ref": "p1", "tx_hash": null, "signed_bytes": "00"});
        let transition = Transition {
            operation_id,
            kind: "payout".to_owned(),
            idempotency_key: "order-1".to_owned(),
            sequence: 3,
            from: Some("submitting".to_owned()),
            to: "accepted".to_owned(),
            details: Details::of_state(state),
            at: Timestamp::from_unix_ms(1_800_000_000_250),
            trace: TraceContext::default(),
        };
        let shown = serde_json::to_value(&transition).unwrap();
        let want = json!({
            "id": format!("evt_{}_3", operation_id.to_string().replace('-', "")),
            "type": "payout.accepted",
            "timestamp": "2027-01-15T08:00:00.25Z",
            "data": {
                "operation_id": operation_id, "kind": "payout", "idempotency_key": "order-1", "sequence": 3,
                "previous_state": "submitting", "state": "accepted", "provider_ref": "p1",
            },
        });
        assert_eq!(shown, want);
    }

    #[test]
    fn each_version_of_a_notification_has_a_job_of_its_own() {
        let notify = |version| Notify {
            operation_id: OperationId::derive(&TenantId::default(), "/v1/payouts", "a"),
            receiver: ReceiverName::default(),
            version,
        };
        assert_eq!(notify(1).job_id(), notify(1).job_id());
        assert_ne!(notify(1).job_id(), notify(2).job_id());
    }
}
