//! The `control` job: what an operator asked of the fleet.

use std::time::Instant;

use payfleet_core::job::Job;
use payfleet_core::kinds::control::Control;
use payfleet_core::provider::Provider;
use payfleet_queue::Outcome;
use payfleet_store::TestResult;

use super::{HandlerError, Handlers};

impl Handlers {
    pub(super) async fn control(&self, job: &Job, control: Control) -> Result<Outcome, HandlerError> {
        match control {
            Control::TestConnection { provider } => self.test_connection(job, provider).await,
        }
    }

    /// One call, let out by the gate like any other. However it ends is the answer: a worker that has
    /// no settings for the provider says so, because that is what would keep operations waiting here.
    async fn test_connection(&self, job: &Job, provider: Provider) -> Result<Outcome, HandlerError> {
        let started = Instant::now();
        let (http_status, failure) = match self.clients.of(provider) {
            None => {
                let words = format!("{provider} is not configured on this worker");
                (None, Some(("not_configured".to_owned(), words)))
            }
            Some(client) => match client.test().await {
                Ok(status) => (Some(status), None),
                Err(error) => (error.http_status(), Some((error.code().to_owned(), error.to_string()))),
            },
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let result = TestResult { failure, http_status, duration_ms };
        self.store.keep_connection_test(job.envelope.id, provider, self.executor.worker(), &result).await?;
        let code = result.failure.as_ref().map(|(code, _)| code.as_str());
        tracing::info!(
            provider.name = %provider, http.status = http_status, error.code = code, duration_ms,
            "The connection was tested."
        );
        Ok(Outcome::Done { then: Vec::new() })
    }
}
