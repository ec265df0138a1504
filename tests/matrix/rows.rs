//! The rows: every kind that the executor runs, told apart by provider and by call.

use payfleet_core::kinds::collect::{Change, MethodChange};
use payfleet_core::kinds::distribution::Splitter;
use payfleet_core::kinds::payout::Destination;
use payfleet_core::kinds::{OperationKind, Request};
use payfleet_core::provider::Provider;

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    PayoutToAnAddress,
    PayoutToABank,
    Transfer,
    Mint,
    Wallet,
    Telemetry,
    Account,
    AccountLink,
    Customer,
    PaymentMethodAttached,
    PaymentMethodDetached,
    Payment,
    PaymentConfirmed,
    PaymentCaptured,
    PaymentCancelled,
    Refund,
    DistributionByUs,
    DistributionByUsOverStripe,
    DistributionByTrovoTech,
    Order,
}

impl Row {
    pub(crate) const ALL: [Self; 20] = [
        Self::PayoutToAnAddress,
        Self::PayoutToABank,
        Self::Transfer,
        Self::Mint,
        Self::Wallet,
        Self::Telemetry,
        Self::Account,
        Self::AccountLink,
        Self::Customer,
        Self::PaymentMethodAttached,
        Self::PaymentMethodDetached,
        Self::Payment,
        Self::PaymentConfirmed,
        Self::PaymentCaptured,
        Self::PaymentCancelled,
        Self::Refund,
        Self::DistributionByUs,
        Self::DistributionByUsOverStripe,
        Self::DistributionByTrovoTech,
        Self::Order,
    ];

    /// The row that `request` belongs to: none where it calls nobody, as a payout schedule. What that makes
    /// are payouts, and its own deaths are in the scenarios.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        Some(match request {
            Request::PayoutSchedule(_) => return None,
            Request::Payout(payout) => match payout.to {
                Destination::Crypto { .. } => Self::PayoutToAnAddress,
                Destination::Bank { .. } => Self::PayoutToABank,
            },
            Request::Transfer(_) => Self::Transfer,
            Request::Mint(_) => Self::Mint,
            Request::Wallet(_) => Self::Wallet,
            Request::Telemetry(_) => Self::Telemetry,
            Request::Account(_) => Self::Account,
            Request::AccountLink(_) => Self::AccountLink,
            Request::Customer(_) => Self::Customer,
            Request::PaymentMethod(method) => match method.change {
                MethodChange::Attach => Self::PaymentMethodAttached,
                MethodChange::Detach => Self::PaymentMethodDetached,
            },
            Request::Payment(_) => Self::Payment,
            Request::PaymentChange(change) => match change.change {
                Change::Confirm { .. } => Self::PaymentConfirmed,
                Change::Capture { .. } => Self::PaymentCaptured,
                Change::Cancel => Self::PaymentCancelled,
            },
            Request::Refund(_) => Self::Refund,
            Request::Distribution(distribution) => match distribution.by {
                Splitter::Us { .. } if distribution.part_kind() == OperationKind::Transfer => {
                    Self::DistributionByUsOverStripe
                }
                Splitter::Us { .. } => Self::DistributionByUs,
                Splitter::TrovoTech { .. } => Self::DistributionByTrovoTech,
            },
            Request::Order(_) => Self::Order,
        })
    }

    pub(crate) const fn kind(self) -> OperationKind {
        match self {
            Self::PayoutToAnAddress | Self::PayoutToABank => OperationKind::Payout,
            Self::Transfer => OperationKind::Transfer,
            Self::Mint => OperationKind::Mint,
            Self::Wallet => OperationKind::Wallet,
            Self::Telemetry => OperationKind::Telemetry,
            Self::Account => OperationKind::Account,
            Self::AccountLink => OperationKind::AccountLink,
            Self::Customer => OperationKind::Customer,
            Self::PaymentMethodAttached | Self::PaymentMethodDetached => OperationKind::PaymentMethod,
            Self::Payment => OperationKind::Payment,
            Self::PaymentConfirmed | Self::PaymentCaptured | Self::PaymentCancelled => {
                OperationKind::PaymentChange
            }
            Self::Refund => OperationKind::Refund,
            Self::DistributionByUs | Self::DistributionByUsOverStripe | Self::DistributionByTrovoTech => {
                OperationKind::Distribution
            }
            Self::Order => OperationKind::Order,
        }
    }

    /// What each of its parts is, where it becomes several.
    pub(crate) const fn parts(self) -> Option<OperationKind> {
        match self {
            Self::DistributionByUs => Some(OperationKind::Payout),
            Self::DistributionByUsOverStripe => Some(OperationKind::Transfer),
            _ => None,
        }
    }

    /// Its name in the output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PayoutToAnAddress => "payout_to_an_address_by_heleket",
            Self::PayoutToABank => "payout_to_a_bank_by_stripe",
            Self::Transfer => "transfer_by_stripe",
            Self::Mint => "mint_by_trovotech",
            Self::Wallet => "wallet_by_trovotech",
            Self::Telemetry => "telemetry_by_trovotech",
            Self::Account => "account_by_stripe",
            Self::AccountLink => "account_link_by_stripe",
            Self::Customer => "customer_by_stripe",
            Self::PaymentMethodAttached => "payment_method_attached_by_stripe",
            Self::PaymentMethodDetached => "payment_method_detached_by_stripe",
            Self::Payment => "payment_by_stripe",
            Self::PaymentConfirmed => "payment_confirmed_by_stripe",
            Self::PaymentCaptured => "payment_captured_by_stripe",
            Self::PaymentCancelled => "payment_cancelled_by_stripe",
            Self::Refund => "refund_by_stripe",
            Self::DistributionByUs => "distribution_by_us_over_heleket",
            Self::DistributionByUsOverStripe => "distribution_by_us_over_stripe",
            Self::DistributionByTrovoTech => "distribution_by_trovotech",
            Self::Order => "order_by_tatum",
        }
    }

    /// Whether its provider has a webhook that could contradict what has settled.
    pub(crate) const fn has_a_contradiction(self) -> bool {
        match self {
            Self::PayoutToAnAddress
            | Self::PayoutToABank
            | Self::Mint
            | Self::Payment
            | Self::Refund
            | Self::DistributionByTrovoTech => true,
            Self::Transfer
            | Self::Wallet
            | Self::Telemetry
            | Self::Account
            | Self::AccountLink
            | Self::Customer
            | Self::PaymentMethodAttached
            | Self::PaymentMethodDetached
            | Self::PaymentConfirmed
            | Self::PaymentCaptured
            | Self::PaymentCancelled
            | Self::DistributionByUs
            | Self::DistributionByUsOverStripe
            | Self::Order => false,
        }
    }

    /// Where its effects happen.
    pub(crate) const fn provider(self) -> Provider {
        match self {
            Self::PayoutToAnAddress | Self::DistributionByUs => Provider::Heleket,
            Self::Mint | Self::Wallet | Self::Telemetry | Self::DistributionByTrovoTech => {
                Provider::TrovoTech
            }
            Self::Order => Provider::Tatum,
            Self::PayoutToABank
            | Self::Transfer
            | Self::DistributionByUsOverStripe
            | Self::Account
            | Self::AccountLink
            | Self::Customer
            | Self::PaymentMethodAttached
            | Self::PaymentMethodDetached
            | Self::Payment
            | Self::PaymentConfirmed
            | Self::PaymentCaptured
            | Self::PaymentCancelled
            | Self::Refund => Provider::Stripe,
        }
    }
}
