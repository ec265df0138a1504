//! Fleet-wide limiters: never above the published limit, not far below it, lowered together.

use std::time::Duration;

use payfleet_queue::Error;
use payfleet_queue::limits::{Acquired, Booked, ForcedLimiter, Limit, Limiter, Reserved};

use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(world: &World, limit: Limit) -> Limiter {
    world.queue.limiter("mail-api:default:send", limit).unwrap()
}

async fn granted(limiter: &Limiter, n: u32) -> u32 {
    limiter.reserve(n).await.unwrap().granted
}

#[tokio::test]
async fn a_fresh_limiter_grants_its_burst_and_says_when_the_next_comes() {
    let mut world = World::new().await;
    // 0.9 of 100, of which 10 at once and 80 a second.
    let limiter = limiter(&world, Limit::per_second(100));
    let reserved = limiter.reserve(64).await.unwrap();
    assert_eq!((reserved.granted, reserved.wait_ms), (10, Some(13)));
    assert_eq!(granted(&limiter, 1).await, 0);
    world.advance(Duration::from_millis(13)).await;
    assert_eq!(granted(&limiter, 64).await, 1);
    world.advance(SECOND).await;
    assert_eq!(granted(&limiter, 64).await, 10);
}

#[tokio::test]
async fn two_handles_of_one_name_share_it_and_other_names_do_not() {
    let world = World::new().await;
    let limit = Limit::per_second(100);
    let (one, two) = (limiter(&world, limit), limiter(&world, limit));
    let other = world.queue.limiter("mail-api:default:read", limit).unwrap();
    assert_eq!(granted(&one, 6).await, 6);
    assert_eq!(granted(&two, 6).await, 4);
    assert_eq!(granted(&other, 6).await, 6);
    let seen = world.queue.limiters().await.unwrap();
    let seen: Vec<_> = seen.iter().map(|one| (one.name.as_str(), one.limit, one.available)).collect();
    assert_eq!(seen, [("mail-api:default:read", limit, 4), ("mail-api:default:send", limit, 0)]);
}

#[tokio::test]
async fn what_is_given_back_can_be_had_again() {
    let world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(100));
    let reserved = limiter.reserve(10).await.unwrap();
    limiter.give_back(reserved, 7).await.unwrap();
    let reserved = limiter.reserve(10).await.unwrap();
    assert_eq!(reserved.granted, 7);
    // More than there was is no gain.
    limiter.give_back(reserved, 100).await.unwrap();
    assert_eq!(granted(&limiter, 10).await, 7);
}

#[tokio::test]
async fn idle_workers_that_reserve_and_give_back_starve_nobody() {
    let mut world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(100));
    let mut used = 0;
    for _ in 0..1_000 {
        let idle = limiter.reserve(8).await.unwrap();
        used += granted(&limiter, 2).await;
        let unused = idle.granted;
        limiter.give_back(idle, unused).await.unwrap();
        world.advance(Duration::from_millis(10)).await;
    }
    assert!(used > 600, "of about 810 possible in 10 s, {used} were granted");
}

#[tokio::test]
async fn a_permit_whose_time_comes_soon_is_waited_for_and_a_later_one_is_not() {
    let world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(20).with_burst(1));
    let mut booked = Vec::new();
    for _ in 0..3 {
        booked.push(match limiter.book().await.unwrap() {
            Booked::At(wait, _) => Ok(wait.as_millis()),
            Booked::Later(wait) => Err(wait.map(|wait| wait.as_millis())),
        });
    }
    assert_eq!(booked, [Ok(0), Ok(59), Err(Some(118))]);
    assert!(matches!(limiter.acquire().await.unwrap(), Acquired::Later(Some(_))));
}

