//! Tatum's deliveries: header `x-payload-hash`, the standard padded base64 of HMAC-SHA512 over the raw
//! body. A missing header is what a switched-off HMAC looks like, so it is refused.
//!
//! Two templates: legacy (fields at the top) and enriched (fields under `data`). There is neither an
//! event id nor a timestamp; one transfer is told by who watched it, where, and how far it has come.

use super::transfer::Stage;
use crate::json::Object;
use crate::signature::hmac_sha512_base64;
use crate::webhook::{ParseError, ParsedEvent, Rejected, Secret, Secrets, key_of, key_of_body, type_of};

/// What may be shown of an event. Our own addresses are; those of who paid are not.
pub(crate) const SHOWN: &[&str] = &[
    "address",
    "amount",
    "asset",
    "blockNumber",
    "chain",
    "contractAddress",
    "currency",
    "kind",
    "logIndex",
    "subscriptionId",
    "subscriptionType",
    "txId",
    "type",
    "value",
];

pub(crate) fn verify<'a>(
    header: Option<&[u8]>,
    body: &[u8],
    secrets: &'a Secrets,
) -> Result<&'a Secret, Rejected> {
    let signature = header.filter(|header| !header.is_empty()).ok_or(Rejected::MissingSignature)?;
    let signer = secrets.signer(&[signature], |secret| Vec::from_iter(hmac_sha512_base64(secret, body)));
    signer.ok_or(Rejected::BadSignature)
}

pub(crate) fn parse(body: &[u8]) -> Result<ParsedEvent, ParseError> {
    let top = Object::parse(body)?;
    let event = top.object("data").unwrap_or(top);
    let transaction = event.filled("txId");
    Ok(ParsedEvent {
        event_key: transaction.as_deref().map_or_else(|| key_of_body(body), |tx| key_of_transfer(&event, tx)),
        event_type: type_of(&event.text("subscriptionType").unwrap_or_default()),
        provider_ref: transaction,
        our_reference: None,
        report: None,
        is_about_money: true,
        account: None,
        livemode: None,
    })
}

/// One transaction can give a hook for its fee and one for each asset it moved, and each of them up
/// to three times: seen in the mempool, confirmed, undone.
fn key_of_transfer(event: &Object<'_>, transaction: &str) -> String {
    let field = |name| event.text(name).unwrap_or_default();
    let watcher = event.filled("subscriptionId").unwrap_or_else(|| field("subscriptionType"));
    let address = event.filled("address").unwrap_or_else(|| format!("{}>{}", field("from"), field("to")));
    let what = event.filled("type").unwrap_or_else(|| field("kind"));
    let asset = event.filled("asset").or_else(|| event.filled("contractAddress")).unwrap_or_default();
    key_of(&[
        &watcher,
        &field("chain"),
        transaction,
        &address,
        &what,
        &asset,
        &field("logIndex"),
        match stage(event) {
            Stage::Mempool => "mempool",
            Stage::Confirmed => "confirmed",
            Stage::Reorg => "reorg",
        },
    ])
}

/// How far the event says that its transfer has come.
pub(super) fn stage(event: &Object<'_>) -> Stage {
    if event.flag("reorg") == Some(true) {
        Stage::Reorg
    } else if event.flag("mempool") == Some(true) || event.text("blockNumber").is_none() {
        Stage::Mempool
    } else {
        Stage::Confirmed
    }
}
