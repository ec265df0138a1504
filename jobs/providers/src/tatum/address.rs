//! Deposit addresses, derived here from an extended public key: no mnemonic and no private key ever
//! reaches this process or the provider. Who holds the xpub can watch, not spend.
//!
//! The key is that of the external chain, such as m/44'/60'/0'/0; its child `index` is the address.
//! Bitcoin addresses are native segwit (P2WPKH), as BIP-84 wallets show them.

use bip32::{ChildNumber, ExtendedKey, ExtendedPublicKey};
use k256::PublicKey;
use k256::elliptic_curve::sec1::ToSec1Point;
use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use sha3::Keccak256;

use super::chain::{Chain, Mode};

/// The highest index that is not hardened.
pub const LAST_INDEX: u32 = 0x7fff_ffff;
/// What TRON puts before an address.
pub(super) const TRON_VERSION: u8 = 0x41;

/// An extended public key that addresses are derived from. Not a secret, but whose addresses belong
/// together is nobody's business: it is not printed.
#[derive(Clone)]
pub struct Xpub(ExtendedPublicKey<PublicKey>);

impl std::fmt::Debug for Xpub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Xpub(..)")
    }
}

/// An address that cannot be derived. Never quotes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an extended key, or a damaged one.
    #[error("is not an extended public key (xpub...)")]
    NotAnXpub,
    /// A private one.
    #[error("is an extended PRIVATE key; configure the public one (xpub...) and consider this one exposed")]
    Private,
    /// No such child.
    #[error("the index is above 2147483647")]
    Index,
    /// A child that does not exist, by a chance of less than one in 2^127.
    #[error("there is no address at this index; take the next one")]
    NoSuchChild,
}

impl Xpub {
    /// Reads `xpub...`, or `ypub...`, `zpub...`, `tpub...` and the like, which differ in name only.
    ///
    /// # Errors
    /// [`AddressError::NotAnXpub`] or [`AddressError::Private`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let key: ExtendedKey = text.trim().parse().map_err(|_| AddressError::NotAnXpub)?;
        // The library would quietly make a public key of a private one.
        if !key.prefix.is_public() {
            return Err(AddressError::Private);
        }
        key.try_into().map(Self).map_err(|_| AddressError::NotAnXpub)
    }

    /// The address of child `index` on `chain`.
    ///
    /// # Errors
    /// [`AddressError::Index`] or [`AddressError::NoSuchChild`].
    pub fn address(&self, chain: Chain, mode: Mode, index: u32) -> Result<String, AddressError> {
        let number = ChildNumber::new(index, false).map_err(|_| AddressError::Index)?;
        let child = self.0.derive_child(number).map_err(|_| AddressError::NoSuchChild)?;
        let key = child.public_key();
        match chain {
            Chain::Ethereum | Chain::Polygon => Ok(evm(&account(key))),
            Chain::Tron => {
                let mut bytes = vec![TRON_VERSION];
                bytes.extend(account(key));
                Ok(bs58::encode(bytes).with_check().into_string())
            }
            Chain::Bitcoin => segwit(key, mode).ok_or(AddressError::NoSuchChild),
        }
    }
}

/// The last twenty bytes of the Keccak-256 of the uncompressed key without its tag.
fn account(key: &PublicKey) -> [u8; 20] {
    let point = key.to_sec1_point(false);
    let hash: [u8; 32] = Keccak256::digest(point.as_bytes().get(1..).unwrap_or_default()).into();
    let mut account = [0; 20];
    account.copy_from_slice(hash.split_at(12).1);
    account
}

/// `0x` and the account, in the case that EIP-55 makes its checksum of.
fn evm(account: &[u8; 20]) -> String {
    let lower = hex::encode(account);
    let hash = hex::encode(Keccak256::digest(lower.as_bytes()));
    let cased = lower
        .chars()
        .zip(hash.chars())
        .map(|(letter, nibble)| if nibble >= '8' { letter.to_ascii_uppercase() } else { letter });
    "0x".chars().chain(cased).collect()
}

fn segwit(key: &PublicKey, mode: Mode) -> Option<String> {
    let hash = Ripemd160::digest(Sha256::digest(key.to_sec1_point(true).as_bytes()));
    let prefix = match mode {
        Mode::Mainnet => bech32::hrp::BC,
        Mode::Testnet => bech32::hrp::TB,
    };
    bech32::segwit::encode_v0(prefix, &hash).ok()
}

