//! Webhooks in batches: one transaction stores many events and puts them into their operations'
//! inboxes. It takes only what goes the usual way; everything else is left to be handled alone.

use std::collections::{BTreeMap, BTreeSet};

use payfleet_core::ids::RequestHash;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, OperationId, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::deposits::{SeenDeposit, see_deposits};
use crate::inbox::Woken;
use crate::operation_row::{clean, kind, tenant, to_json};
use crate::{Store, StoreError};

/// An event that was read.
#[derive(Clone, Debug)]
pub struct IncomingWebhook {
    /// Whose event.
    pub provider: Provider,
    /// Which of our accounts there.
    pub account: AccountId,
    /// Unique per provider.
    pub event_key: String,
    /// What its provider calls it.
    pub event_type: String,
    /// Its raw body.
    pub body: Vec<u8>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// What it is for.
    pub content: WebhookContent,
}

/// What an event is for.
#[derive(Clone, Debug)]
pub enum WebhookContent {
    /// None of our business.
    Ignored {
        /// Why.
        detail: String,
    },
    /// The operation that has one of these references.
    Hint {
        /// Ours.
        our_reference: Option<String>,
        /// The provider's.
        provider_ref: Option<String>,
        /// Under which it is in the inbox.
        inbox_key: String,
        /// What goes there.
        event: Box<Event>,
    },
    /// The order that its address was allotted to.
    Deposit {
        /// What was seen.
        seen: Box<SeenDeposit>,
    },
}

/// What became of an event of a batch.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It is in the inbox of its operation.
    Processed {
        /// Which operation.
        operation: Woken,
        /// Whether a job must be made for it. Not where a call is under way, whose maker looks into the
        /// inbox; nor where the operation was due: whoever made it so makes its job.
        wants_job: bool,
        /// Another body came before under the same event key.
        variant: bool,
    },
    /// It is written down as a deposit, which counts once its chain has made it final.
    Deposited,
    /// It is stored, and none of our business.
    Ignored,
    /// Nothing was written: it was stored before, or it is not about exactly one operation.
    Left,
}

struct Operation {
    woken: Woken,
    is_calling: bool,
    is_due: bool,
}

/// An event that goes the usual way: its place in the batch, and its operation if it has one.
struct Chosen<'a> {
    at: usize,
    incoming: &'a IncomingWebhook,
    hash: Vec<u8>,
    about: Option<OperationId>,
    /// What goes into its inbox, and under which key.
    mail: Option<(&'a str, Value)>,
}

impl Store {
    /// Stores a batch in one transaction and answers what became of each, in its order. Events of one
    /// batch have different (provider, event key).
    ///
    /// # Errors
    /// [`StoreError`]: then nothing of the batch was written, or it is unknown; taking each alone
    /// afterwards is always right.
    pub async fn take_webhooks(&self, batch: &[IncomingWebhook]) -> Result<Vec<Taken>, StoreError> {
        self.transaction("take_webhooks", &batch, |c, batch| Box::pin(take(c, batch))).await
    }
}

