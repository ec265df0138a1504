//! Redis loses everything in the middle of many operations, of every kind. An operator rebuilds, clients
//! repeat what was not confirmed to them, and every operation comes to rest: settled, or in doubt with a
//! dead letter where the provider offers neither key nor look-up; orders are paid, and schedules stand.

use std::time::Duration;

use futures::future::join_all;
use payfleet_core::OperationId;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_store::OperationView;
use payfleet_tests::receiver::{Mood, Receiver};
use payfleet_tests::store::ADDRESS;
use payfleet_tests::stripe;
use payfleet_tests::world::{Providers, Setup, World};
use serde_json::json;

/// Operations under way when Redis is emptied; the long variant runs with `PAYFLEET_FULL=1`
/// (`make test-full`).
const OPERATIONS: usize = 4 * KINDS;
const OPERATIONS_FULL: usize = 30 * KINDS;

/// What is asked for by turns.
const KINDS: usize = 18;

/// Answers of each provider that are lost after the effect.
const LOST_ANSWERS: u32 = 3;

fn operations() -> usize {
    let is_full = std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1");
    if is_full { OPERATIONS_FULL } else { OPERATIONS }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_emptied_in_the_middle_of_many_operations_is_rebuilt() {
    let world = World::with(Setup { workers: 2, ..Setup::default() }).await;
    let ground = Ground::lay(&world, operations() / KINDS).await;
    let providers = &world.providers;
    for (sandbox, path) in [
        (&providers.heleket, "/v1/payout"),
        (&providers.trovotech, "/token/mint"),
        (&providers.stripe, "/v1/payment_intents"),
        (&providers.stripe, "/v1/refunds"),
        (&providers.stripe, "/v1/transfers"),
        (&providers.stripe, "/v1/accounts"),
        (&providers.tatum, "/v4/subscription"),
    ] {
        providers.plan(sandbox, path, LOST_ANSWERS, json!("reset_after_effect")).await;
    }

    let (all, before) = (operations(), known(&world).await);
    let ids = join_all((0..all).map(|n| ask(&world, &ground, n))).await;
    let half = before + all / 2;
    world.until("half of them have reached Postgres", async |world| known(world).await >= half).await;
    world.forget_redis().await;

    // Twice at once, beside two workers and their rescuers: what is made twice is made once.
    let (first, second) = tokio::join!(rebuild(&world), rebuild(&world));
    let missing = first["rebuilt"]["operations"]["made"].as_u64().unwrap();
    let again = second["rebuilt"]["operations"]["made"].as_u64().unwrap();
    assert!(missing + again <= 2 * known(&world).await as u64, "{first} {second}");
    assert!(first["unknown"].as_array().is_some_and(|lines| !lines.is_empty()), "{first}");

    // A client that finds no operation repeats its request under its own key.
    let mut repeated = 0;
    for (n, id) in ids.iter().enumerate() {
        if world.store.operation(*id).await.unwrap().is_none() {
            assert_eq!(ask(&world, &ground, n).await, *id, "the same key names the same operation");
            repeated += 1;
        }
    }
    // What was claimed for a job that is lost is left alone for a minute and a half.
    let rest = async |world: &World| {
        world.give_up_claims().await;
        at_rest(world, &ids).await
    };
    world.until("every operation is at rest", rest).await;
    end_what_stands(&world, &ids).await;
    // Wake-ups that are not needed any more would be waited for.
    world.forget_redis().await;
    world.abandon_webhooks();
    world.run_until_idle().await;

    for id in &ids {
        let view = world.store.operation(*id).await.unwrap().unwrap();
        if view.state.name() == "in_doubt" {
            assert_eq!(view.kind, OperationKind::Mint, "anything else can be asked for: {view:?}");
            assert!(world.store.has_dead_letter(*id).await.unwrap(), "nobody is told of {view:?}");
        } else if view.kind == OperationKind::PayoutSchedule {
            assert_eq!(view.state.name(), "failed", "it was cancelled: {view:?}");
        } else {
            assert_eq!(view.state.name(), "settled", "{repeated} were repeated: {view:?}");
        }
    }
    let Providers { heleket, trovotech, stripe, tatum, .. } = &world.providers;
    for sandbox in [heleket, trovotech, stripe, tatum] {
        assert!(world.providers.fired(sandbox).await > 0, "no answer was lost");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_person_is_told_again_when_its_dead_letter_was_lost() {
    let world = World::start().await;
    let lost = json!("reset_after_effect");
    world.providers.plan(&world.providers.trovotech, "/token/mint", 1, lost).await;
    let id = world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world
        .until("the mint has a dead letter", async |world| world.store.has_dead_letter(id).await.unwrap())
        .await;
    // As if Redis had lost it before it was archived.
    let letter = world.store.dead_letters(1, false).await.unwrap().remove(0);
    world.store.mark_redriven(letter.job_id, letter.died_at).await.unwrap();
    world.forget_redis().await;

    let rebuilt = rebuild(&world).await;
    assert_eq!(rebuilt["rebuilt"]["parked"], json!({"made": 1, "there": 0}), "{rebuilt}");
    world.until("a person is told again", async |world| world.store.has_dead_letter(id).await.unwrap()).await;
    world.assert_state(id, "in_doubt").await;
    assert_eq!(world.providers.effects(&world.providers.trovotech).await.len(), 1);
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_was_given_up_is_told_to_a_person_again_when_its_dead_letter_was_lost() {
    let receiver = Receiver::start(Mood::Down).await;
    let receivers = receiver.settings_with(vec![Duration::from_millis(10)]);
    let world = World::with(Setup { receivers, ..Setup::default() }).await;
    world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let letter = world.store.dead_letters(1, false).await.unwrap().remove(0);
    assert_eq!(letter.code, "not_delivered");
    // As if Redis had lost it before it was archived.
    world.store.mark_redriven(letter.job_id, letter.died_at).await.unwrap();
    world.forget_redis().await;

    let rebuilt = rebuild(&world).await;
    assert_eq!(rebuilt["rebuilt"]["parked_notifications"], json!({"made": 1, "there": 0}), "{rebuilt}");
    world.run_until_idle().await;
    let calls = receiver.callbacks().len();
    let letter = world.store.dead_letters(1, false).await.unwrap().remove(0);
    assert_eq!((letter.code.as_str(), calls), ("not_delivered", 2), "a person is told, and nobody else is");
    let rebuilt = rebuild(&world).await;
    assert_eq!(rebuilt["rebuilt"]["parked_notifications"], json!({"made": 0, "there": 0}), "{rebuilt}");

    receiver.set(Mood::Takes);
    world.payfleet(&["dlq", "retry", &letter.job_id.to_string()]).await;
    world.run_until_idle().await;
    assert!(receiver.taken().len() >= 3, "every step of the payout");
    world.finish().await;
}

/// What some of the requests build on.
struct Ground {
    payment: OperationId,
    account: OperationId,
    customer: OperationId,
    /// A share, by its token.
    token: String,
    /// Payments whose money is only set aside; each is captured once.
    authorized: Vec<OperationId>,
}

impl Ground {
    async fn lay(world: &World, captures: usize) -> Self {
        let account = stripe::funded_account(world, "ground", "400").await;
        let customer = json!({"email": "payer@example.com"});
        let customer = stripe::ask(world, "/v1/customers", "ground", customer).await;
        let mint = world.api.mint("ground", "bus", "10").await.accepted();
        let set_aside = (0..captures).map(async |n: usize| {
            let body = stripe::authorization("5", "pm_card_visa");
            stripe::ask(world, "/v1/payments", &format!("ground-{n}"), body).await
        });
        let authorized = join_all(set_aside).await;
        for (id, state) in [(customer, "settled"), (mint, "settled")] {
            stripe::until(world, id, state).await;
        }
        for id in &authorized {
            stripe::until(world, *id, "accepted").await;
        }
        let token = stripe::shown(world, mint).await["provider_ref"].as_str().unwrap().to_owned();
        let payment =
            stripe::ask(world, "/v1/payments", "ground", stripe::payment("900", "pm_card_visa")).await;
        stripe::until(world, payment, "settled").await;
        Self { payment, account, customer, token, authorized }
    }
}

/// Pays the orders, and cancels the schedules.
async fn end_what_stands(world: &World, ids: &[OperationId]) {
    for id in ids {
        let view = world.store.operation(*id).await.unwrap().unwrap();
        match &view.request {
            Request::Order(_) => {
                let address = stripe::shown(world, *id).await["result"]["address"].clone();
                world.chain("tron", "pay", &json!({"to": address, "amount": "10"})).await;
            }
            Request::PayoutSchedule(_) => {
                let wish = format!("/v1/payout_schedules/{id}/cancel");
                world.api.post(&wish, "unused", &json!({})).await.accepted();
            }
            _ => {}
        }
    }
    world.chain("tron", "mine", &json!({"blocks": 5})).await;
    let all_final = async |world: &World| {
        for id in ids {
            let view = world.store.operation(*id).await.unwrap().unwrap();
            if !view.state.is_final() && view.parked.is_none() {
                return false;
            }
        }
        true
    };
    world.until("what stood has ended", all_final).await;
}

/// The `n`th request: the kinds by turns, over all four providers.
async fn ask(world: &World, ground: &Ground, n: usize) -> OperationId {
    let key = format!("request-{n}");
    let holder = |name: &str| json!({"holder": name, "weight": "1", "network": "TRON", "address": ADDRESS});
    let (path, body) = match n % KINDS {
        0 => return world.api.payout(&key, "15.5").await.accepted(),
        1 => return world.api.mint(&key, &format!("bus-{n}"), "0.1").await.accepted(),
        2 => ("/v1/payments", stripe::payment("5", "pm_card_visa")),
        3 => ("/v1/refunds", stripe::refund(ground.payment, "2")),
        4 => ("/v1/transfers", stripe::transfer(ground.account, "2")),
        5 => ("/v1/payouts", stripe::payout(ground.account, "2")),
        6 => ("/v1/customers", json!({"email": format!("{key}@example.com")})),
        7 => {
            let investor = json!({"investor_email": format!("{key}@example.com"), "investor_name": "An Investor", "kyc_verified": true});
            ("/v1/wallets", investor)
        }
        8 => {
            let holders = [holder("one"), holder("two")];
            let revenue = json!({
                "asset_id": "bus", "period": key, "amount": "10", "asset": "USDT", "holders": holders,
            });
            ("/v1/distributions", revenue)
        }
        9 => {
            let reading = json!({
                "asset_id": key, "battery_level": 87.5, "kilometers": 12043, "status": "moving",
                "location": {"lat": 6.5244, "lng": -3.3792}, "timestamp": "2026-01-31T12:00:00Z",
            });
            ("/v1/telemetry", json!({"readings": [reading]}))
        }
        10 => {
            let order = json!({"amount": "10", "asset": "TRX", "network": "TRON", "lifetime_s": 3600});
            ("/v1/orders", order)
        }
        11 => ("/v1/accounts", json!({"country": "US", "email": format!("{key}@example.com")})),
        12 => {
            let pages = ("https://shop.example/again", "https://shop.example/done");
            let link = json!({"account": ground.account, "refresh_url": pages.0, "return_url": pages.1});
            ("/v1/account_links", link)
        }
        13 => {
            let method =
                json!({"customer": ground.customer, "payment_method": "pm_card_visa", "change": "attach"});
            ("/v1/payment_methods", method)
        }
        14 => {
            let capture = json!({"payment": ground.authorized[n / KINDS], "change": "capture"});
            ("/v1/payment_changes", capture)
        }
        15 => {
            let schedule =
                json!({"asset": "USDT", "network": "TRON", "address": ADDRESS, "cron": "0 0 29 2 *"});
            ("/v1/payout_schedules", schedule)
        }
        16 => {
            let token = json!({"token_id": ground.token});
            let revenue = json!({
                "asset_id": "bus", "period": key, "amount": "10", "asset": "NGN", "holders": [token],
            });
            ("/v1/distributions", revenue)
        }
        _ => {
            let holder = json!({"holder": "carrier", "weight": "1", "account": ground.account});
            let revenue = json!({
                "asset_id": "van", "period": key, "amount": "1", "asset": "USD", "holders": [holder],
            });
            ("/v1/distributions", revenue)
        }
    };
    stripe::ask(world, path, &key, body).await
}

async fn known(world: &World) -> usize {
    let counts = world.store.operation_counts().await.unwrap();
    usize::try_from(counts.iter().map(|one| one.count).sum::<i64>()).unwrap()
}

async fn at_rest(world: &World, ids: &[OperationId]) -> bool {
    for id in ids {
        match world.store.operation(*id).await.unwrap() {
            Some(view) if view.state.is_final() => {}
            Some(view) if stands(&view) => {}
            Some(view) if view.parked.is_some() && world.store.has_dead_letter(*id).await.unwrap() => {}
            _ => return false,
        }
    }
    true
}

/// Whether it waits for somebody who pays, or for its moment.
fn stands(view: &OperationView) -> bool {
    let waits = matches!(view.request, Request::Order(_) | Request::PayoutSchedule(_));
    waits && view.state.name() == "accepted"
}

async fn rebuild(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.payfleet(&["rebuild", "--json"]).await).expect("JSON")
}
