//! How far each receiver has been told of each operation. One row an operation and receiver, so that
//! a transition waits for the one before it; when it is to be sent next is in the row, so that a lost
//! Redis loses no notification.

use payfleet_core::OperationId;
use payfleet_core::TenantId;
use payfleet_core::ids::ReceiverName;
use payfleet_core::job::TraceContext;
use payfleet_core::kinds::notify::{Notify, Transition};
use sqlx::PgConnection;

use crate::operation_row::{clean, json, tenant};
use crate::transitions::TransitionRow;
use crate::write::millis;
use crate::{Store, StoreError, receivers};

/// Within this an attempt has ended, or its worker is gone and another one makes it. Longer than the
/// longest call of a receiver.
const ATTEMPT_PATIENCE_MS: u64 = 30_000;

/// A notification that must be sent.
#[derive(Clone, Debug)]
pub struct DueNotification {
    /// What to send.
    pub notify: Notify,
    /// Whose it is.
    pub tenant: TenantId,
    /// The trace of the transition that is to be sent.
    pub trace: TraceContext,
}

/// How a claim of a notification ended.
#[derive(Debug)]
pub enum NotificationClaim {
    /// It is ours to send.
    Claimed(Box<ClaimedNotification>),
    /// Somebody else has it, or had it: its version has passed on, or all is told.
    Passed,
    /// The attempts are used up, and the job that says so to a person may be lost: it is this one.
    Parked {
        /// How the last attempt ended.
        reason: String,
    },
    /// Its receiver is disabled. Nothing was changed: it waits.
    Disabled,
}

/// A notification that is ours to send.
#[derive(Debug)]
pub struct ClaimedNotification {
    /// Under which version it is ours.
    pub notify: Notify,
    /// What to tell.
    pub transition: Transition,
    /// How many attempts at it have failed.
    pub failed: i32,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotificationEnd {
    /// The receiver has it.
    Taken,
    /// It is to be tried again after this many milliseconds.
    Again {
        /// Milliseconds from now.
        ms: u64,
    },
    /// The attempts are used up: a person is told by a dead letter.
    GivenUp,
    /// The receiver wants nothing any more: it is disabled, and this waits with all else.
    Gone,
}

impl Store {
    /// What is due to be sent, longest first, up to `limit` for each receiver that is not disabled.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or a row contradicts the model.
    pub async fn due_notifications(&self, limit: i64) -> Result<Vec<DueNotification>, StoreError> {
        let rows = sqlx::query!(
            "/* notifications_due */
             SELECT r.name, r.tenant, n.operation_id AS \"operation_id!\", n.version AS \"version!\", t.trace AS \"trace?\"
             FROM receivers r
             CROSS JOIN LATERAL (
                 SELECT operation_id, version, delivered, next_wake_at FROM notifications
                 WHERE receiver = r.name AND next_wake_at <= now() ORDER BY next_wake_at LIMIT $1
             ) AS n
             LEFT JOIN transitions t ON t.operation_id = n.operation_id AND t.sequence = n.delivered + 1
             WHERE r.disabled_at IS NULL
             ORDER BY n.next_wake_at",
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let operation_id = OperationId::from_uuid(row.operation_id);
                Ok(DueNotification {
                    tenant: tenant(&operation_id, row.tenant)?,
                    trace: row.trace.map_or_else(
                        || Ok(TraceContext::default()),
                        |trace| json("transitions.trace", &operation_id, trace),
                    )?,
                    notify: Notify {
                        receiver: receiver(&operation_id, row.name)?,
                        version: row.version,
                        operation_id,
                    },
                })
            })
            .collect()
    }

    /// Takes a notification in hand, for as long as an attempt can take. `redrive`: an operator
    /// released its dead letter, and a parked one begins anew.
    ///
    /// # Errors
    /// [`StoreError`]; claiming again is always right.
    pub async fn claim_notification(
        &self,
        notify: &Notify,
        redrive: bool,
    ) -> Result<NotificationClaim, StoreError> {
        self.transaction("claim_notification", &(notify, redrive), |connection, (notify, redrive)| {
            Box::pin(claim(connection, notify, *redrive))
        })
        .await
    }

    /// Writes how an attempt ended; `answer` says so in a few words. Returns what is to be sent next
    /// and after how many milliseconds, if anything is.
    ///
    /// # Errors
    /// [`StoreError`]; the attempt is made again then, so that a receiver may see it twice.
    pub async fn end_notification(
        &self,
        claimed: &ClaimedNotification,
        end: &NotificationEnd,
        answer: &str,
    ) -> Result<Option<(Notify, u64)>, StoreError> {
        self.transaction("end_notification", &(claimed, end, answer), |connection, (claimed, end, answer)| {
            Box::pin(finish(connection, claimed, end, answer))
        })
        .await
    }
}

