//! The four chains that incoming payments come on, by each of the names that Tatum has for them.

use payfleet_core::Asset;
use payfleet_core::address::Network;
use rust_decimal::Decimal;

/// A chain that we watch addresses on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// ETH.
    Ethereum,
    /// BTC.
    Bitcoin,
    /// MATIC.
    Polygon,
    /// TRX.
    Tron,
}

/// The real chains, or those that money is no object on. It belongs to the API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Real money.
    #[default]
    Mainnet,
    /// Sepolia, Bitcoin's and TRON's testnet, Amoy.
    Testnet,
}

impl Chain {
    /// Every chain.
    pub const ALL: [Self; 4] = [Self::Ethereum, Self::Bitcoin, Self::Polygon, Self::Tron];

    /// What the v4 API calls it.
    #[must_use]
    pub const fn name(self, mode: Mode) -> &'static str {
        match (self, mode) {
            (Self::Ethereum, Mode::Mainnet) => "ethereum-mainnet",
            (Self::Ethereum, Mode::Testnet) => "ethereum-sepolia",
            (Self::Bitcoin, Mode::Mainnet) => "bitcoin-mainnet",
            (Self::Bitcoin, Mode::Testnet) => "bitcoin-testnet",
            (Self::Polygon, Mode::Mainnet) => "polygon-mainnet",
            (Self::Polygon, Mode::Testnet) => "polygon-amoy",
            (Self::Tron, Mode::Mainnet) => "tron-mainnet",
            (Self::Tron, Mode::Testnet) => "tron-testnet",
        }
    }

    /// What paths of the v3 API call it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Ethereum => "ethereum",
            Self::Bitcoin => "bitcoin",
            Self::Polygon => "polygon",
            Self::Tron => "tron",
        }
    }

    /// The chain of any name of it, old ones included.
    #[must_use]
    pub fn from_name(name: &str) -> Option<(Self, Option<Mode>)> {
        let modes = [Mode::Mainnet, Mode::Testnet];
        let named = Self::ALL.into_iter().flat_map(|chain| modes.map(|mode| (chain, mode)));
        let found = named.into_iter().find(|(chain, mode)| chain.name(*mode) == name);
        let old = || match name {
            "ETH" => Some(Self::Ethereum),
            "BTC" => Some(Self::Bitcoin),
            "MATIC" => Some(Self::Polygon),
            "TRON" => Some(Self::Tron),
            _ => None,
        };
        found.map(|(chain, mode)| (chain, Some(mode))).or_else(|| old().map(|chain| (chain, None)))
    }

    /// The chain of a network, where it is one that is watched.
    #[must_use]
    pub fn of(network: Network) -> Option<Self> {
        Self::ALL.into_iter().find(|chain| chain.network() == network)
    }

    /// The same chain in our words.
    #[must_use]
    pub const fn network(self) -> Network {
        match self {
            Self::Ethereum => Network::Eth,
            Self::Bitcoin => Network::Btc,
            Self::Polygon => Network::Polygon,
            Self::Tron => Network::Tron,
        }
    }

    /// The coin that fees are paid in, in our words.
    #[must_use]
    pub const fn coin(self) -> &'static str {
        match self {
            Self::Ethereum => "ETH",
            Self::Bitcoin => "BTC",
            Self::Polygon => "MATIC",
            Self::Tron => "TRX",
        }
    }

    /// As Tatum calls the coin.
    #[must_use]
    pub const fn currency(self) -> &'static str {
        match self {
            Self::Tron => "TRON",
            other => other.coin(),
        }
    }

    /// How many decimals the coin has.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Ethereum | Self::Polygon => 18,
            Self::Bitcoin => 8,
            Self::Tron => 6,
        }
    }

    /// The asset that this contract of the main network issues. A token's own name proves nothing:
    /// anybody can call theirs USDT.
    #[must_use]
    pub fn asset_of_contract(self, contract: &str) -> Option<Asset> {
        let known = CONTRACTS
            .iter()
            .find(|(chain, address, _)| *chain == self && self.network().same_address(address, contract));
        known.and_then(|(.., code)| code.parse().ok())
    }
}

/// The issuers' contracts, as Tether and Circle publish them. All have 6 decimals.
const CONTRACTS: &[(Chain, &str, &str)] = &[
    (Chain::Ethereum, "0xdAC17F958D2ee523a2206206994597C13D831ec7", "USDT"),
    (Chain::Ethereum, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USDC"),
    (Chain::Polygon, "0xc2132D05D31c914a87C6611C10748AEb04B58e8F", "USDT"),
    (Chain::Polygon, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USDC"),
    (Chain::Tron, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "USDT"),
];

/// `units` of the smallest kind as whole ones. `None` where that cannot be held exactly.
pub(super) fn whole(units: &str, decimals: u32) -> Option<Decimal> {
    let digits = !units.is_empty() && units.len() <= 28 && units.bytes().all(|byte| byte.is_ascii_digit());
    let units: i128 = digits.then(|| units.parse().ok()).flatten()?;
    Decimal::try_from_i128_with_scale(units, decimals).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_chain() {
        for chain in Chain::ALL {
            for mode in [Mode::Mainnet, Mode::Testnet] {
                assert_eq!(Chain::from_name(chain.name(mode)), Some((chain, Some(mode))));
            }
            assert_eq!(Chain::from_name(chain.currency()), Some((chain, None)));
            let asset: Asset = chain.coin().parse().unwrap();
            assert_eq!(asset.scale(), chain.decimals());
        }
        assert_eq!(Chain::from_name("dogecoin-mainnet"), None);
    }

    #[test]
    fn the_issuers_contracts_have_valid_addresses_and_only_they_are_known() {
        for (chain, address, code) in CONTRACTS {
            assert_eq!(chain.network().check_address(address), Ok(()), "{code}");
            assert_eq!(chain.asset_of_contract(address).map(Asset::code), Some(*code));
        }
        let lower = "0xdac17f958d2ee523a2206206994597c13d831ec7";
        assert_eq!(Chain::Ethereum.asset_of_contract(lower).map(Asset::code), Some("USDT"));
        assert_eq!(Chain::Polygon.asset_of_contract(lower), None);
    }

    #[test]
    fn smallest_units_become_whole_ones_exactly_or_not_at_all() {
        assert_eq!(whole("50000000000000000", 18).unwrap().to_string(), "0.050000000000000000");
        assert_eq!(whole("1", 18).unwrap().to_string(), "0.000000000000000001");
        assert_eq!(
            whole("9999999999999999999999999999", 18).unwrap().to_string(),
            "9999999999.999999999999999999"
        );
        for bad in ["", "-1", "1.5", "0x10", "99999999999999999999999999999"] {
            assert_eq!(whole(bad, 18), None, "{bad}");
        }
    }
}
