//! Is this Redis fit to be trusted with jobs? Asked at boot and by the operator's doctor.

use std::collections::HashMap;

use crate::{Error, Queue};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Jobs can be lost without anybody's fault: do not start.
    Error,
    /// Start, but say it loudly.
    Warning,
}

/// Something about the server that its operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is and what to do.
    pub message: String,
}

/// What the server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, `7.0.15`.
    pub version: String,
    /// `master` or `slave`.
    pub role: String,
    /// What it does when memory runs out.
    pub maxmemory_policy: String,
    /// The memory it may use, bytes; 0 = no limit.
    pub maxmemory: u64,
    /// The memory it uses, bytes.
    pub used_memory: u64,
    /// It keeps an append-only file.
    pub appendonly: bool,
    /// When that file reaches the disk (`always`, `everysec`, `no`), if the server lets us ask.
    pub appendfsync: Option<String>,
}

/// What the server says about itself.
///
/// # Errors
/// What Redis' state brings.
pub async fn server_info(queue: &Queue) -> Result<ServerInfo, Error> {
    let info: String = queue.command(&redis::cmd("INFO")).await?;
    let fields: HashMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let text = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
    let number = |name: &str| text(name).parse().unwrap_or(0);
    Ok(ServerInfo {
        version: text("redis_version"),
        role: text("role"),
        maxmemory_policy: text("maxmemory_policy"),
        maxmemory: number("maxmemory"),
        used_memory: number("used_memory"),
        appendonly: text("aof_enabled") == "1",
        appendfsync: setting(queue, "appendfsync").await?,
    })
}

/// Hosted servers often forbid CONFIG; then the answer is simply not known.
async fn setting(queue: &Queue, name: &str) -> Result<Option<String>, Error> {
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg(name);
    match queue.command::<Vec<String>>(&get).await {
        Ok(pair) => Ok(pair.into_iter().nth(1)),
        Err(error) if error.is_unavailable() => Err(error),
        Err(_) => Ok(None),
    }
}

/// What is wrong with the server; empty when nothing is.
///
/// # Errors
/// What Redis' state brings.
pub async fn check_server(queue: &Queue) -> Result<Vec<Finding>, Error> {
    Ok(findings(&server_info(queue).await?))
}

fn findings(server: &ServerInfo) -> Vec<Finding> {
    let error = |message: String| Finding { severity: Severity::Error, message };
    let warning = |message: &str| Finding { severity: Severity::Warning, message: message.to_owned() };
    let mut found = Vec::new();
    let major = server.version.split('.').next().and_then(|n| n.parse::<u32>().ok());
    if major.is_none_or(|n| n < 7) {
        found.push(error(format!("Redis is {}; 7.0 or later is needed", server.version)));
    }
    if server.role != "master" {
        found.push(error(format!(
            "this Redis is a {}, not the primary; point the URL at the primary",
            server.role
        )));
    }
    if server.maxmemory_policy != "noeviction" {
        let policy = &server.maxmemory_policy;
        found.push(error(format!(
            "maxmemory-policy is {policy}: Redis would throw jobs away when memory runs out; set it to noeviction"
        )));
    }
    if !server.appendonly {
        found.push(warning("appendonly is off: a crash of Redis loses accepted jobs; set appendonly yes"));
    } else if server.appendfsync.as_deref().is_some_and(|policy| policy != "always") {
        found.push(warning(
            "appendfsync is not always: a crash of the machine loses the last second of accepted jobs",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> ServerInfo {
        ServerInfo {
            version: "7.0.15".to_owned(),
            role: "master".to_owned(),
            maxmemory_policy: "noeviction".to_owned(),
            maxmemory: 0,
            used_memory: 1,
            appendonly: true,
            appendfsync: Some("always".to_owned()),
        }
    }

    #[test]
    fn a_redis_that_evicts_is_an_error_and_one_without_a_log_is_a_warning() {
        assert_eq!(findings(&good()), vec![]);
        let evicting = ServerInfo { maxmemory_policy: "allkeys-lru".to_owned(), ..good() };
        assert_eq!(findings(&evicting).first().map(|f| f.severity), Some(Severity::Error));
        let forgetful = ServerInfo { appendonly: false, ..good() };
        assert_eq!(findings(&forgetful).first().map(|f| f.severity), Some(Severity::Warning));
    }
}
