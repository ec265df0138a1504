//! Webhooks: stored once, hints only, matched early or late.

use std::time::Duration;

use payfleet_core::job::NewJob;
use payfleet_core::kinds::{JobKind, OperationKind};
use payfleet_core::provider::Provider;
use payfleet_core::{TenantId, Timestamp};
use payfleet_store::UnhandledWebhook;
use payfleet_tests::stripe::until;
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs::{self, Subject};
use serde_json::{Value, json};

#[tokio::test]
async fn a_signed_webhook_of_each_provider_is_stored_with_what_became_of_it() {
    let world = World::start().await;
    world.api.payout("order-1", "15.5").await.accepted();
    world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    let event = json!({"type": "payout.paid", "data": {"object": {"id": "po_1", "object": "payout"}}});
    world.providers.emit(&world.providers.stripe, event).await;
    let transfer = json!({
        "subscriptionType": "ADDRESS_EVENT", "chain": "tron-mainnet", "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm",
        "amount": "5", "asset": "TRON", "type": "native", "txId": "ab", "blockNumber": 7,
    });
    world.providers.emit(&world.providers.tatum, transfer).await;
    world.run_until_idle().await;
    let counts = world.store.webhook_counts().await.unwrap();
    let count = |provider: &str, status: &str| {
        let of = counts.iter().filter(|one| one.provider == provider && one.status == status);
        of.map(|one| one.count).sum::<i64>()
    };
    assert!(count("heleket", "processed") >= 1, "{counts:?}");
    assert!(count("trovotech", "processed") >= 1, "{counts:?}");
    assert_eq!(count("stripe", "ignored"), 1, "{counts:?}");
    assert_eq!(count("tatum", "ignored"), 1, "{counts:?}");
    world.finish().await;
}

#[tokio::test]
async fn the_same_webhook_many_times_has_one_effect() {
    let world = World::start().await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    let effect = world.providers.effects(&world.providers.heleket).await.remove(0);
    let event = json!({
        "type": "payout", "uuid": effect.id, "order_id": effect.reference, "amount": "15.5", "currency": "USDT",
        "network": "TRON", "status": "paid", "is_final": true, "txid": "replayed",
    });
    for _ in 0..20 {
        world.providers.emit(&world.providers.heleket, event.clone()).await;
    }
    world.run_until_idle().await;
    world.assert_state(id, "settled").await;
    world.finish().await;
}

