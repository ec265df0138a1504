//! The release of one dead letter.

use payfleet_core::job::{DeadJob, NewJob, Origin};
use payfleet_core::{JobId, Timestamp};
use payfleet_queue::{Enqueued, JobView, Place, Queue};
use serde_json::Value;

/// How often a job is released that dies again at once.
const RELEASES: u32 = 3;
/// The kind of a record that could not be read.
const UNDECODABLE: &str = "undecodable";

/// A dead letter cannot be released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Redis.
    #[error(transparent)]
    Queue(#[from] payfleet_queue::Error),
    /// It was not a job any more when it died.
    #[error("its record cannot be read, so it cannot be tried again: {0}")]
    Unreadable(String),
    /// A later death of it is on its way to Postgres.
    #[error("job {0} has died again: release its last death, which is being archived")]
    DiedAgain(JobId),
    /// It dies between two looks.
    #[error("job {0} is dying as fast as it is released: look at its last death first")]
    DiesAtOnce(JobId),
}

/// The job as it was enqueued, but due now, asked for by an operator, and with all its attempts.
///
/// # Errors
/// [`ReleaseError::Unreadable`].
pub fn revived(kind: &str, record: &Value) -> Result<NewJob, ReleaseError> {
    if kind == UNDECODABLE {
        let why = "it was unreadable in Redis; what is left of it is in its payload";
        return Err(ReleaseError::Unreadable(why.to_owned()));
    }
    let dead: DeadJob = serde_json::from_value(record.clone())
        .map_err(|error| ReleaseError::Unreadable(error.to_string()))?;
    Ok(NewJob { origin: Origin::Redrive, delay_ms: 0, dedupe: None, ..dead.job.envelope })
}

/// Enqueues it. Its archived death may still be in Redis, where it would be taken for the job itself:
/// that one is removed first, and no other. Tells whether it was not with the workers already.
///
/// # Errors
/// [`ReleaseError`]; releasing it again is always right.
pub async fn release(queue: &Queue, job: NewJob, archived: Timestamp) -> Result<bool, ReleaseError> {
    let (name, id) = (job.queue.clone(), job.id);
    for _ in 0..RELEASES {
        if let [Enqueued::Created(_)] = queue.enqueue(std::slice::from_ref(&job)).await?.as_slice() {
            return Ok(true);
        }
        match queue.find(&name, id).await? {
            Some(JobView { place: Place::Dead { died_at, .. }, .. }) if died_at == archived => {
                queue.remove_dead(&name, &[(id, archived)]).await?;
            }
            Some(JobView { place: Place::Dead { .. }, .. }) => return Err(ReleaseError::DiedAgain(id)),
            Some(_) => return Ok(false),
            None => {}
        }
    }
    Err(ReleaseError::DiesAtOnce(id))
}
