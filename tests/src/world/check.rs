//! The promise, checked: by reading Redis, Postgres and the providers' own records.

use std::collections::BTreeMap;

use payfleet_core::kinds::OperationKind;
use payfleet_core::provider::Provider;
use sqlx::{Connection, PgConnection, Row};

use super::World;
use super::providers::Effect;
use crate::store::audit;

impl World {
    /// At most one effect per operation, exactly one where settled, the ledger balanced, nothing
    /// forgotten.
    pub(super) async fn check_promise(&self) {
        let findings = audit(&self.store).await;
        assert!(findings.is_empty(), "the audit: {findings:#?}");
        assert_eq!(self.store.forgotten().await.expect("a count"), 0, "operations that nothing will wake");
        let of_trovotech = self.providers.effects(&self.providers.trovotech).await;
        let mints: Vec<Effect> = of_trovotech.into_iter().filter(|effect| effect.kind == "mint").collect();
        self.check_transitions().await;
        self.check_effects(OperationKind::Mint, Provider::TrovoTech, &mints).await;
        let of_heleket = self.providers.effects(&self.providers.heleket).await;
        self.check_effects(OperationKind::Payout, Provider::Heleket, &of_heleket).await;
        let of_stripe = self.providers.effects(&self.providers.stripe).await;
        for kind in [
            OperationKind::Payout,
            OperationKind::Transfer,
            OperationKind::Payment,
            OperationKind::Refund,
            OperationKind::Account,
        ] {
            let of_kind: Vec<Effect> =
                of_stripe.iter().filter(|effect| effect.kind == kind.as_str()).cloned().collect();
            self.check_effects(kind, Provider::Stripe, &of_kind).await;
        }
    }

