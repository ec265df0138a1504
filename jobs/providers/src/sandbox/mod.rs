//! Servers that behave like the providers: real HTTP, their own signatures, their own webhooks, and a
//! record on disk of what really happened, which survives the sandbox being killed.
//!
//! Each runs on a thread and runtime of its own, so that stopping one cuts everything it had open, as
//! a dead provider does. Every sandbox is steered by the same paths (see `control`): what happened,
//! which faults to play, which calls to hold. There is no way to switch signatures off.

mod control;
mod faults;
mod journal;
pub(crate) mod limits;
mod line;
mod outbox;
mod pace;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn_with_state;
pub(crate) use faults::{Fault, Faults};
pub(crate) use journal::Journal;
pub(crate) use outbox::{Notice, Signed};
use payfleet_core::{Clock, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::{heleket, stripe, tatum, trovotech};

/// How often time-driven changes (a payout is paid, a ledger closes) are looked for.
const TICK: Duration = Duration::from_millis(20);

/// What a sandbox is started with.
#[derive(Clone)]
pub struct Options {
    /// Where its record lives; made if missing. One folder per sandbox.
    pub dir: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its webhooks go. Without one: to the `url_callback` of the request, else nowhere.
    pub webhook_url: Option<String>,
    /// Signs its webhooks; for Heleket it is the payout key, which signs the requests too.
    pub secret: SecretString,
    /// Heleket's other key: balances, and webhooks about incoming payments.
    pub payment_key: SecretString,
    /// Signs Stripe's events of connected accounts; without one `secret` signs those too.
    pub connect_secret: Option<SecretString>,
    /// How many calls a second it takes by its clock before it answers 429; `None` takes any number.
    pub per_second: Option<NonZeroU32>,
    /// What callers authenticate with (TrovoTech's and Stripe's bearer).
    pub api_key: SecretString,
    /// Who callers say they are (Heleket's merchant).
    pub merchant: String,
    /// How long a payout is in process, and until a transaction is in the ledger.
    pub settle_after: Duration,
    /// How long a second of the provider's own schedule of deliveries takes. Without one, a webhook is
    /// sent again soon, and for ever.
    pub schedule_second: Option<Duration>,
    /// Whose time it goes by.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// A sandbox on a free local port with the credentials `sandbox-secret`, `sandbox-api-key` and
    /// `sandbox-merchant`, which settles at once.
    #[must_use]
    pub fn new(dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            webhook_url: None,
            secret: "sandbox-secret".into(),
            payment_key: "sandbox-payment-key".into(),
            connect_secret: None,
            per_second: None,
            api_key: "sandbox-api-key".into(),
            merchant: "sandbox-merchant".to_owned(),
            settle_after: Duration::ZERO,
            schedule_second: None,
            clock,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn settle_after_ms(&self) -> i64 {
        i64::try_from(self.settle_after.as_millis()).unwrap_or(i64::MAX)
    }
}

/// One thing that really happened at a sandbox, as `GET /_effects` tells it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Happened {
    /// The caller's reference: `order_id`, `X-Request-ID`.
    pub(crate) reference: String,
    pub(crate) kind: &'static str,
    pub(crate) amount: String,
    pub(crate) asset: String,
    pub(crate) destination: String,
    /// Unix milliseconds.
    pub(crate) at: i64,
    /// The provider's id of it.
    pub(crate) id: String,
    /// How far it has come, in the provider's word.
    pub(crate) status: String,
}

/// Records that are made up: this many, evenly over a span of time.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Filling {
    pub(crate) count: u32,
    from_ms: i64,
    to_ms: i64,
    /// What all are about, where a record is about something.
    #[serde(default)]
    pub(crate) about: String,
}

impl Filling {
    /// The number of each, and when it was made.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        let span = self.to_ms.saturating_sub(self.from_ms);
        (0..self.count).map(move |number| {
            let part = span.saturating_mul(i64::from(number)).div_euclid(i64::from(self.count.max(1)));
            (number, Timestamp::from_unix_ms(self.from_ms.saturating_add(part)))
        })
    }

    /// The reference that the caller of record `number` would have given: 64 hex digits.
    pub(crate) fn reference(number: u32) -> String {
        hex::encode(Sha256::digest(format!("filled {number}")))
    }
}