#[tokio::test]
async fn a_refusal_of_the_other_side_stops_the_fleet_then_halves_it_and_it_grows_back() {
    let mut world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(100));
    // Many calls in flight are told off at once.
    for _ in 0..20 {
        limiter.lowered(Some(Duration::from_secs(5)), "429").await.unwrap();
    }
    assert_eq!(limiter.reserve(1).await.unwrap(), refused_for(&limiter, 5_000).await);
    let state = limiter.state().await.unwrap();
    assert_eq!((state.percent, state.resumes_in), (50, Duration::from_secs(5)));
    assert_eq!(state.lowered.unwrap().reason, "429");

    world.advance(Duration::from_secs(5)).await;
    assert_eq!(granted(&limiter, 64).await, 5, "half the burst");
    world.advance(Duration::from_secs(15)).await;
    assert_eq!(limiter.state().await.unwrap().percent, 75);
    world.advance(Duration::from_secs(15)).await;
    let state = limiter.state().await.unwrap();
    assert_eq!((state.percent, state.lowered), (100, None));

    // Without a time to wait it only slows down; further and further, but never to nothing.
    for _ in 0..20 {
        limiter.lowered(None, "429").await.unwrap();
        world.advance(SECOND * 2).await;
    }
    let state = limiter.state().await.unwrap();
    assert!(state.percent < 10, "{state:?}");
    world.advance(SECOND * 60).await;
    assert_eq!(limiter.state().await.unwrap().percent, 100);
}

/// What a reservation looks like that was refused for so long.
async fn refused_for(limiter: &Limiter, ms: u64) -> Reserved {
    let refused = limiter.reserve(1).await.unwrap();
    assert_eq!((refused.granted, refused.wait_ms), (0, Some(ms)));
    refused
}

#[tokio::test]
async fn no_answer_of_the_other_side_stops_a_fleet_for_more_than_an_hour() {
    let world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(100));
    limiter.lowered(Some(Duration::MAX), "429").await.unwrap();
    assert_eq!(limiter.state().await.unwrap().resumes_in, Duration::from_hours(1));
}

#[tokio::test]
async fn an_operators_limit_wins_over_the_declared_one_until_it_is_taken_back() {
    let world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(100));
    let slower = Limit::per(30, Duration::from_secs(60));
    limiter.set(Some(slower), "their maintenance").await.unwrap();
    let state = limiter.state().await.unwrap();
    assert_eq!((state.limit, state.set.unwrap().reason.as_str()), (slower, "their maintenance"));
    assert_eq!(granted(&limiter, 64).await, 3);
    limiter.set(None, "").await.unwrap();
    let state = limiter.state().await.unwrap();
    assert_eq!((state.limit, state.set), (Limit::per_second(100), None));
}

#[tokio::test]
async fn an_operator_stops_the_fleet_or_lets_it_go_at_full_rate() {
    let world = World::new().await;
    let limiter = limiter(&world, Limit::per_second(100));
    limiter.force(Some(ForcedLimiter::Stop), "they asked us on the phone").await.unwrap();
    assert_eq!(limiter.reserve(1).await.unwrap().wait_ms, None);
    assert_eq!(limiter.acquire().await.unwrap(), Acquired::Later(None));
    let state = limiter.state().await.unwrap();
    assert_eq!((state.available, state.next_in), (0, None));
    assert_eq!(state.forced.unwrap().note.reason, "they asked us on the phone");

    limiter.lowered(Some(SECOND), "429").await.unwrap();
    limiter.force(Some(ForcedLimiter::FullRate), "their 429s are wrong").await.unwrap();
    assert_eq!(granted(&limiter, 64).await, 10);
    limiter.force(None, "").await.unwrap();
    assert_eq!(granted(&limiter, 64).await, 0);
    assert_eq!(limiter.state().await.unwrap().forced, None);
}

#[tokio::test]
async fn what_cannot_be_a_limit_or_a_name_is_refused_and_names_the_field() {
    let world = World::new().await;
    let field = |name: &str, limit: Limit| match world.queue.limiter(name, limit) {
        Err(Error::InvalidArgument { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let good = Limit::per_second(10);
    assert_eq!(field("", good), "name");
    assert_eq!(field("a}b", good), "name");
    assert_eq!(field(&"x".repeat(10_000), good), "name");
    assert_eq!(field("x", Limit::per_second(0)), "count");
    assert_eq!(field("x", Limit::per(1, Duration::ZERO)), "window");
    assert_eq!(field("x", good.with_burst(0)), "burst");
    assert_eq!(field("x", good.with_burst(11)), "burst");
}

#[tokio::test]
async fn a_limiter_works_at_maxmemory() {
    let server = payfleet::servers::RedisServer::start(Default::default()).await.unwrap();
    let mut world = World::at(&server.url(), |_| {}).await;
    let mut set = redis::cmd("CONFIG");
    let () = set.arg("SET").arg("maxmemory").arg("1").query_async(&mut world.redis).await.unwrap();
    assert_eq!(granted(&limiter(&world, Limit::per_second(10)), 1).await, 1);
}
