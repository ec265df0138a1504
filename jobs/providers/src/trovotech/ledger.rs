//! Bantu's ledger through its Horizon-like service: whether a transaction is in and how it ended, what
//! an account did, and handing in a signed one.
//!
//! One ledger close is final, so a transaction that is there is settled either way. One that is not
//! there may still come: that is pending, never a failure. A transaction's hash is known before it is
//! handed in, and the ledger takes it once: the same envelope may be handed in as often as needed, and
//! a timeout (504) or a used sequence number is a question to the ledger, not an answer.

use std::collections::BTreeMap;

use payfleet_core::address::Network;
use payfleet_core::provider::{Progress, Report};
use payfleet_core::{Classify, OutcomeClass};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use url::form_urlencoded;

use super::client::Client;
use super::transaction::SignedPayment;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::http::{Answer, Http, Request};
use crate::json::Object;

/// A transaction in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its hash, lower hex.
    pub hash: String,
    /// Whether its operations took effect. If not, only its fee was paid.
    pub successful: bool,
    /// In which ledger.
    pub ledger: Option<String>,
    /// Its place in lists.
    pub paging_token: Option<String>,
}

/// A part of an account's transactions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPage {
    /// The entries.
    pub entries: Vec<LedgerEntry>,
    /// Where the next page begins; `None` where this one is the last.
    pub next: Option<String>,
}

impl Client {
    /// The transaction with this hash (hex), if it is in the ledger.
    ///
    /// # Errors
    /// [`ProviderError`] where there is no answer that says so.
    pub async fn transaction(&self, hash: &str) -> Result<Option<LedgerEntry>, ProviderError> {
        find(self.expansion(), hash).await
    }

    /// Hands `signed` in, and returns it once it is in the ledger, whether by this call or an earlier
    /// one. The same bytes may be handed in again at any time.
    ///
    /// # Errors
    /// [`ProviderError`]: ambiguous where it may still come, terminal where it never can.
    pub async fn submit_transaction(&self, signed: &SignedPayment) -> Result<LedgerEntry, ProviderError> {
        let refusal = match hand_in(self.expansion(), signed).await {
            Ok(entry) => return Ok(entry),
            Err(error) if matches!(error.class(), OutcomeClass::RateLimited { .. }) => return Err(error),
            Err(error) => error,
        };
        // Whatever was answered, the ledger knows best: an earlier call may have had its effect.
        match find(self.expansion(), &signed.hash).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err(refusal),
            Err(_) => Err(ProviderError::new(
                OutcomeClass::Ambiguous,
                refusal.code(),
                "the ledger did not take the transaction now, and cannot be asked about earlier",
            )),
        }
    }

    /// Transactions of `account` (`G...`) after `cursor`, oldest first.
    ///
    /// # Errors
    /// [`ProviderError`], also where an entry cannot be read: a part is never taken for the whole.
    pub async fn transactions_of(
        &self,
        account: &str,
        cursor: Option<&str>,
    ) -> Result<LedgerPage, ProviderError> {
        let path = ["accounts", account, "transactions"];
        let query = cursor.map(|cursor| ("cursor", cursor));
        let answer = self.expansion().send(Call::Read, get(&path, query)).await?;
        let unreadable =
            || answer.explain(ProviderError::unexpected(Call::Read, "the answer is no page of the ledger"));
        let object = Object::parse(&answer.body).ok().filter(|_| answer.is_success());
        let records = object.and_then(|page| page.object("_embedded")?.objects("records"));
        let records = records.ok_or_else(unreadable)?;
        let entries: Vec<LedgerEntry> =
            records.iter().map(entry).collect::<Option<_>>().ok_or_else(unreadable)?;
        let last = entries.last().map(|entry| entry.paging_token.clone().ok_or_else(unreadable));
        // A page that is not full may be the last only because more has not happened yet.
        let next = last.transpose()?;
        Ok(LedgerPage { entries, next })
    }

    /// Checks that the ledger is the network whose passphrase is configured.
    ///
    /// # Errors
    /// [`ProviderError`]; `other_network` where it is another: sign nothing for it.
    pub async fn check_network(&self, passphrase: &str) -> Result<(), ProviderError> {
        let answer = self.expansion().send(Call::Read, get(&[], None)).await?;
        let named = Object::parse(&answer.body).ok().and_then(|root| root.filled("network_passphrase"));
        match named {
            Some(named) if named == passphrase => Ok(()),
            Some(_) => Err(ProviderError::refused("other_network", "the ledger is of another network")),
            None => Err(answer.explain(ProviderError::unexpected(Call::Read, "the ledger names no network"))),
        }
    }
}

