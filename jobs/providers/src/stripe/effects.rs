//! Stripe's part of the executor's vocabulary: which call carries out which request, and how its
//! outcome is told in our words.
//!
//! Every call is one POST under the intent's key. The reference that we leave in the metadata finds it
//! again when Stripe has forgotten the key.

use payfleet_core::kinds::account::{Account, AccountLink};
use payfleet_core::kinds::collect::{
    Capture, Change, Customer, MethodChange, Payment, PaymentChange, PaymentMethod, Refund,
    RefundReason as WhyRefund,
};
use payfleet_core::kinds::payout::{Destination, Payout, Speed};
use payfleet_core::kinds::transfer::Transfer;
use payfleet_core::kinds::{Asked, Request};
use payfleet_core::provider::{Action, DoubtPolicy, Effect, Facts, Progress, Report};
use payfleet_core::{ProviderKey, Timestamp};
use secrecy::ExposeSecret;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::REFERENCE;
use super::capabilities::KEY_WINDOW_MS;
use super::client::{Answered, Client, IdempotencyKey};
use super::objects::{self, Metadata, Requirements};
use super::params::{
    Confirmation, CustomerFields, NewAccount, NewAccountLink, NewPaymentIntent, NewPayout, NewRefund,
    NewTransfer, Redirects,
};
use super::words::{AccountLinkType, CaptureMethod, PayoutMethod, RefundReason};
use crate::client::{ProviderError, Reply, not_offered};

/// Refusals that say that a connected account may not receive what it was sent.
const MAY_NOT_RECEIVE: [&str; 2] = ["insufficient_capabilities_for_transfer", "payouts_not_allowed"];

impl Client {
    /// Stripe knows every key for a day; after that a look-up is the only way on.
    pub(crate) const fn doubt(_action: Action) -> DoubtPolicy {
        DoubtPolicy::SameKey { window_ms: KEY_WINDOW_MS, refusals_decide: true }
    }

    pub(crate) fn reference(key: &ProviderKey) -> String {
        key.as_str().to_owned()
    }

    pub(crate) async fn call(&self, effect: &Effect, key: &ProviderKey) -> Reply {
        match self.carry_out(effect, key).await {
            Ok(reply) => reply,
            Err(error) => error.into(),
        }
    }

    async fn carry_out(&self, effect: &Effect, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let on = || effect.on.as_deref().ok_or_else(not_offered);
        match &effect.asked {
            Request::Payout(payout) => self.pay_out(payout, on()?, key).await,
            Request::Transfer(transfer) => self.transfer_to(transfer, on()?, key).await,
            Request::Account(account) => self.make_account(account, key).await,
            Request::AccountLink(link) => self.make_link(link, on()?, key).await,
            Request::Customer(customer) => self.make_customer(customer, key).await,
            Request::PaymentMethod(method) => self.change_method(method, on()?, key).await,
            Request::Payment(payment) => self.make_payment(payment, effect.on.as_deref(), key).await,
            Request::PaymentChange(change) => self.change_payment(change, on()?, key).await,
            Request::Refund(refund) => self.refund_payment(refund, on()?, key).await,
            Request::Mint(_)
            | Request::Wallet(_)
            | Request::Telemetry(_)
            | Request::Distribution(_)
            | Request::PayoutSchedule(_)
            | Request::Order(_) => Err(not_offered()),
        }
    }

    async fn pay_out(
        &self,
        payout: &Payout,
        account: &str,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let Destination::Bank { speed, .. } = payout.to else { return Err(not_offered()) };
        let method = match speed {
            Speed::Standard => PayoutMethod::Standard,
            Speed::Instant => PayoutMethod::Instant,
        };
        let params =
            NewPayout { method: Some(method), metadata: reference(key), ..NewPayout::of(payout.money) };
        match self.account(account).create_payout(&params, &idempotency_key(key)?).await {
            Ok(answered) => told(answered),
            Err(error) => Err(self.explained(account, error).await),
        }
    }

