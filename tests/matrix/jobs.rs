//! The two kinds of jobs that no executor runs, `webhook` and `confirm`, at every point at which their
//! worker can die: between what they write and what they settle. Each cell has a World of its own, in which
//! nothing but the job's next delivery can bring about what it is for: no other webhook comes, and nobody
//! polls for a year.

use std::time::Duration;

use payfleet_core::address::Network;
use payfleet_core::job::{NewJob, QueueName};
use payfleet_core::kinds::{JobKind, OperationKind};
use payfleet_core::provider::Provider;
use payfleet_core::{Clock, JobId, Money, OperationId, TenantId};
use payfleet_process::SystemClock;
use payfleet_store::{SeenDeposit, UnhandledWebhook};
use payfleet_tests::stripe::{ask, funded_account, payout, shown, until};
use payfleet_tests::trap::{Aim, Step};
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs::{self, Subject};
use serde_json::{Value, json};

/// How long a worker may take to come to a point: a bound for a hung test.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_660);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const EVENT: &str = "event-1";

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// A webhook that is stored with others in one transaction.
    Webhook,
    /// One about which more must be found out first: of a connected account.
    WebhookAlone,
    /// One that tells of a deposit.
    WebhookOfADeposit,
    /// A look at an operation.
    Look,
    /// A look at a chain.
    LookAtAChain,
}

/// A point at which the worker dies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    job: Job,
    point: &'static str,
    step: Step,
}

/// What a job is about, on its stage: all is ready, and no worker is there.
struct Staged {
    world: World,
    operation: OperationId,
    /// What the worker is to be handed, where it does not find it by itself.
    job: Option<NewJob>,
    id: JobId,
    queue: QueueName,
    /// What of its inbox the job writes.
    inbox: &'static str,
}

