//! What assets report of themselves. The API takes one reading a call; a batch is sent in order and
//! stops at the first that fails, so that the rest can be sent later. Sending a reading again changes
//! nothing but its uri.

use payfleet_core::ProviderKey;
use payfleet_core::kinds::telemetry::Reading;

use super::answer;
use super::client::Client;
use super::wire::SyncTelemetry;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::json::Object;

/// How far a batch got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Where the first readings of the batch are kept now, in order.
    pub uris: Vec<String>,
    /// Why the next one is not; `None` where all are.
    pub stopped: Option<ProviderError>,
}

impl Client {
    /// Sends `readings` in order, each under `key` and its place, until one fails.
    pub async fn sync_telemetry(&self, readings: &[Reading], key: &ProviderKey) -> Synced {
        let mut synced = Synced { uris: Vec::new(), stopped: None };
        for reading in readings {
            match self.sync(reading, key).await {
                Ok(uri) => synced.uris.push(uri),
                Err(error) => {
                    synced.stopped = Some(error);
                    break;
                }
            }
        }
        synced
    }

    async fn sync(&self, reading: &Reading, key: &ProviderKey) -> Result<String, ProviderError> {
        let body = SyncTelemetry::of(reading);
        let body = body.ok_or_else(|| ProviderError::refused("not_a_decimal", "a reading is no number"))?;
        // Sent again it does no harm, so a lost answer is no doubt about anything.
        let answer = self.post(Call::Read, &["telemetry", "sync"], Some(key), &body).await?;
        answer::check(Call::Read, &answer)?;
        let uri = Object::parse(&answer.body).ok().and_then(|object| object.filled("uri"));
        uri.ok_or_else(|| answer.explain(ProviderError::unexpected(Call::Read, "the answer names no uri")))
    }
}
