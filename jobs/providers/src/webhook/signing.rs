//! Making a delivery that [`verify`](super::verify) accepts: for integrators who try their receiver,
//! and for tests. Nothing here makes a real provider's signature: it takes the same shared secret.

use payfleet_core::Timestamp;
use payfleet_core::provider::Provider;
use secrecy::{ExposeSecret, SecretString};

use super::{Delivery, Rejected, Secrets, verify};
use crate::heleket;
use crate::signature::{hmac_sha256_hex, hmac_sha512_base64};

/// A signed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDelivery {
    /// The header that carries the signature, where it is in one.
    pub header: Option<(&'static str, String)>,
    /// The body as it must be sent, byte for byte.
    pub body: Vec<u8>,
}

/// Signs `body` as `provider` does at `now`.
///
/// # Errors
/// [`Rejected`] where nothing that can be verified comes of it: no secret, no JSON object, a repeated
/// key, a member `sign` that is there already (Heleket).
pub fn sign(
    provider: Provider,
    body: &[u8],
    secret: &SecretString,
    now: Timestamp,
) -> Result<SignedDelivery, Rejected> {
    let key = secret.expose_secret().as_bytes();
    let signed = match provider {
        Provider::Stripe => {
            let at = now.unix_s().to_string();
            let v1 = hmac_sha256_hex(key, &[at.as_bytes(), b".", body]).unwrap_or_default();
            in_header("stripe-signature", format!("t={at},v1={v1}"), body)
        }
        Provider::Tatum => {
            in_header("x-payload-hash", hmac_sha512_base64(key, body).unwrap_or_default(), body)
        }
        Provider::Heleket => SignedDelivery { header: None, body: in_body(key, body)? },
        Provider::TrovoTech => {
            let signature = hmac_sha256_hex(key, &[body]).unwrap_or_default();
            in_header("x-trovotech-signature", signature, body)
        }
    };
    let header = |name: &str| {
        let (own, value) = signed.header.as_ref()?;
        (*own == name).then_some(value.as_bytes())
    };
    let delivery = Delivery { provider, header: &header, body: &signed.body, now };
    verify(delivery, &Secrets::new(vec![secret.clone()]))?;
    Ok(signed)
}

fn in_header(name: &'static str, signature: String, body: &[u8]) -> SignedDelivery {
    SignedDelivery { header: Some((name, signature)), body: body.to_vec() }
}

/// The body with its signature as its last member.
fn in_body(key: &[u8], body: &[u8]) -> Result<Vec<u8>, Rejected> {
    let body = body.trim_ascii();
    let open = body.strip_suffix(b"}").ok_or(Rejected::Malformed("the body is not a JSON object"))?;
    let comma = if open.trim_ascii() == b"{" { "" } else { "," };
    let signature = heleket::sign::sign(body, key);
    Ok([open, format!("{comma}\"sign\":\"{signature}\"}}").as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODIES: [(Provider, &str); 4] = [
        (Provider::Stripe, r#"{"id":"evt_1","type":"payout.paid"}"#),
        (Provider::Tatum, r#"{"txId":"t","address":"a"}"#),
        (Provider::Heleket, r#"{"uuid":"u","status":"paid","url":"https:\/\/a"}"#),
        (Provider::TrovoTech, r#"{"event_type":"wallet.created","data":{"wallet_address":"G"}}"#),
    ];

    #[test]
    fn what_is_signed_is_verified_and_nothing_else_is_signed() {
        let now = Timestamp::from_unix_ms(1_780_000_000_000);
        for (provider, body) in BODIES {
            let signed = sign(provider, body.as_bytes(), &"k".into(), now).unwrap();
            assert_eq!(signed.header.is_none(), provider == Provider::Heleket);
            assert_eq!(sign(provider, body.as_bytes(), &"".into(), now), Err(Rejected::NotConfigured));
            for bad in ["[]", "", r#"{"a":1,"a":2}"#] {
                assert!(sign(provider, bad.as_bytes(), &"k".into(), now).is_err(), "{provider} {bad}");
            }
        }
        let twice = br#"{"uuid":"u","sign":"x"}"#;
        assert!(sign(Provider::Heleket, twice, &"k".into(), now).is_err());
    }
}
