//! Starts a private Redis and Postgres in the folder it is given, says their pids, and holds them
//! until it is killed. `servers.rs` kills it.

use payfleet::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).expect("usage: hold-servers DIR"));
    let redis =
        RedisServer::start(RedisOptions { dir: Some(dir.join("redis")), ..Default::default() }).await?;
    let postgres = PostgresServer::start(PostgresOptions::in_dir(dir.join("postgres"))).await?;
    println!("{} {}", redis.pid(), postgres.pid());
    std::future::pending().await
}
