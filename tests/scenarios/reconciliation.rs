//! Reconciliation: both records, side by side.

use payfleet_core::job::Origin;
use payfleet_core::kinds::reconcile::Reconcile;
use payfleet_core::provider::{Effect, Provider};
use payfleet_core::{AccountId, Clock, OperationId};
use payfleet_process::SystemClock;
use payfleet_tests::world::World;

async fn reconcile(world: &World, provider: Provider) {
    let now = SystemClock.now();
    let window = Reconcile {
        provider,
        account: AccountId::default(),
        from: now.plus_ms(-3_600_000),
        to: now.plus_ms(60_000),
    };
    let job = payfleet_worker::jobs::reconcile(&window, Origin::Admin).unwrap();
    world.queue.enqueue(&[job]).await.unwrap();
    world.run_until_idle().await;
}

#[tokio::test]
async fn a_run_over_records_that_agree_finds_nothing_and_says_so() {
    let world = World::start().await;
    for index in 0..20 {
        world.api.payout(&format!("order-{index}"), "1.5").await.accepted();
    }
    world.run_until_idle().await;
    reconcile(&world, Provider::Heleket).await;
    let run = world.store.runs(1).await.unwrap().remove(0);
    assert_eq!((run.listed, run.held, run.differences, run.finished), (Some(20), Some(20), Some(0), true));
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_payout_that_only_the_provider_knows_is_found() {
    let mut world = World::start().await;
    world.strangers = 1;
    let client = payfleet_providers::Clients::new(world.providers.configs()).unwrap();
    let stranger = payfleet_tests::store::payout("not ours");
    let key = payfleet_core::ProviderKey::derive(
        Provider::Heleket,
        &AccountId::default(),
        OperationId::derive(&stranger.tenant, "elsewhere", "k"),
        payfleet_core::provider::Action::Payout,
        1,
    );
    client
        .of(Provider::Heleket)
        .unwrap()
        .call(&Effect { asked: stranger.request.clone(), on: None }, &key)
        .await;
    world.abandon_webhooks();
    reconcile(&world, Provider::Heleket).await;
    let run = world.store.runs(1).await.unwrap().remove(0);
    assert_eq!(run.differences, Some(1));
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 1);
    world.finish().await;
}
