//! Where the stores are: from options or the environment. URLs can carry passwords, so help never
//! shows their values.

use payfleet_queue::Queue;
use payfleet_store::Store;

/// How many connections a command opens at most.
const CONNECTIONS: u32 = 2;

/// Postgres.
#[derive(clap::Args)]
pub(crate) struct Database {
    #[arg(
        help = "Postgres, such as postgres://payfleet@127.0.0.1:5432/payfleet",
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database_url: String,
}

impl Database {
    pub(crate) fn open(&self) -> anyhow::Result<Store> {
        Ok(Store::connect_lazy(&self.database_url, CONNECTIONS)?)
    }
}

/// Redis.
#[derive(clap::Args)]
pub(crate) struct Redis {
    #[arg(
        help = "Redis, such as redis://127.0.0.1:6379",
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    redis_url: String,
    /// What the queue's keys start with; the same for the whole fleet
    #[arg(long, env = "QUEUE_PREFIX", default_value = "payfleet")]
    queue_prefix: String,
}

impl Redis {
    pub(crate) fn open(&self) -> anyhow::Result<Queue> {
        let mut config = payfleet_queue::Config::new(&self.redis_url);
        config.prefix.clone_from(&self.queue_prefix);
        Ok(Queue::open(config)?)
    }
}
