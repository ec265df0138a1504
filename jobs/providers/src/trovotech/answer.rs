//! What TrovoTech's answers mean. Nothing about its errors is documented beyond their status and one
//! message, so a 400, 404 or 422 in JSON is a refusal and everything else proves nothing.

use std::collections::BTreeMap;

use payfleet_core::address::Network;
use payfleet_core::provider::{Progress, Report};

use crate::failure::{Call, ProviderError, presentable};
use crate::http::Answer;
use crate::json::Object;

/// The documented message of a mint that would pass 100 %.
const FULLY_OWNED: &str = "insufficient remaining ownership";

/// The error an answer is, unless it is a success.
pub(super) fn check(call: Call, answer: &Answer) -> Result<(), ProviderError> {
    if answer.is_success() {
        return Ok(());
    }
    let object = Object::parse(&answer.body).ok();
    let text = |name| object.as_ref().and_then(|object| object.filled(name));
    let message = text("message").or_else(|| text("error")).unwrap_or_default();
    let error = match answer.status {
        422 if message.to_ascii_lowercase().contains(FULLY_OWNED) => {
            ProviderError::refused("insufficient_remaining_ownership", FULLY_OWNED)
        }
        400 | 404 | 422 => ProviderError::refused(
            format!("http_{}", answer.status),
            format!("the request was refused: {}", presentable(&message)),
        ),
        _ => ProviderError::unexpected(call, "a status that is not documented"),
    };
    Err(answer.explain(error))
}

/// The token an answer to a mint names. It is not minted until the ledger says so.
pub(super) fn minted(call: Call, answer: &Answer) -> Result<Report, ProviderError> {
    check(call, answer)?;
    let report = Object::parse(&answer.body).ok().and_then(|token| {
        Some(Report {
            provider_ref: token.filled("token_id")?,
            progress: Progress::Pending,
            raw_status: "submitted".to_owned(),
            money: None,
            destination: token.filled("investor_wallet"),
            network: Some(Network::Bantu.as_str().to_owned()),
            tx_hash: token.filled("tx_hash"),
            fee: None,
            facts: BTreeMap::new(),
        })
    });
    report.ok_or_else(|| answer.explain(ProviderError::unexpected(call, "the answer names no token")))
}

/// The tokens of an answer to `GET /tokens/my`, whose members are in camel case.
pub(super) fn tokens(answer: &Answer) -> Result<Vec<Object<'_>>, ProviderError> {
    check(Call::Read, answer)?;
    serde_json::from_slice(&answer.body).map_err(|_| {
        answer.explain(ProviderError::unexpected(Call::Read, "the answer is not a list of tokens"))
    })
}

/// A listed token. `None` where it has no id.
pub(super) fn listed(token: &Object<'_>) -> Option<Report> {
    Some(Report {
        provider_ref: token.filled("tokenId")?,
        progress: Progress::Pending,
        raw_status: "listed".to_owned(),
        money: None,
        destination: None,
        network: Some(Network::Bantu.as_str().to_owned()),
        tx_hash: token.filled("txHash"),
        fee: None,
        facts: BTreeMap::new(),
    })
}
