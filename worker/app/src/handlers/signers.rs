//! Which secrets webhooks are signed with, so that whoever replaces one sees when the old one has fallen
//! out of use. Each worker writes a secret down at most once an hour of the events' time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use payfleet_core::Timestamp;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::provider::Provider;
use payfleet_store::{Store, StoreError};

const HOUR_MS: i64 = 3_600_000;

/// When each secret was last written down. Cheap to clone; there are never more of them than settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Signers(Arc<Mutex<BTreeMap<(Provider, String), Timestamp>>>);

impl Signers {
    pub(super) async fn note(&self, store: &Store, event: &WebhookEvent) -> Result<(), StoreError> {
        let Some(secret) = &event.secret else { return Ok(()) };
        let name = (event.provider, secret.clone());
        if self.is_fresh(&name, event.received_at) {
            return Ok(());
        }
        store.note_webhook_secret(event.provider, secret, event.received_at).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, event.received_at);
        Ok(())
    }

    fn is_fresh(&self, name: &(Provider, String), at: Timestamp) -> bool {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(name).is_some_and(|last| at < last.plus_ms(HOUR_MS))
    }
}
