//! What the tests share: a clock set by hand, a sandbox with a client for it, and its control paths.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use payfleet_core::address::Network;
use payfleet_core::ids::AccountId;
use payfleet_core::kinds::Request;
use payfleet_core::kinds::payout::{Destination, Origin, Payout};
use payfleet_core::kinds::reconcile::Listed;
use payfleet_core::provider::{Action, CallOutcome, Effect, Provider, Report};
use payfleet_core::{Clock, Money, OperationId, OutcomeClass, ProviderKey, TenantId, Timestamp};
use payfleet_providers::sandbox::{self, Options, Sandbox};
use payfleet_providers::{Client, Clients, Configs, ProviderError, Reply, heleket, stripe, tatum, trovotech};
use serde_json::Value;

/// Where the tests' time begins: a whole second.
pub(crate) const START_MS: i64 = 1_780_000_000_000;
/// How long the sandboxes take to settle, by that clock.
pub(crate) const SETTLE_MS: i64 = 10_000;
/// How long the clients wait for an answer: longer than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long those do that are to lose patience.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// A clock that moves when it is told to.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }
}

/// A sandbox, a client of it, and the time both live in.
pub(crate) struct Bench {
    pub(crate) provider: Provider,
    pub(crate) sandbox: Sandbox,
    pub(crate) clients: Clients,
    pub(crate) clock: Hand,
    pub(crate) options: Options,
    /// What the clients call.
    target: String,
    timeout: Duration,
    _dir: tempfile::TempDir,
}

