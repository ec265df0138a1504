//! Waiting for a limit within a run. A long record is many calls, and to put the whole job off for each
//! that must wait a moment would make it last for days.

use std::time::Duration;

use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::ProviderError;

/// What is waited for in place; longer than this, and the job is put off.
const LONGEST: Duration = Duration::from_secs(5);
/// Where nobody says how long.
const A_MOMENT: Duration = Duration::from_secs(1);
/// How often in a row.
const TRIES: u32 = 60;

/// How often calls of one kind had to wait, in a row.
#[derive(Debug, Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// Waits until a call that only reads and ended with `error` can be made again.
    ///
    /// # Errors
    /// `error`, where waiting is not what it asks for, or not for so long.
    pub(super) async fn bear(&mut self, error: ProviderError) -> Result<(), ProviderError> {
        let OutcomeClass::RateLimited { retry_after_ms } = error.class() else { return Err(error) };
        let wait = retry_after_ms.map_or(A_MOMENT, Duration::from_millis);
        if wait > LONGEST || self.0 >= TRIES {
            return Err(error);
        }
        self.0 += 1;
        tokio::time::sleep(wait.max(Duration::from_millis(10))).await;
        Ok(())
    }
}
