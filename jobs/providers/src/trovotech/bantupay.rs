//! Signing requests to `BantuPay`, the newer API of the same vendor: Ed25519 over path with query and
//! body, both trimmed, nothing between them, as base64 in `X-BANTUPAY-SIGNATURE`.
//!
//! Nothing calls that API yet: whether it replaces the present one is an open question of the vendor.
//! Its transactions are signed in `transaction`, which decodes and compares an envelope first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use secrecy::{ExposeSecret, SecretBox};

/// The 32 bytes behind an account's secret key.
pub struct Seed(SecretBox<[u8; 32]>);

impl Seed {
    /// Takes the bytes.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(seed)))
    }

    /// The signature of a request to `path_with_query` with `body` (empty where there is none).
    #[must_use]
    pub fn sign_request(&self, path_with_query: &str, body: &str) -> String {
        let text = [path_with_query.trim(), body.trim()].concat();
        STANDARD.encode(self.sign(text.as_bytes()))
    }

    /// The Ed25519 signature of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key().sign(message).to_bytes()
    }

    /// The account's public key.
    pub(super) fn public_key(&self) -> [u8; 32] {
        self.key().verifying_key().to_bytes()
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(self.0.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_recorded_request_has_its_signature() {
        let vectors: Value = serde_json::from_str(include_str!("../../vectors/trovotech.json")).unwrap();
        let bantu = &vectors["bantu"];
        let mut seed = [0_u8; 32];
        hex::decode_to_slice(bantu["seed_hex"].as_str().unwrap(), &mut seed).unwrap();
        let cases = bantu["http_signing"].as_array().unwrap();
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            let signature = Seed::new(seed).sign_request(text("path_with_query"), text("body"));
            assert_eq!(signature, text("expected_signature_base64"), "{}", text("name"));
        }
        assert_eq!(cases.len(), 3);
    }
}
