//! Everything there is about the operations of one page.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::StoreError;

/// One operation with all that belongs to it.
pub(super) struct Facts {
    pub(super) row: Row,
    pub(super) history: Vec<HistoryRow>,
    pub(super) told: Vec<Told>,
    pub(super) movements: Vec<Held>,
    pub(super) intents: Vec<Intent>,
    pub(super) reservation: Option<Reserved>,
    /// Evidence in its inbox that is not applied.
    pub(super) evidence: Vec<String>,
}

/// A row of `operations`.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) tenant: String,
    pub(super) kind: String,
    pub(super) request_hash: Vec<u8>,
    pub(super) request: Value,
    pub(super) provider: String,
    pub(super) account: String,
    pub(super) state: String,
    pub(super) state_data: Value,
    pub(super) version: i64,
    pub(super) wakes: bool,
    pub(super) parked: bool,
    /// Whether events wait in its inbox: they wake it even where it is final.
    pub(super) has_events: bool,
    /// How many transitions it counts.
    pub(super) transitions: i32,
    /// The month it was made in is archived, so its history may begin later.
    pub(super) archived: bool,
    /// The same of its transitions.
    pub(super) transitions_archived: bool,
    /// Of what it builds on, where that has a row.
    pub(super) subject_kind: Option<String>,
    pub(super) subject_tenant: Option<String>,
    pub(super) subject_state: Option<Value>,
    pub(super) subject_ref: Option<String>,
}

/// A row of `operation_history`.
pub(super) struct HistoryRow {
    pub(super) operation_id: Uuid,
    pub(super) version: i64,
    pub(super) step: i32,
    pub(super) from_state: String,
    pub(super) to_state: String,
    pub(super) event: Value,
}

/// A row of `transitions`.
pub(super) struct Told {
    pub(super) operation_id: Uuid,
    pub(super) sequence: i32,
    pub(super) from_state: Option<String>,
    pub(super) to_state: String,
}

/// A movement with its postings, as account, unit and the amount's text.
pub(super) struct Held {
    pub(super) id: i64,
    pub(super) event: String,
    pub(super) postings: Vec<(String, String, String)>,
}

/// A row of `intents`.
pub(super) struct Intent {
    pub(super) operation_id: Uuid,
    pub(super) number: i32,
    pub(super) action: String,
    pub(super) provider_key: String,
    pub(super) open: bool,
}

/// A row of `reservations`.
pub(super) struct Reserved {
    pub(super) operation_id: Uuid,
    pub(super) pool: String,
    pub(super) amount: String,
    pub(super) released: bool,
}

