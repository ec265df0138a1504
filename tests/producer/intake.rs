//! A producer in this process, on a port of its own, with a Redis of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_core::clock::FixedClock;
use payfleet_core::job::QueueName;
use payfleet_core::kinds::JobKind;
use payfleet_core::{JobId, Timestamp};
use payfleet_process::{Settings, Telemetry, TelemetrySettings, telemetry};
use payfleet_producer::{Config, ServeError, Tokens, WebhookSecrets, serve};
use payfleet_providers::webhook::Secrets;
use payfleet_queue::{JobView, Queue};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the tests' callers present. `TOKEN` is of tenant `default`, `OTHER_TOKEN` of `other`.
pub(crate) const TOKEN: &str = "token-of-the-shop";
pub(crate) const OTHER_TOKEN: &str = "token-of-another-tenant";
/// When it is, for the producer.
pub(crate) const NOW_S: i64 = 1_760_000_000;

pub(crate) struct Intake {
    pub(crate) redis: RedisServer,
    pub(crate) queue: Queue,
    pub(crate) address: String,
    client: reqwest::Client,
    stop: CancellationToken,
    service: JoinHandle<Result<(), ServeError>>,
}

impl Intake {
    pub(crate) async fn start() -> Self {
        Self::start_with(RedisOptions::default(), |_| {}).await
    }

    pub(crate) async fn start_with(redis: RedisOptions, change: impl FnOnce(&mut Config)) -> Self {
        trace();
        let redis = RedisServer::start(redis).await.unwrap();
        let mut config = config(&redis.url());
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let service = payfleet_process::spawn("producer", serve(config, listener, stop.clone()));
        let queue = Queue::open(payfleet_queue::Config::new(redis.url())).unwrap();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { redis, queue, address, client, stop, service }
    }

    /// A request without any header of its own.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request with a good token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(TOKEN)
    }

    /// A request for an operation, rightly made but for its body.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key).json(body);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn find(&self, kind: JobKind, id: &str) -> Option<JobView> {
        let id: JobId = id.parse().unwrap();
        self.queue.find(&kind.queue().unwrap(), id).await.unwrap()
    }

    /// How many jobs there are, in all queues and places.
    pub(crate) async fn jobs(&self) -> u64 {
        let queues: Vec<QueueName> = JobKind::ALL.into_iter().map(|kind| kind.queue().unwrap()).collect();
        let stats = self.queue.stats(&queues).await.unwrap();
        stats.iter().map(|stats| stats.ready + stats.delayed + stats.running + stats.dead).sum()
    }

    /// Asks the producer to stop.
    pub(crate) fn stop_soon(&self) {
        self.stop.cancel();
    }

    /// Whether the producer has stopped.
    pub(crate) fn has_ended(&self) -> bool {
        self.service.is_finished()
    }

    /// Waits until it accepts no more connections.
    pub(crate) async fn until_refusing(&self) {
        while TcpStream::connect(&self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Stops the producer, which must end well.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.service.await.unwrap().unwrap();
    }
}

/// What the tests' producers start with.
pub(crate) fn config(redis_url: &str) -> Config {
    let token = |name: &str, tenant: &str, token: &str| {
        format!("{name}:{tenant}:{}", hex::encode(Sha256::digest(token.as_bytes())))
    };
    let tokens = [token("shop", "default", TOKEN), token("another", "other", OTHER_TOKEN)].join(",");
    let nowhere = "postgres://payfleet@127.0.0.1:9/nowhere";
    let mut config = Config::new(redis_url.into(), nowhere.into(), Tokens::parse(&tokens).unwrap());
    config.webhook_secrets = WebhookSecrets {
        stripe: Secrets::new(vec!["whsec_one".into(), "whsec_connect".into()]),
        tatum: Secrets::default(),
        heleket: Secrets::new(vec!["merchant-api-key-42".into()]),
        trovotech: Secrets::new(vec!["trovo-new".into(), "trovo-old".into()]),
    };
    config.clock = Arc::new(FixedClock(Timestamp::from_unix_ms(NOW_S * 1000)));
    config
}

/// Spans and trace ids as in the real process, without its log lines.
fn trace() {
    static TELEMETRY: LazyLock<Mutex<Telemetry>> = LazyLock::new(|| {
        let mut settings = Settings::from_map(BTreeMap::from([("LOG".to_owned(), "off".to_owned())]));
        let settings = TelemetrySettings::read(&mut settings);
        // It makes panics log lines; a test's panic should be seen.
        let hook = std::panic::take_hook();
        let telemetry = telemetry::init("test", &settings).unwrap();
        std::panic::set_hook(hook);
        Mutex::new(telemetry)
    });
    LazyLock::force(&TELEMETRY);
}

pub(crate) fn payout() -> Value {
    json!({
        "amount": "15.5", "asset": "USDT", "network": "TRON",
        "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "reference": "order 7",
    })
}

pub(crate) fn mint() -> Value {
    json!({
        "asset_id": "ev-1", "asset_type": "EV",
        "asset_metadata": {
            "name": "Van 1", "type": "van", "purchase_date": "2025-02-28",
            "purchase_price": "50000", "lifespan_years": 8,
        },
        "investor_wallet": "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57",
        "fraction_owned": "12.5", "amount": "6250", "asset": "USD",
    })
}

/// `base` with the member at `path` (dots between names) set to `value`.
pub(crate) fn with(mut base: Value, path: &str, value: Value) -> Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    match base.pointer_mut(&pointer) {
        Some(place) => *place = value,
        None => {
            base[path] = value;
        }
    }
    base
}

/// `base` without the member `name`.
pub(crate) fn without(mut base: Value, name: &str) -> Value {
    base.as_object_mut().unwrap().remove(name).unwrap();
    base
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The fields that the problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map_or(&[][..], Vec::as_slice);
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    /// Checks that this is a problem as RFC 9457 has it, with this status and name.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert_eq!(self.body["type"], format!("urn:payfleet:problem:{name}"), "{self:?}");
        for member in ["title", "detail"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {self:?}");
        }
        if status == 503 {
            assert!(self.header("retry-after").is_some(), "{self:?}");
        }
    }
}
