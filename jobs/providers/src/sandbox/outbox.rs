//! A sandbox's webhooks on their way: signed, sent, and sent again until they are answered with 2xx.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Actor, locked, task};

/// How many are in the air at once.
const AT_ONCE: usize = 32;
/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where webhooks go, if it is known.
pub(super) type Target = Arc<Mutex<Option<String>>>;

/// Something that must be told.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// What the actor knows it by.
    pub(crate) id: String,
    /// Where the caller asked to have it sent, where the provider lets it.
    pub(crate) url: Option<String>,
    /// The JSON to be signed.
    pub(crate) payload: String,
}

/// A webhook as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) header: Option<(&'static str, String)>,
    pub(crate) body: String,
}

/// How webhooks are sent, as a test has it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Manner {
    /// Each so many times.
    #[serde(default = "once")]
    copies: u32,
    /// Not now.
    #[serde(default)]
    hold: bool,
    /// Those that were held: the last first.
    #[serde(default)]
    reversed: bool,
}

fn once() -> u32 {
    1
}

/// What an attempt to send came to.
enum Attempt {
    /// Nobody has said where to.
    Nowhere,
    /// There was no answer.
    Lost,
    /// It was answered with this status.
    Answered(u16),
}

/// What is to be done after an attempt.
enum Next {
    Again(Duration),
    Over,
}

/// The webhooks under way.
#[derive(Debug)]
pub(crate) struct Outbox {
    client: Option<reqwest::Client>,
    target: Target,
    /// How long a second of the provider's schedule takes; without one it is not followed.
    second: Option<Duration>,
    slots: Arc<Semaphore>,
    manner: Mutex<Manner>,
    held: Mutex<Vec<Notice>>,
    pending: AtomicU64,
    delivered: AtomicU64,
    given_up: AtomicU64,
}

impl Outbox {
    pub(super) fn new(target: Target, second: Option<Duration>) -> Self {
        Self {
            client: crate::http::plain_client(),
            target,
            second,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            manner: Mutex::new(Manner { copies: 1, hold: false, reversed: false }),
            held: Mutex::new(Vec::new()),
            pending: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
        }
    }

    /// How many wait to be delivered, have been, and have been given up.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        (count(&self.pending), count(&self.delivered), count(&self.given_up))
    }

    /// Takes what has become due.
    pub(super) fn take_due(self: &Arc<Self>, actor: &Arc<dyn Actor>) {
        for notice in actor.due() {
            self.take(actor, &notice);
        }
    }

    /// Sends `notice` in the background until it is answered with 2xx or given up. Without anywhere to
    /// send it, it waits until there is.
    pub(super) fn take(self: &Arc<Self>, actor: &Arc<dyn Actor>, notice: &Notice) {
        let Manner { copies, hold, .. } = *locked(&self.manner);
        self.pending.fetch_add(u64::from(copies), Ordering::SeqCst);
        let notices = (0..copies).map(|_| notice.clone());
        if hold {
            locked(&self.held).extend(notices);
            return;
        }
        for notice in notices {
            task(Arc::clone(self).deliver(Arc::clone(actor), notice, Next::Again(Duration::ZERO), 0));
        }
    }

    /// Sends webhooks so from now on. What was held goes, one after the other in the order asked for,
    /// unless it is to be held further.
    pub(super) fn deliver_so(self: &Arc<Self>, actor: &Arc<dyn Actor>, manner: Manner) {
        *locked(&self.manner) = manner;
        if manner.hold {
            return;
        }
        let mut held = std::mem::take(&mut *locked(&self.held));
        if manner.reversed {
            held.reverse();
        }
        let (outbox, actor) = (Arc::clone(self), Arc::clone(actor));
        task(async move {
            for notice in held {
                let attempt = outbox.attempt(&actor, &notice).await;
                let mut failures = 0;
                let next = outbox.after(&actor, &notice, &attempt, &mut failures);
                // Whatever failed must not hold up the others.
                task(Arc::clone(&outbox).deliver(Arc::clone(&actor), notice, next, failures));
            }
        });
    }

    async fn deliver(self: Arc<Self>, actor: Arc<dyn Actor>, notice: Notice, first: Next, failures: u32) {
        let (mut next, mut failures) = (first, failures);
        while let Next::Again(pause) = next {
            tokio::time::sleep(pause).await;
            let attempt = self.attempt(&actor, &notice).await;
            next = self.after(&actor, &notice, &attempt, &mut failures);
        }
        self.pending.fetch_sub(1, Ordering::SeqCst);
    }

    fn after(&self, actor: &Arc<dyn Actor>, notice: &Notice, attempt: &Attempt, failures: &mut u32) -> Next {
        let status = match attempt {
            Attempt::Nowhere => return Next::Again(FIRST_PAUSE),
            Attempt::Lost => None,
            Attempt::Answered(status) => Some(*status),
        };
        if status.is_some_and(|status| (200..300).contains(&status)) {
            actor.attempted(&notice.id, status, None);
            actor.delivered(&notice.id);
            self.delivered.fetch_add(1, Ordering::SeqCst);
            return Next::Over;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (*failures).min(16)).min(LONGEST_PAUSE);
        *failures = failures.saturating_add(1);
        let (planned, pause) = match self.second {
            None => (None, Some(doubled)),
            Some(second) => {
                let planned = actor.retry_after(*failures);
                let seconds = planned.map(|pause| u32::try_from(pause.as_secs()).unwrap_or(u32::MAX));
                (planned, seconds.map(|seconds| second.saturating_mul(seconds)))
            }
        };
        actor.attempted(&notice.id, status, planned.or(pause));
        if let Some(pause) = pause {
            return Next::Again(pause);
        }
        self.given_up.fetch_add(1, Ordering::SeqCst);
        Next::Over
    }

    /// Each attempt is signed anew: Stripe's signature has a time.
    async fn attempt(&self, actor: &Arc<dyn Actor>, notice: &Notice) -> Attempt {
        let target = locked(&self.target).clone().or_else(|| notice.url.clone());
        let Some(url) = target else { return Attempt::Nowhere };
        let (Some(client), Ok(_slot)) = (&self.client, self.slots.acquire().await) else {
            return Attempt::Lost;
        };
        let Signed { header, body } = actor.sign_notice(notice);
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some((name, value)) = header
            && let Ok(value) = HeaderValue::try_from(value)
        {
            headers.insert(HeaderName::from_static(name), value);
        }
        match client.post(url).headers(headers).body(body).send().await {
            Ok(answer) => Attempt::Answered(answer.status().as_u16()),
            Err(_) => Attempt::Lost,
        }
    }
}