#[cfg(test)]
mod tests {
    use bip32::{DerivationPath, Prefix, XPrv};

    use super::*;

    /// The seed of the test mnemonic of BIP-39, eleven times "abandon" and "about", without passphrase.
    const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";

    fn xpub(path: &str) -> Xpub {
        let path: DerivationPath = path.parse().unwrap();
        let key = XPrv::derive_from_path(&hex::decode(SEED).unwrap(), &path).unwrap();
        Xpub::parse(&key.public_key().to_string(Prefix::XPUB)).unwrap()
    }

    #[test]
    fn addresses_are_those_that_every_wallet_shows_for_the_test_mnemonic() {
        for (path, chain, index, want) in [
            ("m/44'/60'/0'/0", Chain::Ethereum, 0, "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"),
            ("m/44'/60'/0'/0", Chain::Polygon, 0, "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"),
            ("m/44'/60'/0'/0", Chain::Ethereum, 1, "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0"),
            ("m/84'/0'/0'/0", Chain::Bitcoin, 0, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"),
            ("m/84'/0'/0'/0", Chain::Bitcoin, 1, "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"),
            ("m/44'/195'/0'/0", Chain::Tron, 0, "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"),
        ] {
            let address = xpub(path).address(chain, Mode::Mainnet, index).unwrap();
            assert_eq!(address, want, "{chain:?} {index}");
            assert_eq!(chain.network().check_address(&address), Ok(()));
        }
    }

    #[test]
    fn the_zpub_that_bip_84_prints_gives_the_address_that_it_prints() {
        let account = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
        let Xpub(key) = Xpub::parse(account).unwrap();
        let external = Xpub(key.derive_child(ChildNumber::new(0, false).unwrap()).unwrap());
        let address = external.address(Chain::Bitcoin, Mode::Mainnet, 0).unwrap();
        assert_eq!(address, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
    }

    #[test]
    fn the_public_chain_of_bip_32s_second_vector_is_derived() {
        let parent = "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB";
        let child = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH";
        let Xpub(key) = Xpub::parse(parent).unwrap();
        let derived = key.derive_child(ChildNumber::new(0, false).unwrap()).unwrap();
        assert_eq!(derived.to_string(Prefix::XPUB), child);
    }

    #[test]
    fn an_address_derived_in_public_is_the_one_of_the_private_key() {
        let path: DerivationPath = "m/44'/60'/0'/0/1234567".parse().unwrap();
        let private = XPrv::derive_from_path(&hex::decode(SEED).unwrap(), &path).unwrap();
        let key = PublicKey::from(private.public_key().public_key());
        let derived = xpub("m/44'/60'/0'/0").address(Chain::Ethereum, Mode::Mainnet, 1_234_567).unwrap();
        assert_eq!(derived, evm(&account(&key)));
    }

    #[test]
    fn a_private_key_is_refused_and_nothing_of_it_is_printed() {
        let private = "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U";
        assert_eq!(Xpub::parse(private).unwrap_err(), AddressError::Private);
        assert!(!AddressError::Private.to_string().contains("xprv9"));
        assert_eq!(Xpub::parse("xpub661MyMwAqRbcF").unwrap_err(), AddressError::NotAnXpub);
        assert_eq!(format!("{:?}", xpub("m/44'/60'/0'/0")), "Xpub(..)");
    }

    #[test]
    fn an_index_that_would_be_hardened_is_refused() {
        let xpub = xpub("m/44'/60'/0'/0");
        assert!(xpub.address(Chain::Ethereum, Mode::Mainnet, LAST_INDEX).is_ok());
        let error = xpub.address(Chain::Ethereum, Mode::Mainnet, LAST_INDEX + 1).unwrap_err();
        assert_eq!(error, AddressError::Index);
    }

    #[test]
    fn testnet_addresses_of_bitcoin_say_so() {
        let address = xpub("m/84'/1'/0'/0").address(Chain::Bitcoin, Mode::Testnet, 0).unwrap();
        assert_eq!(address, "tb1q6rz28mcfaxtmd6v789l9rrlrusdprr9pqcpvkl");
    }
}
