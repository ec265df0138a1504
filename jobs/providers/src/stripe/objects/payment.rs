//! Incoming card payments: intents, refunds, customers and their payment methods.

use payfleet_core::{Money, Timestamp};

use super::{Fields, Metadata, Resource, Unreadable};
use crate::stripe::words::{
    AdviceCode, CancellationReason, CaptureMethod, PaymentIntentStatus, RefundReason, RefundStatus,
};

/// One payment, from its first attempt to its end.
#[derive(Clone, Debug)]
pub struct PaymentIntent {
    /// `pi_...`
    pub id: String,
    /// What is to be paid.
    pub amount: Money,
    /// What can still be captured.
    pub amount_capturable: Money,
    /// What has been taken.
    pub amount_received: Money,
    /// Where it is.
    pub status: PaymentIntentStatus,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is of the live mode.
    pub livemode: bool,
    /// What callers attached.
    pub metadata: Metadata,
    /// For the payer's browser. Never logged: it lets its bearer pay.
    pub client_secret: Option<secrecy::SecretString>,
    /// Who pays.
    pub customer: Option<String>,
    /// With what.
    pub payment_method: Option<String>,
    /// Its last attempt.
    pub latest_charge: Option<String>,
    /// Why the last attempt failed.
    pub last_payment_error: Option<PaymentError>,
    /// The platform's part.
    pub application_fee_amount: Option<Money>,
    /// Whose account the money is settled on.
    pub on_behalf_of: Option<String>,
    /// Joins it with transfers.
    pub transfer_group: Option<String>,
    /// When it was cancelled.
    pub canceled_at: Option<Timestamp>,
    /// Why.
    pub cancellation_reason: Option<CancellationReason>,
}

/// Why an attempt to pay failed. Stripe's own text is left out: it may quote the payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentError {
    /// `card_declined`, `expired_card`, ...
    pub code: Option<String>,
    /// The card issuer's reason: `insufficient_funds`, `lost_card`, ...
    pub decline_code: Option<String>,
    /// What Stripe advises.
    pub advice_code: Option<AdviceCode>,
}

impl PaymentError {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            code: fields.maybe_text("code")?,
            decline_code: fields.maybe_text("decline_code")?,
            advice_code: fields.maybe_text("advice_code")?.as_deref().map(AdviceCode::from),
        })
    }

    /// Whether the same card is worth another try, as a new intent under a new key: Stripe's advice
    /// where it gives one, else the reasons that pass by themselves.
    #[must_use]
    pub fn is_worth_another_try(&self) -> bool {
        match &self.advice_code {
            Some(AdviceCode::TryAgainLater) => true,
            Some(AdviceCode::DoNotTryAgain | AdviceCode::ConfirmCardData) => false,
            Some(AdviceCode::Other(_)) | None => {
                let passing = ["processing_error", "try_again_later", "issuer_not_available"];
                let reason = self.decline_code.as_deref().or(self.code.as_deref());
                reason.is_some_and(|reason| passing.contains(&reason))
            }
        }
    }
}

impl Resource for PaymentIntent {
    const OBJECT: &'static str = "payment_intent";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        let last_payment_error = fields.maybe_object("last_payment_error")?;
        Ok(Self {
            id: fields.text("id")?,
            amount: fields.money("amount")?,
            amount_capturable: fields.money("amount_capturable")?,
            amount_received: fields.money("amount_received")?,
            status: fields.text("status")?.as_str().into(),
            capture_method: fields.text("capture_method")?.as_str().into(),
            created: fields.time("created")?,
            livemode: fields.flag("livemode")?,
            metadata: fields.map("metadata")?,
            client_secret: fields.maybe_text("client_secret")?.map(Into::into),
            customer: fields.maybe_reference("customer")?,
            payment_method: fields.maybe_reference("payment_method")?,
            latest_charge: fields.maybe_reference("latest_charge")?,
            last_payment_error: last_payment_error.as_ref().map(PaymentError::read).transpose()?,
            application_fee_amount: fields.maybe_money("application_fee_amount")?,
            on_behalf_of: fields.maybe_reference("on_behalf_of")?,
            transfer_group: fields.maybe_text("transfer_group")?,
            canceled_at: fields.maybe_time("canceled_at")?,
            cancellation_reason: fields.maybe_text("cancellation_reason")?.as_deref().map(Into::into),
        })
    }
}

/// Money on its way back to a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// `re_...`
    pub id: String,
    /// How much.
    pub amount: Money,
    /// Where it is, if Stripe says so.
    pub status: Option<RefundStatus>,
    /// Why it was made.
    pub reason: Option<RefundReason>,
    /// When it was made.
    pub created: Timestamp,
    /// What is refunded.
    pub payment_intent: Option<String>,
    /// The charge behind it.
    pub charge: Option<String>,
    /// Its booking.
    pub balance_transaction: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// What callers attached.
    pub metadata: Metadata,
}

impl Resource for Refund {
    const OBJECT: &'static str = "refund";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            amount: fields.money("amount")?,
            status: fields.maybe_text("status")?.as_deref().map(Into::into),
            reason: fields.maybe_text("reason")?.as_deref().map(Into::into),
            created: fields.time("created")?,
            payment_intent: fields.maybe_reference("payment_intent")?,
            charge: fields.maybe_reference("charge")?,
            balance_transaction: fields.maybe_reference("balance_transaction")?,
            failure_reason: fields.maybe_text("failure_reason")?,
            metadata: fields.map("metadata")?,
        })
    }
}

/// Somebody who pays. Names and addresses stay at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// `cus_...`
    pub id: String,
    /// Whether it was deleted; then nothing else is known of it.
    pub deleted: bool,
    /// What callers attached.
    pub metadata: Metadata,
}

impl Resource for Customer {
    const OBJECT: &'static str = "customer";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            deleted: fields.flag("deleted").unwrap_or(false),
            metadata: fields.map("metadata")?,
        })
    }
}

/// What a customer pays with. Card data stays at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentMethod {
    /// `pm_...`
    pub id: String,
    /// `card`, `us_bank_account`, ...
    pub kind: String,
    /// Whose it is; `None` while it is not attached.
    pub customer: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// What the payer knows it by, where it is a card.
    pub card: Option<Card>,
}

/// What a payer knows a card by.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Card {
    /// `visa`, `mastercard`, ...
    pub brand: String,
    /// The end of its number.
    pub last4: String,
    /// The last month it is good for, 1 to 12.
    pub exp_month: i64,
    /// The year of that month, four digits.
    pub exp_year: i64,
}

impl Card {
    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            brand: fields.text("brand")?,
            last4: fields.text("last4")?,
            exp_month: fields.integer("exp_month")?,
            exp_year: fields.integer("exp_year")?,
        })
    }
}

impl Resource for PaymentMethod {
    const OBJECT: &'static str = "payment_method";

    fn id(&self) -> &str {
        &self.id
    }

    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: fields.text("id")?,
            kind: fields.text("type")?,
            customer: fields.maybe_reference("customer")?,
            created: fields.time("created")?,
            // Only shown: what cannot be read of it is no reason to know nothing.
            card: fields.maybe_object("card")?.and_then(|card| Card::read(&card).ok()),
        })
    }
}
