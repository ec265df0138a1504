//! What a worker tells of its health: it is up, and whether it gets on.

use std::time::Duration;

use payfleet::servers::{Signal, free_port};
use payfleet_tests::world::{Setup, World};

/// The status of an answer; 0 where there was none.
async fn status(http: &reqwest::Client, port: u16, path: &str) -> u16 {
    let answer = http.get(format!("http://127.0.0.1:{port}{path}")).send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_worker_is_ready_while_it_gets_on_and_up_even_while_redis_hangs() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let port = free_port().unwrap();
    let listen = ("HEALTH_LISTEN", format!("127.0.0.1:{port}"));
    let worker = world.worker_process_with("watched", std::slice::from_ref(&listen)).await;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let is = |path: &'static str, wanted: u16| {
        let http = http.clone();
        async move |_: &World| status(&http, port, path).await == wanted
    };
    world.until("it is ready", is("/readyz", 200)).await;
    world.redis.signal(Signal::STOP);
    world.until("it is not ready, though its connections are open", is("/readyz", 503)).await;
    assert_eq!(status(&http, port, "/healthz").await, 200, "it is up all the same");
    world.redis.signal(Signal::CONT);
    world.until("it is ready again", is("/readyz", 200)).await;

    let second = world.worker_process_with("second", &[listen]).await;
    assert_eq!(second.ended().await.code(), Some(1), "{}", second.last_words());
    assert!(second.log("second").contains("HEALTH_LISTEN: cannot listen on"), "{}", second.log("second"));
    assert!(worker.stop().await.success(), "{}", worker.last_words());
    world.finish().await;
}
