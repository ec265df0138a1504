//! Comparing signatures without telling by time which of them nearly matched.
//!
//! All providers here send text (hex or base64), so text is what is compared: an upper-case hex or a
//! URL-safe base64 of the right bytes is not the right signature. Every secret is tried every time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::webhook::{Secret, Secrets};

impl Secrets {
    /// The secret of which `expect` makes one of `given`; the work is the same whichever it is, and
    /// whether there is one.
    pub(crate) fn signer(&self, given: &[&[u8]], expect: impl Fn(&[u8]) -> Vec<String>) -> Option<&Secret> {
        // Counted from 1; 0 is none of them.
        let mut signer = 0_u32;
        for (number, secret) in (1_u32..).zip(self.live()) {
            let mut matched = Choice::from(0);
            for expected in expect(secret.text.expose_secret().as_bytes()) {
                for signature in given {
                    matched |= expected.as_bytes().ct_eq(signature);
                }
            }
            signer.conditional_assign(&number, matched);
        }
        (1_u32..).zip(self.live()).find(|(number, _)| *number == signer).map(|(_, secret)| secret)
    }
}

/// Lower hex HMAC-SHA256 over `parts`. `None` never happens: HMAC takes keys of any length.
pub(crate) fn hmac_sha256_hex(key: &[u8], parts: &[&[u8]]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// Standard, padded base64 of HMAC-SHA512 over `body`. `None` never happens, as above.
pub(crate) fn hmac_sha512_base64(key: &[u8], body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).ok()?;
    mac.update(body);
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}
