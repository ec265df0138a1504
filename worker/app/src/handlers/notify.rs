//! The `notify` job: sends one transition to one receiver, once, and writes what came of it. The next
//! one of the same operation is sent when this one was taken, so their order is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::OutcomeClass;
use payfleet_core::ids::ReceiverName;
use payfleet_core::job::{Failure, Job, Origin};
use payfleet_core::kinds::notify::Notify;
use payfleet_process::current_trace;
use payfleet_providers::ConfigError;
use payfleet_providers::callback::{Answered, Client, Message};
use payfleet_queue::Outcome;
use payfleet_store::{ClaimedNotification, NotificationClaim, NotificationEnd};
use tracing::Instrument;

use super::{HandlerError, Handlers, not_ours};
use crate::jobs;
use crate::receivers::{RECEIVERS, Receivers};

/// The longest pause a receiver can ask of us.
const LONGEST_PAUSE_MS: u64 = 86_400_000;

/// A client for each receiver, and how patient we are with them.
#[derive(Debug)]
pub(crate) struct Callbacks {
    clients: BTreeMap<ReceiverName, Client>,
    retry_after: Arc<[Duration]>,
}

impl Callbacks {
    /// Builds the clients.
    ///
    /// # Errors
    /// [`ConfigError`], which says what is wrong with a URL.
    pub(crate) fn new(receivers: &Receivers) -> Result<Self, ConfigError> {
        let clients = receivers
            .all
            .iter()
            .map(|receiver| Ok((receiver.name.clone(), Client::new(RECEIVERS, receiver.callback.clone())?)));
        Ok(Self { clients: clients.collect::<Result<_, _>>()?, retry_after: receivers.retry_after.clone() })
    }
}

impl Handlers {
    pub(super) async fn notify(&self, job: &Job, notify: Notify) -> Result<Outcome, HandlerError> {
        let Some(client) = self.callbacks.clients.get(&notify.receiver) else {
            return Ok(not_ours(format!(
                "this worker's settings do not name the receiver {}",
                notify.receiver
            )));
        };
        let redrive = job.envelope.origin == Origin::Redrive;
        let claimed = match self.store.claim_notification(&notify, redrive).await? {
            NotificationClaim::Claimed(claimed) => claimed,
            NotificationClaim::Passed => {
                tracing::info!(receiver.name = %notify.receiver, "Another job tells the receiver, or has told it.");
                return Ok(Outcome::done());
            }
            NotificationClaim::Parked { reason } => {
                return Ok(given_up(&format!("the receiver has not taken the event; last: {reason}")));
            }
            NotificationClaim::Disabled => {
                tracing::info!(receiver.name = %notify.receiver, "The receiver is disabled; its notification waits.");
                return Ok(Outcome::done());
            }
        };
        let id = claimed.transition.id();
        let body = serde_json::to_vec(&claimed.transition).map_err(jobs::JobError::from)?;
        let span = tracing::info_span!("callback", receiver.name = %notify.receiver, event.id = id);
        let answered = async {
            let trace = current_trace();
            let message = Message { id: &id, body: &body, now: self.clock.now(), trace: &trace };
            client.send(&message).await
        };
        let answered = answered.instrument(span).await;
        self.told(job, &claimed, answered).await
    }

    /// Writes what came of it and hands over to the job that sends next.
    async fn told(
        &self,
        job: &Job,
        claimed: &ClaimedNotification,
        answered: Answered,
    ) -> Result<Outcome, HandlerError> {
        let attempt = claimed.failed.saturating_add(1);
        let (end, answer) = match answered {
            Answered::Taken { status } => (NotificationEnd::Taken, format!("HTTP {status}")),
            Answered::Gone => (NotificationEnd::Gone, "HTTP 410: the receiver is gone".to_owned()),
            Answered::Refused { why, retry_after_ms } => (self.after_refusal(attempt, retry_after_ms), why),
        };
        let next = self.store.end_notification(claimed, &end, &answer).await?;
        log(claimed, &end, attempt, &answer);
        if end == NotificationEnd::GivenUp {
            let message =
                format!("the receiver has not taken the event in {attempt} attempts; last: {answer}");
            return Ok(given_up(&message));
        }
        let Some((next, ms)) = next else { return Ok(Outcome::done()) };
        let delay = Duration::from_millis(ms);
        let tenant = &job.envelope.tenant;
        Ok(Outcome::Done {
            then: vec![jobs::notify(&next, tenant, &current_trace(), delay, Origin::FollowUp)?],
        })
    }

    /// The schedule, with up to a fifth more so that what failed together does not come back together,
    /// or what the receiver asked for where that is longer.
    fn after_refusal(&self, attempt: i32, retry_after_ms: Option<u64>) -> NotificationEnd {
        let failed = usize::try_from(attempt).unwrap_or(1).saturating_sub(1);
        let Some(delay) = self.callbacks.retry_after.get(failed) else { return NotificationEnd::GivenUp };
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        #[expect(clippy::disallowed_methods, reason = "jitter decides nothing but when")]
        let jitter = fastrand::u64(0..=ms / 5);
        let asked = retry_after_ms.unwrap_or(0).min(LONGEST_PAUSE_MS);
        NotificationEnd::Again { ms: ms.saturating_add(jitter).max(asked) }
    }
}

/// A person is told by the job's death.
fn given_up(message: &str) -> Outcome {
    let failure = Failure {
        class: OutcomeClass::Retryable.as_str().to_owned(),
        code: "not_delivered".to_owned(),
        message: message.to_owned(),
    };
    Outcome::Dead { failure }
}

/// One line per attempt.
fn log(claimed: &ClaimedNotification, end: &NotificationEnd, attempt: i32, answer: &str) {
    let (receiver, id) = (&claimed.notify.receiver, claimed.transition.id());
    match end {
        NotificationEnd::Taken => {
            tracing::info!(receiver.name = %receiver, event.id = id, "The receiver has taken the event.");
        }
        NotificationEnd::Again { ms } => tracing::warn!(
            receiver.name = %receiver, event.id = id, attempt.number = attempt, delay_ms = ms,
            "The receiver has not taken the event, which is sent again: {answer}"
        ),
        NotificationEnd::GivenUp => tracing::error!(
            receiver.name = %receiver, event.id = id, attempt.number = attempt,
            "The receiver has not taken the event, and is not asked again: {answer}"
        ),
        NotificationEnd::Gone => tracing::error!(
            receiver.name = %receiver, event.id = id,
            "The receiver answered 410 and is disabled; its events wait. `payfleet receivers enable {receiver}` goes on."
        ),
    }
}
