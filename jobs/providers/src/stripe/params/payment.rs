//! Parameters of incoming payments: intents, refunds, customers.

use payfleet_core::Money;

use super::{Parameters, set_amount, set_money};
use crate::failure::ProviderError;
use crate::stripe::amount::Purpose;
use crate::stripe::form::Form;
use crate::stripe::objects::Metadata;
use crate::stripe::words::{CaptureMethod, RefundReason};

/// Whether a payment may lead the payer to another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It may; then a `return_url` is needed.
    Always,
    /// It may not.
    Never,
}

/// `POST /v1/payment_intents`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPaymentIntent {
    /// What is to be paid.
    pub amount: Money,
    /// Who pays.
    pub customer: Option<String>,
    /// With what.
    pub payment_method: Option<String>,
    /// Which kinds of payment methods are taken; none named leaves it to Stripe's settings.
    pub payment_method_types: Vec<String>,
    /// Whether to pay at once.
    pub confirm: Option<bool>,
    /// Whether the payer is absent.
    pub off_session: Option<bool>,
    /// Lets Stripe offer what its settings allow.
    pub automatic_payment_methods: Option<Redirects>,
    /// When the money is taken.
    pub capture_method: Option<CaptureMethod>,
    /// To which connected account the money goes on.
    pub transfer_destination: Option<String>,
    /// The platform's part of it.
    pub application_fee_amount: Option<Money>,
    /// On whose account it is settled.
    pub on_behalf_of: Option<String>,
    /// Joins it with transfers.
    pub transfer_group: Option<String>,
    /// Where the payer comes back to.
    pub return_url: Option<String>,
    /// Shown in Stripe's dashboard.
    pub description: Option<String>,
    /// Ours.
    pub metadata: Metadata,
}

impl NewPaymentIntent {
    /// A payment of `amount` and nothing else.
    #[must_use]
    pub fn of(amount: Money) -> Self {
        Self {
            amount,
            customer: None,
            payment_method: None,
            payment_method_types: Vec::new(),
            confirm: None,
            off_session: None,
            automatic_payment_methods: None,
            capture_method: None,
            transfer_destination: None,
            application_fee_amount: None,
            on_behalf_of: None,
            transfer_group: None,
            return_url: None,
            description: None,
            metadata: Metadata::new(),
        }
    }
}

impl Parameters for NewPaymentIntent {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        set_money(&mut form, &self.amount, Purpose::Payment)?;
        form.maybe("customer", self.customer.as_deref());
        form.maybe("payment_method", self.payment_method.as_deref());
        form.list("payment_method_types", self.payment_method_types.iter().map(String::as_str));
        form.flag("confirm", self.confirm);
        form.flag("off_session", self.off_session);
        if let Some(redirects) = self.automatic_payment_methods {
            form.set("automatic_payment_methods[enabled]", "true");
            if redirects == Redirects::Never {
                form.set("automatic_payment_methods[allow_redirects]", "never");
            }
        }
        form.maybe("capture_method", self.capture_method.as_ref().map(CaptureMethod::as_str));
        form.maybe("transfer_data[destination]", self.transfer_destination.as_deref());
        if let Some(fee) = &self.application_fee_amount {
            if fee.asset() != self.amount.asset() {
                return Err(ProviderError::refused("amount_not_sendable", "a fee in another currency"));
            }
            set_amount(&mut form, "application_fee_amount", fee, Purpose::Payment)?;
        }
        form.maybe("on_behalf_of", self.on_behalf_of.as_deref());
        form.maybe("transfer_group", self.transfer_group.as_deref());
        form.maybe("return_url", self.return_url.as_deref());
        form.maybe("description", self.description.as_deref());
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/payment_intents/{id}/confirm`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// With what, where the intent does not say.
    pub payment_method: Option<String>,
    /// Where the payer comes back to.
    pub return_url: Option<String>,
    /// Whether the payer is absent.
    pub off_session: Option<bool>,
}

impl Parameters for Confirmation {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.maybe("payment_method", self.payment_method.as_deref());
        form.maybe("return_url", self.return_url.as_deref());
        form.flag("off_session", self.off_session);
        Ok(form)
    }
}

/// `POST /v1/refunds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefund {
    /// What is refunded.
    pub payment_intent: String,
    /// How much; `None` is what is left.
    pub amount: Option<Money>,
    /// Why. Only the first three reasons can be sent.
    pub reason: Option<RefundReason>,
    /// Whether the connected account that the payment was passed on to gives its part back; otherwise
    /// the platform pays all of it.
    pub reverse_transfer: Option<bool>,
    /// Whether the platform's fee goes back too.
    pub refund_application_fee: Option<bool>,
    /// Ours.
    pub metadata: Metadata,
}

impl NewRefund {
    /// All that is left of a payment, and nothing else.
    #[must_use]
    pub fn of(payment_intent: String) -> Self {
        Self {
            payment_intent,
            amount: None,
            reason: None,
            reverse_transfer: None,
            refund_application_fee: None,
            metadata: Metadata::new(),
        }
    }
}

impl Parameters for NewRefund {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.set("payment_intent", &self.payment_intent);
        if let Some(amount) = &self.amount {
            set_amount(&mut form, "amount", amount, Purpose::Payment)?;
        }
        form.maybe("reason", self.reason.as_ref().map(RefundReason::as_str));
        form.flag("reverse_transfer", self.reverse_transfer);
        form.flag("refund_application_fee", self.refund_application_fee);
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}

/// `POST /v1/customers` and `POST /v1/customers/{id}`. An empty text clears a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerFields {
    /// Where receipts go.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Shown in Stripe's dashboard.
    pub description: Option<String>,
    /// Ours.
    pub metadata: Metadata,
}

impl Parameters for CustomerFields {
    fn form(&self) -> Result<Form, ProviderError> {
        let mut form = Form::default();
        form.maybe("email", self.email.as_deref());
        form.maybe("name", self.name.as_deref());
        form.maybe("description", self.description.as_deref());
        form.map("metadata", &self.metadata);
        Ok(form)
    }
}
