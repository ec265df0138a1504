//! The `webhook` job: stores a verified event once, finds the operation it is about, puts it into that
//! operation's inbox and wakes it. It changes no operation itself.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use payfleet_core::AccountId;
use payfleet_core::ids::RequestHash;
use payfleet_core::job::{Failure, Job};
use payfleet_core::kinds::Request;
use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::webhook::WebhookEvent;
use payfleet_core::provider::Provider;
use payfleet_core::{OperationId, OutcomeClass};
use payfleet_providers::webhook::{ParsedEvent, parse};
use payfleet_queue::Outcome;
use payfleet_store::{
    Delivered, IncomingWebhook, ReceivedWebhook, Taken, WebhookContent, WebhookStatus, Woken,
};

use super::deposit::Told;
use super::{HandlerError, Handlers, backoff};
use crate::jobs::{self, Subject};

impl Handlers {
    /// In a batch with others where it goes the usual way, else alone.
    pub(super) async fn webhook(&self, job: &Job, event: WebhookEvent) -> Result<Outcome, HandlerError> {
        self.signers.note(&self.store, &event).await?;
        let body = BASE64_STANDARD.decode(&event.body_base64).unwrap_or_default();
        let parsed = parse(event.provider, &body);
        if let Ok(parsed) = &parsed
            && let Some(content) = self.content_with_others(&event, parsed, &body)
            && let Some(outcome) = self.with_others(incoming(&event, parsed, &body, content)).await?
        {
            return Ok(outcome);
        }
        let event_type = parsed.as_ref().map_or("unreadable", |parsed| parsed.event_type.as_str());
        let received = self.store.receive_webhook(&event, event_type, &body).await?;
        if received.handled {
            tracing::info!(provider.name = %event.provider, "The event has been handled before.");
            return self.wake_again(&event, received, &body).await;
        }
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.refuse(&event, received, None, "unreadable", &error.to_string()).await,
        };
        if event.provider == Provider::Tatum {
            return self.deposit(&event, received, &body).await;
        }
        let hint = match self.hint(&event, &parsed) {
            Ok(hint) => hint,
            Err(detail) => return self.ignore(received, detail).await,
        };
        let inbox_key = inbox_key(&event, &body);
        let provider_ref = parsed.provider_ref.as_deref();
        match self.operations_of(&event, &parsed).await?.as_slice() {
            [operation] => {
                if let Some(detail) = self.is_of_another_account(*operation, &parsed).await? {
                    return self.ignore(received, detail).await;
                }
                self.hand_over_hint(received, *operation, &inbox_key, &hint).await
            }
            [] if self.is_of_a_stranger(&event, &parsed).await? => {
                self.ignore(received, "it is of an account that we did not make".to_owned()).await
            }
            [] if !parsed.is_about_money => {
                self.ignore(received, "it is of something that we did not make".to_owned()).await
            }
            [] => self.wait_for_operation(job, &event, received, provider_ref).await,
            _ => {
                let detail = "the event names more than one operation of ours";
                self.refuse(&event, received, provider_ref, "ambiguous_event", detail).await
            }
        }
    }

    /// What it is for, where it can be stored with others; `None` where more must be found out first: of
    /// an event of a connected account at Stripe, whether that account is its operation's, or is ours at
    /// all; of a transfer of an asset that is not ours, who is to be told.
    fn content_with_others(
        &self,
        event: &WebhookEvent,
        parsed: &ParsedEvent,
        body: &[u8],
    ) -> Option<WebhookContent> {
        if event.provider == Provider::Tatum {
            return match self.read_deposit(body).ok()? {
                Told::Nothing { detail } => Some(WebhookContent::Ignored { detail }),
                Told::Transfer { seen, .. } => Some(WebhookContent::Deposit { seen: Box::new(seen?) }),
            };
        }
        match self.hint(event, parsed) {
            Err(detail) => Some(WebhookContent::Ignored { detail }),
            Ok(_) if parsed.account.is_some() => None,
            Ok(hint) => Some(WebhookContent::Hint {
                our_reference: parsed.our_reference.clone(),
                provider_ref: parsed.provider_ref.clone(),
                inbox_key: inbox_key(event, body),
                event: Box::new(hint),
            }),
        }
    }

    /// What it tells its operation, or why it is none of our business.
    fn hint(&self, event: &WebhookEvent, parsed: &ParsedEvent) -> Result<Event, String> {
        let Some(report) = &parsed.report else {
            return Err(format!("events of type {:?} move no operation", parsed.event_type));
        };
        match self.is_of_another_mode(event, parsed) {
            Some(detail) => Err(detail),
            None => Ok(Event::Hinted { report: report.clone() }),
        }
    }

    /// `None` where it must be handled alone.
    async fn with_others(&self, incoming: IncomingWebhook) -> Result<Option<Outcome>, HandlerError> {
        let inbox_key = match &incoming.content {
            WebhookContent::Hint { inbox_key, .. } => inbox_key.clone(),
            WebhookContent::Ignored { .. } | WebhookContent::Deposit { .. } => String::new(),
        };
        Ok(match self.webhooks.take(incoming).await {
            Taken::Processed { operation, wants_job, variant } => {
                if variant {
                    warn_of_variant(operation.id);
                }
                Some(if wants_job { wake(operation, &inbox_key)? } else { done() })
            }
            Taken::Deposited | Taken::Ignored => Some(done()),
            Taken::Left => None,
        })
    }

    /// The worker that handled it may have died before the operation's job was made.
    async fn wake_again(
        &self,
        event: &WebhookEvent,
        received: ReceivedWebhook,
        body: &[u8],
    ) -> Result<Outcome, HandlerError> {
        let Some(operation) = received.operation else { return Ok(done()) };
        let Some(view) = self.store.operation(operation).await? else { return Ok(done()) };
        let subject = Subject { id: operation, kind: view.kind, tenant: view.tenant };
        Ok(Outcome::Done { then: vec![jobs::inbox(&subject, &inbox_key(event, body))?] })
    }

    async fn operations_of(
        &self,
        event: &WebhookEvent,
        parsed: &ParsedEvent,
    ) -> Result<Vec<OperationId>, HandlerError> {
        let account = AccountId::default();
        let (ours, theirs) = (parsed.our_reference.as_deref(), parsed.provider_ref.as_deref());
        Ok(self.store.find_by_reference(event.provider, &account, ours, theirs).await?)
    }

    /// What is wrong with the mode of the event: test events reach a live deployment by a mistake in the
    /// provider's settings, and say nothing about its operations.
    fn is_of_another_mode(&self, event: &WebhookEvent, parsed: &ParsedEvent) -> Option<String> {
        let ours = match event.provider {
            Provider::Stripe => self.clients.stripe()?.is_live(),
            Provider::Heleket | Provider::Tatum | Provider::TrovoTech => return None,
        };
        let name = |is_live: bool| if is_live { "live" } else { "test" };
        let theirs = parsed.livemode.filter(|theirs| *theirs != ours)?;
        Some(format!("it is of the {} mode, our key of the {} mode", name(theirs), name(ours)))
    }

    /// What is wrong with the connected account that the event comes from, for this operation.
    async fn is_of_another_account(
        &self,
        operation: OperationId,
        parsed: &ParsedEvent,
    ) -> Result<Option<String>, HandlerError> {
        let Some(from) = parsed.account.as_deref() else { return Ok(None) };
        let Some(view) = self.store.operation(operation).await? else { return Ok(None) };
        let expected = match &view.request {
            // Matched by our reference while the answer of our call is still to come.
            Request::Account(_) if view.provider_ref.is_none() => return Ok(None),
            Request::Account(_) => view.provider_ref.as_deref(),
            Request::Payout(_) => view.on.as_deref(),
            _ => None,
        };
        Ok((expected != Some(from)).then(|| "it is of another account than its operation".to_owned()))
    }

    /// Whether the event comes from a connected account that is none of ours. What an account does, it
    /// does after we know of it; only about the account itself an event can be early.
    async fn is_of_a_stranger(
        &self,
        event: &WebhookEvent,
        parsed: &ParsedEvent,
    ) -> Result<bool, HandlerError> {
        let Some(from) = parsed.account.as_deref() else { return Ok(false) };
        if parsed.our_reference.is_some() && parsed.provider_ref.as_deref() == Some(from) {
            return Ok(false);
        }
        let account = AccountId::default();
        Ok(self.store.find_by_reference(event.provider, &account, None, Some(from)).await?.is_empty())
    }

    /// Into the inbox. The mark comes last: a crash before it repeats what repeats safely.
    async fn hand_over_hint(
        &self,
        received: ReceivedWebhook,
        operation: OperationId,
        key: &str,
        hint: &Event,
    ) -> Result<Outcome, HandlerError> {
        let woken = match self.store.deliver(operation, key, hint).await? {
            Delivered::New(woken) | Delivered::Repeated(woken) => Some(woken),
            Delivered::DuringCall(_) => None,
            Delivered::Unknown => return self.ignore(received, "its operation is gone".to_owned()).await,
        };
        if received.variant {
            warn_of_variant(operation);
        }
        self.store.mark_webhook(received.id, &WebhookStatus::Processed { operation }).await?;
        Ok(match woken {
            Some(woken) => wake(woken, key)?,
            None => done(),
        })
    }

    /// The event may be faster than the answer of our own call: it waits, then a person is told.
    async fn wait_for_operation(
        &self,
        job: &Job,
        event: &WebhookEvent,
        received: ReceivedWebhook,
        provider_ref: Option<&str>,
    ) -> Result<Outcome, HandlerError> {
        if job.attempt >= job.envelope.max_attempts {
            let detail = "no operation of ours matches the event";
            return self.refuse(event, received, provider_ref, "unknown_operation", detail).await;
        }
        self.store.mark_webhook(received.id, &WebhookStatus::Parked).await?;
        let failure = Failure {
            class: OutcomeClass::Retryable.as_str().to_owned(),
            code: "operation_unknown".to_owned(),
            message: "no operation matches the event yet".to_owned(),
        };
        Ok(Outcome::Retry { delay: backoff(job), failure })
    }

    pub(super) async fn ignore(
        &self,
        received: ReceivedWebhook,
        detail: String,
    ) -> Result<Outcome, HandlerError> {
        tracing::info!("The event is ignored: {detail}");
        self.store.mark_webhook(received.id, &WebhookStatus::Ignored { detail }).await?;
        Ok(done())
    }

    pub(super) async fn refuse(
        &self,
        event: &WebhookEvent,
        received: ReceivedWebhook,
        provider_ref: Option<&str>,
        kind: &str,
        detail: &str,
    ) -> Result<Outcome, HandlerError> {
        tracing::warn!(provider.name = %event.provider, "The event needs a person: {detail}");
        // Two events that name nothing are two all the same.
        let subject = provider_ref.unwrap_or(&event.event_key);
        self.store.note_webhook(event.provider, kind, Some(subject), detail).await?;
        let status = WebhookStatus::Failed { detail: detail.to_owned() };
        self.store.mark_webhook(received.id, &status).await?;
        Ok(done())
    }
}

