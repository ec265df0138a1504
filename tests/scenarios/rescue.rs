//! The rescuer makes the jobs that are missing, whoever else waits.

use payfleet_core::kinds::JobKind;
use payfleet_store::OverduePlace;
use payfleet_tests::store::{claim, mint, payout};
use payfleet_tests::world::{Setup, World};
use payfleet_worker::rescuer::rescue;

/// More than the rescuer looks at in one go.
const MANY: i64 = 700;

/// Makes the rows of so many payouts that were due an hour ago.
const OVERDUE: &str = "WITH made AS (
        INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state,
            state_data, version, next_wake_at)
        SELECT gen_random_uuid(), tenant, kind, 'copy-' || n, request_hash, request, provider, account, state, state_data,
            version, now() - interval '1 hour'
        FROM operations, generate_series(1, 700) n WHERE kind = $1 RETURNING 1
    ) SELECT count(*) FROM made";

const DUE_LATER: &str = "WITH made_due AS (
        UPDATE operations SET next_wake_at = now() - interval '1 minute' WHERE kind = $1 RETURNING 1
    ) SELECT count(*) FROM made_due";

async fn waiting(world: &World, kind: JobKind) -> u64 {
    world.queue.stats(&[kind.queue().unwrap()]).await.unwrap()[0].ready
}

#[tokio::test]
async fn operations_whose_jobs_wait_in_a_queue_that_is_paused_keep_no_other_from_being_rescued() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    claim(&world.store, &payout("p-1"), "gone").await;
    claim(&world.store, &mint("m-1", "bus-1", "12.5"), "gone").await;
    assert_eq!(world.count(OVERDUE, "payout").await, MANY);
    assert_eq!(world.count(DUE_LATER, "mint").await, 1);
    world.queue.pause(&JobKind::Payout.queue().unwrap()).await.unwrap();
    let mut place = OverduePlace::default();
    for _ in 0..2 {
        rescue(&world.store, &world.queue, &mut place).await.unwrap();
    }
    assert_eq!(waiting(&world, JobKind::Payout).await, MANY as u64);
    assert_eq!(waiting(&world, JobKind::Mint).await, 1);
    world.leave().await;
}
