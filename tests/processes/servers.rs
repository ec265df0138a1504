//! The private servers that `payfleet dev` and the tests run on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use payfleet::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use sqlx::{Connection, PgConnection, Row};

use crate::seen::{runs, until_gone};

async fn redis_at(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn postgres_at(server: &PostgresServer) -> PgConnection {
    PgConnection::connect(&server.url("postgres")).await.unwrap()
}

fn as_ours(dir: &Path) -> RedisOptions {
    RedisOptions { dir: Some(dir.to_owned()), ..RedisOptions::default() }
}

#[tokio::test]
async fn redis_keeps_what_it_acknowledged_when_it_is_killed_and_started_again() {
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let (port, dir) = (server.port(), server.dir().to_owned());
    let () = redis::cmd("SET").arg("k").arg("v").query_async(&mut redis_at(&server).await).await.unwrap();
    server.kill().await;
    assert!(server.ended().is_some());
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    let kept: String = redis::cmd("GET").arg("k").query_async(&mut redis_at(&server).await).await.unwrap();
    assert_eq!(kept, "v");
    drop(server);
    assert!(!dir.exists(), "a temporary folder goes with its server");
}

#[tokio::test]
async fn redis_refuses_to_evict_and_writes_every_command_to_disk_unless_told_otherwise() {
    let settings = vec![("maxmemory".to_owned(), "10mb".to_owned())];
    let server = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let mut connection = redis_at(&server).await;
    for (name, expected) in
        [("maxmemory-policy", "noeviction"), ("appendfsync", "always"), ("maxmemory", "10485760")]
    {
        let (_, value): (String, String) =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await.unwrap();
        assert_eq!(value, expected, "{name}");
    }
}

#[tokio::test]
async fn postgres_keeps_what_it_committed_when_it_is_killed_and_started_again() {
    let mut server = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    let port = server.port();
    let mut connection = postgres_at(&server).await;
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS answer").execute(&mut connection).await.unwrap();
    server.kill().await;
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    let mut connection = postgres_at(&server).await;
    let row = sqlx::query("SELECT answer FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i32, _>(0), 42);
}

#[tokio::test]
async fn postgres_in_a_folder_of_its_own_asks_for_the_password_it_was_made_with() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = PostgresServer::start(PostgresOptions::in_dir(dir.path())).await.unwrap();
    server.stop().await;
    drop(server);
    // Another server in the same folder: the same data, behind the same password.
    let server = PostgresServer::start(PostgresOptions::in_dir(dir.path())).await.unwrap();
    postgres_at(&server).await;
    let without = format!("postgres://payfleet@127.0.0.1:{}/postgres", server.port());
    assert!(PgConnection::connect(&without).await.is_err());
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_not_swept_but_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = RedisServer::start(as_ours(dir.path())).await.unwrap();
    let refused = RedisServer::start(as_ours(dir.path())).await.err().unwrap().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    assert!(runs(server.pid()));
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let settings = vec![("maxmemory".to_owned(), "plenty".to_owned())];
    let refused =
        RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.err().unwrap();
    assert!(refused.to_string().contains("plenty"), "{refused}");
    let settings = vec![("wal_level".to_owned(), "plenty".to_owned())];
    let options = PostgresOptions { settings, ..PostgresOptions::default() };
    let refused = PostgresServer::start(options).await.err().unwrap();
    assert!(refused.to_string().contains("wal_level"), "{refused}");
}

#[tokio::test]
async fn servers_end_with_the_process_that_started_them_even_if_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_hold-servers"))
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let pids: Vec<u32> = said.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)), "{said:?}");
    parent.kill().unwrap();
    parent.wait().unwrap();
    for pid in pids {
        until_gone(pid).await;
    }
    // And their folders can be used again.
    RedisServer::start(as_ours(&dir.path().join("redis"))).await.unwrap();
    let postgres = PostgresServer::start(PostgresOptions::in_dir(dir.path().join("postgres"))).await.unwrap();
    postgres_at(&postgres).await;
}

#[tokio::test]
async fn a_server_that_outlived_its_process_is_ended_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = RedisServer::start(as_ours(dir.path())).await.unwrap();
    // A second server on a copy of the pid file, as after a crash that the parent-death signal missed.
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("redis.pid"), other.path().join("redis.pid")).unwrap();
    let second = RedisServer::start(as_ours(other.path())).await.unwrap();
    assert!(first.ended().is_some(), "the remembered process was ended");
    assert!(runs(second.pid()));
}
