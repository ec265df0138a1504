//! The `reconcile` job: a provider's record of a window against ours, a page at a time. What a page came
//! to is written with where the next one begins, so a run whose worker died goes on where it was.
//!
//! ```text
//! theirs (-> accounts) -> ours -> stuck
//! ```
//!
//! Their record first: whatever of ours it has shown by then need not be asked for one by one.

mod deposits;
mod ours;
mod patience;
mod remedy;
mod theirs;

use std::time::Duration;

use payfleet_core::job::Job;
use payfleet_core::kinds::reconcile::{Reconcile, Remedy};
use payfleet_core::provider::Provider;
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::Client;
use payfleet_queue::Outcome;
use payfleet_store::{ComparedPage, OpenRun, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{HandlerError, Handlers};

/// When to look again at a run that another worker is carrying on with.
const TAKEN: Duration = Duration::from_secs(5);

/// Why a run stops before its end.
enum Stop {
    /// Another worker has gone on with it.
    Taken,
    /// It cannot be carried out, now or ever.
    Impossible(String),
    /// It can be taken up again.
    Error(HandlerError),
}

impl<E: Into<HandlerError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Where a run goes on.
type Place = (Step, Option<Value>);

impl Handlers {
    pub(super) async fn reconcile(&self, job: &Job, reconcile: Reconcile) -> Result<Outcome, HandlerError> {
        let provider = reconcile.provider;
        let Some(client) = self.clients.of(provider) else {
            return Ok(Outcome::Defer {
                delay: Duration::from_secs(10),
                reason: format!("{provider} is not configured on this worker"),
            });
        };
        let mut run = self.store.open_run(job.envelope.id, &reconcile).await?;
        let done = Outcome::Done { then: Vec::new() };
        match self.carry_on(client, &mut run).await {
            Ok(()) => {
                tracing::info!(provider.name = %provider, run.id = run.id, "Reconciled.");
                Ok(done)
            }
            Err(Stop::Taken) => {
                let reason = "another worker is carrying on with the run".to_owned();
                Ok(Outcome::Defer { delay: TAKEN, reason })
            }
            Err(Stop::Impossible(why)) => {
                tracing::warn!(provider.name = %provider, run.id = run.id, "The run has failed: {why}");
                self.store.fail_run(&run, &why, true).await?;
                Ok(done)
            }
            Err(Stop::Error(error)) => {
                if let HandlerError::Provider(error) = &error
                    && !matches!(error.class(), OutcomeClass::RateLimited { .. })
                {
                    self.store.fail_run(&run, &error.to_string(), false).await?;
                }
                Err(error)
            }
        }
    }

    async fn carry_on(&self, client: &Client, run: &mut OpenRun) -> Result<(), Stop> {
        let tells_of_deposits = run.reconcile.provider == Provider::Tatum;
        while !run.is_over {
            match run.step {
                Step::Theirs if tells_of_deposits => self.their_webhooks(run).await?,
                Step::Theirs => self.theirs(client, run).await?,
                Step::Accounts => self.accounts(client, run).await?,
                Step::Ours if tells_of_deposits => self.our_deposits(run).await?,
                Step::Ours => self.ours(client, run).await?,
                Step::Stuck if tells_of_deposits => self.unmoved_deposits(run).await?,
                Step::Stuck => self.unmoved(run).await?,
            }
        }
        Ok(())
    }

    /// Writes a page down, and where the run goes on; it ends where that is nowhere.
    async fn save(&self, run: &mut OpenRun, page: &ComparedPage, next: Option<Place>) -> Result<(), Stop> {
        for found in &page.found {
            tracing::info!(
                run.id = run.id,
                operation.id = found.operation.map(tracing::field::display),
                difference = found.difference.as_str(),
                remedy = found.remedy.map(Remedy::as_str),
                "The records differ."
            );
        }
        if self.store.save_page(run, page, next).await? { Ok(()) } else { Err(Stop::Taken) }
    }
}

/// Where in its record a run was; the beginning where that is not said, or not in a way we know.
fn place<T: DeserializeOwned>(run: &OpenRun) -> Option<T> {
    serde_json::from_value(run.cursor.clone()?).ok()
}

/// The same, to be written down.
fn at<T: Serialize>(step: Step, place: &T) -> Place {
    // Serialising a place cannot fail: no maps with other keys than text, no floats.
    (step, serde_json::to_value(place).ok())
}

const fn beginning(step: Step) -> Place {
    (step, None)
}
