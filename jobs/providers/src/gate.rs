//! The gate: whether a request may leave now. [`crate::http`] asks it before every request of every
//! client, each page of a list included, so that no call can pass it by, and says afterwards how the
//! request ended.
//!
//! What the answer goes by (limits that a fleet shares, circuit breakers) is the business of whoever
//! runs the clients and implements [`Gate`]; what a provider limits is in [`crate::published`].

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use payfleet_core::OutcomeClass;
use tokio::time::Instant;

pub use crate::failure::Call;
use crate::failure::ProviderError;
use crate::published::{Rate, Service};

/// The code of a [`ProviderError`] whose request the gate did not let out: nothing was sent.
pub const NOT_NOW: &str = "not_now";

/// A future that can be held as a trait object.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What one request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Who is called.
    pub service: Service,
    /// The class that is limited beside all calls to the service, if it is in one.
    pub class: Option<&'static str>,
    /// Whether it may change anything there.
    pub call: Call,
}

/// Not now, and nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNow {
    /// When to ask again.
    pub wait: Duration,
    /// Why, for people.
    pub reason: String,
}

/// How a request ended, as far as that says something about the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was answered: the other side works, whatever it says.
    Answered,
    /// "Not executed, slow down."
    SlowDown {
        /// For how long, if it said.
        pause: Option<Duration>,
        /// Only the door's class, not all calls.
        only_class: bool,
    },
    /// There was no answer, or one by which the other side does not work.
    Broken {
        /// `timeout`, `http_503`.
        code: String,
        /// For how long not to come back, if it said.
        pause: Option<Duration>,
    },
}

/// Decides which requests may leave.
pub trait Gate: Debug + Send + Sync {
    /// Leave for one request, which is to be sent at once.
    fn enter(&self, door: Door) -> Waiting<'_, Result<Box<dyn Pass>, NotNow>>;

    /// The rate to which calls to `service` are smoothed in this process.
    fn rate(&self, service: Service) -> Rate;
}

/// The leave to send one request. Dropped before [`Pass::depart`] it goes back, as if it had never
/// been taken.
pub trait Pass: Debug + Send {
    /// What it is for.
    fn door(&self) -> Door;

    /// Whether a request may still leave with it: a limit is kept only by those who leave soon.
    fn is_fresh(&self) -> bool;

    /// A fresh one in its place, which may take a while.
    fn renewed(self: Box<Self>) -> Waiting<'static, Result<Box<dyn Pass>, NotNow>>;

    /// The request is being sent: from here on it counts.
    fn depart(&mut self);

    /// The request has ended.
    fn report(self: Box<Self>, ended: Ended) -> Waiting<'static, ()>;
}

/// What a call was begun with, and what became of that.
#[derive(Debug, Default)]
struct Passage {
    held: Option<Box<dyn Pass>>,
    refused: Option<NotNow>,
    /// A request of it has left.
    begun: bool,
}

/// How long a later request of a call waits for its leave. To give the call up instead would send its
/// first request again and again, and never come to the second.
const PATIENCE: Duration = Duration::from_secs(20);

tokio::task_local! {
    static PASSAGE: Mutex<Passage>;
}

/// Makes `call`, whose first request leaves with `pass` if there is one: for calls that must not be
/// begun, such as those with an intent to save, unless they may leave. Beside the call's own end it
/// says whether the gate has kept back a request of it.
pub async fn through<T>(pass: Option<Box<dyn Pass>>, call: impl Future<Output = T>) -> (T, Option<NotNow>) {
    let passage = Mutex::new(Passage { held: pass, refused: None, begun: false });
    let call = async {
        let ended = call.await;
        (ended, PASSAGE.with(|passage| locked(passage).refused.take()))
    };
    PASSAGE.scope(passage, call).await
}

/// A pass for `door` that is good now: the one that is held, or one from `gate`.
pub(crate) async fn pass(gate: &dyn Gate, door: Door) -> Result<Box<dyn Pass>, ProviderError> {
    let not_now = match fresh(gate, door).await {
        Ok(pass) => return Ok(pass),
        Err(not_now) => not_now,
    };
    let wait_ms = u64::try_from(not_now.wait.as_millis()).unwrap_or(u64::MAX);
    let class = OutcomeClass::RateLimited { retry_after_ms: Some(wait_ms) };
    let error = ProviderError::new(class, NOT_NOW, not_now.reason.clone());
    // Outside of a passage nobody wants to know.
    let _ = PASSAGE.try_with(|passage| locked(passage).refused = Some(not_now));
    Err(error)
}

async fn fresh(gate: &dyn Gate, door: Door) -> Result<Box<dyn Pass>, NotNow> {
    let held = PASSAGE.try_with(|passage| locked(passage).held.take()).ok().flatten();
    let pass = match held.filter(|pass| pass.door() == door) {
        Some(pass) => pass,
        None => enter(gate, door).await?,
    };
    let _ = PASSAGE.try_with(|passage| locked(passage).begun = true);
    // Once: where even that takes long, the way to the limits is as slow as it is.
    if pass.is_fresh() { Ok(pass) } else { pass.renewed().await }
}

async fn enter(gate: &dyn Gate, door: Door) -> Result<Box<dyn Pass>, NotNow> {
    let begun = PASSAGE.try_with(|passage| locked(passage).begun).unwrap_or(false);
    let until = Instant::now() + PATIENCE;
    loop {
        match gate.enter(door).await {
            Err(not_now) if begun && Instant::now() + not_now.wait <= until => {
                tokio::time::sleep(not_now.wait).await;
            }
            entered => return entered,
        }
    }
}

fn locked(passage: &Mutex<Passage>) -> MutexGuard<'_, Passage> {
    passage.lock().unwrap_or_else(PoisonError::into_inner)
}
