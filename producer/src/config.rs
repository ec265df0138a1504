//! What the producer needs to know before it listens. `Config` is what it takes in a test or inside
//! the operator's command; [`Config::read`] makes one from environment variables.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::Clock;
use payfleet_process::{Settings, SystemClock};
use payfleet_queue::Durability;
use secrecy::{ExposeSecret, SecretString};

use crate::auth::{TOKENS_FORM, Tokens};
use crate::secrets::WebhookSecrets;

const REQUEST_TIMEOUT_MS: u64 = 10_000;
const REPLICAS_MS: u64 = 500;

/// How the producer is set up.
#[derive(Clone)]
pub struct Config {
    /// Where jobs go.
    pub redis_url: SecretString,
    /// What the queue's keys start with; the same for producers and workers of one fleet.
    pub queue_prefix: String,
    /// What must hold before a request counts as accepted.
    pub durability: Durability,
    /// Where operations are read from. It need not answer for anything to be accepted.
    pub database_url: SecretString,
    /// Who may call the API.
    pub tokens: Tokens,
    /// What webhooks are verified with.
    pub webhook_secrets: WebhookSecrets,
    /// How long a body may take to arrive, and how long the work on it may take.
    pub request_timeout: Duration,
    /// What webhooks' timestamps are compared with.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("queue_prefix", &self.queue_prefix)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// A producer with the defaults and no webhook secrets.
    #[must_use]
    pub fn new(redis_url: SecretString, database_url: SecretString, tokens: Tokens) -> Self {
        Self {
            redis_url,
            queue_prefix: "payfleet".to_owned(),
            durability: Durability::Local,
            database_url,
            tokens,
            webhook_secrets: WebhookSecrets::default(),
            request_timeout: Duration::from_millis(REQUEST_TIMEOUT_MS),
            clock: Arc::new(SystemClock),
        }
    }

    /// Reads `REDIS_URL`, `REDIS_REPLICAS`, `REDIS_REPLICAS_MS`, `QUEUE_PREFIX`, `DATABASE_URL`,
    /// `API_TOKENS`, `REQUEST_TIMEOUT_MS` and the webhook secrets. `None` where something required is missing; what, is noted in `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let redis_url = url(settings, "REDIS_URL", &["redis://", "rediss://"], "redis://127.0.0.1:6379");
        let database_url = url(
            settings,
            "DATABASE_URL",
            &["postgres://", "postgresql://"],
            "postgres://payfleet@127.0.0.1:5432/payfleet",
        );
        let tokens = tokens(settings);
        let queue_prefix = settings.or("QUEUE_PREFIX", "payfleet".to_owned());
        if !is_prefix(&queue_prefix) {
            settings.mistake("QUEUE_PREFIX", "must be 1 to 40 characters of a-z, A-Z, 0-9, '_', '-' or ':'");
        }
        let durability = durability(settings);
        let request_timeout = settings.duration_ms("REQUEST_TIMEOUT_MS", REQUEST_TIMEOUT_MS);
        if request_timeout.is_zero() {
            settings.mistake("REQUEST_TIMEOUT_MS", "must be at least 1, such as 10000");
        }
        let webhook_secrets = WebhookSecrets::read(settings);
        let defaults = Self::new(redis_url?, database_url?, tokens?);
        Some(Self { queue_prefix, durability, webhook_secrets, request_timeout, ..defaults })
    }
}

fn durability(settings: &mut Settings) -> Durability {
    let count = settings.or("REDIS_REPLICAS", 0);
    let timeout: Option<u64> = settings.optional("REDIS_REPLICAS_MS");
    match (count, timeout) {
        (0, None) => Durability::Local,
        (0, Some(_)) => {
            settings.mistake("REDIS_REPLICAS_MS", "is set, but REDIS_REPLICAS is not: set both, or none");
            Durability::Local
        }
        (count, timeout) => {
            Durability::Replicas { count, timeout: Duration::from_millis(timeout.unwrap_or(REPLICAS_MS)) }
        }
    }
}

fn url(
    settings: &mut Settings,
    name: &'static str,
    schemes: &[&str],
    example: &'static str,
) -> Option<SecretString> {
    let url = settings.required_secret(name, example)?;
    if !schemes.iter().any(|scheme| url.expose_secret().starts_with(scheme)) {
        settings.mistake(name, format!("must be a URL such as {example}"));
    }
    Some(url)
}

fn tokens(settings: &mut Settings) -> Option<Tokens> {
    let text = settings.required_secret("API_TOKENS", TOKENS_FORM)?;
    let tokens = Tokens::parse(text.expose_secret());
    tokens.map_err(|error| settings.mistake("API_TOKENS", error.to_string())).ok()
}

fn is_prefix(prefix: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-:".contains(&b);
    (1..=40).contains(&prefix.len()) && prefix.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<Config>, Vec<String>) {
        let map: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::from_map(map);
        let config = Config::read(&mut settings);
        (config, settings.finish().map_or_else(|mistakes| mistakes.lines().to_vec(), |()| Vec::new()))
    }

    #[test]
    fn without_any_setting_everything_that_is_required_is_named_at_once() {
        let (config, mistakes) = read(&[]);
        assert!(config.is_none());
        let named: Vec<&str> = mistakes.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(named, ["REDIS_URL", "DATABASE_URL", "API_TOKENS"]);
    }

    #[test]
    fn every_wrong_value_is_named_and_none_is_repeated() {
        let (_, mistakes) = read(&[
            ("REDIS_URL", "http://user:hunter2@host"),
            ("DATABASE_URL", "mysql://user:hunter2@host"),
            ("API_TOKENS", "hunter2"),
            ("QUEUE_PREFIX", "{hunter2}"),
            ("REQUEST_TIMEOUT_MS", "0"),
            ("STRIPE_WEBHOOK_SECRET_OLD", "hunter2"),
            ("REDIS_REPLICAS_MS", "100"),
        ]);
        assert_eq!(mistakes.len(), 7, "{mistakes:?}");
        assert!(mistakes.iter().all(|line| !line.contains("hunter2")), "{mistakes:?}");
    }

    #[test]
    fn three_settings_are_enough() {
        let tokens = format!("shop:default:{}", "0".repeat(64));
        let (config, mistakes) = read(&[
            ("REDIS_URL", "redis://127.0.0.1"),
            ("DATABASE_URL", "postgres://127.0.0.1/payfleet"),
            ("API_TOKENS", &tokens),
        ]);
        assert_eq!(mistakes, Vec::<String>::new());
        let config = config.unwrap();
        assert_eq!(config.queue_prefix, "payfleet");
        assert_eq!(config.request_timeout, Duration::from_secs(10));
    }
}