impl Death {
    pub(crate) fn all() -> Vec<Self> {
        const SETTLE: [(&str, Step); 2] =
            [("before_the_settle", Step::BeforeSettle), ("job_settled", Step::Settled)];
        let points: [(Job, &[(&str, Step)]); 5] = [
            (
                Job::Webhook,
                &[
                    ("before_its_batch", Step::Before("webhooks_insert")),
                    ("before_the_commit", Step::Before("operations_wake")),
                    ("batch_committed", Step::Committed("inbox_insert_many")),
                ],
            ),
            (
                Job::WebhookAlone,
                &[
                    ("before_it_is_stored", Step::Before("webhook_insert")),
                    ("stored", Step::Committed("webhook_insert")),
                    ("before_the_inbox", Step::Before("inbox_insert")),
                    ("in_the_inbox", Step::Committed("inbox_insert")),
                    ("before_its_mark", Step::Before("webhook_mark")),
                ],
            ),
            (
                Job::WebhookOfADeposit,
                &[
                    ("before_the_commit", Step::Before("deposits_seen")),
                    ("batch_committed", Step::Committed("deposits_seen")),
                ],
            ),
            (
                Job::Look,
                &[
                    ("before_the_inbox", Step::Before("inbox_insert")),
                    ("in_the_inbox", Step::Committed("inbox_insert")),
                ],
            ),
            (
                Job::LookAtAChain,
                &[
                    ("before_it_counts", Step::Before("deposit_count")),
                    ("before_the_inbox", Step::Before("inbox_insert")),
                    ("in_the_inbox", Step::Committed("inbox_insert")),
                ],
            ),
        ];
        let of = |job: Job, points: &[(&'static str, Step)]| {
            let points = points.iter().chain(&SETTLE);
            points.map(|(point, step)| Self { job, point, step: *step }).collect::<Vec<_>>()
        };
        points.into_iter().flat_map(|(job, points)| of(job, points)).collect()
    }

    pub(crate) fn name(self) -> String {
        let job = match self.job {
            Job::Webhook => "webhook_of_an_operation",
            Job::WebhookAlone => "webhook_of_a_connected_account",
            Job::WebhookOfADeposit => "webhook_of_a_deposit",
            Job::Look => "confirm_of_an_operation",
            Job::LookAtAChain => "confirm_of_a_chain",
        };
        format!("{job}::crash::{}", self.point)
    }

    /// The worker dies; whoever is handed the job next does the rest, and everything is there once.
    pub(crate) async fn run(self) {
        let Staged { mut world, operation, job, id, queue, inbox } = self.job.stage().await;
        let aim = Aim { operation: None, job: id, step: self.step };
        let (worker, trap) = world.trapped_worker("victim", aim, &[]).await;
        match job {
            Some(job) => drop(world.queue.enqueue(&[job]).await.expect("Redis")),
            None if self.job == Job::Look => assert!(world.queue.promote(&queue, id).await.expect("Redis")),
            // It looks at its chain by itself.
            None => {}
        }
        let arrived = tokio::time::timeout(PATIENCE, trap.sprung()).await;
        assert!(arrived.is_ok(), "the worker never came to {}: {}", self.point, worker.last_words());
        worker.kill().await;
        trap.open();
        world.add_worker();
        if self.job == Job::WebhookOfADeposit {
            let is_seen = async |world: &World| !world.store.networks_waiting().await.unwrap().is_empty();
            world.until("the deposit is written down", is_seen).await;
            assert_eq!(world.count("SELECT count(*) FROM deposits WHERE network = $1", "TRON").await, 1);
            // It was told of, and counts for nothing yet: that is for its chain to say.
            assert_eq!(shown(&world, operation).await["state"], json!("accepted"));
            world.stop_workers().await;
            world.chain("tron", "mine", &json!({"blocks": 5})).await;
            world.queue.enqueue(&[jobs::look_at(Network::Tron, 0).unwrap()]).await.expect("Redis");
            world.add_worker();
        }
        until(&world, operation, "settled").await;
        let is_over = async |world: &World| world.queue.find(&queue, id).await.expect("Redis").is_none();
        world.until("the job is over", is_over).await;
        let entries = "SELECT count(*) FROM inbox WHERE event_key LIKE $1";
        assert_eq!(world.count(entries, inbox).await, 1, "entries of {inbox}");
        if queue == JobKind::Webhook.queue().unwrap() {
            let events = "SELECT count(*) FROM webhook_events WHERE event_key = $1 AND status = 'processed'";
            assert_eq!(world.count(events, EVENT).await, 1);
        }
        let movements = "SELECT count(*) FROM movements WHERE operation_id::text = $1";
        assert_eq!(world.count(movements, &operation.to_string()).await, 1);
        assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
        if self.job == Job::WebhookAlone {
            world.providers.deliver_so(&world.providers.stripe, json!({"hold": false})).await;
            let is_told = async |world: &World| world.providers.pending_webhooks().await == 0;
            world.until("Stripe has told what it held back", is_told).await;
        }
        // The polls of a year from now.
        world.forget_redis().await;
        world.finish().await;
    }
}

impl Job {
    async fn stage(self) -> Staged {
        let setup = Setup {
            webhooks: self == Self::WebhookAlone,
            lease: Duration::from_secs(1),
            confirm_interval: YEAR,
            heleket_settles_after: HOUR,
            stripe_settles_after: HOUR,
            ..Setup::default()
        };
        let mut world = World::with(setup).await;
        match self {
            Self::Webhook | Self::Look => {
                let operation = world.api.payout("p", "15.5").await.accepted();
                until(&world, operation, "accepted").await;
                let version = world.store.operation(operation).await.unwrap().unwrap().version;
                let subject =
                    Subject { id: operation, kind: OperationKind::Payout, tenant: TenantId::default() };
                let look = jobs::confirm(&subject, version, YEAR, None).unwrap();
                let is_there =
                    async |world: &World| world.queue.find(&look.queue, look.id).await.unwrap().is_some();
                world.until("it is to be looked at", is_there).await;
                world.stop_workers().await;
                world.providers.stripe_clock.pass(HOUR);
                if self == Self::Look {
                    let (id, queue) = (look.id, look.queue);
                    return Staged { world, operation, job: None, id, queue, inbox: "polled:%" };
                }
                let effect = world.providers.effects(&world.providers.heleket).await.remove(0);
                let body = json!({
                    "type": "payout", "uuid": effect.id, "order_id": effect.reference, "amount": "15.5",
                    "currency": "USDT", "network": "TRON", "status": "paid", "is_final": true,
                });
                webhook(world, operation, (Provider::Heleket, body), "webhook:event-1:%")
            }
            Self::WebhookAlone => {
                let account = funded_account(&world, "carrier", "40").await;
                let stripe = &world.providers.stripe;
                world.providers.deliver_so(stripe, json!({"hold": true})).await;
                let operation = ask(&world, "/v1/payouts", "p", payout(account, "25")).await;
                until(&world, operation, "accepted").await;
                world.stop_workers().await;
                world.providers.stripe_clock.pass(HOUR);
                let (of, made) = (shown(&world, account).await, shown(&world, operation).await);
                let object = json!({
                    "id": made["provider_ref"], "object": "payout", "status": "paid", "amount": 2500,
                    "currency": "usd",
                });
                let body = json!({
                    "id": EVENT, "object": "event", "type": "payout.paid", "livemode": false,
                    "account": of["provider_ref"], "data": {"object": object},
                });
                webhook(world, operation, (Provider::Stripe, body), "webhook:event-1:%")
            }
            Self::WebhookOfADeposit | Self::LookAtAChain => {
                let order = json!({"amount": "10", "asset": "TRX", "network": "TRON", "lifetime_s": 3600});
                let operation = world.api.post("/v1/orders", "o", &order).await.accepted();
                until(&world, operation, "accepted").await;
                world.stop_workers().await;
                let address = shown(&world, operation).await["result"]["address"].clone();
                let paid = world.chain("tron", "pay", &json!({"to": address, "amount": "10"})).await;
                world.chain("tron", "mine", &json!({"blocks": 1})).await;
                if self == Self::WebhookOfADeposit {
                    let body = json!({
                        "address": address, "amount": "10", "asset": "TRON", "blockNumber": 1001,
                        "txId": paid["txId"], "type": "native", "chain": "tron-mainnet",
                        "subscriptionType": "ADDRESS_EVENT",
                    });
                    return webhook(world, operation, (Provider::Tatum, body), "deposited:%");
                }
                world.chain("tron", "mine", &json!({"blocks": 4})).await;
                let seen = SeenDeposit {
                    network: Network::Tron,
                    transaction: paid["txId"].as_str().unwrap().to_owned(),
                    place: String::new(),
                    address_key: Network::Tron.key_of(address.as_str().unwrap()),
                    money: Money::parse_positive("10", "TRX".parse().unwrap()).unwrap(),
                    is_coin: true,
                    block: Some(1001),
                };
                world.store.see_deposit(operation, &seen).await.unwrap();
                let tick = SystemClock.now().unix_ms() / i64::try_from(YEAR.as_millis()).unwrap();
                let look = jobs::look_at(Network::Tron, tick).unwrap();
                let (id, queue) = (look.id, look.queue);
                Staged { world, operation, job: None, id, queue, inbox: "deposited:%" }
            }
        }
    }
}

/// Of a webhook's job, as the producer makes it.
fn webhook(
    world: World,
    operation: OperationId,
    (provider, body): (Provider, Value),
    inbox: &'static str,
) -> Staged {
    let event = UnhandledWebhook {
        provider,
        event_key: EVENT.to_owned(),
        received_at: SystemClock.now(),
        body: body.to_string().into_bytes(),
        event_type: "told".to_owned(),
    };
    let job = jobs::webhook(&event).unwrap();
    let (id, queue) = (job.id, job.queue.clone());
    Staged { world, operation, job: Some(job), id, queue, inbox }
}
