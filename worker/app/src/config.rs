//! What a worker is told by its environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use payfleet_core::address::Network;
use payfleet_core::kinds::JobKind;
use payfleet_process::Settings;
use payfleet_providers::{Clients, Configs, heleket, stripe, tatum, trovotech};
use payfleet_queue::limits::BreakerPolicy;
use payfleet_queue::{Config as QueueConfig, Queue};
use payfleet_store::check_database_url;

use crate::receivers::Receivers;
use crate::weather::Limits;

/// The variables a worker reads, for `--help`.
pub const VARIABLES: &str = "\
Environment:
  REDIS_URL              required; redis://127.0.0.1:6379
  DATABASE_URL           required; postgres://payfleet@127.0.0.1:5432/payfleet
  WORKER_NAME            unique in the fleet; default: host name and process id
  CONCURRENCY            jobs at once per queue; default 16
  QUEUE_PREFIX           default payfleet
  HEALTH_LISTEN          where GET /healthz and /readyz are answered, such as 0.0.0.0:8081; unset: nowhere
  LEASE_MS               how long a lease lasts without a heartbeat; default 10000
  SHUTDOWN_GRACE_MS      how long running jobs may take after SIGTERM; default 45000, longer than
                         the longest call of a provider
  DATABASE_CONNECTIONS   default 16
  RECONCILE_EVERY_MS     how often each provider's record is compared with ours; default 900000, 0 = never
  CONFIRM_INTERVAL_MS    overrides the interval between two polls; for sandboxes
  ALLOW_PRIVATE_HOSTS    true lets URLs be http and point at private addresses; for sandboxes
  HELEKET_PROJECT_URL    https://api.heleket.com; unset: this worker cannot pay out
  HELEKET_MERCHANT_ID, HELEKET_API_KEY (payout key), HELEKET_PAYMENT_KEY
  HELEKET_CALLBACK_URL   where Heleket sends its webhooks: https://HOST/webhooks/heleket
  HELEKET_IS_SUBTRACT    true or false; which one means that the fee is ours must be settled by one
                         live micro-payout before launch; default true
  TROVOTECH_BASE_URL     https://api.trovotech.io/v1; unset: this worker cannot mint
  TROVOTECH_API_KEY, TROVOTECH_ISSUER_ID, TROVOTECH_TIMEOUT_MS
  BANTU_EXPANSION_URL    https://expansion.bantu.network
  STRIPE_SECRET_KEY      sk_test_... or sk_live_...; unset: this worker cannot call Stripe
  STRIPE_BASE_URL        default https://api.stripe.com
  TATUM_API_KEY          unset: this worker cannot watch addresses
  TATUM_WEBHOOK_URL      where Tatum sends its webhooks: https://HOST/webhooks/tatum
  TATUM_XPUB_ETH, TATUM_XPUB_BTC, TATUM_XPUB_POLYGON, TATUM_XPUB_TRON
                         extended public keys that deposit addresses are derived from; orders on a
                         chain need its key
  TATUM_TESTNET          true: the key is for the test networks; default false
  TATUM_BASE_URL         default https://api.tatum.io
  CONFIRMATIONS_ETH, CONFIRMATIONS_BTC, CONFIRMATIONS_POLYGON, CONFIRMATIONS_TRON
                         blocks after which a deposit is final; default 65, 3, 128, 20
  HELEKET_LIMITS, TROVOTECH_LIMITS, BANTU_LIMITS, TATUM_LIMITS, STRIPE_LIMITS
                         how often the whole fleet may call: all=25/s,payout-create=10/s (or /10s, /m,
                         /h), of which it uses nine tenths; default: what is published (Tatum 3/s,
                         Stripe 100/s live and 25/s in test mode), else 10/s
  NOTIFY_RECEIVERS       whom to tell of each transition: name:tenant:url, comma-separated
  NOTIFY_SECRETS         what callbacks are signed with: name:whsec_..., comma-separated;
                         NOTIFY_SECRETS_OLD likewise, the second secret while one is replaced
  NOTIFY_RETRY_MS        pauses between attempts, comma-separated; default ten attempts in three days
  LOG (filter, default info), LOG_FORMAT (json or pretty), OTEL_EXPORTER_OTLP_ENDPOINT

Examples:
  REDIS_URL=redis://10.0.0.5 DATABASE_URL=postgres://payfleet@10.0.0.6/payfleet payfleet-worker
  CONCURRENCY=64 payfleet-worker";

/// A worker's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The queue.
    pub queue: QueueConfig,
    /// Postgres.
    pub database_url: String,
    /// How many connections to it.
    pub database_connections: u32,
    /// This worker's name in leases and histories.
    pub name: String,
    /// Jobs at once, per queue.
    pub concurrency: usize,
    /// Where its health is told; `None`: nowhere.
    pub health_listen: Option<SocketAddr>,
    /// How long running jobs may take after the signal to stop.
    pub shutdown_grace: Duration,
    /// How often each provider's record is compared with ours.
    pub reconcile_every: Option<Duration>,
    /// Overrides the interval between two polls.
    pub confirm_interval: Option<Duration>,
    /// The providers that this worker may call.
    pub providers: Configs,
    /// After how many blocks a deposit is final.
    pub finality: Finality,
    /// How often the whole fleet may call each service.
    pub limits: Limits,
    /// When the fleet stops calling a service that does not work.
    pub breaker: BreakerPolicy,
    /// Whom this worker tells of what happens.
    pub receivers: Receivers,
}

