//! Where a holder is paid, and what pays them there.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

use crate::address::Network;
use crate::ids::OperationId;
use crate::kinds::payout::{Destination, Origin, Payout};
use crate::kinds::transfer::Transfer;
use crate::kinds::{OperationKind, Request};
use crate::provider::Provider;
use crate::{Asset, Money};

/// Where a holder is paid. All of one distribution are of one sort, as its asset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payee {
    /// To an address on a chain, with a payout by Heleket.
    Crypto {
        /// On which chain.
        network: Network,
        /// To whom.
        address: String,
    },
    /// To the balance of a connected account, with a transfer by Stripe.
    Account {
        /// The operation that made it.
        account: OperationId,
    },
}

impl Payee {
    /// Whether `asset` can get there: an account takes currencies, which are on no chain.
    #[must_use]
    pub fn carries(&self, asset: Asset) -> bool {
        match self {
            Self::Crypto { network, .. } => network.carries(asset),
            Self::Account { .. } => !Network::ALL.iter().any(|network| network.carries(asset)),
        }
    }

    /// Who pays there.
    pub(super) const fn provider(&self) -> Provider {
        match self {
            Self::Crypto { .. } => Provider::Heleket,
            Self::Account { .. } => Provider::Stripe,
        }
    }

    /// The kind of what pays there.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Crypto { .. } => OperationKind::Payout,
            Self::Account { .. } => OperationKind::Transfer,
        }
    }

    /// What pays `money` there.
    #[must_use]
    pub fn paid(&self, money: Money, reference: String, origin: Origin) -> Request {
        match self {
            Self::Crypto { network, address } => {
                let to = Destination::Crypto { network: *network, address: address.clone() };
                Request::Payout(Payout { money, to, reference: Some(reference), origin })
            }
            Self::Account { account } => {
                Request::Transfer(Transfer { money, account: *account, group: Some(reference), origin })
            }
        }
    }
}
