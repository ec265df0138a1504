//! Certificates for `rediss://`, where the system's own do not do.

use redis::{ClientTlsConfig, TlsCertificates};

/// Whom to trust and who we are, all in PEM. Without it, the system's certificate authorities are
/// trusted and we show no certificate.
#[derive(Clone, Default)]
pub struct Tls {
    /// The certificate authorities to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate chain and its private key, where the server wants to see one.
    pub client: Option<ClientCertificate>,
}

/// A certificate and its private key, in PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The chain, our own certificate first.
    pub chain: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Tls {
    /// Shows no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ca, client) = (self.ca.is_some(), self.client.is_some());
        f.debug_struct("Tls").field("ca", &ca).field("client", &client).finish()
    }
}

impl std::fmt::Debug for ClientCertificate {
    /// Shows no key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

impl Tls {
    pub(crate) fn certificates(&self) -> TlsCertificates {
        let client = |client: &ClientCertificate| ClientTlsConfig {
            client_cert: client.chain.clone(),
            client_key: client.key.clone(),
        };
        TlsCertificates { client_tls: self.client.as_ref().map(client), root_cert: self.ca.clone() }
    }
}