impl Config {
    /// Reads the environment; mistakes are collected in `settings`.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let redis_url = settings.required::<String>("REDIS_URL", "for example redis://127.0.0.1:6379");
        let database_url =
            settings.required::<String>("DATABASE_URL", "for example postgres://payfleet@127.0.0.1/payfleet");
        if let Some(url) = &database_url
            && let Err(error) = check_database_url(url)
        {
            settings.mistake("DATABASE_URL", error.to_string());
        }
        let lease = settings.duration_ms("LEASE_MS", 10_000);
        if lease < Duration::from_secs(1) {
            settings.mistake("LEASE_MS", "is under 1000: heartbeats could not keep a lease alive");
        }
        let prefix = settings.or("QUEUE_PREFIX", "payfleet".to_owned());
        let concurrency = settings.or("CONCURRENCY", 16_usize);
        if concurrency == 0 {
            settings.mistake("CONCURRENCY", "is 0: give at least 1");
        }
        let reconcile_every = settings.duration_ms("RECONCILE_EVERY_MS", 900_000);
        let name = settings.or("WORKER_NAME", default_name());
        let database_connections = settings.or("DATABASE_CONNECTIONS", 16);
        let shutdown_grace = settings.duration_ms("SHUTDOWN_GRACE_MS", 45_000);
        if shutdown_grace < Duration::from_secs(1) {
            settings.mistake("SHUTDOWN_GRACE_MS", "is under 1000: calls under way could not end");
        }
        let confirm_interval = settings.optional::<u64>("CONFIRM_INTERVAL_MS").map(Duration::from_millis);
        if confirm_interval.is_some_and(|interval| interval.is_zero()) {
            settings.mistake("CONFIRM_INTERVAL_MS", "is 0: give at least 1, or leave it out");
        }
        let allow_private = settings.flag("ALLOW_PRIVATE_HOSTS", false);
        let receivers = Receivers::read(settings, allow_private);
        let providers = Configs {
            heleket: read_heleket(settings, allow_private),
            trovotech: read_trovotech(settings, allow_private),
            stripe: read_stripe(settings, allow_private),
            tatum: read_tatum(settings, allow_private),
        };
        if let Err(error) = Clients::new(providers.clone()) {
            let names = "HELEKET_PROJECT_URL, TROVOTECH_BASE_URL, STRIPE_BASE_URL, TATUM_BASE_URL";
            settings.mistake(names, error.to_string());
        }
        let mut queue = QueueConfig::new(redis_url?);
        queue.prefix = prefix;
        queue.lease = lease;
        queue.queues = Some(JobKind::ALL.into_iter().filter_map(|kind| kind.queue().ok()).collect());
        if let Err(error) = Queue::open(queue.clone()) {
            settings.mistake("REDIS_URL", error.to_string());
        }
        Some(Self {
            queue,
            database_url: database_url?,
            database_connections,
            name,
            concurrency,
            health_listen: settings.optional("HEALTH_LISTEN"),
            shutdown_grace,
            reconcile_every: Some(reconcile_every).filter(|every| !every.is_zero()),
            confirm_interval,
            providers,
            finality: read_finality(settings),
            limits: Limits::read(settings),
            breaker: BreakerPolicy::default(),
            receivers,
        })
    }
}

/// A claim counts as abandoned after 90 s; a call must have ended by then.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);

fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

fn read_heleket(settings: &mut Settings, allow_private: bool) -> Option<heleket::Config> {
    let base_url = settings.optional::<String>("HELEKET_PROJECT_URL");
    let callback_url = settings.optional::<String>("HELEKET_CALLBACK_URL");
    let payment_key = settings.secret("HELEKET_PAYMENT_KEY");
    let is_subtract = settings.flag("HELEKET_IS_SUBTRACT", true);
    if base_url.is_none() && payment_key.is_some() | callback_url.is_some() {
        settings
            .mistake("HELEKET_PROJECT_URL", "is not set, but other HELEKET_ variables are: set it, or none");
    }
    let base_url = base_url?;
    let merchant =
        settings.required::<String>("HELEKET_MERCHANT_ID", "HELEKET_PROJECT_URL is set, so this is needed");
    let payout_key =
        settings.required_secret("HELEKET_API_KEY", "HELEKET_PROJECT_URL is set, so this is needed");
    let mut config = heleket::Config::new(base_url, merchant?, payout_key?);
    config.payment_key = payment_key;
    config.callback_url = callback_url;
    config.is_subtract = is_subtract;
    config.allow_private = allow_private;
    Some(config)
}

