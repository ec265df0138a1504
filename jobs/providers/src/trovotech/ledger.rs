//! Bantu's ledger through its Horizon-like service: whether a transaction is in, and how it ended.
//!
//! One ledger close is final, so a transaction that is there is settled either way. One that is not
//! there may still come: that is pending, never a failure.

use payfleet_core::address::Network;
use payfleet_core::provider::{Progress, Report};
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::failure::{Call, ProviderError};
use crate::http::{Http, Request};
use crate::json::Object;

/// What the ledger says of transaction `hash`, as a report about `provider_ref`.
pub(super) async fn poll(expansion: &Http, provider_ref: &str, hash: &str) -> Result<Report, ProviderError> {
    let path = ["transactions", hash];
    let request =
        Request { method: Method::GET, path: &path, query: None, headers: HeaderMap::new(), body: None };
    let answer = expansion.send(Call::Read, request).await?;
    let report = |progress, raw_status: &str| Report {
        provider_ref: provider_ref.to_owned(),
        progress,
        raw_status: raw_status.to_owned(),
        money: None,
        destination: None,
        network: Some(Network::Bantu.as_str().to_owned()),
        tx_hash: Some(hash.to_owned()),
        fee: None,
    };
    if answer.status == 404 {
        return Ok(report(Progress::Pending, "not_found"));
    }
    let object = Object::parse(&answer.body).ok().filter(|object| {
        answer.is_success() && object.text("hash").is_some_and(|theirs| theirs.eq_ignore_ascii_case(hash))
    });
    match object.and_then(|object| object.flag("successful")) {
        Some(true) => Ok(report(Progress::Succeeded, "successful")),
        Some(false) => {
            let reason = "the transaction is in the ledger and failed".to_owned();
            Ok(report(Progress::Failed { reason }, "failed"))
        }
        None => {
            Err(answer.explain(ProviderError::unexpected(Call::Read, "the answer is not that transaction")))
        }
    }
}
