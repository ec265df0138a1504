//! A sandbox's webhooks on their way: signed, sent, and sent again until they are answered with 2xx.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
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

/// The webhooks under way.
#[derive(Debug)]
pub(crate) struct Outbox {
    client: Option<reqwest::Client>,
    target: Target,
    slots: Arc<Semaphore>,
    pending: AtomicU64,
    delivered: AtomicU64,
}

impl Outbox {
    pub(super) fn new(target: Target) -> Self {
        Self {
            client: crate::http::plain_client(),
            target,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            pending: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
        }
    }

    /// How many wait to be delivered, and how many have been.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.pending.load(Ordering::SeqCst), self.delivered.load(Ordering::SeqCst))
    }

    /// Sends `notice` in the background until it is answered with 2xx. Without anywhere to send it,
    /// it waits until there is.
    pub(super) fn send(self: &Arc<Self>, actor: &Arc<dyn Actor>, notice: Notice) {
        let (outbox, actor) = (Arc::clone(self), Arc::clone(actor));
        self.pending.fetch_add(1, Ordering::SeqCst);
        task(async move {
            let mut pause = FIRST_PAUSE;
            while !outbox.attempt(&actor, &notice).await {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
            actor.delivered(&notice.id);
            outbox.delivered.fetch_add(1, Ordering::SeqCst);
            outbox.pending.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Each attempt is signed anew: Stripe's signature has a time.
    async fn attempt(&self, actor: &Arc<dyn Actor>, notice: &Notice) -> bool {
        let Some(url) = locked(&self.target).clone().or_else(|| notice.url.clone()) else { return false };
        let (Some(client), Ok(_slot)) = (&self.client, self.slots.acquire().await) else { return false };
        let Signed { header, body } = actor.sign_notice(notice);
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some((name, value)) = header
            && let Ok(value) = HeaderValue::try_from(value)
        {
            headers.insert(HeaderName::from_static(name), value);
        }
        let sent = client.post(url).headers(headers).body(body).send().await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }
}
