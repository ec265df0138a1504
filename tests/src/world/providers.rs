//! The sandboxes of the four providers, and what tests ask of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use payfleet_core::{Clock, Timestamp};
use payfleet_process::SystemClock;
use payfleet_providers::sandbox::{self, Options, Sandbox};
use payfleet_providers::webhook::Secrets;
use payfleet_providers::{Configs, heleket, stripe, tatum, trovotech};
use serde::Deserialize;
use serde_json::{Value, json};

const SECRET: &str = "sandbox-secret";
const PAYMENT_KEY: &str = "sandbox-payment-key";
const API_KEY: &str = "sandbox-api-key";
const CONNECT_SECRET: &str = "sandbox-connect-secret";
const MERCHANT: &str = "sandbox-merchant";
/// So often that no test waits for a limit it is not about.
const ENOUGH: &str = "all=10000/s";

/// BIP 32's second test vector: nobody's money.
const XPUB: &str = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH";

/// The sandboxes, each with its record in a folder that goes with them.
pub struct Providers {
    /// Heleket.
    pub heleket: Sandbox,
    /// TrovoTech and the Bantu ledger.
    pub trovotech: Sandbox,
    /// Stripe.
    pub stripe: Sandbox,
    /// What time it is at Stripe, and at Heleket.
    pub stripe_clock: Arc<Ahead>,
    /// Tatum.
    pub tatum: Sandbox,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

/// Something that really happened at a provider.
#[derive(Clone, Debug, Deserialize)]
pub struct Effect {
    /// `payout`, `mint` and the like.
    pub kind: String,
    /// Our reference, as the provider keeps it.
    pub reference: String,
    /// How much.
    pub amount: String,
    /// Of what.
    pub asset: String,
    /// To whom it went, or from whom it came.
    pub destination: String,
    /// The provider's id.
    pub id: String,
    /// When, in Unix milliseconds.
    pub at: i64,
}

/// Our time, or later: a sandbox whose money takes hours.
#[derive(Debug, Default)]
pub struct Ahead(AtomicI64);

impl Ahead {
    /// Makes it that much later.
    pub fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).expect("a time in milliseconds");
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_ms(self.0.load(Ordering::SeqCst))
    }
}

/// The secrets that every sandbox signs with; the second is Heleket's for incoming payments, the third
/// Stripe's for events of connected accounts.
pub(super) fn secrets() -> Secrets {
    Secrets::new(vec![SECRET.into(), PAYMENT_KEY.into(), CONNECT_SECRET.into()])
}