#[tokio::test]
async fn a_webhook_that_claims_a_payout_was_paid_settles_nothing_by_itself() {
    let world = World::with(Setup { workers: 1, ..Setup::default() }).await;
    let pending = json!({"type": "payout", "uuid": "never-made", "order_id": "0123456789abcdef0123456789abcdef",
        "amount": "15.5", "currency": "USDT", "network": "TRON", "status": "paid", "is_final": true});
    world.providers.emit(&world.providers.heleket, pending).await;
    world
        .until("the event is parked", async |world| {
            world.store.webhook_counts().await.unwrap().iter().any(|one| one.status == "parked")
        })
        .await;
    assert!(world.store.operation_counts().await.unwrap().is_empty());
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn one_webhook_that_cannot_be_stored_holds_up_none_of_its_neighbours() {
    let world = World::start().await;
    let event = |key: String| UnhandledWebhook {
        provider: Provider::TrovoTech,
        event_key: key,
        received_at: Timestamp::from_unix_ms(1_790_000_000_000),
        body: br#"{"event_type":"wallet.created","data":{"wallet_address":"G"}}"#.to_vec(),
        event_type: "wallet.created".to_owned(),
    };
    let mut jobs: Vec<_> = (0..60).map(|n| jobs::webhook(&event(format!("event-{n}"))).unwrap()).collect();
    // Postgres holds no text with the character NUL.
    let mut odd = jobs::webhook(&event("odd".to_owned())).unwrap();
    let payload = odd.payload.get().replace("\"odd\"", "\"odd\\u0000\"");
    odd.payload = serde_json::value::RawValue::from_string(payload).unwrap();
    jobs.insert(30, odd);
    world.queue.enqueue(&jobs).await.unwrap();
    world
        .until("the sixty are stored", async |world| {
            let counts = world.store.webhook_counts().await.unwrap();
            counts.iter().any(|one| one.provider == "trovotech" && one.status == "ignored" && one.count == 60)
        })
        .await;
    world.abandon_webhooks();
    world.finish().await;
}

#[tokio::test]
async fn a_webhook_whose_operation_never_comes_is_put_in_front_of_a_person_after_its_last_attempt() {
    let world = World::start().await;
    let stored = UnhandledWebhook {
        provider: Provider::Heleket,
        event_key: "of-nobody".to_owned(),
        received_at: Timestamp::from_unix_ms(1_790_000_000_000),
        body: br#"{"type":"payout","uuid":"never-made","order_id":"0123456789abcdef0123456789abcdef","amount":"15.5",
            "currency":"USDT","network":"TRON","status":"paid","is_final":true}"#
            .to_vec(),
        event_type: "payout".to_owned(),
    };
    let first = jobs::webhook(&stored).unwrap();
    assert!(first.max_attempts > 1, "the answer of our own call may be slower");
    world.queue.enqueue(&[NewJob { max_attempts: 1, ..first }]).await.unwrap();
    world.run_until_idle().await;
    let counts = world.store.webhook_counts().await.unwrap();
    assert_eq!(
        counts.iter().map(|one| (one.status.as_str(), one.count)).collect::<Vec<_>>(),
        [("failed", 1)]
    );
    let told = "SELECT count(*) FROM discrepancies
                WHERE kind = $1 AND source = 'webhook' AND provider = 'heleket' AND provider_ref = 'never-made'";
    assert_eq!(world.count(told, "unknown_operation").await, 1);
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    assert!(world.store.dead_letters(10, true).await.unwrap().is_empty());
    world.finish().await;
}

const HOUR: Duration = Duration::from_secs(3_660);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const LOOK_UP: &str = "/v1/payout/info";

