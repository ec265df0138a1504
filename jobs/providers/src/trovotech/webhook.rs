//! TrovoTech's deliveries: header `X-TrovoTech-Signature`, the lower hex HMAC-SHA256 over the raw body,
//! without prefix, timestamp or event id. Body: `{event_type, data}`.
//!
//! `token.minted` is the provider's word only; what counts is the ledger, so its report is pending.

use payfleet_core::provider::{Progress, Report};

use crate::json::Object;
use crate::signature::hmac_sha256_hex;
use crate::webhook::{ParseError, ParsedEvent, Rejected, Secrets, key_of, key_of_body, type_of};

pub(crate) fn verify(header: Option<&[u8]>, body: &[u8], secrets: &Secrets) -> Result<(), Rejected> {
    let signature = header.filter(|header| !header.is_empty()).ok_or(Rejected::MissingSignature)?;
    let signed = secrets.any_signed(&[signature], |secret| Vec::from_iter(hmac_sha256_hex(secret, &[body])));
    if signed { Ok(()) } else { Err(Rejected::BadSignature) }
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
    let report = data.filter(|_| event_type == "token.minted").and_then(minted);
    Ok(ParsedEvent {
        event_key,
        event_type: type_of(&event_type),
        provider_ref: id,
        our_reference: None,
        report,
        account: None,
        livemode: None,
    })
}

fn minted(data: &Object<'_>) -> Option<Report> {
    Some(Report {
        provider_ref: data.filled("token_id")?,
        progress: Progress::Pending,
        raw_status: "token.minted".to_owned(),
        money: None,
        destination: data.filled("investor_wallet"),
        network: None,
        tx_hash: data.filled("tx_hash"),
        fee: None,
    })
}
