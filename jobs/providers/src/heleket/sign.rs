//! Heleket's signature, the same for requests (header `sign`) and webhooks (member `sign`): lower hex
//! MD5 over the base64 of the raw body, followed by the key. The query string is not signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// The signature of `body` with `key`; of no body it is the MD5 of the key.
pub(crate) fn sign(body: &[u8], key: &[u8]) -> String {
    hex::encode(Md5::new().chain_update(STANDARD.encode(body)).chain_update(key).finalize())
}
