//! schemathesis against a real producer: requests made from the contract, right ones and wrong ones.
//! None may meet a server error, and every answer must be one that the contract declares.

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_store::Store;
use payfleet_tests::servers;
use payfleet_tests::store::{claim, mint, payout};
use payfleet_tests::world::{ProducerProcess, TOKEN, api_tokens};
use tokio::process::Command;

use crate::install::{here, installed};
use crate::script::said;

/// What the producer starts with: all of it, so that nothing is answered 503.
fn environment(redis: &RedisServer, database_url: &str) -> Vec<(&'static str, String)> {
    let secrets =
        ["STRIPE_WEBHOOK_SECRET", "TATUM_WEBHOOK_SECRET", "HELEKET_API_KEY", "TROVOTECH_WEBHOOK_SECRET"];
    let secrets = secrets.map(|name| (name, "secret-of-a-test".to_owned()));
    let stores = [("REDIS_URL", redis.url()), ("DATABASE_URL", database_url.to_owned())];
    let rest = [("LISTEN", "127.0.0.1:0".to_owned()), ("API_TOKENS", api_tokens())];
    [&stores[..], &rest[..], &secrets[..]].concat()
}

#[tokio::test]
async fn every_answer_to_schemathesis_is_one_that_the_contract_declares_and_none_is_our_mistake() {
    let Some(library) = installed("python") else { return };
    let (redis, database_url) =
        (RedisServer::start(RedisOptions::default()).await.unwrap(), servers::database().await);
    let store = Store::connect_lazy(&database_url, 1).unwrap();
    let operation = claim(&store, &payout("seen"), "w").await.operation.id;
    claim(&store, &mint("seen", "ev-1", "5"), "w").await;
    let producer = ProducerProcess::start(environment(&redis, &database_url)).await;
    let url = producer.url().await.unwrap_or_else(|| panic!("{}", producer.last_words()));
    let folder = tempfile::tempdir().unwrap();
    let mut schemathesis = Command::new(library.join("venv/bin/schemathesis"));
    schemathesis
        .arg("--config-file")
        .arg(here().join("schemathesis.toml"))
        .args(["run", &format!("{url}/openapi.json"), "--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--phases", "examples,coverage,fuzzing", "--warnings", "off", "--no-color"])
        // Its own limit is no measure of ours: a machine that is busy is slow.
        .args(["--suppress-health-check", "all", "--request-timeout", "60"])
        .env("OPERATION_ID", operation.to_string())
        .current_dir(folder.path())
        .kill_on_drop(true);
    let said = said(&mut schemathesis).await;
    assert!(said.contains("No issues found"), "{said}");
    assert!(producer.stop().await.success(), "{}", producer.last_words());
}
