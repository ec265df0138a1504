//! Every SQL statement of Payfleet. Postgres is the truth about operations: what was asked, what was
//! tried, what happened, what must happen next and when.
//!
//! Every write of an operation is guarded by its version and touches exactly one row, or the caller
//! has lost a race and is told so. Every change appends to the history in the same transaction. No
//! network call happens inside one. Queries are checked at compile time against `.sqlx`; `make sql`
//! renews it.

pub mod admin;
mod archive;
mod audit;
mod children;
mod claim;
mod dead_letters;
mod deposits;
mod discrepancies;
mod distribution;
mod error;
mod holders;
mod inbox;
mod intent;
mod ledger;
mod listing;
mod notifications;
mod operation_row;
mod payout_schedules;
mod pool;
mod providers;
mod reads;
mod rebuild;
mod receivers;
mod reconciliation;
mod record;
mod redrive_plans;
mod redrive_releases;
mod redrive_steps;
mod redrive_words;
mod rescue;
mod transaction;
mod transitions;
mod webhook_batch;
mod webhook_log;
mod webhooks;
mod write;

pub use archive::{HeldBack, OldMonth};
pub use audit::{AuditNews, AuditSummary, Check, Finding};
pub use claim::{Claim, ClaimRequest, Claimed, OpenIntent};
pub use dead_letters::{DeadLetter, IDEMPOTENCY_CONFLICT};
pub use deposits::{Counts, Judge, SeenDeposit, Standing, WaitingDeposit};
pub use discrepancies::OpenDiscrepancy;
pub use distribution::{Divided, Gathered};
pub use error::StoreError;
pub use inbox::{Delivered, Woken};
pub use intent::{NewIntent, Opened};
pub use ledger::AccountBalance;
pub use listing::{Filter, GroupBy, ListedOperation, OperationPage, Position, Statistic};
pub use notifications::{ClaimedNotification, DueNotification, NotificationClaim, NotificationEnd};
pub use payout_schedules::ScheduleClock;
pub use pool::{Store, check_database_url};
pub use providers::{ConnectionTest, ProviderHealth, SecretUse, TestResult};
pub use reads::{OperationCount, OperationView, WebhookCount};
pub use rebuild::{Page, Place, RunningRun, Unfinished, UnhandledWebhook};
pub use receivers::ReceiverView;
pub use reconciliation::{
    ComparedPage, DepositName, DepositPage, DepositPlace, DifferenceSum, Discrepancy, HeldPage, HeldPlace,
    KnownDeposit, OpenRun, Run, RunSummary, RunTotal, Step, StuckPage, StuckPlace, Unmoved,
};
pub use record::{Attempt, Next, Purpose};
pub use redrive_plans::{ApproveAbove, NewPlan, Pace, RedriveGroup, RedrivePlan, RedriveProgress, Selection};
pub use redrive_releases::{Candidate, Released};
pub use redrive_steps::{ClaimedPlan, DueStep, Fate, ItemOutcome, Kept, Out, StepClaim, StepEnd};
pub use redrive_words::{RedriveChange, Said};
pub use rescue::{Overdue, OverduePlace};
pub use transitions::FeedPage;
pub use webhook_batch::{IncomingWebhook, Taken, WebhookContent};
pub use webhook_log::{LoggedWebhook, WEBHOOK_OUTCOMES, WebhookFilter, WebhookWithBody};
pub use webhooks::{ReceivedWebhook, WebhookStatus};
pub use write::JobRef;
