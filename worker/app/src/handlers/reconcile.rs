//! The `reconcile` job: a provider's record of a window against ours. Resumable by being repeatable:
//! a run that died is run again whole, under the same number.

use payfleet_core::job::Job;
use payfleet_core::kinds::reconcile::{
    Comparison, Difference, Found, Listed, Reconcile, compare, missing_here,
};
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::Client;
use payfleet_queue::Outcome;
use payfleet_store::Compared;

use super::{HandlerError, Handlers};

/// How far beyond the window the provider is asked, on both sides, in milliseconds: an entry made
/// here just before the edge may have been made there just after it.
const MARGIN_MS: i64 = 600_000;

impl Handlers {
    pub(super) async fn reconcile(&self, job: &Job, reconcile: Reconcile) -> Result<Outcome, HandlerError> {
        let provider = reconcile.provider;
        let Some(client) = self.clients.of(provider) else {
            return Ok(Outcome::Defer {
                delay: std::time::Duration::from_secs(10),
                reason: format!("{provider} is not configured on this worker"),
            });
        };
        let run = self.store.start_run(job.envelope.id, &reconcile).await?;
        let (from, to) = (reconcile.from.plus_ms(-MARGIN_MS), reconcile.to.plus_ms(MARGIN_MS));
        // Ours first: what is accepted before their list is made must be in it.
        let held = self.store.held(&reconcile).await?;
        let listed = client.list(from, to).await?;
        let Comparison { found, strangers } = compare(&listed, &held);
        let found = self.still_missing(client, found).await?;
        let differences = self.with_strangers(&reconcile, found, &strangers).await?;
        let compared = Compared { listed: listed.len(), held: held.len(), differences };
        self.store.finish_run(run, &reconcile, &compared).await?;
        tracing::info!(
            provider.name = %provider, listed = compared.listed, held = compared.held,
            differences = compared.differences.len(), "Reconciled."
        );
        Ok(Outcome::Done { then: Vec::new() })
    }

    /// What the list does not show may be dated outside of it, where the provider took it late: it is
    /// asked for by its id before it is called missing.
    async fn still_missing(&self, client: &Client, found: Vec<Found>) -> Result<Vec<Found>, HandlerError> {
        let mut missing = Vec::with_capacity(found.len());
        for difference in found {
            let there = match (&difference.difference, &difference.provider_ref, difference.operation) {
                (Difference::MissingThere, Some(id), Some(operation)) => {
                    match self.store.operation(operation).await? {
                        Some(view) => match client.poll(&view.effect(), id, None).await {
                            Ok(_) => true,
                            // Not asked is not missing.
                            Err(error) if matches!(error.class(), OutcomeClass::RateLimited { .. }) => {
                                return Err(error.into());
                            }
                            Err(_) => false,
                        },
                        None => false,
                    }
                }
                _ => false,
            };
            if !there {
                missing.push(difference);
            }
        }
        Ok(missing)
    }

    /// Entries that match nothing of the window may match something outside of it.
    async fn with_strangers(
        &self,
        reconcile: &Reconcile,
        mut found: Vec<Found>,
        strangers: &[Listed],
    ) -> Result<Vec<Found>, HandlerError> {
        for stranger in strangers {
            let known = self
                .store
                .find_by_reference(
                    reconcile.provider,
                    &reconcile.account,
                    stranger.our_reference.as_deref(),
                    Some(&stranger.report.provider_ref),
                )
                .await?;
            if known.is_empty() {
                found.push(missing_here(stranger));
            }
        }
        Ok(found)
    }
}
