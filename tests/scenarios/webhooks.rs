//! Webhooks: stored once, hints only, matched early or late.

use payfleet_core::Timestamp;
use payfleet_core::job::NewJob;
use payfleet_core::provider::Provider;
use payfleet_store::UnhandledWebhook;
use payfleet_tests::world::{Setup, World};
use payfleet_worker::jobs;
use serde_json::json;

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
