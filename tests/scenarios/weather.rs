//! The weather at a provider: what it takes in a second, what it asks for, and when it is away.

use std::time::Duration;

use payfleet_core::job::Origin;
use payfleet_core::kinds::collect::{Capture, Payment};
use payfleet_core::kinds::{Advance, JobKind, NewOperation, OperationKind, Request};
use payfleet_core::{AccountId, JobId, Money, OperationId, TenantId};
use payfleet_providers::gate::{Call, Door};
use payfleet_providers::published::{ALL, Rate, Service};
use payfleet_queue::limits::{BreakerPolicy, BreakerState, Circuit, ForcedBreaker, LimiterState};
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs::{self, Subject};
use payfleet_worker::weather::Weather;
use serde_json::json;

const FORM: &str = "application/x-www-form-urlencoded";
const PAYOUT: &str = "/v1/payout";
/// Few enough that what a busy machine delays is still in the right second.
const LIMIT: u32 = 5;

const DOOR: Door = Door { service: Service::Heleket, class: None, call: Call::Effect };

/// A fleet that may call Heleket five times a second, and opens its breakers soon.
fn setup(workers: usize) -> Setup {
    let mut setup = Setup { workers, call_timeout: Duration::from_secs(30), ..Setup::default() };
    setup.limits.set(Service::Heleket, ALL, Rate::per_second(LIMIT));
    setup.breaker = BreakerPolicy {
        window: Duration::from_secs(60),
        min_volume: 3,
        open: Duration::from_millis(500),
        open_max: Duration::from_secs(1),
        probes: 1,
        ..BreakerPolicy::default()
    };
    setup
}

fn gate(world: &World) -> Weather {
    let Setup { limits, breaker, .. } = setup(0);
    Weather::new(&world.queue, &limits, breaker).unwrap()
}

async fn breaker(world: &World) -> Option<BreakerState> {
    let breakers = world.queue.breakers().await.unwrap();
    breakers.into_iter().find(|one| one.name == "heleket:default:effects")
}

async fn limiter(world: &World) -> LimiterState {
    let limiters = world.queue.limiters().await.unwrap();
    limiters.into_iter().find(|one| one.name == "heleket:default:all").expect("it was called")
}

async fn payouts(world: &World, count: usize) -> Vec<(OperationId, JobId)> {
    let mut accepted = Vec::new();
    for index in 0..count {
        let answer = world.api.payout(&format!("order-{index}"), "1.5").await;
        let job: uuid::Uuid = answer.body["job_id"].as_str().expect("a job").parse().expect("a UUID");
        accepted.push((answer.accepted(), JobId::from_uuid(job)));
    }
    accepted
}

/// Everything went through, once, within the limit, and nothing was spent on waiting.
async fn check(world: World, accepted: &[(OperationId, JobId)]) {
    world.run_until_idle().await;
    for (id, _) in accepted {
        world.assert_state(*id, "settled").await;
    }
    let heleket = &world.providers.heleket;
    assert_eq!(world.providers.effects(heleket).await.len(), accepted.len());
    assert_eq!(world.attempts_spent().await, vec![1; accepted.len()]);
    let most = world.providers.most_in_a_second(heleket).await;
    assert!(most <= u64::from(LIMIT), "{most} calls in one second, {LIMIT} are allowed");
    world.finish().await;
}

