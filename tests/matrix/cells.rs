//! The cells of a row.

use std::time::Duration;

use payfleet_core::job::{Origin, QueueName};
use payfleet_core::kinds::OperationKind;
use payfleet_core::{JobId, TenantId};
use payfleet_store::WebhookFilter;
use payfleet_tests::trap::{Aim, Step, Trap};
use payfleet_tests::world::{WorkerProcess, World};
use payfleet_worker::jobs::{self, Subject};
use serde_json::{Value, json};

use crate::rows::Row;
use crate::stage::{Asked, Stage};
use crate::verdict::Ending;

/// How long a worker may take to come to a point: a bound for a hung test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A point at which a worker is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// K4: it has the lease; Postgres knows nothing.
    Leased,
    /// K5: the intent is committed; the call is not sent.
    Intended,
    /// K6: the call is sent; the provider has not acted on it.
    Sent,
    /// K6: the provider has acted; its answer is on the way.
    Acted,
    /// K7: the answer is here; Postgres does not know it.
    Answered,
    /// K8: the outcome is committed, with ledger and next wake-up.
    Recorded,
    /// K9: the job is settled.
    Settled,
    /// K10: what follows is enqueued; the job is not settled.
    FollowedUp,
}

impl Point {
    const ALL: [Self; 8] = [
        Self::Leased,
        Self::Intended,
        Self::Sent,
        Self::Acted,
        Self::Answered,
        Self::Recorded,
        Self::Settled,
        Self::FollowedUp,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Leased => "k4_leased",
            Self::Intended => "k5_intent_committed",
            Self::Sent => "k6_call_sent",
            Self::Acted => "k6_call_acted_upon",
            Self::Answered => "k7_answer_received",
            Self::Recorded => "k8_outcome_committed",
            Self::Settled => "k9_job_settled",
            Self::FollowedUp => "k10_follow_up_enqueued",
        }
    }

    /// Whether somebody who comes after it cannot tell what the provider did.
    pub(crate) const fn leaves_doubt(self) -> bool {
        match self {
            Self::Intended | Self::Sent | Self::Acted | Self::Answered => true,
            Self::Leased | Self::Recorded | Self::Settled | Self::FollowedUp => false,
        }
    }

    /// How the worker is stopped there; otherwise the provider holds its call.
    fn step(self, row: Row) -> Result<Step, &'static str> {
        Ok(match self {
            Self::Leased => Step::Before("operation_insert"),
            Self::Intended if row.parts().is_some() => Step::Committed("distribution_parts_insert"),
            Self::Intended => Step::Committed("intent_save"),
            Self::Sent => return Err("hold"),
            Self::Acted => return Err("hold_after_effect"),
            Self::Answered => {
                Step::BeforeSince { committed: "intent_save", statement: "operation_lock_version" }
            }
            Self::Recorded => Step::Committed("attempt_append"),
            Self::Settled => Step::Settled,
            Self::FollowedUp => Step::BeforeSettle,
        })
    }
}

/// What the provider has to say in the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Yes,
    SlowDown,
}

impl Answer {
    /// The fault that holds it back.
    fn held_back(self) -> Value {
        match self {
            Self::Yes => json!("hold_after_effect"),
            Self::SlowDown => {
                json!({"hold_then_answer": {"status": 429, "headers": {"retry-after": "1"}, "body": "{}"}})
            }
        }
    }
}

/// One cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    /// The worker is killed at the point.
    Crash(Point),
    /// The worker stands still at the point for longer than its lease; another one is handed the job and
    /// goes on; then the first one goes on too.
    Redelivery(Point),
    /// The client repeats its request while the worker is at the point, and again when all is over and
    /// Redis has forgotten.
    Repetition(Point),
    /// The client takes its wish back while the call cannot be taken back any more.
    Cancellation(Point),
    /// The same where the call is sent, and the answer to it is that it was not carried out.
    RefusedRedelivery,
    /// Two workers are handed the operation again and again while its call is under way, by other jobs.
    TwoWorkers(Answer),
    /// Webhooks come before the answer of the call.
    EarlyWebhooks,
    /// Webhooks come when all is over: twice each, the last first.
    LateWebhooks,
    /// A webhook says that what has settled has failed, or is another.
    ContradictoryWebhook,
}

