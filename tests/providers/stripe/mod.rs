//! Stripe: what goes over the wire, what comes back, and what the sandbox makes of both.

mod connect;
mod events;
mod keys;
pub(crate) mod line;
mod plans;
mod sandbox;
mod shapes;
mod wire;

use std::num::NonZeroU32;
use std::time::Duration;

use payfleet_core::Money;
use payfleet_providers::stripe::{Client, Config, IdempotencyKey};
use serde_json::Value;

/// A client of whatever listens at `url`.
pub(crate) fn client(url: &str, secret_key: &str) -> Client {
    client_that_waits(url, secret_key, Duration::from_secs(30))
}

/// As [`client`], which waits that long for an answer.
pub(crate) fn client_that_waits(url: &str, secret_key: &str, timeout: Duration) -> Client {
    let mut config = Config::new(secret_key.into());
    config.base_url = url.to_owned();
    config.allow_private = true;
    config.timeout = timeout;
    config.per_second = NonZeroU32::new(10_000).unwrap();
    Client::new(&config).unwrap()
}

pub(crate) fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).unwrap()
}

pub(crate) fn money(text: &str, asset: &str) -> Money {
    Money::parse_positive(text, asset.parse().unwrap()).unwrap()
}

fn vectors(file: &str) -> Vec<Value> {
    let read: Value = serde_json::from_str(file).unwrap();
    read["cases"].as_array().unwrap().clone()
}