/// How many operations there are.
pub(super) async fn count(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!("/* audit_count */ SELECT count(*) AS \"count!\" FROM operations")
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Up to `limit` operations behind `after`, by id.
pub(super) async fn page(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Facts>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "/* audit_operations */ SELECT o.id, o.tenant, o.kind, o.request_hash, o.request, o.provider, o.account,
             o.state, o.state_data, o.version, o.next_wake_at IS NOT NULL AS \"wakes!\",
             o.parked IS NOT NULL AS \"parked!\",
             EXISTS (SELECT 1 FROM inbox WHERE operation_id = o.id AND applied_at IS NULL) AS \"has_events!\",
             o.transitions,
             o.created_at < (SELECT max(month) + interval '1 month' FROM archived_months
                             WHERE parent = 'operation_history') IS TRUE AS \"archived!\",
             o.created_at < (SELECT max(month) + interval '1 month' FROM archived_months
                             WHERE parent = 'transitions') IS TRUE AS \"transitions_archived!\",
             subject.kind AS \"subject_kind?\", subject.tenant AS \"subject_tenant?\",
             subject.state_data AS \"subject_state?\", subject.provider_ref AS \"subject_ref?\"
         FROM operations o LEFT JOIN operations subject ON subject.id = o.subject_id
         WHERE o.id > $1 ORDER BY o.id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut history = grouped(history(connection, &ids).await?, |step| step.operation_id);
    let mut told = grouped(told(connection, &ids).await?, |one| one.operation_id);
    let mut movements = movements(connection, &ids).await?;
    let mut intents = grouped(intents(connection, &ids).await?, |intent| intent.operation_id);
    let mut reserved = grouped(reservations(connection, &ids).await?, |one| one.operation_id);
    let mut evidence = evidence(connection, &ids).await?;
    let facts = rows.into_iter().map(|row| Facts {
        history: history.remove(&row.id).unwrap_or_default(),
        told: told.remove(&row.id).unwrap_or_default(),
        movements: movements.remove(&row.id).unwrap_or_default(),
        intents: intents.remove(&row.id).unwrap_or_default(),
        reservation: reserved.remove(&row.id).unwrap_or_default().pop(),
        evidence: evidence.remove(&row.id).unwrap_or_default(),
        row,
    });
    Ok(facts.collect())
}

fn grouped<T>(rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> BTreeMap<Uuid, Vec<T>> {
    let mut by_id: BTreeMap<Uuid, Vec<T>> = BTreeMap::new();
    for row in rows {
        by_id.entry(id(&row)).or_default().push(row);
    }
    by_id
}

async fn history(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<HistoryRow>, StoreError> {
    Ok(sqlx::query_as!(
        HistoryRow,
        "/* audit_history */ SELECT operation_id, version, step, from_state, to_state, event
         FROM operation_history WHERE operation_id = ANY($1) ORDER BY operation_id, version, step",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

async fn told(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Told>, StoreError> {
    Ok(sqlx::query_as!(
        Told,
        "/* audit_transitions */ SELECT operation_id, sequence, from_state, to_state
         FROM transitions WHERE operation_id = ANY($1) ORDER BY operation_id, sequence",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

async fn movements(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<Held>>, StoreError> {
    let rows = sqlx::query!(
        "/* audit_movements */ SELECT m.operation_id, m.id, m.event, p.account AS \"account?\", p.unit AS \"unit?\",
             p.amount::text AS \"amount?\"
         FROM movements m LEFT JOIN postings p ON p.movement_id = m.id
         WHERE m.operation_id = ANY($1) ORDER BY m.operation_id, m.id, p.line",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let mut by_id: BTreeMap<Uuid, Vec<Held>> = BTreeMap::new();
    for row in rows {
        let held = by_id.entry(row.operation_id).or_default();
        if held.last().is_none_or(|last| last.id != row.id) {
            held.push(Held { id: row.id, event: row.event, postings: Vec::new() });
        }
        if let (Some(last), Some(account), Some(unit), Some(amount)) =
            (held.last_mut(), row.account, row.unit, row.amount)
        {
            last.postings.push((account, unit, amount));
        }
    }
    Ok(by_id)
}

async fn intents(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Intent>, StoreError> {
    Ok(sqlx::query_as!(
        Intent,
        "/* audit_intents */ SELECT operation_id, number, action, provider_key, closed_at IS NULL AS \"open!\"
         FROM intents WHERE operation_id = ANY($1) ORDER BY operation_id, number",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

async fn reservations(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Reserved>, StoreError> {
    Ok(sqlx::query_as!(
        Reserved,
        "/* audit_reservations */ SELECT operation_id, pool, amount::text AS \"amount!\",
             released_at IS NOT NULL AS \"released!\"
         FROM reservations WHERE operation_id = ANY($1)",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

async fn evidence(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<String>>, StoreError> {
    let rows = sqlx::query!(
        "/* audit_evidence */ SELECT operation_id, event_key FROM inbox
         WHERE operation_id = ANY($1) AND applied_at IS NULL AND event ->> 'event' = 'evidence'",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let mut by_id: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for row in rows {
        by_id.entry(row.operation_id).or_default().push(row.event_key);
    }
    Ok(by_id)
}
