//! What a URL says: which topology, which servers, who we are there.

use redis::io::tcp::{TcpSettings, socket2};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError, RedisResult};
use std::time::Duration;

use super::Address;
use crate::Error;
use crate::tls::Tls;

/// A URL, taken apart.
pub(super) enum Parsed {
    Single(Client, Address),
    Sentinel { sentinels: Vec<Client>, primary: String, nodes: Nodes },
    Cluster { seeds: Vec<Address>, nodes: Nodes },
}

/// How to connect to any server of a topology, once its address is known.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    template: ConnectionInfo,
}

impl Nodes {
    /// A client of the server at `host:port`.
    pub(super) fn client(&self, address: &str) -> RedisResult<Client> {
        let (host, port) = split(address)?;
        let address = match self.template.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Client::open(self.template.clone().set_addr(address))
    }
}

/// `host:port`, where the host may be an IPv6 address with or without brackets.
fn split(address: &str) -> RedisResult<(String, u16)> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| {
        RedisError::from((redis::ErrorKind::Io, "a server's address is not host:port", address.to_owned()))
    })?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// Takes a URL apart; connects nowhere.
pub(super) fn parse(url: &str, tls: Option<&Tls>) -> Result<Parsed, Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
    let secure = scheme.starts_with("rediss");
    if secure {
        // Another library of this process may have chosen its own; then that one serves.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let plain = if secure { "rediss" } else { "redis" };
    match scheme.split_once('+') {
        None => {
            let client = Client::open(info(url, tls)?).map_err(invalid)?;
            let address = client.get_connection_info().addr().to_string();
            Ok(Parsed::Single(client, address))
        }
        Some(("redis" | "rediss", "sentinel")) => sentinel(plain, rest, tls),
        Some(("redis" | "rediss", "cluster")) => cluster(plain, rest, tls),
        Some(_) => Err(refuse("the scheme is not known")),
    }
}

/// The parts of `[user:password@]host:port,host:port[/path][?query]`.
struct Parts<'a> {
    user: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

fn parts(rest: &str) -> Result<Parts<'_>, Error> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold a slash or a comma only in its escaped form.
    let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts: Vec<&str> = hosts.split(',').filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() {
        return Err(refuse("it names no server"));
    }
    Ok(Parts { user, hosts, path, query })
}

/// `SCHEME://user@host/db`, in our settings.
fn node(scheme: &str, user: &str, host: &str, db: &str, tls: Option<&Tls>) -> Result<ConnectionInfo, Error> {
    let at = if user.is_empty() { "" } else { "@" };
    info(&format!("{scheme}://{user}{at}{host}/{db}"), tls)
}

fn sentinel(scheme: &str, rest: &str, tls: Option<&Tls>) -> Result<Parsed, Error> {
    let parts = parts(rest)?;
    let (primary, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if primary.is_empty() {
        return Err(refuse("it does not name the primary: redis+sentinel://host:port,host:port/NAME"));
    }
    // Sentinels have users of their own, and often none.
    let mut user = "";
    for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel", value)) => user = value,
            _ => return Err(refuse("its query has more than sentinel=user:password")),
        }
    }
    let open = |host: &&str| Client::open(node(scheme, user, host, "", tls)?).map_err(invalid);
    let sentinels = parts.hosts.iter().map(open).collect::<Result<_, _>>()?;
    let first = parts.hosts.first().copied().unwrap_or_default();
    let template = node(scheme, parts.user, first, db, tls)?;
    Ok(Parsed::Sentinel { sentinels, primary: primary.to_owned(), nodes: Nodes { template } })
}

fn cluster(scheme: &str, rest: &str, tls: Option<&Tls>) -> Result<Parsed, Error> {
    let parts = parts(rest)?;
    if !parts.path.is_empty() || !parts.query.is_empty() {
        return Err(refuse("a cluster has one database, and nothing follows its servers"));
    }
    let mut seeds = Vec::with_capacity(parts.hosts.len());
    let mut template = None;
    for host in parts.hosts {
        let info = node(scheme, parts.user, host, "", tls)?;
        seeds.push(info.addr().to_string());
        template.get_or_insert(info);
    }
    let template = template.ok_or_else(|| refuse("it names no server"))?;
    Ok(Parsed::Cluster { seeds, nodes: Nodes { template } })
}

/// A plain URL with our settings for TCP and TLS.
fn info(url: &str, tls: Option<&Tls>) -> Result<ConnectionInfo, Error> {
    let info = url.into_connection_info().map_err(invalid)?;
    // A half-open socket is noticed by the kernel, whether we are sending or only waiting.
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(Duration::from_secs(5));
    let info = info.set_tcp_settings(tcp);
    match (info.addr(), tls) {
        (ConnectionAddr::TcpTls { .. }, Some(tls)) => {
            let client = Client::build_with_tls(info, tls.certificates())
                .map_err(|error| Error::InvalidArgument { field: "tls", reason: error.to_string() })?;
            Ok(client.get_connection_info().clone())
        }
        _ => Ok(info),
    }
}

fn refuse(reason: &str) -> Error {
    Error::InvalidUrl { reason: reason.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn invalid(error: RedisError) -> Error {
    Error::InvalidUrl { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(url: &str) -> String {
        match parse(url, None) {
            Err(error @ Error::InvalidUrl { .. }) => error.to_string(),
            _ => panic!("{url} was taken"),
        }
    }

    #[test]
    fn every_form_of_url_is_understood() {
        assert!(matches!(parse("redis://127.0.0.1:6379/2", None), Ok(Parsed::Single(..))));
        assert!(matches!(parse("rediss://user:pw@redis.example", None), Ok(Parsed::Single(..))));
        let url = "redis+sentinel://user:p%40ss@a:26379,[::1]:26380/main/3?sentinel=watch:word";
        let Ok(Parsed::Sentinel { sentinels, primary, nodes }) = parse(url, None) else {
            panic!("{url}");
        };
        assert_eq!((sentinels.len(), primary.as_str()), (2, "main"));
        assert_eq!(sentinels[1].get_connection_info().addr().to_string(), "::1:26380");
        assert_eq!(sentinels[0].get_connection_info().redis_settings().password(), Some("word"));
        let node = nodes.client("10.0.0.1:7000").unwrap();
        let settings = node.get_connection_info().redis_settings();
        assert_eq!(
            (settings.username(), settings.password(), settings.db()),
            (Some("user"), Some("p@ss"), 3)
        );
        let Ok(Parsed::Cluster { seeds, nodes }) = parse("rediss+cluster://a:7000,b:7001", None) else {
            panic!("a cluster");
        };
        assert_eq!(seeds, ["a:7000", "b:7001"]);
        let node = nodes.client("::1:7000").unwrap();
        assert!(
            matches!(node.get_connection_info().addr(), ConnectionAddr::TcpTls { host, .. } if host == "::1")
        );
    }

    #[test]
    fn a_url_that_cannot_be_used_says_why_and_never_repeats_the_password() {
        let names = [
            ("http://u:hunter2@h", ""),
            ("redis+raft://u:hunter2@h", "scheme"),
            ("redis+sentinel://u:hunter2@h:1", "name the primary"),
            ("redis+sentinel://u:hunter2@/main", "no server"),
            ("redis+sentinel://u:hunter2@h:1/main?x=1", "query"),
            ("redis+cluster://u:hunter2@h:1/2", "one database"),
            ("redis+cluster://u:hunter2@h:port", ""),
        ];
        for (url, part) in names {
            let reason = reason(url);
            assert!(reason.contains(part) && !reason.contains("hunter2"), "{url}: {reason}");
        }
    }
}
