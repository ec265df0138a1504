//! Custodial wallets: one an investor, however often it is asked for.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::wire::hash_of;

/// `POST /wallet/create`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Investor {
    investor_email: String,
    #[serde(default)]
    investor_name: String,
}

impl Investor {
    /// One wallet an investor.
    pub(super) fn address(&self) -> String {
        let key: [u8; 32] = Sha256::digest(format!("wallet {}", self.investor_email)).into();
        stellar_strkey::ed25519::PublicKey(key).to_string().as_str().to_owned()
    }

    pub(super) fn event(&self) -> String {
        let trustee_ref = hash_of(&self.address()).get(..12).map(str::to_owned);
        let data = json!({
            "wallet_address": self.address(),
            "trustee_ref": trustee_ref,
            "user_email": self.investor_email,
        });
        json!({ "event_type": "wallet.created", "data": data }).to_string()
    }
}

/// A wallet as the API shows it.
pub(super) fn wallet(address: &str) -> Value {
    json!({ "wallet_address": address, "balance": 0, "trustee_ref": hash_of(address).get(..12) })
}