async fn take(connection: &mut PgConnection, batch: &[IncomingWebhook]) -> Result<Vec<Taken>, StoreError> {
    let matches = matches(connection, batch).await?;
    let operations = lock(connection, &matches).await?;
    let chosen: Vec<Chosen<'_>> = batch
        .iter()
        .enumerate()
        .filter_map(|(at, incoming)| choose(at, incoming, matches.get(&at)?.as_slice(), &operations))
        .collect();
    let stored = insert(connection, &chosen).await?;
    let mut taken = vec![Taken::Left; batch.len()];
    let (mut fresh, mut woken) = (Vec::with_capacity(stored.len()), BTreeSet::new());
    for one in &chosen {
        let name = (one.incoming.provider.as_str().to_owned(), one.incoming.event_key.clone());
        let Some(&(id, variant)) = stored.get(&name) else { continue };
        fresh.push((id, one));
        let Some(place) = taken.get_mut(one.at) else { continue };
        *place = match (one.about.and_then(|id| operations.get(&id)), &one.mail) {
            (None, _) => Taken::Ignored,
            (Some(_), None) => Taken::Deposited,
            (Some(operation), Some(_)) => {
                let is_awake = operation.is_calling || operation.is_due;
                // One job for all the events of a batch.
                let wants_job = !is_awake && woken.insert(operation.woken.id);
                Taken::Processed { operation: operation.woken.clone(), wants_job, variant }
            }
        };
    }
    keep_bodies(connection, &fresh).await?;
    deliver(connection, &fresh, &operations).await?;
    let seen = deposits(&fresh);
    let seen: Vec<_> = seen.iter().map(|(order, seen, contradicted)| (*order, seen, *contradicted)).collect();
    see_deposits(connection, &seen).await?;
    Ok(taken)
}

/// The operations that each event can be about, by its place in the batch.
async fn matches(
    connection: &mut PgConnection,
    batch: &[IncomingWebhook],
) -> Result<BTreeMap<usize, Vec<OperationId>>, StoreError> {
    let mut found: BTreeMap<usize, Vec<OperationId>> = (0..batch.len()).map(|at| (at, Vec::new())).collect();
    let (mut at, mut providers, mut accounts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (place, incoming) in (0_i32..).zip(batch) {
        if let WebhookContent::Hint { our_reference, provider_ref, .. } = &incoming.content {
            at.push(place);
            providers.push(incoming.provider.as_str().to_owned());
            accounts.push(incoming.account.as_str().to_owned());
            ours.push(our_reference.clone());
            theirs.push(provider_ref.clone());
        }
    }
    let rows = sqlx::query!(
        // One look each (OFFSET 0), here and below: joined, a batch could read all of these tables.
        "/* webhooks_match */ WITH named AS (
             SELECT * FROM UNNEST($1::int[], $2::text[], $3::text[], $4::text[], $5::text[])
                 AS named (at, provider, account, ours, theirs)
         )
         SELECT n.at AS \"at!\", i.operation_id AS \"id!\" FROM named n CROSS JOIN LATERAL (
             SELECT operation_id FROM intents
             WHERE provider = n.provider AND account = n.account AND reference = n.ours OFFSET 0
         ) i
         UNION
         SELECT n.at, o.id FROM named n CROSS JOIN LATERAL (
             SELECT id FROM operations
             WHERE provider = n.provider AND account = n.account AND provider_ref = n.theirs OFFSET 0
         ) o",
        at.as_slice(),
        providers.as_slice(),
        accounts.as_slice(),
        &ours as _,
        &theirs as _,
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let place = usize::try_from(row.at).unwrap_or(usize::MAX);
        found.entry(place).or_default().push(OperationId::from_uuid(row.id));
    }
    for (place, order) in orders(connection, batch).await? {
        found.entry(place).or_default().push(order);
    }
    Ok(found)
}

/// The orders whose addresses deposits went to, by their place in the batch.
async fn orders(
    connection: &mut PgConnection,
    batch: &[IncomingWebhook],
) -> Result<Vec<(usize, OperationId)>, StoreError> {
    let (mut at, mut networks, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for (place, incoming) in (0_i32..).zip(batch) {
        if let WebhookContent::Deposit { seen } = &incoming.content {
            at.push(place);
            networks.push(seen.network.as_str().to_owned());
            addresses.push(seen.address_key.clone());
        }
    }
    if at.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "/* webhooks_orders */ SELECT n.at AS \"at!\", d.operation_id
         FROM UNNEST($1::int[], $2::text[], $3::text[]) AS n (at, network, address_key)
         CROSS JOIN LATERAL (
             SELECT operation_id FROM deposit_addresses
             WHERE network = n.network AND address_key = n.address_key OFFSET 0
         ) d",
        at.as_slice(),
        networks.as_slice(),
        addresses.as_slice(),
    )
    .fetch_all(connection)
    .await?;
    let place = |at: i32| usize::try_from(at).unwrap_or(usize::MAX);
    Ok(rows.into_iter().map(|row| (place(row.at), OperationId::from_uuid(row.operation_id))).collect())
}

