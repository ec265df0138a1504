//! Where we connect to. A base URL comes from configuration, and a mistake or a poisoned name must
//! not lead a signed request into our own network: private and link-local addresses are refused,
//! whether written down or resolved, unless a sandbox is asked for by `allow_private`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A client that cannot be built from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not a URL we could call.
    #[error("{0}: must be an absolute https URL without user, query and fragment")]
    NotAUrl(&'static str),
    /// Plain http.
    #[error("{0}: must be https; http is for sandboxes (allow_private)")]
    NotEncrypted(&'static str),
    /// An address of our own network.
    #[error("{0}: is a private or link-local address; those are for sandboxes (allow_private)")]
    PrivateAddress(&'static str),
    /// A value that cannot be sent as a header.
    #[error("{0}: has characters that cannot be sent in a header")]
    NotAHeader(&'static str),
    /// The TLS or HTTP library cannot start.
    #[error("the HTTP client cannot be built")]
    NoClient,
}

/// Reads a base URL; `name` is what it is called in errors.
pub(crate) fn base_url(name: &'static str, text: &str, allow_private: bool) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|_| ConfigError::NotAUrl(name))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !plain || url.password().is_some() || !matches!(url.scheme(), "http" | "https") {
        return Err(ConfigError::NotAUrl(name));
    }
    if allow_private {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(ConfigError::NotEncrypted(name));
    }
    let public = match url.host() {
        Some(Host::Ipv4(address)) => is_public_v4(address),
        Some(Host::Ipv6(address)) => is_public_v6(address),
        Some(Host::Domain(domain)) => {
            let domain = domain.trim_end_matches('.');
            domain != "localhost" && !domain.ends_with(".localhost")
        }
        None => false,
    };
    if public { Ok(url) } else { Err(ConfigError::PrivateAddress(name)) }
}

/// Resolves names to public addresses only.
#[derive(Debug)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = match a {
        0 | 10 | 127 | 224.. => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)),
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [head, second, ..] = address.segments();
    // Global unicast only, without the documentation prefix and the two that carry an IPv4 address.
    (0x2000..0x4000).contains(&head) && !(head == 0x2001 && matches!(second, 0 | 0x0db8)) && head != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_leads_out_of_our_network_unless_a_sandbox_is_asked_for() {
        use ConfigError::{NotAUrl, NotEncrypted, PrivateAddress};
        for (text, want) in [
            ("https://api.example.com/v1", Ok(())),
            ("https://9.9.9.9", Ok(())),
            ("https://[2620:fe::fe]", Ok(())),
            ("http://api.example.com", Err(NotEncrypted("x"))),
            ("https://127.0.0.1:8443", Err(PrivateAddress("x"))),
            ("https://2130706433", Err(PrivateAddress("x"))),
            ("https://10.1.2.3", Err(PrivateAddress("x"))),
            ("https://172.31.0.1", Err(PrivateAddress("x"))),
            ("https://192.168.1.1", Err(PrivateAddress("x"))),
            ("https://169.254.169.254", Err(PrivateAddress("x"))),
            ("https://100.64.0.1", Err(PrivateAddress("x"))),
            ("https://[::1]", Err(PrivateAddress("x"))),
            ("https://[fe80::1]", Err(PrivateAddress("x"))),
            ("https://[fd00::1]", Err(PrivateAddress("x"))),
            ("https://[::ffff:10.0.0.1]", Err(PrivateAddress("x"))),
            ("https://localhost", Err(PrivateAddress("x"))),
            ("https://user:word@api.example.com", Err(NotAUrl("x"))),
            ("https://api.example.com/?a=b", Err(NotAUrl("x"))),
            ("ftp://api.example.com", Err(NotAUrl("x"))),
            ("api.example.com", Err(NotAUrl("x"))),
        ] {
            assert_eq!(base_url("x", text, false).map(|_| ()), want, "{text}");
        }
        assert!(base_url("x", "http://127.0.0.1:9", true).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_into_our_network_has_no_address() {
        let name: Name = "localhost".parse().unwrap();
        assert!(PublicOnly.resolve(name).await.is_err());
    }
}
