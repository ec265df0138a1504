//! Collects webhooks that are handled at the same time into one transaction. Nothing waits for a batch
//! to fill: what came during one transaction is the next. Each job keeps its own outcome, and a batch
//! that cannot be written is taken apart: its events are handled one by one.
//!
//! There are a few lines of them, so that Postgres has the next batch when it is done with one. Events
//! of one key stand in one line: a second body is seen to be a variant of the first.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use payfleet_core::provider::Provider;
use payfleet_process::spawn;
use payfleet_store::{IncomingWebhook, Store, Taken};
use tokio::sync::{mpsc, oneshot};

/// The most events of one transaction.
const BATCH: usize = 100;
/// Transactions at the same time.
const LINES: u64 = 2;
/// Events that a worker handles at the same time: a batch in each line under way, and one waiting.
pub(crate) const AT_ONCE: usize = 4 * BATCH;

/// Events on their way into a batch, each with its handler.
struct Waiting {
    incoming: IncomingWebhook,
    handler: oneshot::Sender<Taken>,
}

/// Where handlers bring events. Cheap to clone; its tasks end with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    lines: Vec<mpsc::Sender<Waiting>>,
}

impl Collector {
    pub(super) fn start(store: &Store) -> Self {
        let line = |_| {
            let (sender, receiver) = mpsc::channel(AT_ONCE);
            // Nobody waits for it: it ends when the handlers do.
            drop(spawn("webhooks", collect(store.clone(), receiver)));
            sender
        };
        Self { lines: (0..LINES).map(line).collect() }
    }

    /// What became of the event in its batch; [`Taken::Left`] where it must be handled alone.
    pub(super) async fn take(&self, incoming: IncomingWebhook) -> Taken {
        let mut hasher = DefaultHasher::new();
        (incoming.provider, &incoming.event_key).hash(&mut hasher);
        let place = hasher.finish().checked_rem(LINES).and_then(|place| usize::try_from(place).ok());
        let Some(line) = place.and_then(|place| self.lines.get(place)) else { return Taken::Left };
        let (handler, answer) = oneshot::channel();
        if line.send(Waiting { incoming, handler }).await.is_err() {
            return Taken::Left;
        }
        answer.await.unwrap_or(Taken::Left)
    }
}

async fn collect(store: Store, mut receiver: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut waiting, BATCH).await > 0 {
        // One that is there twice is left: its second body may be a variant of the first.
        let mut seen: BTreeSet<(Provider, String)> = BTreeSet::new();
        let (batch, handlers): (Vec<_>, Vec<_>) = waiting
            .drain(..)
            .filter(|one| seen.insert((one.incoming.provider, one.incoming.event_key.clone())))
            .map(|one| (one.incoming, one.handler))
            .unzip();
        match store.take_webhooks(&batch).await {
            Ok(taken) => {
                for (handler, taken) in handlers.into_iter().zip(taken) {
                    // A handler that is gone: its job comes again and finds the event handled.
                    let _ = handler.send(taken);
                }
            }
            // Dropping the handlers' channels leaves each event to be handled alone.
            Err(error) => {
                tracing::warn!(events = batch.len(), "A batch of webhooks is taken apart: {error}");
            }
        }
    }
}
