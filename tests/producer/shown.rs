//! What a `GET` shows once Postgres is there.

use std::time::Duration;

use payfleet::servers::{PostgresOptions, PostgresServer, RedisOptions};
use payfleet_core::job::{DeadJob, Failure, Job, Origin};
use payfleet_core::kinds::{Advance, JobKind, NewOperation, OperationKind};
use payfleet_core::{JobId, OperationId, TenantId, Timestamp};
use payfleet_store::{Claim, ClaimRequest, Store, admin};
use payfleet_worker::jobs::{self, Subject};
use reqwest::Method;
use serde_json::Value;

use crate::intake::{Answer, Intake, OTHER_TOKEN, mint, payout};

struct Shown {
    // Before the server: connections end first.
    intake: Intake,
    store: Store,
    postgres: PostgresServer,
}

impl Shown {
    async fn start() -> Self {
        let postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
        let url = postgres.url("payfleet");
        admin::create_database_if_missing(&url).await.unwrap();
        let store = Store::connect_lazy(&url, 2).unwrap();
        admin::migrate(&store).await.unwrap();
        let intake =
            Intake::start_with(RedisOptions::default(), |config| config.database_url = url.into()).await;
        Self { intake, store, postgres }
    }

    /// Accepts a request; hands back its operation as its worker would find it in the job.
    async fn accept(&self, path: &str, kind: JobKind, body: &Value) -> NewOperation {
        let answer = self.intake.post(path, "1", body).await;
        let job = self.intake.find(kind, answer.body["job_id"].as_str().unwrap()).await.unwrap().job;
        serde_json::from_str::<Advance>(job.envelope.payload.get()).unwrap().request.unwrap()
    }

    /// Does what a worker does first.
    async fn claim(&self, new: &NewOperation) {
        let job = payfleet_tests::store::job("w");
        let request = ClaimRequest { id: new.id(), first: Some(new), job, redrive: false };
        assert!(matches!(self.store.claim(&request).await.unwrap(), Claim::Claimed(_)));
    }
}

#[tokio::test]
async fn an_operation_is_queued_until_a_worker_has_touched_it_and_then_shown_from_postgres() {
    let shown = Shown::start().await;
    let new = shown.accept("/v1/payouts", JobKind::Payout, &payout()).await;
    let path = format!("/v1/payouts/{}", new.id());
    assert_eq!(shown.intake.get(&path).await.body["state"], "queued");

    shown.claim(&new).await;
    let answer = shown.intake.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for (name, value) in payout().as_object().unwrap() {
        assert_eq!(&answer.body[name], value, "{name}");
    }
    assert_eq!(answer.body["state"], "requested");
    assert_eq!(answer.body["provider_ref"], Value::Null);
    assert_eq!(answer.body["parked"], Value::Null);
    assert!(answer.body["created_at"].as_str().unwrap().ends_with('Z'), "{answer:?}");
    shown.intake.stop().await;
}

#[tokio::test]
async fn a_mint_is_shown_with_what_was_asked() {
    let shown = Shown::start().await;
    let new = shown.accept("/v1/mints", JobKind::Mint, &mint()).await;
    shown.claim(&new).await;
    let answer = shown.intake.get(&format!("/v1/mints/{}", new.id())).await;
    for (name, value) in mint().as_object().unwrap() {
        assert_eq!(&answer.body[name], value, "{name}");
    }
    shown.intake.stop().await;
}

#[tokio::test]
async fn what_is_not_there_not_of_this_kind_or_not_the_callers_is_404() {
    let shown = Shown::start().await;
    let new = shown.accept("/v1/payouts", JobKind::Payout, &payout()).await;
    for claimed in [false, true] {
        if claimed {
            shown.claim(&new).await;
        }
        let request = shown.intake.bare(Method::GET, &format!("/v1/payouts/{}", new.id()));
        let of_another = Answer::of(request.bearer_auth(OTHER_TOKEN).send().await.unwrap()).await;
        of_another.assert_problem(404, "not-found");
        shown.intake.get(&format!("/v1/mints/{}", new.id())).await.assert_problem(404, "not-found");
    }
    let unknown: OperationId = "5a88b422-6dee-86f7-a3ca-fd294a9b7141".parse().unwrap();
    shown.intake.get(&format!("/v1/payouts/{unknown}")).await.assert_problem(404, "not-found");
    shown.intake.get("/v1/payouts/order-1").await.assert_problem(404, "not-found");
    shown.intake.stop().await;
}

/// To answer 404 would invite the client to pay a second time, under a new key.
#[tokio::test]
async fn an_operation_of_any_kind_whose_first_job_died_is_there() {
    let shown = Shown::start().await;
    for kind in OperationKind::ALL {
        let id = OperationId::derive(&TenantId::default(), kind.endpoint(), "1");
        let subject = Subject { id, kind, tenant: TenantId::default() };
        let job = jobs::advance(&subject, JobId::first_of(id), Duration::ZERO, Origin::Api).unwrap();
        let failure = Failure {
            class: "terminal".to_owned(),
            code: "undecodable".to_owned(),
            message: "the payload cannot be read".to_owned(),
        };
        let died_at = Timestamp::from_unix_ms(1_790_000_000_000);
        let job = Job { envelope: job, attempt: 1, deliveries: 1, enqueued_at: died_at, history: Vec::new() };
        shown.store.archive(&DeadJob { job, died_at, failure }).await.unwrap();
        let answer = shown.intake.get(&format!("{}/{id}", kind.endpoint())).await;
        assert_eq!(
            (answer.status, &answer.body["job"]["place"]),
            (200, &"dead".into()),
            "{kind:?} {answer:?}"
        );
        assert_eq!(answer.body["kind"], kind.as_str(), "{answer:?}");
    }
    shown.intake.stop().await;
}

#[tokio::test]
async fn when_postgres_goes_away_the_queue_answers_and_says_what_it_cannot_know() {
    let mut shown = Shown::start().await;
    let new = shown.accept("/v1/payouts", JobKind::Payout, &payout()).await;
    shown.postgres.kill().await;
    let path = format!("/v1/payouts/{}", new.id());
    let untouched = shown.intake.get(&path).await;
    assert_eq!((untouched.status, &untouched.body["state"]), (200, &Value::from("queued")), "{untouched:?}");
    assert!(untouched.body["detail"].as_str().unwrap().contains("Postgres"), "{untouched:?}");

    let queue = JobKind::Payout.queue().unwrap();
    assert_eq!(shown.intake.queue.take(&queue, "w", 1).await.unwrap().jobs.len(), 1);
    let at_a_worker = shown.intake.get(&path).await;
    assert_eq!(at_a_worker.body["state"], "unknown", "it may be settled by now: {at_a_worker:?}");
    assert_eq!(at_a_worker.body["job"]["place"], "leased");
    shown.intake.stop().await;
}
