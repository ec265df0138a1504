//! Stripe's words. Every enum of Stripe's is open: a word that is not listed here is legal, stays as it
//! came, and is written back as it came.

/// An enum of words, each with its spelling, and `Other` for the rest.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] $variant,)+
            /// A word this version does not know.
            Other(String),
        }

        impl $name {
            /// The words this version knows.
            pub const KNOWN: &'static [&'static str] = &[$($word),+];

            /// Stripe's word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word.to_owned()),
                }
            }
        }
    )+

        #[cfg(test)]
        mod tests {
            use proptest::prelude::*;

            use super::*;

            #[test]
            fn every_known_word_is_written_as_it_is_read() {
                $(for word in $name::KNOWN {
                    let read = $name::from(*word);
                    assert!(!matches!(read, $name::Other(_)), "{word}");
                    assert_eq!(read.as_str(), *word);
                })+
            }

            proptest! {
                #[test]
                fn unknown_words_survive(word in "[a-z_]{0,40}") {
                    $({
                        let read = $name::from(word.as_str());
                        prop_assert_eq!(read.as_str(), word.as_str());
                    })+
                }
            }
        }
    };
}

words! {
    /// Where a payment intent is.
    PaymentIntentStatus {
        RequiresPaymentMethod = "requires_payment_method",
        RequiresConfirmation = "requires_confirmation",
        RequiresAction = "requires_action",
        Processing = "processing",
        RequiresCapture = "requires_capture",
        Succeeded = "succeeded",
        Canceled = "canceled",
    }
    /// When the money is taken.
    CaptureMethod {
        Automatic = "automatic",
        AutomaticAsync = "automatic_async",
        Manual = "manual",
    }
    /// Why a payment intent is cancelled.
    CancellationReason {
        Abandoned = "abandoned",
        Automatic = "automatic",
        Duplicate = "duplicate",
        Expired = "expired",
        FailedInvoice = "failed_invoice",
        Fraudulent = "fraudulent",
        RequestedByCustomer = "requested_by_customer",
        VoidInvoice = "void_invoice",
    }
    /// Where a refund is.
    RefundStatus {
        Pending = "pending",
        RequiresAction = "requires_action",
        Succeeded = "succeeded",
        Failed = "failed",
        Canceled = "canceled",
    }
    /// Why a refund is made. The last is Stripe's own and cannot be sent.
    RefundReason {
        Duplicate = "duplicate",
        Fraudulent = "fraudulent",
        RequestedByCustomer = "requested_by_customer",
        ExpiredUncapturedCharge = "expired_uncaptured_charge",
    }
    /// Where a payout is. `paid` is no end: within five business days it can still become `failed`.
    PayoutStatus {
        Pending = "pending",
        InTransit = "in_transit",
        Paid = "paid",
        Failed = "failed",
        Canceled = "canceled",
    }
    /// How fast a payout is.
    PayoutMethod {
        Standard = "standard",
        Instant = "instant",
    }
    /// What a payout goes to.
    PayoutType {
        BankAccount = "bank_account",
        Card = "card",
    }
    /// Whether an automatic payout's balance transactions can be listed yet.
    ReconciliationStatus {
        Completed = "completed",
        InProgress = "in_progress",
        NotApplicable = "not_applicable",
    }
    /// From which part of the balance money is taken.
    SourceType {
        BankAccount = "bank_account",
        Card = "card",
        Fpx = "fpx",
    }
    /// Whether a balance transaction's money can be used.
    BalanceStatus {
        Available = "available",
        Pending = "pending",
    }
    /// What moved a balance.
    BalanceTransactionType {
        Adjustment = "adjustment",
        ApplicationFee = "application_fee",
        ApplicationFeeRefund = "application_fee_refund",
        Charge = "charge",
        Payment = "payment",
        PaymentRefund = "payment_refund",
        Payout = "payout",
        PayoutCancel = "payout_cancel",
        PayoutFailure = "payout_failure",
        Refund = "refund",
        RefundFailure = "refund_failure",
        StripeFee = "stripe_fee",
        Transfer = "transfer",
        TransferCancel = "transfer_cancel",
        TransferFailure = "transfer_failure",
        TransferRefund = "transfer_refund",
    }
    /// Whether a capability of an account is on.
    CapabilityStatus {
        Active = "active",
        Inactive = "inactive",
        Pending = "pending",
    }
    /// What kind of business an account is.
    BusinessType {
        Company = "company",
        GovernmentEntity = "government_entity",
        Individual = "individual",
        NonProfit = "non_profit",
    }
    /// What an account link is for.
    AccountLinkType {
        Onboarding = "account_onboarding",
        Update = "account_update",
    }
    /// What Stripe advises after a decline.
    AdviceCode {
        ConfirmCardData = "confirm_card_data",
        DoNotTryAgain = "do_not_try_again",
        TryAgainLater = "try_again_later",
    }
}
