//! The audit: replays what happened to every operation, recomputes what each row should therefore
//! say, and names whatever differs. It reads one snapshot, in pages, so a running fleet does not
//! disturb it and its memory does not grow with the database.

mod facts;
mod money;
mod operation;
mod replay;
mod tables;

use serde::Serialize;
use sqlx::{Connection, Executor};
use uuid::Uuid;

use crate::{Store, StoreError};

/// Operations read at a time.
const PAGE: i64 = 500;

/// What the audit holds against each other. Its name is what scripts look for: frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Every row can be read back into the model.
    Unreadable,
    /// The stored hash is the request's.
    RequestHash,
    /// Columns that repeat what the request or the state says agree with it.
    Columns,
    /// Whatever is unfinished will be woken or is parked; whatever is final is neither.
    WakeUp,
    /// The history has no gap and ends where the operation is.
    History,
    /// Each event of the history leads where the history says it led.
    Replay,
    /// What web apps are told has no gap and ends where the operation is.
    Transitions,
    /// Every event of money has its movement.
    MovementMissing,
    /// Every movement has its event, once.
    MovementStray,
    /// Every movement posts what its event says.
    MovementDiffers,
    /// Every movement sums to zero per unit.
    Unbalanced,
    /// At most one intent is open, and only while the state knows of it.
    Intent,
    /// Every intent has the key that is derived for it.
    IntentKey,
    /// What is set aside is what an open or successful intent needs.
    Reservation,
    /// What an asset has set aside is the sum of its reservations, and no asset is issued beyond 100 %.
    Pool,
    /// What a provider answered late is applied, or will be.
    Evidence,
    /// The parts of a revenue sum to it, and are paid or carried over as they stand.
    Parts,
    /// The payouts of a schedule pay no more than is owed.
    Schedules,
    /// What has come in for good is posted, and nothing else.
    Deposits,
    /// A webhook that was handled is in the inbox of its operation.
    Webhook,
    /// A finished reconciliation has as many discrepancies as it counted.
    Run,
    /// Every row belongs to a row that exists.
    Orphan,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 22] = [
        Self::Unreadable,
        Self::RequestHash,
        Self::Columns,
        Self::WakeUp,
        Self::History,
        Self::Replay,
        Self::Transitions,
        Self::MovementMissing,
        Self::MovementStray,
        Self::MovementDiffers,
        Self::Unbalanced,
        Self::Intent,
        Self::IntentKey,
        Self::Reservation,
        Self::Pool,
        Self::Evidence,
        Self::Parts,
        Self::Schedules,
        Self::Deposits,
        Self::Webhook,
        Self::Run,
        Self::Orphan,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::RequestHash => "request_hash",
            Self::Columns => "columns",
            Self::WakeUp => "wake_up",
            Self::History => "history",
            Self::Replay => "replay",
            Self::Transitions => "transitions",
            Self::MovementMissing => "movement_missing",
            Self::MovementStray => "movement_stray",
            Self::MovementDiffers => "movement_differs",
            Self::Unbalanced => "unbalanced",
            Self::Intent => "intent",
            Self::IntentKey => "intent_key",
            Self::Reservation => "reservation",
            Self::Pool => "pool",
            Self::Evidence => "evidence",
            Self::Parts => "parts",
            Self::Schedules => "schedules",
            Self::Deposits => "deposits",
            Self::Webhook => "webhook",
            Self::Run => "run",
            Self::Orphan => "orphan",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check it fails.
    pub check: Check,
    /// Which row: a table and its key.
    pub subject: String,
    /// What should be there, and what is.
    pub detail: String,
}

/// What a running audit tells.
#[derive(Clone, Copy, Debug)]
pub enum AuditNews<'a> {
    /// Something differs.
    Found(&'a Finding),
    /// How many operations have been checked.
    Checked {
        /// So far.
        operations: u64,
        /// In all.
        of: u64,
    },
}

/// What was read, and how much of it differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditSummary {
    /// Operations replayed.
    pub operations: u64,
    /// Events of their histories.
    pub events: u64,
    /// Movements recomputed.
    pub movements: u64,
    /// Their postings.
    pub postings: u64,
    /// Differences found.
    pub findings: u64,
}

/// Where findings go while the audit runs.
pub(crate) struct Desk<'a> {
    news: &'a mut (dyn FnMut(AuditNews<'_>) + Send),
    pub(crate) summary: AuditSummary,
}

impl Desk<'_> {
    fn found(&mut self, check: Check, subject: impl Into<String>, detail: impl Into<String>) {
        let finding = Finding { check, subject: subject.into(), detail: detail.into() };
        self.summary.findings = self.summary.findings.saturating_add(1);
        (self.news)(AuditNews::Found(&finding));
    }
}

impl Store {
    /// Audits everything, and tells `news` what differs as soon as it is found.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses: then the audit says nothing about what it
    /// has not reached.
    pub async fn audit(
        &self,
        news: &mut (dyn FnMut(AuditNews<'_>) + Send),
    ) -> Result<AuditSummary, StoreError> {
        let mut lent = self.lend().await?;
        let mut snapshot = lent.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        // An audit of years may take longer than any statement or transaction of a worker.
        snapshot
            .execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
            .await?;
        let mut desk = Desk { news, summary: AuditSummary::default() };
        let of = facts::count(&mut snapshot).await?;
        let mut after = Uuid::nil();
        loop {
            let page = facts::page(&mut snapshot, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.row.id;
            for facts in &page {
                operation::check(facts, &mut desk);
            }
            (desk.news)(AuditNews::Checked { operations: desk.summary.operations, of });
        }
        tables::check(&mut snapshot, &mut desk).await?;
        snapshot.rollback().await?;
        lent.give_back();
        Ok(desk.summary)
    }
}