#[tokio::test]
async fn eight_workers_that_start_at_once_stay_below_the_limit_of_every_provider() {
    let mut setup = setup(0);
    for service in Service::ALL {
        setup.limits.set(service, ALL, Rate::per_second(LIMIT));
    }
    let mut world = World::with(setup).await;
    let (mut accepted, mut orders) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let key = format!("{number}");
        let customer = json!({"email": format!("payer-{number}@example.com")});
        accepted.push(world.api.post("/v1/customers", &key, &customer).await.accepted());
        accepted.push(world.api.payout(&key, "1.5").await.accepted());
        accepted.push(world.api.mint(&key, &format!("ev-{number}"), "5").await.accepted());
        let wallet = json!({"investor_email": format!("{key}@example.com"), "investor_name": "An Investor", "kyc_verified": true});
        accepted.push(world.api.post("/v1/wallets", &key, &wallet).await.accepted());
        let order = json!({"amount": "10", "asset": "TRX", "network": "TRON", "lifetime_s": 3600});
        orders.push(world.api.post("/v1/orders", &key, &order).await.accepted());
    }
    for _ in 0..8 {
        world.add_worker();
    }
    for id in accepted {
        let ends = async |world: &World| {
            world.store.operation(id).await.unwrap().is_some_and(|view| view.state.name() == "settled")
        };
        world.until("it is settled", ends).await;
    }
    let watched = async |world: &World| world.providers.effects(&world.providers.tatum).await.len() == 10;
    world.until("every address is watched", watched).await;
    let providers = &world.providers;
    for (sandbox, name, services) in [
        (&providers.stripe, "Stripe", 1),
        (&providers.heleket, "Heleket", 1),
        (&providers.tatum, "Tatum", 1),
        // TrovoTech's own and the chain's gateway are one sandbox.
        (&providers.trovotech, "TrovoTech and Bantu", 2),
    ] {
        let most = providers.most_in_a_second(sandbox).await;
        let allowed = u64::from(LIMIT) * services;
        assert!((2..=allowed).contains(&most), "{name}: {most} calls in one second, {allowed} are allowed");
    }
    // Nobody pays them.
    for order in orders {
        world.api.post(&format!("/v1/orders/{order}/cancel"), "unused", &json!({})).await.accepted();
    }
    world.finish().await;
}

#[tokio::test]
async fn eight_workers_that_start_at_once_stay_below_the_published_limit() {
    let mut world = World::with(setup(0)).await;
    let accepted = payouts(&world, 12).await;
    for _ in 0..8 {
        world.add_worker();
    }
    check(world, &accepted).await;
}

#[tokio::test]
async fn an_outage_opens_the_breaker_one_probe_goes_out_and_the_backlog_keeps_to_the_limit() {
    let mut world = World::with(setup(0)).await;
    let heleket = &world.providers.heleket;
    world.providers.plan(heleket, PAYOUT, 5, json!({"status": 503})).await;
    world.providers.plan(heleket, PAYOUT, 1, json!("hold")).await;
    let accepted = payouts(&world, 10).await;
    for _ in 0..3 {
        world.add_worker();
    }
    world
        .until("the breaker opens", async |world| {
            breaker(world).await.is_some_and(|one| matches!(one.circuit, Circuit::Open { .. }))
        })
        .await;
    world.providers.held(&world.providers.heleket, 1).await;
    let state = breaker(&world).await.unwrap();
    assert_eq!(state.circuit, Circuit::HalfOpen, "{state:?}");
    let gate = gate(&world);
    for _ in 0..10 {
        let refused = gate.enter(DOOR).await.expect_err("one probe at a time");
        assert!(refused.reason.contains("breaker"), "{refused:?}");
    }
    world.providers.release(&world.providers.heleket).await;
    world
        .until("the breaker closes", async |world| breaker(world).await.unwrap().circuit == Circuit::Closed)
        .await;
    assert_eq!(world.providers.fired(&world.providers.heleket).await, 6);
    check(world, &accepted).await;
}

/// For a minute with `PAYFLEET_FULL=1` (`make test-full`), else until a few probes have failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_sit_out_an_outage_and_what_waited_keeps_to_the_limit() {
    let is_full = std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1");
    let mut world = World::with(setup(0)).await;
    world.providers.plan(&world.providers.heleket, "/v1/*", u32::MAX, json!({"status": 503})).await;
    let accepted = payouts(&world, 60).await;
    for _ in 0..8 {
        world.add_worker();
    }
    let begun = std::time::Instant::now();
    let is_over = async |world: &World| match is_full {
        true => begun.elapsed() >= Duration::from_mins(1),
        false => world.providers.fired(&world.providers.heleket).await >= 8,
    };
    world.until("the outage has been long enough", is_over).await;
    let refused = world.providers.fired(&world.providers.heleket).await;
    // What has not gone out has spent nothing: neither an intent nor an attempt of its job.
    let queue = JobKind::Payout.queue().unwrap();
    let mut waiting = 0;
    for (id, job) in &accepted {
        let view = world.store.operation(*id).await.unwrap();
        if view.is_some_and(|view| view.state.name() != "requested") {
            continue;
        }
        let found = world.queue.find(&queue, *job).await.unwrap().expect("it waits");
        assert_eq!(found.job.attempt, 1, "{found:?}");
        waiting += 1;
    }
    // One goes out as a probe each time that the breaker lets one.
    assert!(waiting > 0, "all have been sent into the outage");
    assert!(refused < 200, "{refused} calls went into the outage");
    world.providers.mend(&world.providers.heleket).await;
    check(world, &accepted).await;
}

