//! Operations that others make, in their own transactions: the payouts or transfers of distributions and schedules.

use payfleet_core::Money;
use payfleet_core::kinds::NewOperation;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::payout::Origin;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::operation_row::to_json;
use crate::write::JobRef;
use crate::{StoreError, transitions};

/// Makes the rows of `children`, all of one kind, one origin and one tenant; each is due at once.
#[expect(clippy::as_conversions, reason = "how sqlx is told of an array of optional values")]
pub(crate) async fn insert_children(
    connection: &mut PgConnection,
    children: &[&NewOperation],
    job: &JobRef,
) -> Result<(), StoreError> {
    let Some(first) = children.first() else { return Ok(()) };
    let origin = first.request.origin();
    let column = |of: &dyn Fn(&NewOperation) -> String| -> Vec<String> {
        children.iter().map(|child| of(child)).collect()
    };
    let ids: Vec<uuid::Uuid> = children.iter().map(|child| child.id().as_uuid()).collect();
    let hashes: Vec<Vec<u8>> =
        children.iter().map(|child| child.request.hash().as_bytes().to_vec()).collect();
    let requests: Vec<serde_json::Value> = children.iter().map(|child| to_json(&child.request)).collect();
    let subjects: Vec<Option<uuid::Uuid>> = children
        .iter()
        .map(|child| child.request.subject().map(|subject| subject.operation.as_uuid()))
        .collect();
    let money: Vec<Option<Money>> = children.iter().map(|child| child.request.money()).collect();
    let amounts: Vec<Option<Decimal>> = money.iter().map(|money| money.as_ref().map(Money::amount)).collect();
    let assets: Vec<Option<String>> =
        money.iter().map(|money| money.as_ref().map(|money| money.asset().code().to_owned())).collect();
    sqlx::query!(
        "/* children_insert */ INSERT INTO operations
             (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state, state_data,
              subject_id, amount, asset, origin, origin_id, version, next_wake_at)
         SELECT one.id, $1, $2, one.key, one.hash, one.request, one.provider, $3, $4, $5, one.subject,
             one.amount, one.asset, $14, $15, 0, now()
         FROM UNNEST($6::uuid[], $7::text[], $8::bytea[], $9::jsonb[], $10::text[], $11::uuid[],
                     $12::numeric[], $13::text[])
             AS one (id, key, hash, request, provider, subject, amount, asset)",
        first.tenant.as_str(),
        first.request.kind().as_str(),
        first.account.as_str(),
        State::Requested.name(),
        to_json(&State::Requested),
        &ids,
        &column(&|child| child.idempotency_key.clone()),
        &hashes,
        &requests,
        &column(&|child| child.request.provider().as_str().to_owned()),
        &subjects as &[Option<uuid::Uuid>],
        &amounts as &[Option<Decimal>],
        &assets as &[Option<String>],
        origin.map(Origin::name),
        origin.and_then(Origin::made_by).map(|made_by| made_by.as_uuid()),
    )
    .execute(&mut *connection)
    .await?;
    transitions::append_first(connection, &ids, job).await
}
