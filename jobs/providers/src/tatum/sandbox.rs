//! Tatum as a server. For now it only sends the events it is given, signed as Tatum signs them.

use std::sync::Arc;

use axum::Router;
use secrecy::ExposeSecret;

use crate::sandbox::{Actor, Happened, Options, Signed};
use crate::signature::hmac_sha512_base64;

pub(crate) struct Tatum {
    options: Options,
}

impl Tatum {
    pub(crate) fn new(options: Options) -> Self {
        Self { options }
    }
}

impl Actor for Tatum {
    fn routes(self: Arc<Self>) -> Router {
        Router::new()
    }

    fn effects(&self) -> Vec<Happened> {
        Vec::new()
    }

    fn sign(&self, payload: String) -> Signed {
        let secret = self.options.secret.expose_secret().as_bytes();
        let hash = hmac_sha512_base64(secret, payload.as_bytes()).unwrap_or_default();
        Signed { header: Some(("x-payload-hash", hash)), body: payload }
    }
}
