//! Is this Redis fit to hold accepted work? Asked at the start, if Redis answers by then, and by every
//! readiness probe: a 2xx promises that the job is kept, and a Redis that evicts would break it.

use payfleet_queue::admin::{Severity, check_server};
use payfleet_queue::{Error, Queue};

/// What a Redis is that must not be given work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFit {
    /// It does not answer.
    #[error("{0}")]
    Away(#[from] Error),
    /// Its settings would lose jobs.
    #[error("{0}")]
    Unsafe(String),
}

/// Checks it; what is merely risky is handed back to be told.
pub(crate) async fn check(queue: &Queue) -> Result<Vec<String>, NotFit> {
    let findings = check_server(queue).await?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    let messages = |found: Vec<payfleet_queue::admin::Finding>| found.into_iter().map(|found| found.message);
    if errors.is_empty() {
        Ok(messages(warnings).collect())
    } else {
        Err(NotFit::Unsafe(messages(errors).collect::<Vec<_>>().join("; ")))
    }
}