#[tokio::test]
async fn jobs_that_wait_for_a_breaker_have_opened_no_intent_and_spent_no_attempt() {
    let world = World::with(setup(1)).await;
    let breaker = world.queue.breaker("heleket:default:effects", setup(0).breaker).unwrap();
    breaker.force(Some(ForcedBreaker::Open), "their maintenance").await.unwrap();
    let accepted = payouts(&world, 3).await;
    let queue = JobKind::Payout.queue().unwrap();
    for (id, job) in &accepted {
        world
            .until("it is put off", async |world| {
                let found = world.queue.find(&queue, *job).await.unwrap();
                found.is_some_and(|view| view.job.deliveries > 0 && is_delayed(&view.place))
            })
            .await;
        assert_eq!(world.queue.find(&queue, *job).await.unwrap().unwrap().job.attempt, 1);
        world.assert_state(*id, "requested").await;
    }
    assert_eq!(world.attempts_spent().await, [0; 0]);
    assert_eq!(world.providers.calls(&world.providers.heleket).await, 0);
    let shown = world.payfleet(&["limits", "list"]).await;
    let row = shown.lines().find(|line| line.starts_with("heleket:default:effects")).expect(&shown);
    assert!(row.contains("forced open") && row.contains("their maintenance since"), "{shown}");
    breaker.force(None, "").await.unwrap();
    for (_, job) in &accepted {
        assert!(world.queue.promote(&queue, *job).await.unwrap());
    }
    check(world, &accepted).await;
}

fn is_delayed(place: &payfleet_queue::Place) -> bool {
    matches!(place, payfleet_queue::Place::Delayed { .. })
}

#[tokio::test]
async fn an_operator_sets_stops_and_resets_what_the_fleet_calls_and_says_why() {
    let world = World::with(setup(1)).await;
    let accepted = payouts(&world, 1).await;
    world.run_until_idle().await;
    let said = ["--author", "on-call", "--reason", "ticket 7"];
    let run = async |arguments: &[&str]| world.payfleet(&[arguments, &said].concat()).await;

    run(&["limits", "set", "heleket:default:all", "2/10s"]).await;
    let state = limiter(&world).await;
    assert_eq!((state.limit.count, state.limit.window), (2, Duration::from_secs(10)));
    assert_eq!(state.set.unwrap().reason, "ticket 7 (on-call)");
    run(&["limits", "stop", "heleket:default:all"]).await;
    let refused = gate(&world).enter(DOOR).await.expect_err("it is stopped");
    assert!(refused.reason.contains("until an operator lifts it"), "{refused:?}");
    run(&["limits", "reset", "heleket:default:all"]).await;
    let state = limiter(&world).await;
    assert_eq!((state.limit.count, state.set, state.forced), (LIMIT, None, None));

    run(&["breakers", "open", "heleket:default:effects"]).await;
    let refused = gate(&world).enter(DOOR).await.expect_err("it is open");
    assert!(refused.reason.contains("breaker"), "{refused:?}");
    assert_eq!(breaker(&world).await.unwrap().forced.unwrap().note.reason, "ticket 7 (on-call)");
    run(&["breakers", "reset", "heleket:default:effects"]).await;
    assert_eq!(breaker(&world).await.unwrap().forced, None);
    check(world, &accepted).await;
}

#[tokio::test]
async fn a_429_with_retry_after_stops_the_whole_fleet_and_costs_no_attempt() {
    let world = World::with(setup(2)).await;
    let heleket = &world.providers.heleket;
    let slow_down = json!({"answer": {"status": 429, "headers": {"retry-after": "2"}}});
    world.providers.plan(heleket, PAYOUT, 1, slow_down).await;
    let mut accepted = payouts(&world, 1).await;
    world
        .until("it was told so", async |world| world.providers.fired(&world.providers.heleket).await == 1)
        .await;
    world.until("the limit is lowered", async |world| limiter(world).await.lowered.is_some()).await;
    let lowered = limiter(&world).await;
    assert_eq!(lowered.lowered.as_ref().map(|note| note.reason.as_str()), Some("429"));
    assert!(lowered.percent < 100, "{lowered:?}");
    accepted.extend(payouts(&world, 4).await.into_iter().skip(1));
    world.run_until_idle().await;
    let resumed = lowered.lowered.unwrap().since.plus_ms(2_000).unix_ms();
    for effect in world.providers.effects(&world.providers.heleket).await {
        assert!(effect.at >= resumed, "a payout went out {} ms too early", resumed - effect.at);
    }
    check(world, &accepted).await;
}