impl Cell {
    pub(crate) fn all() -> Vec<Self> {
        let at = |cell: fn(Point) -> Self| Point::ALL.into_iter().map(cell);
        let points = at(Self::Crash).chain(at(Self::Redelivery)).chain(at(Self::Repetition));
        let others = [
            Self::RefusedRedelivery,
            Self::TwoWorkers(Answer::Yes),
            Self::TwoWorkers(Answer::SlowDown),
            Self::EarlyWebhooks,
            Self::LateWebhooks,
            Self::ContradictoryWebhook,
        ];
        points.chain(at(Self::Cancellation)).chain(others).collect()
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Crash(point) => format!("crash::{}", point.name()),
            Self::Redelivery(point) => format!("redelivery::{}", point.name()),
            Self::Repetition(point) => format!("repetition::{}", point.name()),
            Self::Cancellation(point) => format!("cancellation::{}", point.name()),
            Self::RefusedRedelivery => "redelivery::k6_call_sent_and_refused".to_owned(),
            Self::TwoWorkers(Answer::Yes) => "two_workers".to_owned(),
            Self::TwoWorkers(Answer::SlowDown) => "two_workers::call_refused".to_owned(),
            Self::EarlyWebhooks => "webhooks::early".to_owned(),
            Self::LateWebhooks => "webhooks::late_twice_and_backwards".to_owned(),
            Self::ContradictoryWebhook => "webhooks::contradictory".to_owned(),
        }
    }

    /// Whether a row has it: some are told of by no webhook that could contradict.
    pub(crate) const fn is_of(self, row: Row) -> bool {
        match self {
            Self::ContradictoryWebhook => row.has_a_contradiction(),
            Self::Cancellation(point) => {
                matches!(row, Row::PayoutToAnAddress | Row::PayoutToABank)
                    && (point.leaves_doubt() || matches!(point, Point::Recorded))
            }
            Self::Crash(_)
            | Self::Redelivery(_)
            | Self::Repetition(_)
            | Self::RefusedRedelivery
            | Self::TwoWorkers(_)
            | Self::EarlyWebhooks
            | Self::LateWebhooks => true,
        }
    }

    pub(crate) async fn run(self, stage: &mut Stage) {
        let asked = stage.next().await;
        match self {
            Self::Crash(point) => crash(stage, &asked, point).await,
            Self::Redelivery(point) => redelivery(stage, &asked, point).await,
            Self::Repetition(point) => repetition(stage, &asked, point).await,
            Self::Cancellation(point) => cancellation(stage, &asked, point).await,
            Self::RefusedRedelivery => refused_redelivery(stage, &asked).await,
            Self::TwoWorkers(answer) => two_workers(stage, &asked, answer).await,
            Self::EarlyWebhooks => early_webhooks(stage, &asked).await,
            Self::LateWebhooks => late_webhooks(stage, &asked).await,
            Self::ContradictoryWebhook => contradictory_webhook(stage, &asked).await,
        }
        stage.world.stop_workers().await;
    }
}

/// A worker that is held at a point.
struct Caught {
    worker: WorkerProcess,
    trap: Option<Trap>,
}

impl Caught {
    /// Lets go on whatever was held.
    async fn let_go(&self, stage: &Stage) {
        match &self.trap {
            Some(trap) => trap.open(),
            None => stage.world.providers.release(stage.sandbox()).await,
        }
    }
}