    async fn transfer_to(
        &self,
        transfer: &Transfer,
        account: &str,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let params = NewTransfer {
            transfer_group: transfer.group.clone(),
            metadata: reference(key),
            ..NewTransfer::of(transfer.money, account.to_owned())
        };
        match self.platform().create_transfer(&params, &idempotency_key(key)?).await {
            Ok(answered) => told(answered),
            Err(error) => Err(self.explained(account, error).await),
        }
    }

    /// Where an account may not receive, the reason names what its owner still has to bring.
    async fn explained(&self, account: &str, error: ProviderError) -> ProviderError {
        if !MAY_NOT_RECEIVE.contains(&error.code()) {
            return error;
        }
        let Ok(answered) = self.platform().connected_account(account).await else { return error };
        let Requirements { currently_due, disabled_reason, .. } = answered.value.requirements;
        let due = if currently_due.is_empty() {
            disabled_reason.unwrap_or_else(|| "nothing that the provider names".to_owned())
        } else {
            currently_due.join(", ")
        };
        error.adding(&format!("; missing on the account: {due}"))
    }

    async fn make_account(&self, account: &Account, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let params = NewAccount {
            country: Some(account.country.clone()),
            email: Some(account.email.clone()),
            capabilities: vec!["card_payments".to_owned(), "transfers".to_owned()],
            business_type: None,
            metadata: reference(key),
        };
        told(self.platform().create_account(&params, &idempotency_key(key)?).await?)
    }

    async fn make_link(
        &self,
        link: &AccountLink,
        account: &str,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let params = NewAccountLink {
            account: account.to_owned(),
            refresh_url: link.refresh_url.clone(),
            return_url: link.return_url.clone(),
            kind: AccountLinkType::Onboarding,
        };
        let answered = self.platform().create_account_link(&params, &idempotency_key(key)?).await?;
        let facts = Facts::from([
            ("url".to_owned(), answered.value.url.expose_secret().into()),
            ("expires_at".to_owned(), rfc3339(answered.value.expires_at).into()),
        ]);
        // A link has no id of its own.
        Ok(made(&answered, format!("link:{}", key.prefix(32)), facts))
    }

    async fn make_customer(&self, customer: &Customer, key: &ProviderKey) -> Result<Reply, ProviderError> {
        let params = CustomerFields {
            email: Some(customer.email.clone()),
            name: customer.name.clone(),
            description: None,
            metadata: reference(key),
        };
        let answered = self.platform().create_customer(&params, &idempotency_key(key)?).await?;
        Ok(made(&answered, answered.value.id.clone(), paying_with(&[])))
    }

    async fn change_method(
        &self,
        method: &PaymentMethod,
        customer: &str,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let (platform, under) = (self.platform(), idempotency_key(key)?);
        let id = method.payment_method.as_str();
        let answered = match method.change {
            MethodChange::Attach => platform.attach_payment_method(id, customer, &under).await?,
            MethodChange::Detach => platform.detach_payment_method(id, &under).await?,
        };
        // What was attached may have an id of its own.
        let report = changed(method, &answered.value.id, key);
        Ok(Reply::accepted(report, answered.http_status, answered.request_id))
    }

    async fn make_payment(
        &self,
        payment: &Payment,
        customer: Option<&str>,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let params = NewPaymentIntent {
            customer: customer.map(str::to_owned),
            payment_method: payment.payment_method.clone(),
            automatic_payment_methods: Some(Redirects::Never),
            capture_method: match payment.capture {
                Capture::Automatic => None,
                Capture::Manual => Some(CaptureMethod::Manual),
            },
            confirm: payment.payment_method.as_ref().map(|_| true),
            description: payment.description.clone(),
            metadata: reference(key),
            ..NewPaymentIntent::of(payment.money)
        };
        let answered = self.platform().create_payment_intent(&params, &idempotency_key(key)?).await?;
        let secret = answered.value.client_secret.as_ref();
        let facts = secret.map(|secret| ("client_secret".to_owned(), secret.expose_secret().into()));
        let mut reply = told(answered)?;
        if let payfleet_core::provider::CallOutcome::Accepted { report } = &mut reply.outcome {
            report.facts.extend(facts);
        }
        Ok(reply)
    }