/// What makes a provider's sandbox that provider's.
pub(crate) trait Actor: Send + Sync + 'static {
    /// Its API.
    fn routes(self: Arc<Self>) -> Router;

    /// What happened, in order.
    fn effects(&self) -> Vec<Happened>;

    /// The time it goes by.
    fn now(&self) -> Timestamp;

    /// The class of a call of this path, where the routes of [`Self::routes`] do not tell: the path with
    /// its ids as `{id}`.
    fn route_of(&self, _path: &str) -> Option<String> {
        None
    }

    /// A webhook body with its signature, where this provider puts it.
    fn sign(&self, payload: String) -> Signed;

    /// `notice` with the signature it needs; providers with several secrets choose by it.
    fn sign_notice(&self, notice: &Notice) -> Signed {
        self.sign(notice.payload.clone())
    }

    /// Completes what a test asked to have sent into a payload of this provider.
    fn payload(&self, asked: String) -> String {
        asked
    }

    /// Shows nobody any more what is called `id`, though it happened. Whether there was such a thing.
    fn forget(&self, _id: &str) -> bool {
        false
    }

    /// Makes records up, and tells nobody of them. Whether it can.
    fn fill(&self, _filling: &Filling) -> bool {
        false
    }

    /// What has come about since the last call and must be told.
    fn due(&self) -> Vec<Notice> {
        Vec::new()
    }

    /// When the provider sends a webhook again that failed this often, if it does.
    fn retry_after(&self, failures: u32) -> Option<Duration> {
        Some(Duration::from_secs(1 << failures.min(12)))
    }

    /// A notice was sent and answered so, or not; it is sent again after `next`, if at all.
    fn attempted(&self, _notice: &str, _status: Option<u16>, _next: Option<Duration>) {}

    /// A notice was answered with 2xx.
    fn delivered(&self, _notice: &str) {}
}

/// A running sandbox. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    target: outbox::Target,
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<oneshot::Receiver<()>>,
}

impl Sandbox {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL, without a final slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Sends its webhooks to `url` from now on, those not yet delivered too.
    pub fn deliver_to(&self, url: &str) {
        *locked(&self.target) = Some(url.to_owned());
    }

    /// Stops it at once, as a crash would: open calls are cut. Its record stays.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(stopped) = self.stopped.take() {
            // An error says that the thread has ended, which is what is waited for.
            let _ = stopped.await;
        }
    }
}

/// Starts a sandbox of Heleket.
///
/// # Errors
/// Where the record cannot be read or the address not be listened on.
pub async fn start_heleket(options: Options) -> anyhow::Result<Sandbox> {
    let actor = heleket::sandbox::Heleket::open(options.clone())?;
    start(options, Arc::new(actor)).await
}

/// Starts a sandbox of TrovoTech and of the Bantu ledger behind it, at one URL.
///
/// # Errors
/// As [`start_heleket`].
pub async fn start_trovotech(options: Options) -> anyhow::Result<Sandbox> {
    let actor = trovotech::sandbox::TrovoTech::open(options.clone())?;
    start(options, Arc::new(actor)).await
}

/// Starts a sandbox of Stripe with Connect.
///
/// # Errors
/// As [`start_heleket`].
pub async fn start_stripe(options: Options) -> anyhow::Result<Sandbox> {
    let actor = stripe::sandbox::Stripe::open(options.clone())?;
    start(options, Arc::new(actor)).await
}

/// Starts a sandbox of Tatum and of the chains behind it.
///
/// # Errors
/// As [`start_heleket`].
pub async fn start_tatum(options: Options) -> anyhow::Result<Sandbox> {
    let actor = tatum::sandbox::Tatum::open(options.clone())?;
    start(options, Arc::new(actor)).await
}

async fn start(options: Options, actor: Arc<dyn Actor>) -> anyhow::Result<Sandbox> {
    let target = outbox::Target::new(Mutex::new(options.webhook_url.clone()));
    let second = options.schedule_second;
    let (stop, stopping) = oneshot::channel();
    let (ended, stopped) = oneshot::channel();
    let (ready, listening) = oneshot::channel();
    let (listen, shared) = (options.listen, Arc::clone(&target));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::bind(listen).await;
            let addr = listener
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|listener| listener.local_addr().map_err(|error| error.to_string()));
            // Nobody waits for it any more: the caller was dropped, and so is this.
            let _ = ready.send(addr);
            if let Ok(listener) = listener {
                tokio::select! {
                    () = serve(listener, actor, shared, second) => {}
                    _ = stopping => {}
                }
            }
        });
        // Drops every task and with it every connection.
        drop(runtime);
        let _ = ended.send(());
    })?;
    let addr = listening.await.context("the sandbox's thread ended")?;
    let addr = addr.map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}"))?;
    Ok(Sandbox { addr, target, stop: Some(stop), stopped: Some(stopped) })
}

async fn serve(
    listener: TcpListener,
    actor: Arc<dyn Actor>,
    target: outbox::Target,
    second: Option<Duration>,
) {
    let outbox = Arc::new(outbox::Outbox::new(target, second));
    let faults = Arc::new(Faults::default());
    let pace = Arc::new(pace::Pace::default());
    let counter = pace::Counter { actor: Arc::clone(&actor), pace: Arc::clone(&pace) };
    let api = Arc::clone(&actor)
        .routes()
        .layer(from_fn_with_state(Arc::clone(&faults), faults::play))
        .layer(from_fn_with_state(counter, pace::count));
    let control = control::routes(Arc::clone(&actor), Arc::clone(&outbox), faults, pace);
    let app = api.merge(control).into_make_service_with_connect_info::<line::Line>();
    task(async move {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            outbox.take_due(&actor);
        }
    });
    // It ends with the runtime only.
    let _ = axum::serve(line::Lines(listener), app).await;
}

/// Runs `future` on the sandbox's own runtime, which ends it.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate may not use payfleet-process, and a sandbox's tasks have no span"
)]
pub(crate) fn task(future: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(future));
}

/// What a thread that panicked left behind is still the sandbox's truth.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
