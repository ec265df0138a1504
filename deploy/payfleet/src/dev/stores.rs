//! Redis and Postgres of a development fleet: private ones, or those of the environment.

use std::path::Path;

use anyhow::Context;
use payfleet::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use payfleet_queue::Queue;
use payfleet_store::Store;

use crate::commands::migrate;

/// What our keys start with: never what a real fleet uses.
pub(super) const PREFIX: &str = "payfleet-dev";
const DATABASE: &str = "payfleet_dev";

/// Both stores, migrated and checked.
pub(super) struct Stores {
    pub(super) redis_url: String,
    pub(super) database_url: String,
    pub(super) queue: Queue,
    pub(super) store: Store,
    redis: Option<RedisServer>,
    postgres: Option<PostgresServer>,
}

impl Stores {
    /// Starts what the environment does not name. A throwaway fleet spares the disk.
    pub(super) async fn start(dir: &Path, is_throwaway: bool) -> anyhow::Result<Self> {
        let (redis, redis_url) = redis(dir).await?;
        let (postgres, database_url) = postgres(dir, is_throwaway).await?;
        migrate::prepare(&database_url).await.context("the database cannot be prepared")?;
        let mut config = payfleet_queue::Config::new(&redis_url);
        PREFIX.clone_into(&mut config.prefix);
        let queue = Queue::open(config)?;
        check(&queue).await?;
        let store = Store::connect_lazy(&database_url, 4)?;
        Ok(Self { redis_url, database_url, queue, store, redis, postgres })
    }

    /// Where they are; the URLs of the environment, which can carry passwords, are not repeated.
    pub(super) fn addresses(&self) -> [String; 2] {
        let redis = if self.redis.is_some() { &self.redis_url } else { "that of REDIS_URL" };
        let postgres = if self.postgres.is_some() { &self.database_url } else { "that of DATABASE_URL" };
        [format!("redis       {redis}"), format!("postgres    {postgres}")]
    }

    /// What the operator's commands want to know of this fleet, for a shell; the environment of that shell
    /// is taken to have what ours has.
    pub(super) fn exports(&self) -> String {
        let redis = self.redis.as_ref().map(|_| format!(" REDIS_URL='{}'", self.redis_url));
        let postgres = self.postgres.as_ref().map(|_| format!(" DATABASE_URL='{}'", self.database_url));
        format!("export QUEUE_PREFIX={PREFIX}{}{}", redis.unwrap_or_default(), postgres.unwrap_or_default())
    }

    /// Why one of the private servers has ended, if one has.
    pub(super) fn ended(&self) -> Option<&'static str> {
        let redis = self.redis.as_ref().and_then(RedisServer::ended).map(|_| "redis-server");
        redis.or_else(|| self.postgres.as_ref().and_then(PostgresServer::ended).map(|_| "postgres"))
    }

    pub(super) async fn stop(mut self) {
        self.store.close().await;
        if let Some(postgres) = &mut self.postgres {
            postgres.stop().await;
        }
        if let Some(redis) = &mut self.redis {
            redis.stop().await;
        }
    }
}

async fn redis(dir: &Path) -> anyhow::Result<(Option<RedisServer>, String)> {
    if let Some(url) = variable("REDIS_URL") {
        return Ok((None, url));
    }
    let options = RedisOptions { dir: Some(dir.join("redis")), ..RedisOptions::default() };
    let server = RedisServer::start(options).await?;
    let url = server.url();
    Ok((Some(server), url))
}

async fn postgres(dir: &Path, is_throwaway: bool) -> anyhow::Result<(Option<PostgresServer>, String)> {
    if let Some(url) = variable("DATABASE_URL") {
        return Ok((None, ours_at(&url)?));
    }
    let kept = PostgresOptions::in_dir(dir.join("postgres"));
    let server = PostgresServer::start(PostgresOptions { fsync: !is_throwaway, ..kept }).await?;
    let url = server.url(DATABASE);
    Ok((Some(server), url))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The URL of our own database on the server of `url`. Without this, the rescuer of a development
/// fleet would find the overdue operations of a real one, and settle them at a sandbox.
fn ours_at(url: &str) -> anyhow::Result<String> {
    let mut url = url::Url::parse(url).context("DATABASE_URL is no URL")?;
    url.set_path(DATABASE);
    Ok(url.into())
}

async fn check(queue: &Queue) -> anyhow::Result<()> {
    for finding in payfleet_queue::admin::check_server(queue).await? {
        match finding.severity {
            payfleet_queue::admin::Severity::Error => anyhow::bail!(finding.message),
            payfleet_queue::admin::Severity::Warning => eprintln!("Warning: {}.", finding.message),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shared_but_never_its_database() {
        let ours = ours_at("postgres://app:secret@db:5432/payfleet?sslmode=require").unwrap();
        assert_eq!(ours, "postgres://app:secret@db:5432/payfleet_dev?sslmode=require");
    }
}