    /// Every step an operation took is an event, numbered without gaps, and the last one is its state.
    async fn check_transitions(&self) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let untrue: Vec<String> = sqlx::query_scalar(
            "SELECT o.id::text FROM operations o
             LEFT JOIN transitions t ON t.operation_id = o.id AND t.sequence BETWEEN 1 AND o.transitions
             GROUP BY o.id
             HAVING count(DISTINCT t.sequence) <> o.transitions OR count(t.sequence) <> o.transitions
                 OR o.state IS DISTINCT FROM max(t.to_state) FILTER (WHERE t.sequence = o.transitions)",
        )
        .fetch_all(&mut connection)
        .await
        .expect("the transitions");
        connection.close().await.expect("a clean end");
        assert!(
            untrue.is_empty(),
            "operations whose events do not tell how they came to their state: {untrue:?}"
        );
    }

    /// Whether a receiver that is not disabled has yet to be told of something.
    pub(super) async fn is_telling(&self) -> bool {
        let Ok(mut connection) = PgConnection::connect(&self.database_url).await else { return true };
        sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT 1 FROM notifications JOIN receivers ON receivers.name = notifications.receiver
                 WHERE next_wake_at IS NOT NULL AND disabled_at IS NULL)",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap_or(true)
    }

    async fn check_effects(&self, kind: OperationKind, provider: Provider, effects: &[Effect]) {
        let mut by_id: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
        let mut by_reference: BTreeMap<&str, usize> = BTreeMap::new();
        for effect in effects {
            by_id.entry(&effect.id).or_default().push(effect);
            *by_reference.entry(&effect.reference).or_default() += 1;
        }
        for (reference, count) in by_reference {
            assert!(count <= 1 + self.strangers, "{count} effects under {reference} ({})", kind.as_str());
        }
        let mut settled = 0;
        for (id, state, provider_ref) in self.rows(kind, provider).await {
            if matches!(state.as_str(), "settled" | "returned") {
                settled += 1;
                let mine = provider_ref.as_deref().and_then(|id| by_id.get(id)).map_or(0, Vec::len);
                assert_eq!(mine, 1, "settled {} {id} has {mine} effects", kind.as_str());
            }
        }
        assert!(settled <= effects.len(), "more settled than happened");
        // References come from our keys, so a fresh key on a retry would pass the count above; an
        // operation can still not account for more than one effect.
        let tried =
            self.rows(kind, provider).await.into_iter().filter(|(_, state, _)| state != "requested").count();
        assert!(
            effects.len() <= tried + self.strangers,
            "{} effects of {tried} {}s",
            effects.len(),
            kind.as_str()
        );
    }

    async fn rows(&self, kind: OperationKind, provider: Provider) -> Vec<(String, String, Option<String>)> {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let rows = sqlx::query(
            "SELECT id::text, state, provider_ref FROM operations WHERE kind = $1 AND provider = $2",
        )
        .bind(kind.as_str())
        .bind(provider.as_str())
        .fetch_all(&mut connection)
        .await
        .expect("operations");
        connection.close().await.expect("a clean end");
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// How many steps of operations each worker has written.
    pub async fn claims_by_worker(&self) -> BTreeMap<String, i64> {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let rows = sqlx::query("SELECT worker, count(*) FROM operation_history GROUP BY worker")
            .fetch_all(&mut connection)
            .await
            .expect("the history");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// How many attempts each intent has spent.
    pub async fn attempts_spent(&self) -> Vec<i32> {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        sqlx::query_scalar("SELECT attempts FROM intents").fetch_all(&mut connection).await.expect("intents")
    }

    /// What an operation is known by at its provider, one reference an intent; of a distribution, its
    /// payouts'.
    pub async fn references(&self, id: payfleet_core::OperationId) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let query = "SELECT reference FROM intents WHERE operation_id = $1 OR operation_id IN (
                         SELECT payout_id FROM distribution_parts WHERE distribution_id = $1)";
        sqlx::query_scalar(query).bind(id.as_uuid()).fetch_all(&mut connection).await.expect("the intents")
    }

    /// Every exchange with a provider, in order: why, its code, and the status of a sending's answer.
    pub async fn exchanges(&self) -> Vec<(String, String, Option<i32>)> {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        sqlx::query_as("SELECT purpose, code, http_status FROM intent_attempts ORDER BY at")
            .fetch_all(&mut connection)
            .await
            .expect("the attempts")
    }

    /// What `sql` counts, with one parameter.
    pub async fn count(&self, sql: &'static str, parameter: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let count =
            sqlx::query_scalar(sql).bind(parameter).fetch_one(&mut connection).await.expect("a count");
        connection.close().await.expect("a clean end");
        count
    }

    /// How many answers of calls came after their claim had passed on.
    pub async fn evidence_count(&self) -> i64 {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        sqlx::query_scalar("SELECT count(*) FROM inbox WHERE event ->> 'event' = 'evidence'")
            .fetch_one(&mut connection)
            .await
            .expect("the inbox")
    }

    /// Makes an operation older, and due.
    pub async fn age(&self, id: payfleet_core::OperationId, seconds: i32) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let older = "UPDATE operations SET created_at = created_at - make_interval(secs => $2),
                     next_wake_at = now() WHERE id = $1";
        let done =
            sqlx::query(older).bind(id.as_uuid()).bind(f64::from(seconds)).execute(&mut connection).await;
        assert_eq!(done.expect("Postgres").rows_affected(), 1);
    }

    /// Makes everything that has happened to an operation older, as if it had not moved since.
    pub async fn age_transitions(&self, id: payfleet_core::OperationId, hours: i32) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        // They are append-only, but for whoever may switch triggers off.
        let role = "SET session_replication_role = replica";
        sqlx::query(role).execute(&mut connection).await.expect("a superuser");
        let older = "UPDATE transitions SET at = at - make_interval(hours => $2) WHERE operation_id = $1";
        let done = sqlx::query(older).bind(id.as_uuid()).bind(hours).execute(&mut connection).await;
        assert!(done.expect("Postgres").rows_affected() > 0);
    }

    /// Makes every deposit as old as if it had been seen that many hours ago.
    pub async fn age_deposits(&self, hours: i32) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let older = "UPDATE deposits SET seen_at = seen_at - make_interval(hours => $1)";
        sqlx::query(older).bind(hours).execute(&mut connection).await.expect("the deposits");
    }

    /// Makes it as if the provider had had an operation for that many days more, and the operation due.
    pub async fn accepted_earlier(&self, id: payfleet_core::OperationId, days: i32) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let earlier = "WITH intent AS (
                UPDATE intents SET closed_at = closed_at - make_interval(days => $2) WHERE operation_id = $1
            )
            UPDATE operations SET next_wake_at = now() WHERE id = $1";
        let done = sqlx::query(earlier).bind(id.as_uuid()).bind(days).execute(&mut connection).await;
        assert_eq!(done.expect("Postgres").rows_affected(), 1);
    }

    /// Makes what is not due for long due at once, and as old as what nobody waits for any more: what a
    /// worker has claimed and lost its job for among them.
    pub async fn give_up_claims(&self) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let older =
            "UPDATE operations SET updated_at = updated_at - interval '2 minutes', next_wake_at = now()
                     WHERE next_wake_at > now() + interval '10 s' AND updated_at < now() - interval '5 s'";
        sqlx::query(older).execute(&mut connection).await.expect("the claims");
    }

    /// Has the steps of redrive plans be due at once: those that a worker has taken, too.
    pub async fn give_up_steps(&self) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let due =
            "UPDATE redrive_plans SET next_step_at = now() - interval '10 s' WHERE next_step_at IS NOT NULL";
        sqlx::query(due).execute(&mut connection).await.expect("the plans");
    }

    /// Makes every open intent as old as if it had been opened that many hours ago.
    pub async fn age_intents(&self, hours: i32) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let query =
            "UPDATE intents SET opened_at = opened_at - make_interval(hours => $1) WHERE closed_at IS NULL";
        sqlx::query(query).bind(hours).execute(&mut connection).await.expect("the intents");
    }

    /// Makes every open intent one that was probed that often.
    pub async fn probed(&self, times: i32) {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        let query = "UPDATE intents SET probes = $1 WHERE closed_at IS NULL";
        sqlx::query(query).bind(times).execute(&mut connection).await.expect("the intents");
    }

    /// Everything that is kept of what happened to operations, as text.
    pub async fn history_text(&self) -> String {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("a connection");
        sqlx::query_scalar("SELECT COALESCE(string_agg(event::text, ' '), '') FROM operation_history")
            .fetch_one(&mut connection)
            .await
            .expect("the history")
    }

    /// Asserts that an operation ended in `state`.
    pub async fn assert_state(&self, id: payfleet_core::OperationId, state: &str) {
        let view = self.store.operation(id).await.expect("Postgres").expect("the operation");
        assert_eq!(view.state.name(), state, "{view:?}");
    }
}