/// Asks, and waits until the only worker is at `point` with it.
async fn catch(stage: &Stage, asked: &Asked, point: Point) -> Caught {
    let world = &stage.world;
    let (worker, trap) = match point.step(stage.row) {
        Ok(step) => {
            let is_of_the_call = matches!(point, Point::Answered | Point::Recorded);
            let operation = if is_of_the_call { asked.caller } else { asked.operation };
            let aim = Aim { operation: Some(operation), job: asked.job, step };
            let (worker, trap) = world.trapped_worker("victim", aim, &patient()).await;
            (worker, trap)
        }
        Err(fault) => return held(stage, asked, json!(fault)).await,
    };
    assert_eq!(world.api.post(asked.path, &asked.key, &asked.body).await.accepted(), asked.operation);
    let arrived = tokio::time::timeout(PATIENCE, trap.sprung()).await;
    assert!(arrived.is_ok(), "the worker never came to {}: {}", point.name(), worker.last_words());
    Caught { worker, trap: Some(trap) }
}

/// Asks, and waits until the provider holds the call of the only worker.
async fn held(stage: &Stage, asked: &Asked, fault: Value) -> Caught {
    let world = &stage.world;
    world.providers.plan(stage.sandbox(), &asked.call, 1, fault).await;
    let worker = world.worker_process_with("victim", &patient()).await;
    assert_eq!(world.api.post(asked.path, &asked.key, &asked.body).await.accepted(), asked.operation);
    let arrived = tokio::time::timeout(PATIENCE, world.providers.held(stage.sandbox(), 1)).await;
    assert!(arrived.is_ok(), "the worker never called: {}", worker.last_words());
    Caught { worker, trap: None }
}