#[tokio::test]
async fn while_redis_cannot_be_asked_nothing_goes_out() {
    let mut world = World::with(setup(0)).await;
    let gate = gate(&world);
    drop(gate.enter(DOOR).await.expect("a calm day"));
    world.redis.kill().await;
    let refused = gate.enter(DOOR).await.expect_err("nobody knows how often others call");
    assert!(refused.reason.contains("how often the fleet calls"), "{refused:?}");
    world.redis.restart().await.unwrap();
    world.until("calls go out again", async |_| gate.enter(DOOR).await.is_ok()).await;
    world.finish().await;
}

#[tokio::test]
async fn a_leave_that_is_not_used_goes_back() {
    let world = World::with(setup(0)).await;
    let Setup { mut limits, breaker, .. } = setup(0);
    // One call, and the next one in minutes.
    limits.set(Service::Heleket, ALL, Rate { count: 10, window: Duration::from_hours(1) });
    let gate = Weather::new(&world.queue, &limits, breaker).unwrap();
    let leave = gate.enter(DOOR).await.expect("the first");
    assert!(gate.enter(DOOR).await.is_err(), "there is only one");
    drop(leave);
    world.until("it can be had again", async |_| gate.enter(DOOR).await.is_ok()).await;
    world.finish().await;
}

#[tokio::test]
async fn what_stripe_asks_not_to_repeat_is_looked_up_and_its_key_is_not_sent_again() {
    let world = World::start().await;
    let stripe = &world.providers.stripe;
    let answer = json!({"status": 500, "headers": {"stripe-should-retry": "false"}});
    world.providers.plan(stripe, "/v1/payment_intents", 1, json!({"effect_then_answer": answer})).await;
    let id = ask_for_payment(&world).await;
    let provider_ref = async |world: &World| {
        let view = world.store.operation(id).await.unwrap()?;
        view.state.provider_ref().map(str::to_owned)
    };
    world.until("it was found", async |world| provider_ref(world).await.is_some()).await;
    let payment = provider_ref(&world).await.unwrap();
    let confirm = format!("{}/v1/payment_intents/{payment}/confirm", world.providers.stripe.url());
    let paid = reqwest::Client::builder().build().unwrap().post(confirm).bearer_auth("sandbox-api-key");
    let paid = paid.body("payment_method=pm_card_visa").header("content-type", FORM).send().await.unwrap();
    assert!(paid.status().is_success(), "{}", paid.text().await.unwrap());
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    let effects = world.providers.effects(&world.providers.stripe).await;
    let payments = effects.iter().filter(|effect| effect.kind == "payment").count();
    assert_eq!(payments, 1, "beside the change that paid it: {effects:?}");
    // A look-up has no answer of a sending.
    let probes = world.exchanges().await;
    assert_eq!(probes.first(), Some(&("call".to_owned(), "do_not_repeat".to_owned(), Some(500))));
    assert!(probes.iter().skip(1).all(|(why, _, status)| why == "probe" && status.is_none()), "{probes:?}");
    world.finish().await;
}

/// Asks for a payment that its payer has yet to agree to.
async fn ask_for_payment(world: &World) -> OperationId {
    let payment = Payment {
        money: Money::parse_positive("15.50", "USD".parse().unwrap()).unwrap(),
        customer: None,
        payment_method: None,
        capture: Capture::Automatic,
        description: None,
    };
    let (tenant, account) = (TenantId::default(), AccountId::default());
    let id = OperationId::derive(&tenant, "/v1/payments", "card");
    let subject = Subject { id, kind: OperationKind::Payment, tenant: tenant.clone() };
    let mut job = jobs::wake_up(&subject, 0, Duration::ZERO, Origin::Api).unwrap();
    let request = Request::Payment(payment);
    let first = NewOperation { tenant, idempotency_key: "card".to_owned(), account, request };
    let payload = Advance { operation_id: id, request: Some(first), event: None };
    job.payload = serde_json::value::to_raw_value(&payload).unwrap();
    world.queue.enqueue(&[job]).await.unwrap();
    id
}
