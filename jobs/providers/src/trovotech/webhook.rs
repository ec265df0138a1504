//! TrovoTech's deliveries: header `X-TrovoTech-Signature`, the lower hex HMAC-SHA256 over the raw body,
//! without prefix, timestamp or event id. Body: `{event_type, data}`.
//!
//! `token.minted` and `payout.completed` are the provider's word only; what counts is the ledger, so
//! their reports are pending. `event` reads all that an event says.

use std::collections::BTreeMap;

use payfleet_core::provider::{Progress, Report};

use crate::json::Object;
use crate::signature::hmac_sha256_hex;
use crate::webhook::{ParseError, ParsedEvent, Rejected, Secret, Secrets, key_of, key_of_body, type_of};

/// What may be shown of an event.
pub(crate) const SHOWN: &[&str] = &[
    "amount",
    "asset_id",
    "chain",
    "completed_at",
    "current_value",
    "event_type",
    "fraction_owned",
    "investment_amount",
    "metadata_hash",
    "minted_at",
    "payout_id",
    "period",
    "status",
    "token_id",
    "trustee_ref",
    "tx_hash",
];

pub(crate) fn verify<'a>(
    header: Option<&[u8]>,
    body: &[u8],
    secrets: &'a Secrets,
) -> Result<&'a Secret, Rejected> {
    let signature = header.filter(|header| !header.is_empty()).ok_or(Rejected::MissingSignature)?;
    let signer = secrets.signer(&[signature], |secret| Vec::from_iter(hmac_sha256_hex(secret, &[body])));
    signer.ok_or(Rejected::BadSignature)
}

pub(crate) fn parse(body: &[u8]) -> Result<ParsedEvent, ParseError> {
    let event = Object::parse(body)?;
    let event_type = event.text("event_type").unwrap_or_default();
    let data = event.object("data");
    let data = data.as_ref();
    let field = |name| data.and_then(|data| data.filled(name));
    let id = ["payout_id", "token_id", "wallet_address", "asset_id"].into_iter().find_map(field);
    // Where no transaction tells two events about one thing apart, its status does.
    let mark = field("tx_hash").or_else(|| field("status")).unwrap_or_default();
    let event_key = match &id {
        Some(id) => key_of(&[&event_type, id, &mark]),
        None => key_of_body(body),
    };
    let report = data.and_then(|data| match event_type.as_str() {
        "token.minted" => report(data, "token_id", &event_type, Progress::Pending),
        "payout.completed" => report(data, "payout_id", &event_type, Progress::Pending),
        "payout.failed" => {
            // The provider's reason is left out: it may name people.
            let progress = Progress::Failed { reason: event_type.clone() };
            report(data, "payout_id", &event_type, progress)
        }
        _ => None,
    });
    Ok(ParsedEvent {
        event_key,
        event_type: type_of(&event_type),
        provider_ref: id,
        our_reference: None,
        report,
        is_about_money: true,
        account: None,
        livemode: None,
    })
}

fn report(data: &Object<'_>, id: &str, event_type: &str, progress: Progress) -> Option<Report> {
    Some(Report {
        provider_ref: data.filled(id)?,
        progress,
        raw_status: event_type.to_owned(),
        money: None,
        destination: data.filled("investor_wallet"),
        network: None,
        tx_hash: data.filled("tx_hash"),
        fee: None,
        facts: BTreeMap::new(),
    })
}