async fn claim(
    connection: &mut PgConnection,
    notify: &Notify,
    redrive: bool,
) -> Result<NotificationClaim, StoreError> {
    let enabled = sqlx::query_scalar!(
        "/* receiver_enabled */ SELECT disabled_at IS NULL AS \"enabled!\" FROM receivers WHERE name = $1",
        notify.receiver.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if enabled == Some(false) {
        return Ok(NotificationClaim::Disabled);
    }
    let row = sqlx::query!(
        "/* notification_claim */ UPDATE notifications
         SET version = version + 1, parked_reason = NULL,
             attempts = CASE WHEN parked_reason IS NULL THEN attempts ELSE 0 END,
             next_wake_at = now() + make_interval(secs => $5::float8 / 1000)
         WHERE operation_id = $1 AND receiver = $2 AND delivered < written
           AND ((version = $3 AND parked_reason IS NULL) OR ($4 AND parked_reason IS NOT NULL))
         RETURNING version, delivered, attempts",
        notify.operation_id.as_uuid(),
        notify.receiver.as_str(),
        notify.version,
        redrive,
        millis(ATTEMPT_PATIENCE_MS),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return passed(connection, notify).await };
    Ok(NotificationClaim::Claimed(Box::new(ClaimedNotification {
        notify: Notify { version: row.version, ..notify.clone() },
        transition: transition(connection, notify.operation_id, row.delivered.saturating_add(1)).await?,
        failed: row.attempts,
    })))
}

/// Why there is nothing to claim. A job that died between parking its notification and dying of it comes
/// again, two versions late; one that is made anew for a parked one has its version.
async fn passed(connection: &mut PgConnection, notify: &Notify) -> Result<NotificationClaim, StoreError> {
    let reason = sqlx::query_scalar!(
        "/* notification_parked */ SELECT parked_reason AS \"reason!\" FROM notifications
         WHERE operation_id = $1 AND receiver = $2 AND version IN ($3::bigint, $3::bigint + 2) AND parked_reason IS NOT NULL",
        notify.operation_id.as_uuid(),
        notify.receiver.as_str(),
        notify.version,
    )
    .fetch_optional(connection)
    .await?;
    Ok(reason.map_or(NotificationClaim::Passed, |reason| NotificationClaim::Parked { reason }))
}

async fn transition(
    connection: &mut PgConnection,
    id: OperationId,
    sequence: i32,
) -> Result<Transition, StoreError> {
    sqlx::query_as!(
        TransitionRow,
        "/* transition_one */ SELECT t.operation_id, o.kind, o.idempotency_key, t.sequence, t.from_state, t.to_state,
             t.state_data, t.at, t.trace
         FROM transitions t JOIN operations o ON o.id = t.operation_id
         WHERE t.operation_id = $1 AND t.sequence = $2",
        id.as_uuid(),
        sequence,
    )
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| StoreError::Corrupt {
        table: "transitions",
        column: "sequence",
        id: id.to_string(),
        why: format!("transition {sequence} is not there"),
    })?
    .try_into()
}

async fn finish(
    connection: &mut PgConnection,
    claimed: &ClaimedNotification,
    end: &NotificationEnd,
    answer: &str,
) -> Result<Option<(Notify, u64)>, StoreError> {
    let answer = clean(answer);
    if *end == NotificationEnd::Gone {
        receivers::disable(connection, &claimed.notify.receiver, &answer).await?;
    }
    let (delivered, failed) = match end {
        NotificationEnd::Taken => (claimed.transition.sequence, 0),
        NotificationEnd::Again { .. } | NotificationEnd::GivenUp => {
            (claimed.transition.sequence.saturating_sub(1), claimed.failed.saturating_add(1))
        }
        NotificationEnd::Gone => (claimed.transition.sequence.saturating_sub(1), claimed.failed),
    };
    let parked = matches!(end, NotificationEnd::GivenUp).then_some(answer.as_str());
    let wait_ms = if let NotificationEnd::Again { ms } = end { *ms } else { 0 };
    // `written` is read under the row's lock: a transition that came meanwhile is seen here, or its
    // writer finds that nothing wakes and says so itself.
    let version = sqlx::query!(
        "/* notification_end */ UPDATE notifications
         SET version = version + 1, delivered = $4, attempts = $5, parked_reason = $6, last_answer = $7,
             next_wake_at = CASE WHEN written > $4 AND $6::text IS NULL
                 THEN now() + make_interval(secs => $8::float8 / 1000) END
         WHERE operation_id = $1 AND receiver = $2 AND version = $3
         RETURNING version, next_wake_at IS NOT NULL AS \"wakes!\"",
        claimed.notify.operation_id.as_uuid(),
        claimed.notify.receiver.as_str(),
        claimed.notify.version,
        delivered,
        failed,
        parked,
        answer,
        millis(wait_ms),
    )
    .fetch_optional(connection)
    .await?;
    // Without a row, another attempt has been begun meanwhile, and its end counts.
    Ok(version
        .filter(|row| row.wakes && *end != NotificationEnd::Gone)
        .map(|row| (Notify { version: row.version, ..claimed.notify.clone() }, wait_ms)))
}

/// Parks the notification whose job died before it could say how its attempt ended: otherwise the
/// same job would be made again, to die again.
pub(crate) async fn park_with_job(
    connection: &mut PgConnection,
    notify: &Notify,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* notification_park_with_job */ UPDATE notifications
         SET parked_reason = $4, next_wake_at = NULL, version = version + 1
         WHERE operation_id = $1 AND receiver = $2 AND version = $3 AND parked_reason IS NULL",
        notify.operation_id.as_uuid(),
        notify.receiver.as_str(),
        notify.version,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) fn receiver(id: &OperationId, name: String) -> Result<ReceiverName, StoreError> {
    ReceiverName::try_from(name).map_err(|error| StoreError::Corrupt {
        table: "notifications",
        column: "receiver",
        id: id.to_string(),
        why: error.to_string(),
    })
}