impl Providers {
    pub(super) async fn start(stripe_settles_after: Duration, heleket_settles_after: Duration) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the sandboxes");
        let stripe_clock = Arc::new(Ahead::default());
        let heleket = Options {
            settle_after: heleket_settles_after,
            clock: Arc::clone(&stripe_clock) as Arc<dyn Clock>,
            ..options(dir.path(), "heleket")
        };
        let heleket = sandbox::start_heleket(heleket).await.expect("heleket");
        let trovotech = sandbox::start_trovotech(options(dir.path(), "trovotech")).await.expect("trovotech");
        let stripe = Options {
            connect_secret: Some(CONNECT_SECRET.into()),
            settle_after: stripe_settles_after,
            clock: Arc::clone(&stripe_clock) as Arc<dyn Clock>,
            ..options(dir.path(), "stripe")
        };
        let stripe = sandbox::start_stripe(stripe).await.expect("stripe");
        let tatum = sandbox::start_tatum(options(dir.path(), "tatum")).await.expect("tatum");
        // Pages of a sandbox send people on to shops that do not exist.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("an HTTP client");
        Self { heleket, trovotech, stripe, stripe_clock, tatum, http, _dir: dir }
    }

    pub(super) fn deliver_to(&self, producer: &str) {
        for (sandbox, name) in self.all() {
            sandbox.deliver_to(&format!("{producer}/webhooks/{name}"));
        }
    }

    fn all(&self) -> [(&Sandbox, &'static str); 4] {
        [
            (&self.heleket, "heleket"),
            (&self.trovotech, "trovotech"),
            (&self.stripe, "stripe"),
            (&self.tatum, "tatum"),
        ]
    }

    /// How a worker reaches Heleket's sandbox.
    pub fn heleket_config(&self) -> heleket::Config {
        let mut config = heleket::Config::new(self.heleket.url(), MERCHANT.to_owned(), SECRET.into());
        config.allow_private = true;
        config.timeout = Duration::from_secs(2);
        config
    }

    /// How a worker reaches TrovoTech's sandbox.
    pub fn trovotech_config(&self) -> trovotech::Config {
        let url = self.trovotech.url();
        let mut config = trovotech::Config::new(url.clone(), API_KEY.into(), "issuer-1".to_owned(), url);
        config.allow_private = true;
        config.timeout = Duration::from_secs(2);
        config
    }

    /// How a worker reaches Stripe's sandbox.
    pub fn stripe_config(&self) -> stripe::Config {
        let mut config = stripe::Config::new(API_KEY.into());
        config.base_url = self.stripe.url();
        config.allow_private = true;
        config.timeout = Duration::from_secs(2);
        config
    }

    /// How a worker reaches Tatum's sandbox.
    pub fn tatum_config(&self) -> tatum::Config {
        let mut config = tatum::Config::new(self.tatum.url(), API_KEY.into());
        config.allow_private = true;
        config.timeout = std::time::Duration::from_secs(2);
        config.webhook_url = Some("https://payfleet.example.com/webhooks/tatum".to_owned());
        config.xpubs =
            tatum::Chain::ALL.map(|chain| (chain, tatum::Xpub::parse(XPUB).expect("an xpub"))).into();
        config
    }

    /// How a worker reaches all of them.
    pub fn configs(&self) -> Configs {
        Configs {
            heleket: Some(self.heleket_config()),
            trovotech: Some(self.trovotech_config()),
            stripe: Some(self.stripe_config()),
            tatum: Some(self.tatum_config()),
        }
    }

    /// What workers call the sandboxes with, and nobody may read anywhere.
    pub fn secrets_of_workers(&self) -> [&'static str; 3] {
        [SECRET, PAYMENT_KEY, API_KEY]
    }

    /// The same as environment variables, for a worker that is a process.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ALLOW_PRIVATE_HOSTS", "true".to_owned()),
            ("HELEKET_PROJECT_URL", self.heleket.url()),
            ("HELEKET_MERCHANT_ID", MERCHANT.to_owned()),
            ("HELEKET_API_KEY", SECRET.to_owned()),
            ("TROVOTECH_BASE_URL", self.trovotech.url()),
            ("TROVOTECH_API_KEY", API_KEY.to_owned()),
            ("TROVOTECH_ISSUER_ID", "issuer-1".to_owned()),
            ("BANTU_EXPANSION_URL", self.trovotech.url()),
            ("STRIPE_BASE_URL", self.stripe.url()),
            ("STRIPE_SECRET_KEY", API_KEY.to_owned()),
            ("TATUM_BASE_URL", self.tatum.url()),
            ("TATUM_API_KEY", API_KEY.to_owned()),
            ("TATUM_WEBHOOK_URL", "https://payfleet.example.com/webhooks/tatum".to_owned()),
            ("TATUM_XPUB_TRON", XPUB.to_owned()),
            ("CONFIRMATIONS_TRON", "3".to_owned()),
            ("HELEKET_LIMITS", ENOUGH.to_owned()),
            ("TROVOTECH_LIMITS", ENOUGH.to_owned()),
            ("BANTU_LIMITS", ENOUGH.to_owned()),
            ("STRIPE_LIMITS", ENOUGH.to_owned()),
            ("TATUM_LIMITS", ENOUGH.to_owned()),
        ]
    }

    /// What really happened at a sandbox.
    pub async fn effects(&self, sandbox: &Sandbox) -> Vec<Effect> {
        let answer = self.get(sandbox, "/_effects").await;
        serde_json::from_value(answer["effects"].clone()).expect("effects")
    }

    /// Plans a fault for the next `times` calls of `path`.
    pub async fn plan(&self, sandbox: &Sandbox, path: &str, times: u32, fault: Value) {
        let plan = json!([{"path": path, "times": times, "fault": fault}]);
        self.post(sandbox, "/_faults", plan).await;
    }

    /// Ends every planned fault.
    pub async fn mend(&self, sandbox: &Sandbox) {
        let request = self.http.delete(format!("{}/_faults", sandbox.url()));
        assert!(request.send().await.expect("the sandbox").status().is_success());
    }

    /// How often the planned faults have fired, together.
    pub async fn fired(&self, sandbox: &Sandbox) -> u64 {
        let answer = self.get(sandbox, "/_faults").await;
        answer["faults"].as_array().expect("faults").iter().filter_map(|one| one["fired"].as_u64()).sum()
    }

    /// How often a sandbox was called.
    pub async fn calls(&self, sandbox: &Sandbox) -> u64 {
        let answer = self.get(sandbox, "/_calls").await;
        answer["calls"].as_object().expect("calls").values().filter_map(Value::as_u64).sum()
    }

    /// The most calls that a sandbox saw in any one second.
    pub async fn most_in_a_second(&self, sandbox: &Sandbox) -> u64 {
        let answer = self.get(sandbox, "/_pace").await;
        answer["most_in_a_second"]["all"].as_u64().expect("calls were counted")
    }

    /// Waits until `count` calls are held.
    pub async fn held(&self, sandbox: &Sandbox, count: usize) {
        self.get(sandbox, &format!("/_held?at_least={count}")).await;
    }

    /// Lets the held calls go.
    pub async fn release(&self, sandbox: &Sandbox) {
        self.post(sandbox, "/_release", Value::Null).await;
    }

    /// Has a sandbox send a webhook with `payload`, signed.
    pub async fn emit(&self, sandbox: &Sandbox, payload: Value) {
        self.post(sandbox, "/_emit", payload).await;
    }

    /// Sends webhooks so from now on: `copies`, `hold`, `reversed`.
    pub async fn deliver_so(&self, sandbox: &Sandbox, manner: Value) {
        self.post(sandbox, "/_webhooks", manner).await;
    }

    /// Has a sandbox show no more what is called `id`, though it happened.
    pub async fn forget(&self, sandbox: &Sandbox, id: &str) {
        self.post(sandbox, "/_forget", json!({ "id": id })).await;
    }

    /// Makes `count` records up at a sandbox, evenly over a span of time, which nobody is told of.
    pub async fn fill(&self, sandbox: &Sandbox, count: u32, span: (Timestamp, Timestamp), about: &str) {
        let (from, to) = (span.0.unix_ms(), span.1.unix_ms());
        let filling = json!({ "count": count, "from_ms": from, "to_ms": to, "about": about });
        self.post(sandbox, "/_fill", filling).await;
    }

    /// How often each path of a sandbox was called.
    pub async fn calls_of(&self, sandbox: &Sandbox, path: &str) -> u64 {
        self.get(sandbox, "/_calls").await["calls"][path].as_u64().unwrap_or(0)
    }

    /// Visits a page of a sandbox, as a person would, and says where it sends them.
    pub async fn visit(&self, url: &str) -> String {
        let response = self.http.get(url).send().await.expect("the sandbox");
        let location =
            response.headers().get("location").map(|value| value.to_str().expect("text").to_owned());
        location.unwrap_or_default()
    }

    /// Webhooks that have not been taken yet.
    pub async fn pending_webhooks(&self) -> u64 {
        let mut pending = 0;
        for (sandbox, _) in self.all() {
            pending += self.get(sandbox, "/_deliveries").await["pending"].as_u64().unwrap_or(0);
        }
        pending
    }

    async fn get(&self, sandbox: &Sandbox, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", sandbox.url())).send().await.expect("the sandbox");
        response.json().await.expect("JSON")
    }

    /// Moves a chain of Tatum's sandbox and returns its answer.
    pub async fn chain(&self, chain: &str, verb: &str, body: &Value) -> Value {
        let url = format!("{}/_chain/{chain}/{verb}", self.tatum.url());
        let response = self.http.post(url).json(body).send().await.expect("the sandbox");
        assert!(response.status().is_success(), "{verb}: {}", response.status());
        response.json().await.expect("JSON")
    }

    async fn post(&self, sandbox: &Sandbox, path: &str, body: Value) {
        let request = self.http.post(format!("{}{path}", sandbox.url())).json(&body);
        let status = request.send().await.expect("the sandbox").status();
        assert!(status.is_success(), "{path}: {status}");
    }
}

fn options(dir: &Path, name: &str) -> Options {
    Options::new(dir.join(name), Arc::new(SystemClock))
}