/// The operations that are alone in their match, locked by id, as every writer locks first.
async fn lock(
    connection: &mut PgConnection,
    matches: &BTreeMap<usize, Vec<OperationId>>,
) -> Result<BTreeMap<OperationId, Operation>, StoreError> {
    let alone = matches.values().filter_map(|ids| if let [id] = ids.as_slice() { Some(id) } else { None });
    let ids: Vec<Uuid> = alone.map(OperationId::as_uuid).collect();
    let rows = sqlx::query!(
        "/* operations_lock_inbox */ SELECT id, kind, tenant, version, state,
             parked IS NULL AND COALESCE(next_wake_at <= now(), false) AS \"is_due!\" FROM operations
         WHERE id = ANY($1) ORDER BY id FOR UPDATE",
        ids.as_slice(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = OperationId::from_uuid(row.id);
            let woken = Woken {
                id,
                kind: kind(&id, &row.kind)?,
                tenant: tenant(&id, row.tenant)?,
                version: row.version,
            };
            Ok((id, Operation { woken, is_calling: row.state == "submitting", is_due: row.is_due }))
        })
        .collect()
}

fn choose<'a>(
    at: usize,
    incoming: &'a IncomingWebhook,
    matches: &[OperationId],
    operations: &BTreeMap<OperationId, Operation>,
) -> Option<Chosen<'a>> {
    let hash = RequestHash::of(&incoming.body).as_bytes().to_vec();
    let known = if let [id] = matches { Some(*id).filter(|id| operations.contains_key(id)) } else { None };
    let (about, mail) = match (&incoming.content, known) {
        (WebhookContent::Ignored { .. }, _) => (None, None),
        (WebhookContent::Hint { inbox_key, event, .. }, Some(id)) => {
            (Some(id), Some((inbox_key.as_str(), to_json(event))))
        }
        (WebhookContent::Deposit { .. }, Some(id)) => (Some(id), None),
        (WebhookContent::Hint { .. } | WebhookContent::Deposit { .. }, None) => return None,
    };
    Some(Chosen { at, incoming, hash, about, mail })
}