/// What Heleket tells of a payout that is under way: one event, whatever else it says.
fn under_way(effect: &Value, changed: &Value) -> Value {
    let mut body = json!({
        "type": "payout", "uuid": effect["id"], "order_id": effect["reference"], "amount": "15.5",
        "currency": "USDT", "network": "TRON", "address": effect["destination"], "status": "process",
        "is_final": false, "txid": null,
    });
    for (name, value) in changed.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The log's entries of a payout that is under way: what became of each, and whether it is a variant.
async fn logged(world: &World) -> Vec<(Value, Value)> {
    let log = world.api.get("/v1/webhooks?provider=heleket&event_type=payout.process").await.body;
    let entries = log["webhooks"].as_array().unwrap().iter().rev();
    entries.map(|one| (one["outcome"].clone(), one["is_variant"].clone())).collect()
}

/// Nobody polls for a year, so whoever looks was sent by an event. How a payout under way ends whose
/// event came again with `changed` in its body, and with what in front of a person; `shown` is what a
/// look-up shows from then on, where that is not the truth.
async fn ends_after_a_variant(changed: &Value, shown: Option<&Value>) -> (String, i64) {
    let setup = Setup { heleket_settles_after: HOUR, confirm_interval: YEAR, ..Setup::default() };
    let world = World::with(setup).await;
    let heleket = &world.providers.heleket;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    until(&world, id, "accepted").await;
    let effect = world.providers.effects(heleket).await.remove(0);
    let effect = json!({"id": effect.id, "reference": effect.reference, "destination": effect.destination});
    let looks = async |world: &World| world.providers.calls_of(&world.providers.heleket, LOOK_UP).await;
    let first = under_way(&effect, &json!({}));
    world.providers.emit(heleket, first.clone()).await;
    world.until("it is stored", async |world| !logged(world).await.is_empty()).await;
    world.until("and looked into", async |world| looks(world).await > 0).await;
    if let Some(shown) = shown {
        let body = json!({"body": {"state": 0, "result": under_way(&effect, shown)}});
        world.providers.plan(heleket, LOOK_UP, 1, body).await;
    }
    let before = looks(&world).await;
    world.providers.emit(heleket, under_way(&effect, changed)).await;
    world.until("a variant is stored", async |world| logged(world).await.len() == 2).await;
    world.until("and looked into", async |world| looks(world).await > before).await;
    assert_eq!(
        logged(&world).await,
        [(json!("processed"), json!(false)), (json!("processed"), json!(true))],
        "{changed}"
    );
    // The same again is neither a variant nor news.
    world.providers.emit(heleket, first).await;
    world.providers.stripe_clock.pass(HOUR);
    let ends = async |world: &World| {
        let view = world.store.operation(id).await.unwrap().unwrap();
        view.state.is_final() || view.state.name() == "quarantined"
    };
    // It is paid by now, and nothing tells of it but this.
    let told = json!({"status": "paid", "is_final": true});
    world.providers.emit(heleket, under_way(&effect, &told)).await;
    world.until("it ends", ends).await;
    assert_eq!(logged(&world).await.len(), 2, "{changed}");
    let state = world.store.operation(id).await.unwrap().unwrap().state.name().to_owned();
    let open = world.store.open_discrepancies().await.unwrap();
    let told = async |world: &World| world.providers.pending_webhooks().await == 0;
    world.until("Heleket has told everything", told).await;
    // The polls of a year from now.
    world.forget_redis().await;
    world.finish().await;
    (state, open)
}

/// One job applies the events of two; the other comes with nothing to apply, before the look was made.
#[tokio::test]
async fn a_job_whose_event_was_applied_already_does_not_put_the_look_off() {
    let setup = Setup { heleket_settles_after: HOUR, confirm_interval: YEAR, ..Setup::default() };
    let world = World::with(setup).await;
    let id = world.api.payout("order-1", "15.5").await.accepted();
    until(&world, id, "accepted").await;
    let looks = JobKind::Confirm.queue().unwrap();
    world.queue.pause(&looks).await.unwrap();
    world.providers.stripe_clock.pass(HOUR);
    let told = "SELECT count(*) FROM webhook_events WHERE event_type = $1 AND status = 'processed'
                AND NOT EXISTS (SELECT 1 FROM inbox WHERE applied_at IS NULL)";
    world.until("Heleket has told", async |world| world.count(told, "payout.paid").await == 1).await;
    let asked =
        async |world: &World| world.queue.stats(std::slice::from_ref(&looks)).await.unwrap()[0].ready > 0;
    world.until("a look is asked for", asked).await;
    let subject = Subject { id, kind: OperationKind::Payout, tenant: TenantId::default() };
    let late = jobs::inbox(&subject, "applied").unwrap();
    let (queue, job) = (late.queue.clone(), late.id);
    world.queue.enqueue(&[late]).await.unwrap();
    world.until("it is over", async |world| world.queue.find(&queue, job).await.unwrap().is_none()).await;
    world.queue.resume(&looks).await.unwrap();
    until(&world, id, "settled").await;
    // The polls of a year from now.
    world.forget_redis().await;
    world.finish().await;
}

#[tokio::test]
async fn another_body_under_a_known_event_is_a_variant_that_is_looked_into_and_believed_in_nothing() {
    for changed in [
        json!({"commission": "0.3"}),
        json!({"amount": "99"}),
        json!({"currency": "USDC"}),
        json!({"address": "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf"}),
    ] {
        let end = ends_after_a_variant(&changed, None).await;
        assert_eq!(end, ("settled".to_owned(), 0), "{changed}");
    }
}

#[tokio::test]
async fn a_variant_quarantines_where_a_look_up_shows_another_amount_asset_or_destination_too() {
    for (changed, state) in [
        (json!({"commission": "0.3"}), "settled"),
        (json!({"amount": "99"}), "quarantined"),
        (json!({"currency": "USDC"}), "quarantined"),
        (json!({"address": "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf"}), "quarantined"),
    ] {
        let (end, open) = ends_after_a_variant(&changed, Some(&changed)).await;
        assert_eq!((end.as_str(), open > 0), (state, state == "quarantined"), "{changed}");
    }
}
