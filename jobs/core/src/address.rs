//! Where crypto can be sent: networks, which assets live on them, and whether an address is one of
//! theirs. A wrong address is refused at the door, where it costs nothing: no chain gives money back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};

use crate::Asset;

/// A chain, by the name the clients of our API use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Network {
    /// TRON: base58check addresses that start with `T`.
    Tron,
    /// Ethereum: `0x` and 40 hex characters, EIP-55 checksum where the case is mixed.
    Eth,
    /// BNB Smart Chain, addresses as on Ethereum.
    Bsc,
    /// Polygon, addresses as on Ethereum.
    Polygon,
    /// Bitcoin main network: base58check (`1`, `3`) or bech32 (`bc1`).
    Btc,
    /// Bantu, a Stellar network: `G` and 55 characters.
    Bantu,
}

impl Network {
    /// Every network.
    pub const ALL: [Self; 6] = [Self::Tron, Self::Eth, Self::Bsc, Self::Polygon, Self::Btc, Self::Bantu];

    /// The name in requests, upper case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tron => "TRON",
            Self::Eth => "ETH",
            Self::Bsc => "BSC",
            Self::Polygon => "POLYGON",
            Self::Btc => "BTC",
            Self::Bantu => "BANTU",
        }
    }

    /// The codes of the assets that can be paid out on this network.
    #[must_use]
    pub const fn assets(self) -> &'static [&'static str] {
        match self {
            Self::Tron => &["USDT", "USDC", "TRX"],
            Self::Eth => &["USDT", "USDC", "ETH"],
            Self::Bsc => &["USDT", "USDC", "BNB"],
            Self::Polygon => &["USDT", "USDC", "MATIC"],
            Self::Btc => &["BTC"],
            // Wallets of investors live here; no provider of ours pays out on it.
            Self::Bantu => &[],
        }
    }

    /// Whether `asset` lives here.
    #[must_use]
    pub fn carries(self, asset: Asset) -> bool {
        self.assets().contains(&asset.code())
    }

    /// Whether two addresses are the same place: on EVM chains the case of letters is a checksum only.
    #[must_use]
    pub fn same_address(self, one: &str, other: &str) -> bool {
        match self {
            Self::Eth | Self::Bsc | Self::Polygon => one.eq_ignore_ascii_case(other),
            Self::Tron | Self::Btc | Self::Bantu => one == other,
        }
    }

    /// The address without what is only a checksum: two that are the same place have the same key.
    #[must_use]
    pub fn key_of(self, address: &str) -> String {
        match self {
            Self::Eth | Self::Bsc | Self::Polygon => address.to_ascii_lowercase(),
            Self::Tron | Self::Btc | Self::Bantu => address.to_owned(),
        }
    }

    /// What an address here looks like, for error messages.
    #[must_use]
    pub const fn address_form(self) -> &'static str {
        match self {
            Self::Tron => "34 characters that start with T",
            Self::Eth | Self::Bsc | Self::Polygon => "0x and 40 hex characters",
            Self::Btc => "a base58 address that starts with 1 or 3, or a bech32 address that starts with bc1",
            Self::Bantu => "56 characters that start with G",
        }
    }

    /// Checks form and checksum.
    ///
    /// # Errors
    /// [`InvalidAddress`], which says what an address of this network looks like.
    pub fn check_address(self, address: &str) -> Result<(), InvalidAddress> {
        let valid = match self {
            Self::Tron => base58_versions(address, &[0x41]),
            Self::Eth | Self::Bsc | Self::Polygon => is_evm(address),
            Self::Btc => base58_versions(address, &[0x00, 0x05]) || is_bitcoin_segwit(address),
            Self::Bantu => stellar_strkey::ed25519::PublicKey::from_string(address).is_ok(),
        };
        if valid { Ok(()) } else { Err(InvalidAddress { network: self }) }
    }
}

/// The address is not one of this network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a valid {network} address (form: {}; or its checksum is wrong)", network.address_form())]
pub struct InvalidAddress {
    network: Network,
}

/// No network has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a network we pay out on; known networks are TRON, ETH, BSC, POLYGON, BTC")]
pub struct UnknownNetwork;

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL.into_iter().find(|network| network.as_str() == name).ok_or(UnknownNetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Base58check with a 20-byte body behind one of `versions`.
fn base58_versions(address: &str, versions: &[u8]) -> bool {
    if !(26..=35).contains(&address.len()) {
        return false;
    }
    let Ok(bytes) = bs58::decode(address).with_check(None).into_vec() else { return false };
    bytes.len() == 21 && bytes.first().is_some_and(|version| versions.contains(version))
}

fn is_bitcoin_segwit(address: &str) -> bool {
    bech32::segwit::decode(address).is_ok_and(|(hrp, _, _)| hrp == bech32::hrp::BC)
}

/// All lower or all upper case carries no checksum; mixed case must be the EIP-55 one.
fn is_evm(address: &str) -> bool {
    let Some(body) = address.strip_prefix("0x") else { return false };
    if body.len() != 40 || !body.bytes().all(|b| b.is_ascii_hexdigit()) {
        return false;
    }
    let lower = body.to_ascii_lowercase();
    if body == lower || body == body.to_ascii_uppercase() {
        return true;
    }
    let nibbles = hex::encode(Keccak256::digest(lower.as_bytes()));
    body.bytes()
        .zip(nibbles.bytes())
        .all(|(letter, nibble)| letter.is_ascii_digit() || letter.is_ascii_uppercase() == (nibble >= b'8'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_each_network_are_recognised() {
        for (network, address) in [
            (Network::Tron, "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"),
            (Network::Eth, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
            (Network::Bsc, "0x2be3e0a7fc9c0d0592ea49b05dde7f28baf8e380"),
            (Network::Btc, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            (Network::Btc, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            (Network::Bantu, "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57"),
        ] {
            assert_eq!(network.check_address(address), Ok(()), "{network} {address}");
        }
    }

    #[test]
    fn a_changed_character_or_another_network_is_refused() {
        for (network, address) in [
            (Network::Tron, "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqn"),
            (Network::Tron, "0x2be3e0a7fc9c0d0592ea49b05dde7f28baf8e380"),
            (Network::Tron, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            (Network::Eth, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"),
            (Network::Eth, "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm"),
            (Network::Btc, "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"),
            (Network::Bantu, "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA56"),
            (Network::Eth, ""),
        ] {
            assert!(network.check_address(address).is_err(), "{network} {address}");
        }
    }

    #[test]
    fn the_case_of_letters_makes_no_other_address_where_it_is_a_checksum() {
        let checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert!(Network::Eth.same_address(checksummed, &checksummed.to_lowercase()));
        assert!(
            !Network::Tron
                .same_address("TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm", "tDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm")
        );
    }

    #[test]
    fn every_asset_a_network_names_exists() {
        for network in Network::ALL {
            assert_eq!(network.as_str().parse(), Ok(network));
            for code in network.assets() {
                assert!(network.carries(code.parse().unwrap()), "{network} {code}");
            }
        }
    }
}
