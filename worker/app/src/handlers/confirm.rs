//! The `confirm` job: one look at the provider or the chain, put into the operation's inbox if it says
//! something new. It owns no state; a look that finds nothing final spends no attempt.

use std::time::Duration;

use payfleet_core::job::Job;
use payfleet_core::kinds::confirm::{Confirm, interval_ms};
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::provider::{Progress, Report, UNAUTHORIZED};
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::ProviderError;
use payfleet_queue::Outcome;
use payfleet_store::{Delivered, OperationView};
use tracing::Instrument;

use super::{HandlerError, Handlers, backoff};
use crate::jobs::{self, Subject};

impl Handlers {
    pub(super) async fn confirm(&self, job: &Job, confirm: Confirm) -> Result<Outcome, HandlerError> {
        let Some(view) = self.store.operation(confirm.operation_id).await? else {
            tracing::warn!("There is no such operation to confirm.");
            return Ok(done());
        };
        // What has settled has no chain of polls: this look was asked for, and news since do not replace it.
        let looks_back = view.request.may_return() || view.request.is_alive();
        let is_afterthought = view.state.is_final() && looks_back;
        if view.version != confirm.version && !is_afterthought {
            tracing::info!(
                "The operation has moved since; if it is to be looked at, that was asked for anew."
            );
            return Ok(done());
        }
        let (State::Accepted { provider_ref, tx_hash, .. } | State::Settled { provider_ref, tx_hash, .. }) =
            &view.state
        else {
            tracing::info!(operation.state = view.state.name(), "Nothing is left to confirm.");
            return Ok(done());
        };
        let provider = view.request.provider();
        let Some(client) = self.clients.of(provider) else {
            return Ok(Outcome::Defer {
                delay: Duration::from_secs(10),
                reason: format!("{provider} is not configured on this worker"),
            });
        };
        let every = confirm.every_ms.unwrap_or_else(|| interval_ms(view.request.network()));
        let every = Duration::from_millis(every);
        let span = tracing::info_span!("provider.call", provider.name = %provider, provider.purpose = "poll");
        let report =
            match client.poll(&view.effect(), provider_ref, tx_hash.as_deref()).instrument(span).await {
                Ok(report) => report,
                // What refuses our credentials says nothing about the operation, and refuses them to all.
                Err(error) if error.class() != OutcomeClass::Terminal || error.code() == UNAUTHORIZED => {
                    return Ok(later(job, every, &error));
                }
                // This look was asked for once: a person must hear that it came to nothing.
                Err(error) if view.state.is_final() => return Err(error.into()),
                // It was there, and is not to be had: a word that a person must see, and no proof.
                Err(error) => {
                    tracing::warn!(error.code = error.code(), "The provider refuses to tell of it: {error}");
                    Report::of(provider_ref, Progress::Unknown, format!("refused: {}", error.code()))
                }
            };
        if view.state.is_final() {
            // What was learned meanwhile may be newer than this look.
            let now = self.store.operation(view.id).await?.map(|now| now.version);
            if now != Some(view.version) {
                let reason = "it has moved during the look".to_owned();
                return Ok(Outcome::Defer { delay: Duration::ZERO, reason });
            }
            return self.hand_over_afterthought(&view, report).await;
        }
        self.hand_over_report(&view, report, tx_hash.as_deref(), every).await
    }

    /// What has settled is looked at again where the provider hinted at news: it was taken back, or it is
    /// something that goes on changing.
    async fn hand_over_afterthought(
        &self,
        view: &OperationView,
        report: Report,
    ) -> Result<Outcome, HandlerError> {
        let is_taken_back = matches!(report.progress, Progress::Failed { .. });
        if !is_taken_back && !view.request.is_alive() {
            return Ok(done());
        }
        // One look a version: the same word can be news again.
        let key = format!("polled:{}:{}", view.version, report.raw_status);
        let subject = Subject { id: view.id, kind: view.kind, tenant: view.tenant.clone() };
        self.store.deliver(view.id, &key, &Event::Polled { report }).await?;
        Ok(Outcome::Done { then: vec![jobs::inbox(&subject, &key)?] })
    }

    async fn hand_over_report(
        &self,
        view: &OperationView,
        report: Report,
        known_tx: Option<&str>,
        every: Duration,
    ) -> Result<Outcome, HandlerError> {
        let again = Outcome::Defer { delay: every, reason: format!("not final: {}", report.raw_status) };
        let is_pending = matches!(report.progress, Progress::Pending);
        let is_known = |(name, value)| view.state.facts().and_then(|facts| facts.get(name)) == Some(value);
        let has_moved = is_pending && !report.facts.iter().all(is_known);
        let news =
            !is_pending || has_moved || (report.tx_hash.is_some() && report.tx_hash.as_deref() != known_tx);
        if !news && view.request.difference(&report).is_none() {
            return Ok(again);
        }
        let is_final = matches!(report.progress, Progress::Succeeded | Progress::Failed { .. });
        let key = if has_moved {
            // It may move back, and forth again.
            format!("polled:{}:{}", view.version, report.raw_status)
        } else {
            format!("polled:{}:{}", report.raw_status, report.tx_hash.as_deref().unwrap_or("-"))
        };
        let woken = match self.store.deliver(view.id, &key, &Event::Polled { report }).await? {
            Delivered::New(woken) | Delivered::DuringCall(woken) => woken,
            Delivered::Repeated(woken) if is_final => woken,
            Delivered::Repeated(_) | Delivered::Unknown => return Ok(again),
        };
        let subject = Subject { id: view.id, kind: woken.kind, tenant: woken.tenant };
        // The operation, once it has applied this, asks for more polls if it needs them.
        Ok(Outcome::Done { then: vec![jobs::inbox(&subject, &key)?] })
    }
}

/// A read that failed has no effect and spends no attempt: the poll goes on, more slowly.
fn later(job: &Job, every: Duration, error: &ProviderError) -> Outcome {
    let asked = match error.class() {
        OutcomeClass::RateLimited { retry_after_ms: Some(ms) } => Duration::from_millis(ms),
        _ => Duration::ZERO,
    };
    Outcome::Defer { delay: asked.max(every) + backoff(job), reason: error.to_string() }
}

fn done() -> Outcome {
    Outcome::Done { then: Vec::new() }
}