/// It may stand still for long on a busy machine; an answer that is there is to be heard then.
fn patient() -> [(&'static str, String); 1] {
    [("TROVOTECH_TIMEOUT_MS", "40000".to_owned())]
}

async fn crash(stage: &mut Stage, asked: &Asked, point: Point) {
    let caught = catch(stage, asked, point).await;
    caught.worker.kill().await;
    // What was sent arrives all the same.
    caught.let_go(stage).await;
    stage.world.add_worker();
    let ending = if point.leaves_doubt() { Ending::AsDoubtIsResolved } else { Ending::Settled };
    stage.verdict(asked, ending).await;
}

async fn redelivery(stage: &mut Stage, asked: &Asked, point: Point) {
    let caught = catch(stage, asked, point).await;
    caught.worker.signal(payfleet::servers::Signal::STOP);
    stage.world.add_worker();
    // A settled job is not delivered again by itself.
    if point == Point::Settled {
        again(stage, asked, 0).await;
    }
    overtake(stage, asked, caught).await;
}

async fn refused_redelivery(stage: &mut Stage, asked: &Asked) {
    let caught = held(stage, asked, Answer::SlowDown.held_back()).await;
    caught.worker.signal(payfleet::servers::Signal::STOP);
    stage.world.add_worker();
    overtake(stage, asked, caught).await;
}

/// Lets a worker that stands still go on once another one has gone on without it.
async fn overtake(stage: &Stage, asked: &Asked, caught: Caught) {
    stage.until_rest(asked.operation).await;
    caught.let_go(stage).await;
    caught.worker.signal(payfleet::servers::Signal::CONT);
    assert!(caught.worker.stop().await.success(), "{}", caught.worker.last_words());
    stage.verdict(asked, Ending::Settled).await;
}

async fn repetition(stage: &mut Stage, asked: &Asked, point: Point) {
    let caught = catch(stage, asked, point).await;
    repeat(stage, asked).await;
    caught.let_go(stage).await;
    stage.verdict(asked, Ending::Settled).await;
    assert!(caught.worker.stop().await.success(), "{}", caught.worker.last_words());
    stage.world.forget_redis().await;
    stage.world.add_worker();
    repeat(stage, asked).await;
    stage.verdict(asked, Ending::Settled).await;
}

/// The same request under the same key is the same operation; another one is refused.
async fn repeat(stage: &Stage, asked: &Asked) {
    let api = &stage.world.api;
    let again = api.post(asked.path, &asked.key, &asked.body).await;
    assert_eq!(again.accepted(), asked.operation, "a repetition names the same operation");
    assert_eq!(again.body["job_id"], json!(asked.job), "a repetition names the same job");
}

/// It comes too late: nothing is said to be cancelled that happens.
async fn cancellation(stage: &mut Stage, asked: &Asked, point: Point) {
    let caught = catch(stage, asked, point).await;
    let wish = format!("{}/{}/cancel", asked.path, asked.operation);
    stage.world.api.post(&wish, "unused", &json!({})).await.accepted();
    caught.let_go(stage).await;
    stage.verdict(asked, Ending::Settled).await;
    assert!(caught.worker.stop().await.success(), "{}", caught.worker.last_words());
}

async fn two_workers(stage: &mut Stage, asked: &Asked, answer: Answer) {
    stage.world.providers.plan(stage.sandbox(), &asked.call, 1, answer.held_back()).await;
    stage.world.add_worker();
    stage.world.add_worker();
    stage.world.api.post(asked.path, &asked.key, &asked.body).await.accepted();
    stage.world.providers.held(stage.sandbox(), 1).await;
    for number in 0..8 {
        let (queue, job) = again(stage, asked, number).await;
        let is_over = async |world: &World| world.queue.find(&queue, job).await.expect("Redis").is_none();
        stage.world.until("another job has left the call alone", is_over).await;
    }
    stage.world.providers.release(stage.sandbox()).await;
    stage.verdict(asked, Ending::Settled).await;
}

/// Has the operation whose call it is delivered once more, by a job of its own.
async fn again(stage: &Stage, asked: &Asked, number: u8) -> (QueueName, JobId) {
    let kind = if asked.caller == asked.operation { stage.row.kind() } else { OperationKind::Payout };
    let subject = Subject { id: asked.caller, kind, tenant: TenantId::default() };
    let id = JobId::named("once more", &[asked.key.as_bytes(), &[number]]);
    let job = jobs::advance(&subject, id, Duration::ZERO, Origin::FollowUp).expect("a job");
    let queue = job.queue.clone();
    stage.world.queue.enqueue(&[job]).await.expect("Redis");
    (queue, id)
}

async fn early_webhooks(stage: &mut Stage, asked: &Asked) {
    let before = stage.discrepancies().await;
    stage.world.providers.plan(stage.sandbox(), &asked.call, 1, json!("hold_after_effect")).await;
    stage.world.add_worker();
    stage.world.api.post(asked.path, &asked.key, &asked.body).await.accepted();
    stage.world.providers.held(stage.sandbox(), 1).await;
    stage
        .world
        .until("its webhooks have come", async |world| world.providers.pending_webhooks().await == 0)
        .await;
    stage.world.providers.release(stage.sandbox()).await;
    stage.verdict(asked, Ending::Settled).await;
    assert_eq!(stage.discrepancies().await, before);
}

async fn late_webhooks(stage: &mut Stage, asked: &Asked) {
    let before = stage.discrepancies().await;
    stage.world.providers.deliver_so(stage.sandbox(), json!({"copies": 2, "hold": true})).await;
    stage.world.add_worker();
    stage.world.api.post(asked.path, &asked.key, &asked.body).await.accepted();
    stage.until_rest(asked.operation).await;
    if stage.row == Row::Order {
        stage.pay(asked, &["4", "3", "3"]).await;
    }
    stage.world.providers.deliver_so(stage.sandbox(), json!({"reversed": true})).await;
    stage.verdict(asked, Ending::Settled).await;
    assert_eq!(stage.discrepancies().await, before);
}

async fn contradictory_webhook(stage: &mut Stage, asked: &Asked) {
    stage.world.add_worker();
    stage.world.api.post(asked.path, &asked.key, &asked.body).await.accepted();
    stage.verdict(asked, Ending::Settled).await;
    let contradiction = stage.contradiction(asked).await;
    stage.world.providers.emit(stage.sandbox(), contradiction).await;
    stage.verdict(asked, Ending::Settled).await;
    let log = stage.world.store.webhook_log(&WebhookFilter::default(), None, 1).await.expect("the log");
    let last = log.first().expect("a webhook");
    assert_eq!(last.outcome, "processed", "{last:?}");
    assert_eq!(last.operation_id, Some(asked.operation.as_uuid()), "it found its operation: {last:?}");
}