fn read_trovotech(settings: &mut Settings, allow_private: bool) -> Option<trovotech::Config> {
    let base_url = settings.optional::<String>("TROVOTECH_BASE_URL");
    let timeout = settings.duration_ms("TROVOTECH_TIMEOUT_MS", 20_000);
    if timeout > LONGEST_TIMEOUT {
        settings.mistake(
            "TROVOTECH_TIMEOUT_MS",
            "is over 60000: a call must end before its claim counts as abandoned",
        );
    }
    let base_url = base_url?;
    let hint = "TROVOTECH_BASE_URL is set, so this is needed";
    let api_key = settings.required_secret("TROVOTECH_API_KEY", hint);
    let issuer_id = settings.required::<String>("TROVOTECH_ISSUER_ID", hint);
    let expansion_url = settings.required::<String>("BANTU_EXPANSION_URL", hint);
    let mut config = trovotech::Config::new(base_url, api_key?, issuer_id?, expansion_url?);
    config.timeout = timeout;
    config.allow_private = allow_private;
    Some(config)
}

fn read_stripe(settings: &mut Settings, allow_private: bool) -> Option<stripe::Config> {
    let base_url = settings.optional::<String>("STRIPE_BASE_URL");
    let secret_key = settings.secret("STRIPE_SECRET_KEY");
    if base_url.is_some() && secret_key.is_none() {
        settings.mistake("STRIPE_SECRET_KEY", "is not set, but STRIPE_BASE_URL is: set both, or neither");
    }
    let mut config = stripe::Config::new(secret_key?);
    if let Some(base_url) = base_url {
        config.base_url = base_url;
    }
    config.allow_private = allow_private;
    Some(config)
}

/// After how many blocks a deposit is final, the block itself counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finality {
    /// Ethereum.
    pub eth: u64,
    /// Bitcoin.
    pub btc: u64,
    /// Polygon.
    pub polygon: u64,
    /// TRON.
    pub tron: u64,
}

impl Default for Finality {
    fn default() -> Self {
        Self { eth: 65, btc: 3, polygon: 128, tron: 20 }
    }
}

impl Finality {
    /// Of `network`.
    #[must_use]
    pub const fn of(self, network: Network) -> u64 {
        match network {
            Network::Eth | Network::Bsc => self.eth,
            Network::Btc => self.btc,
            Network::Polygon => self.polygon,
            Network::Tron => self.tron,
            // One close of the ledger.
            Network::Bantu => 1,
        }
    }
}

fn read_finality(settings: &mut Settings) -> Finality {
    let default = Finality::default();
    let mut blocks = |name: &'static str, default: u64| {
        let blocks = settings.or(name, default);
        if blocks == 0 {
            settings.mistake(name, "is 0: a deposit in no block is not final; give at least 1");
        }
        blocks
    };
    Finality {
        eth: blocks("CONFIRMATIONS_ETH", default.eth),
        btc: blocks("CONFIRMATIONS_BTC", default.btc),
        polygon: blocks("CONFIRMATIONS_POLYGON", default.polygon),
        tron: blocks("CONFIRMATIONS_TRON", default.tron),
    }
}

fn read_tatum(settings: &mut Settings, allow_private: bool) -> Option<tatum::Config> {
    let api_key = settings.secret("TATUM_API_KEY");
    let webhook_url = settings.optional::<String>("TATUM_WEBHOOK_URL");
    let base_url = settings.or("TATUM_BASE_URL", "https://api.tatum.io".to_owned());
    let is_test = settings.flag("TATUM_TESTNET", false);
    let names = [
        ("TATUM_XPUB_ETH", tatum::Chain::Ethereum),
        ("TATUM_XPUB_BTC", tatum::Chain::Bitcoin),
        ("TATUM_XPUB_POLYGON", tatum::Chain::Polygon),
        ("TATUM_XPUB_TRON", tatum::Chain::Tron),
    ];
    let mut xpubs = BTreeMap::new();
    for (name, chain) in names {
        let Some(text) = settings.optional::<String>(name) else { continue };
        match tatum::Xpub::parse(&text) {
            Ok(xpub) => drop(xpubs.insert(chain, xpub)),
            Err(error) => settings.mistake(name, error.to_string()),
        }
    }
    if api_key.is_none() && (webhook_url.is_some() || !xpubs.is_empty()) {
        settings.mistake("TATUM_API_KEY", "is not set, but other TATUM_ variables are: set it, or none");
    }
    if api_key.is_some() && webhook_url.is_none() {
        settings.mistake("TATUM_WEBHOOK_URL", "is not set: Tatum could not tell of what comes in");
    }
    let mut config = tatum::Config::new(base_url, api_key?);
    config.webhook_url = webhook_url;
    config.xpubs = xpubs;
    config.allow_private = allow_private;
    if is_test {
        config.mode = tatum::Mode::Testnet;
    }
    Some(config)
}