/// Everything that `client` lists of a window, page after page.
pub(crate) async fn listed(
    client: &Client,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Listed>, ProviderError> {
    let (mut listing, mut all) = (client.listing((from, to), None, None), Vec::new());
    while !listing.is_over() {
        all.extend(listing.next_page().await?);
    }
    Ok(all)
}

impl Bench {
    pub(crate) async fn start(provider: Provider) -> Self {
        Self::start_with(provider, |_| {}).await
    }

    /// With options changed by `change`.
    pub(crate) async fn start_with(provider: Provider, change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Hand(Arc::new(AtomicI64::new(START_MS)));
        let mut options = Options::new(PathBuf::from(dir.path()), Arc::new(clock.clone()));
        options.settle_after = Duration::from_millis(u64::try_from(SETTLE_MS).unwrap());
        change(&mut options);
        let sandbox = run(provider, options.clone()).await;
        let target = sandbox.url();
        let clients = clients(&target, |_| {});
        Self { provider, sandbox, clients, clock, options, target, timeout: PATIENCE, _dir: dir }
    }

    /// With clients that do not wait long.
    pub(crate) fn impatient(mut self) -> Self {
        self.timeout = IMPATIENCE;
        self.clients = clients_that_wait(&self.target, self.timeout, |_| {});
        self
    }

    /// With clients that call where nobody listens.
    pub(crate) fn led_astray(mut self) -> Self {
        "http://127.0.0.1:1".clone_into(&mut self.target);
        self.clients = clients_that_wait(&self.target, self.timeout, |_| {});
        self
    }

    /// A client of Stripe's sandbox.
    pub(crate) fn stripe(&self) -> stripe::Client {
        crate::stripe::client_that_waits(&self.target, "sandbox-api-key", self.timeout)
    }

    pub(crate) fn client(&self) -> &Client {
        self.clients.of(self.provider).unwrap()
    }

    /// Kills the sandbox and starts it again where it was, on the same record.
    pub(crate) async fn restart(mut self) -> Self {
        self.options.listen = self.sandbox.addr();
        self.sandbox.stop().await;
        self.sandbox = run(self.provider, self.options.clone()).await;
        self
    }

    pub(crate) async fn plan(&self, path: &str, fault: Value) {
        let plan = serde_json::json!([{ "path": path, "fault": fault }]);
        let sent = http().post(self.control("_faults")).json(&plan).send().await.unwrap();
        assert!(sent.status().is_success(), "{fault}: {}", sent.status());
    }

    /// A fault that did not fire has shown nothing.
    pub(crate) async fn all_faults_fired(&self) {
        for plan in self.read("_faults").await["faults"].as_array().unwrap() {
            assert_eq!(plan["fired"], plan["times"], "{plan}");
        }
    }

    pub(crate) async fn effects(&self) -> Vec<Value> {
        self.read("_effects").await["effects"].as_array().unwrap().clone()
    }

    pub(crate) async fn read(&self, what: &str) -> Value {
        http().get(self.control(what)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn tell(&self, what: &str, body: impl Into<String>) {
        let sent = http().post(self.control(what)).body(body.into()).send().await.unwrap();
        assert!(sent.status().is_success());
    }

    /// Sends JSON to a control path, and reads the JSON that is answered.
    pub(crate) async fn ask(&self, what: &str, body: Value) -> Value {
        let answer = http().post(self.control(what)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// As [`Self::ask`], where only the status matters.
    pub(crate) async fn status(&self, what: &str, body: Value) -> u16 {
        http().post(self.control(what)).json(&body).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn tell_json(&self, what: &str, body: Value) {
        assert_eq!(self.status(what, body).await, 204);
    }

    /// What a control path says once it says what is waited for.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let said = self.read(what).await;
            if is_so(&said) {
                return said;
            }
            tokio::task::yield_now().await;
        }
    }

    fn control(&self, what: &str) -> String {
        format!("{}/{what}", self.sandbox.url())
    }
}

async fn run(provider: Provider, options: Options) -> Sandbox {
    match provider {
        Provider::Stripe => sandbox::start_stripe(options).await,
        Provider::Tatum => sandbox::start_tatum(options).await,
        Provider::Heleket => sandbox::start_heleket(options).await,
        Provider::TrovoTech => sandbox::start_trovotech(options).await,
    }
    .unwrap()
}

/// Clients of a sandbox at `url`, after `change` had its way with Heleket's settings.
pub(crate) fn clients(url: &str, change: impl FnOnce(&mut heleket::Config)) -> Clients {
    clients_that_wait(url, PATIENCE, change)
}

/// As [`clients`], which wait that long for an answer.
pub(crate) fn clients_that_wait(
    url: &str,
    timeout: Duration,
    change: impl FnOnce(&mut heleket::Config),
) -> Clients {
    let fast = NonZeroU32::new(10_000).unwrap();
    let mut heleket =
        heleket::Config::new(url.to_owned(), "sandbox-merchant".to_owned(), "sandbox-secret".into());
    (heleket.allow_private, heleket.per_second, heleket.timeout) = (true, fast, timeout);
    heleket.payment_key = Some("sandbox-payment-key".into());
    change(&mut heleket);
    let trovotech = trovotech::Config { timeout, ..trovotech_config(url) };
    let configs = Configs {
        heleket: Some(heleket),
        trovotech: Some(trovotech),
        tatum: Some(tatum::Config { timeout, ..tatum_config(url, "sandbox-api-key") }),
        stripe: None,
    };
    Clients::new(configs).unwrap()
}

fn tatum_config(url: &str, api_key: &str) -> tatum::Config {
    let mut config = tatum::Config::new(url.to_owned(), api_key.into());
    (config.allow_private, config.per_second) = (true, NonZeroU32::new(10_000).unwrap());
    config
}

/// A client of Tatum with this key.
pub(crate) fn tatum_client(url: &str, api_key: &str) -> tatum::Client {
    tatum::Client::new(tatum_config(url, api_key)).unwrap()
}

fn trovotech_config(url: &str) -> trovotech::Config {
    let mut config = trovotech::Config::new(
        url.to_owned(),
        "sandbox-api-key".into(),
        "issuer-1".to_owned(),
        url.to_owned(),
    );
    (config.allow_private, config.per_second) = (true, NonZeroU32::new(10_000).unwrap());
    config
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The key of the first intent of an operation called `name`.
pub(crate) fn key(provider: Provider, name: &str) -> ProviderKey {
    let operation = OperationId::derive(&TenantId::default(), "/v1/tests", name);
    ProviderKey::derive(provider, &AccountId::default(), operation, Action::Payout, 1)
}

pub(crate) fn payout(amount: &str) -> Effect {
    let to = Destination::Crypto {
        network: Network::Tron,
        address: "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm".to_owned(),
    };
    let money = Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap();
    Effect { asked: Request::Payout(Payout { money, to, reference: None, origin: Origin::Manual }), on: None }
}

pub(crate) fn mint(percent: &str) -> Effect {
    let share = serde_json::json!({
        "asset_id": "ev-1",
        "asset_type": "EV",
        "metadata": {
            "name": "Bus 7", "type": "Model B", "purchase_date": "2026-01-31",
            "purchase_price": "41000.50", "lifespan_years": 8,
        },
        "wallet": "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57",
        "percent": percent,
        "invested": { "amount": "1250.50", "asset": "NGN" },
    });
    Effect { asked: Request::Mint(serde_json::from_value(share).unwrap()), on: None }
}

pub(crate) fn accepted(reply: Reply) -> Report {
    match reply.outcome {
        CallOutcome::Accepted { report } => report,
        CallOutcome::Failed { code, message, .. } => panic!("{code}: {message}"),
    }
}

pub(crate) fn failed(reply: Reply) -> (OutcomeClass, String) {
    match reply.outcome {
        CallOutcome::Failed { class, code, .. } => (class, code),
        CallOutcome::Accepted { report } => panic!("accepted: {report:?}"),
    }
}