    async fn change_payment(
        &self,
        change: &PaymentChange,
        payment: &str,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let (platform, under) = (self.platform(), idempotency_key(key)?);
        let answered = match &change.change {
            Change::Confirm { payment_method } => {
                let with = Confirmation { payment_method: payment_method.clone(), ..Confirmation::default() };
                platform.confirm_payment_intent(payment, &with, &under).await?
            }
            Change::Capture { money } => {
                platform.capture_payment_intent(payment, money.as_ref(), &under).await?
            }
            Change::Cancel => platform.cancel_payment_intent(payment, None, &under).await?,
        };
        // What became of the payment is the payment's own story; this one is about the change.
        let word = change.action().as_str();
        let facts = Facts::from([("payment_status".to_owned(), answered.value.status.as_str().into())]);
        Ok(made(&answered, format!("{payment}:{word}:{}", key.prefix(8)), facts))
    }

    async fn refund_payment(
        &self,
        refund: &Refund,
        payment: &str,
        key: &ProviderKey,
    ) -> Result<Reply, ProviderError> {
        let params = NewRefund {
            payment_intent: payment.to_owned(),
            amount: Some(refund.money),
            reason: refund.reason.map(|reason| match reason {
                WhyRefund::Duplicate => RefundReason::Duplicate,
                WhyRefund::Fraudulent => RefundReason::Fraudulent,
                WhyRefund::RequestedByCustomer => RefundReason::RequestedByCustomer,
            }),
            metadata: reference(key),
            reverse_transfer: None,
            refund_application_fee: None,
        };
        told(self.platform().create_refund(&params, &idempotency_key(key)?).await?)
    }
}

fn idempotency_key(key: &ProviderKey) -> Result<IdempotencyKey, ProviderError> {
    IdempotencyKey::of(key).map_err(|_| not_offered())
}

fn rfc3339(at: Timestamp) -> String {
    time::OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

/// What finds it again when the key is forgotten.
fn reference(key: &ProviderKey) -> Metadata {
    Metadata::from([(REFERENCE.to_owned(), key.as_str().to_owned())])
}

/// An answer that says how far it has come.
fn told<T>(answered: Answered<T>) -> Result<Reply, ProviderError> {
    let Answered { report, http_status, request_id, .. } = answered;
    let report = report.ok_or_else(|| {
        ProviderError::unexpected(
            crate::failure::Call::Effect,
            "an answer that does not say how far it has come",
        )
        .with_status(http_status, request_id.clone())
    })?;
    Ok(Reply::accepted(report, http_status, request_id))
}

/// An answer that is the end of it: the thing exists.
fn made<T>(answered: &Answered<T>, provider_ref: String, facts: Facts) -> Reply {
    Reply::accepted(exists(provider_ref, facts), answered.http_status, answered.request_id.clone())
}

pub(super) fn exists(provider_ref: String, facts: Facts) -> Report {
    Report { facts, ..Report::of(provider_ref, Progress::Succeeded, "exists") }
}

/// That payment method `id` is attached or detached as `method` asks.
pub(super) fn changed(method: &PaymentMethod, id: &str, key: &ProviderKey) -> Report {
    let reference = format!("{id}:{}:{}", method.action().as_str(), key.prefix(8));
    exists(reference, Facts::from([("payment_method".to_owned(), id.into())]))
}

/// What a customer pays with.
pub(super) fn paying_with(methods: &[objects::PaymentMethod]) -> Facts {
    let shown = methods.iter().map(|one| json!({"id": one.id, "type": one.kind, "card": one.card}));
    Facts::from([("payment_methods".to_owned(), shown.collect())])
}