fn incoming(
    event: &WebhookEvent,
    parsed: &ParsedEvent,
    body: &[u8],
    content: WebhookContent,
) -> IncomingWebhook {
    IncomingWebhook {
        provider: event.provider,
        account: AccountId::default(),
        event_key: event.event_key.clone(),
        event_type: parsed.event_type.clone(),
        body: body.to_vec(),
        received_at: event.received_at,
        content,
    }
}

/// Done, with the job that wakes the operation.
fn wake(operation: Woken, inbox_key: &str) -> Result<Outcome, HandlerError> {
    let subject = Subject { id: operation.id, kind: operation.kind, tenant: operation.tenant };
    Ok(Outcome::Done { then: vec![jobs::inbox(&subject, inbox_key)?] })
}

fn warn_of_variant(operation: OperationId) {
    tracing::warn!(operation.id = %operation, "Another body came under an event key that was known; the provider is asked.");
}

/// Under which an event is in an inbox: once per event and body.
fn inbox_key(event: &WebhookEvent, body: &[u8]) -> String {
    let hash = RequestHash::of(body).to_hex();
    format!("webhook:{}:{}", event.event_key, hash.get(..16).unwrap_or(&hash))
}

fn done() -> Outcome {
    Outcome::Done { then: Vec::new() }
}