/// The deposits among `fresh`, each once, as the first event tells of its money and the last one of its
/// place, and whether any other tells of other money.
fn deposits(fresh: &[(i64, &Chosen<'_>)]) -> Vec<(OperationId, SeenDeposit, bool)> {
    let mut seen: BTreeMap<_, (OperationId, SeenDeposit, bool)> = BTreeMap::new();
    for (_, one) in fresh {
        let (Some(order), WebhookContent::Deposit { seen: deposit }) = (one.about, &one.incoming.content)
        else {
            continue;
        };
        let SeenDeposit { network, transaction, place, address_key, .. } = deposit.as_ref();
        let first = seen
            .entry((network.as_str(), transaction, place, address_key))
            .or_insert_with(|| (order, deposit.as_ref().clone(), false));
        first.1.block = deposit.block;
        first.2 |= first.1.money != deposit.money;
    }
    seen.into_values().collect()
}

/// Those that were not there yet, by provider and event key: their number in the log, and whether
/// another body came before.
async fn insert(
    connection: &mut PgConnection,
    chosen: &[Chosen<'_>],
) -> Result<BTreeMap<(String, String), (i64, bool)>, StoreError> {
    let text = |of: fn(&Chosen<'_>) -> String| chosen.iter().map(of).collect::<Vec<_>>();
    let details: Vec<Option<String>> = chosen.iter().map(detail).collect();
    let operations: Vec<Option<Uuid>> =
        chosen.iter().map(|one| one.about.as_ref().map(OperationId::as_uuid)).collect();
    let received: Vec<OffsetDateTime> = chosen.iter().map(|one| one.incoming.received_at.into()).collect();
    let providers = text(|one| one.incoming.provider.as_str().to_owned());
    let keys = text(|one| one.incoming.event_key.clone());
    let types = text(|one| clean(&one.incoming.event_type));
    let hashes: Vec<Vec<u8>> = chosen.iter().map(|one| one.hash.clone()).collect();
    let rows = sqlx::query!(
        "/* webhooks_insert */ INSERT INTO webhook_events
             (provider, event_key, body_hash, event_type, variant, status, detail, operation_id, received_at, handled_at)
         SELECT n.provider, n.event_key, n.body_hash, n.event_type,
             EXISTS (SELECT 1 FROM webhook_events w WHERE w.provider = n.provider AND w.event_key = n.event_key OFFSET 0),
             CASE WHEN n.operation_id IS NULL THEN 'ignored' ELSE 'processed' END,
             n.detail, n.operation_id, n.received_at, now()
         FROM UNNEST($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[])
             AS n (provider, event_key, body_hash, event_type, detail, operation_id, received_at)
         ON CONFLICT ON CONSTRAINT webhook_events_once DO NOTHING
         RETURNING id, provider, event_key, variant",
        providers.as_slice(),
        keys.as_slice(),
        hashes.as_slice(),
        types.as_slice(),
        &details as _,
        &operations as _,
        received.as_slice(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.provider, row.event_key), (row.id, row.variant))).collect())
}

fn detail(one: &Chosen<'_>) -> Option<String> {
    match &one.incoming.content {
        WebhookContent::Ignored { detail } => Some(clean(detail)),
        WebhookContent::Hint { .. } | WebhookContent::Deposit { .. } => None,
    }
}

async fn keep_bodies(connection: &mut PgConnection, fresh: &[(i64, &Chosen<'_>)]) -> Result<(), StoreError> {
    let ids: Vec<i64> = fresh.iter().map(|(id, _)| *id).collect();
    let received: Vec<OffsetDateTime> =
        fresh.iter().map(|(_, one)| one.incoming.received_at.into()).collect();
    let bodies: Vec<Vec<u8>> = fresh.iter().map(|(_, one)| one.incoming.body.clone()).collect();
    sqlx::query!(
        "/* webhook_bodies_insert */ INSERT INTO webhook_bodies (webhook_id, received_at, body)
         SELECT * FROM UNNEST($1::bigint[], $2::timestamptz[], $3::bytea[])",
        ids.as_slice(),
        received.as_slice(),
        bodies.as_slice(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn deliver(
    connection: &mut PgConnection,
    fresh: &[(i64, &Chosen<'_>)],
    operations: &BTreeMap<OperationId, Operation>,
) -> Result<(), StoreError> {
    let (mut ids, mut keys, mut events, mut wake) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, one) in fresh {
        let (Some(id), Some((key, event))) = (&one.about, &one.mail) else { continue };
        ids.push(id.as_uuid());
        keys.push((*key).to_owned());
        events.push(event.clone());
        if operations.get(id).is_some_and(|operation| !operation.is_calling) {
            wake.push(id.as_uuid());
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "/* inbox_insert_many */ INSERT INTO inbox (operation_id, event_key, event)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::jsonb[])
         ON CONFLICT ON CONSTRAINT inbox_once DO NOTHING",
        ids.as_slice(),
        keys.as_slice(),
        events.as_slice(),
    )
    .execute(&mut *connection)
    .await?;
    // A hint wakes nothing that waits for a person, and what is due is awake.
    sqlx::query!(
        "/* operations_wake */ UPDATE operations SET next_wake_at = now()
         WHERE id = ANY($1) AND parked IS NULL AND (next_wake_at IS NULL OR next_wake_at > now())",
        wake.as_slice(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
