//! A signed transaction and the hash that its chain will know it by, computed here before anything is
//! sent: the same bytes have the same hash, so sending them again is asking again.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use sha3::Keccak256;

use super::chain::Chain;

/// Longer than any transaction of ours, in bytes.
const LONGEST: usize = 100_000;

/// A transaction that is ready to be broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    chain: Chain,
    data: String,
    hash: String,
}

/// Bytes that are no signed transaction of that chain. Says nothing of their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a signed transaction of this chain")]
pub struct NotATransaction;

impl SignedTransaction {
    /// Takes `data` as Tatum is given it: hex (with `0x` on EVM chains), for TRON the transaction in JSON.
    ///
    /// # Errors
    /// [`NotATransaction`].
    pub fn new(chain: Chain, data: &str) -> Result<Self, NotATransaction> {
        let hash = match chain {
            Chain::Ethereum | Chain::Polygon => {
                let bytes = bytes(data.strip_prefix("0x").ok_or(NotATransaction)?)?;
                format!("0x{}", hex::encode(Keccak256::digest(bytes)))
            }
            Chain::Bitcoin => bitcoin_id(&bytes(data)?).ok_or(NotATransaction)?,
            Chain::Tron => {
                let transaction: Tron = serde_json::from_str(data).map_err(|_| NotATransaction)?;
                hex::encode(Sha256::digest(bytes(&transaction.raw_data_hex)?))
            }
        };
        Ok(Self { chain, data: data.to_owned(), hash })
    }

    /// Its chain.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// What its chain will know it by, in the chain's own writing.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn data(&self) -> &str {
        &self.data
    }
}

/// The part of a transaction in JSON that is signed.
#[derive(Deserialize)]
struct Tron {
    raw_data_hex: String,
}

fn bytes(text: &str) -> Result<Vec<u8>, NotATransaction> {
    let bytes = hex::decode(text).map_err(|_| NotATransaction)?;
    if bytes.is_empty() || bytes.len() > LONGEST { Err(NotATransaction) } else { Ok(bytes) }
}

/// Twice SHA-256 of everything but marker, flag and witnesses, shown backwards.
fn bitcoin_id(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader { rest: bytes };
    let version = reader.take(4)?;
    let has_witness = reader.rest.starts_with(&[0, 1]);
    if has_witness {
        reader.take(2)?;
    }
    let start = reader.rest;
    let inputs = reader.count()?;
    for _ in 0..inputs {
        reader.take(36)?;
        reader.script()?;
        reader.take(4)?;
    }
    let outputs = reader.count()?;
    for _ in 0..outputs {
        reader.take(8)?;
        reader.script()?;
    }
    let middle = start.get(..start.len().checked_sub(reader.rest.len())?)?;
    for _ in 0..(if has_witness { inputs } else { 0 }) {
        let items = reader.count()?;
        for _ in 0..items {
            reader.script()?;
        }
    }
    let lock_time = reader.take(4)?;
    if !reader.rest.is_empty() || inputs == 0 {
        return None;
    }
    let once = Sha256::new().chain_update(version).chain_update(middle).chain_update(lock_time).finalize();
    let mut id = Sha256::digest(once);
    id.reverse();
    Some(hex::encode(id))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Bitcoin's variable length.
    fn count(&mut self) -> Option<usize> {
        let wide = match *self.take(1)?.first()? {
            small @ 0..=0xfc => return Some(usize::from(small)),
            0xfd => 2,
            0xfe => 4,
            0xff => 8,
        };
        let mut number = [0; 8];
        number.get_mut(..wide)?.copy_from_slice(self.take(wide)?);
        usize::try_from(u64::from_le_bytes(number)).ok()
    }

    fn script(&mut self) -> Option<()> {
        let length = self.count()?;
        self.take(length).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first transaction of Bitcoin.
    const GENESIS: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";

    fn hash(chain: Chain, data: &str) -> Result<String, NotATransaction> {
        SignedTransaction::new(chain, data).map(|signed| signed.hash().to_owned())
    }

    #[test]
    fn the_hash_is_the_one_that_the_chain_shows() {
        let eip_155 = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
        let known = "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788";
        assert_eq!(hash(Chain::Ethereum, eip_155).unwrap(), known);
        let genesis = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
        assert_eq!(hash(Chain::Bitcoin, GENESIS).unwrap(), genesis);
    }

    #[test]
    fn witnesses_do_not_change_a_bitcoin_id() {
        let (version, rest) = GENESIS.split_at(8);
        let (body, lock_time) = rest.split_at(rest.len() - 8);
        let with_witness = format!("{version}0001{body}0203aabbcc00{lock_time}");
        assert_eq!(hash(Chain::Bitcoin, &with_witness), hash(Chain::Bitcoin, GENESIS));
    }

    #[test]
    fn a_tron_transaction_is_known_by_the_hash_of_what_is_signed() {
        let signed = r#"{"visible":false,"txID":"x","raw_data_hex":"0a02","signature":["00"]}"#;
        let want = hex::encode(Sha256::digest([0x0a, 0x02]));
        assert_eq!(hash(Chain::Tron, signed).unwrap(), want);
    }

    #[test]
    fn what_is_no_transaction_is_refused() {
        for (chain, data) in [
            (Chain::Ethereum, "f86c"),
            (Chain::Ethereum, "0x"),
            (Chain::Ethereum, "0xzz"),
            (Chain::Bitcoin, ""),
            (Chain::Bitcoin, "0100"),
            (Chain::Bitcoin, &format!("{GENESIS}00")),
            (Chain::Bitcoin, "01000000ffffffffffffffffff"),
            (Chain::Tron, "{}"),
            (Chain::Tron, r#"{"raw_data_hex":""}"#),
        ] {
            assert_eq!(hash(chain, data), Err(NotATransaction), "{chain:?} {data:.40}");
        }
    }
}