/// What the ledger says of transaction `hash`, as a report about `provider_ref`.
pub(super) async fn poll(expansion: &Http, provider_ref: &str, hash: &str) -> Result<Report, ProviderError> {
    let (progress, raw_status) = match find(expansion, hash).await? {
        None => (Progress::Pending, "not_found"),
        Some(LedgerEntry { successful: true, .. }) => (Progress::Succeeded, "successful"),
        Some(_) => {
            let reason = "the transaction is in the ledger and failed".to_owned();
            (Progress::Failed { reason }, "failed")
        }
    };
    Ok(Report {
        provider_ref: provider_ref.to_owned(),
        progress,
        raw_status: raw_status.to_owned(),
        money: None,
        destination: None,
        network: Some(Network::Bantu.as_str().to_owned()),
        tx_hash: Some(hash.to_owned()),
        fee: None,
        facts: BTreeMap::new(),
    })
}

async fn find(expansion: &Http, hash: &str) -> Result<Option<LedgerEntry>, ProviderError> {
    let answer = expansion.send(Call::Read, get(&["transactions", hash], None)).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    of_this_hash(Call::Read, &answer, hash).map(Some)
}

async fn hand_in(expansion: &Http, signed: &SignedPayment) -> Result<LedgerEntry, ProviderError> {
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("tx", &signed.envelope).finish();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let request = Request {
        method: Method::POST,
        path: &["transactions"],
        query: None,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
        body: Some(form.into_bytes()),
    };
    let answer = expansion.send(Call::Effect, request).await?;
    if answer.is_success() {
        return of_this_hash(Call::Effect, &answer, &signed.hash);
    }
    Err(refusal(&answer))
}

fn get<'a>(path: &'a [&'a str], query: Option<(&'a str, &'a str)>) -> Request<'a> {
    Request { method: Method::GET, path, query, headers: HeaderMap::new(), body: None }
}

fn of_this_hash(call: Call, answer: &Answer, hash: &str) -> Result<LedgerEntry, ProviderError> {
    let object = Object::parse(&answer.body).ok().filter(|_| answer.is_success());
    object
        .and_then(|object| entry(&object))
        .filter(|entry| entry.hash.eq_ignore_ascii_case(hash))
        .ok_or_else(|| answer.explain(ProviderError::unexpected(call, "the answer is not that transaction")))
}

fn entry(object: &Object<'_>) -> Option<LedgerEntry> {
    Some(LedgerEntry {
        hash: object.filled("hash")?,
        successful: object.flag("successful")?,
        ledger: object.filled("ledger"),
        paging_token: object.filled("paging_token"),
    })
}

/// What the result code of a refused transaction means for money.
fn refusal(answer: &Answer) -> ProviderError {
    let codes = Object::parse(&answer.body).ok();
    let codes = codes.and_then(|problem| problem.object("extras")?.object("result_codes"));
    let code = codes.and_then(|codes| codes.filled("transaction")).unwrap_or_default();
    let class = match code.as_str() {
        // Never entered, and with these bytes never can.
        "tx_too_late" | "tx_missing_operation" | "tx_bad_auth" | "tx_bad_auth_extra"
        | "tx_no_source_account" | "tx_not_supported" | "tx_malformed"
        // Entered, and took no effect.
        | "tx_failed" => OutcomeClass::Terminal,
        // Not now; the same bytes may enter later.
        "tx_too_early" | "tx_insufficient_fee" | "tx_insufficient_balance" => OutcomeClass::Retryable,
        // A used sequence number may have been used by this very transaction.
        _ => OutcomeClass::Ambiguous,
    };
    let is_code = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let code = if is_code && !code.is_empty() { code } else { "unexpected_answer".to_owned() };
    answer.explain(ProviderError::new(class, code, "the ledger did not take the transaction"))
}
