//! TrovoTech's six events, read field by field. What the vendor's own handler requires is required
//! here too; everything else may be absent. An unknown event keeps its name.

use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Classify, OutcomeClass};
use rust_decimal::Decimal;

use crate::json::Object;

/// What happened there. Nobody's mail address is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `token.minted`
    TokenMinted {
        /// Which token.
        token_id: String,
        /// By which transaction.
        tx_hash: String,
        /// Whose wallet got it.
        investor_wallet: Option<String>,
        /// Percent of the asset.
        fraction_owned: Option<Decimal>,
        /// What was paid for it.
        investment_amount: Option<Decimal>,
    },
    /// `payout.completed`
    PayoutCompleted {
        /// Which payout.
        payout_id: String,
        /// By which transaction.
        tx_hash: String,
        /// Each holder's part.
        parts: Vec<EventPart>,
    },
    /// `payout.failed`
    PayoutFailed {
        /// Which payout.
        payout_id: String,
        /// Why, in the provider's words; they may name people.
        reason: Option<String>,
    },
    /// `transfer.completed`
    TransferCompleted {
        /// Which token.
        token_id: String,
        /// Whose it is now.
        to_wallet: String,
        /// Whose it was.
        from_wallet: Option<String>,
        /// By which transaction.
        tx_hash: Option<String>,
    },
    /// `wallet.created`
    WalletCreated {
        /// Its address.
        address: String,
        /// The trustee's reference.
        trustee_ref: Option<String>,
    },
    /// `custody.updated`
    CustodyUpdated {
        /// Which asset.
        asset_id: Option<String>,
        /// The trustee's reference.
        trustee_ref: Option<String>,
        /// The trustee's word.
        status: Option<String>,
    },
    /// One that this version does not know.
    Unknown {
        /// Its name.
        event_type: String,
    },
}

/// One holder's part of a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPart {
    /// For which token.
    pub token_id: String,
    /// How much.
    pub amount: Decimal,
    /// To which wallet.
    pub investor_wallet: Option<String>,
}

/// An event that cannot be read. Says which field, not what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No JSON object, or one that repeats a key.
    #[error("the event is not a JSON object, or one with a repeated key")]
    NotAnObject,
    /// A field that it must have.
    #[error("the event has no {0}")]
    Missing(&'static str),
}

impl Classify for EventError {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Terminal
    }
}

/// Reads the body of a verified delivery.
///
/// # Errors
/// [`EventError`], which names the field.
pub fn read_event(body: &[u8]) -> Result<Event, EventError> {
    let event = Object::parse(body).map_err(|_| EventError::NotAnObject)?;
    let event_type = event.filled("event_type").ok_or(EventError::Missing("event_type"))?;
    let data = event.object("data").ok_or(EventError::Missing("data"))?;
    let field = |name| data.filled(name);
    let needed = |name| data.filled(name).ok_or(EventError::Missing(name));
    let decimal = |name| data.text(name).and_then(|text| parse_plain_decimal(&text).ok());
    Ok(match event_type.as_str() {
        "token.minted" => Event::TokenMinted {
            token_id: needed("token_id")?,
            tx_hash: needed("tx_hash")?,
            investor_wallet: field("investor_wallet"),
            fraction_owned: decimal("fraction_owned"),
            investment_amount: decimal("investment_amount"),
        },
        "payout.completed" => Event::PayoutCompleted {
            payout_id: needed("payout_id")?,
            tx_hash: needed("tx_hash")?,
            parts: parts(&data)?,
        },
        "payout.failed" => Event::PayoutFailed { payout_id: needed("payout_id")?, reason: field("reason") },
        "transfer.completed" => Event::TransferCompleted {
            token_id: needed("token_id")?,
            to_wallet: needed("to_wallet")?,
            from_wallet: field("from_wallet"),
            tx_hash: field("tx_hash"),
        },
        "wallet.created" => {
            Event::WalletCreated { address: needed("wallet_address")?, trustee_ref: field("trustee_ref") }
        }
        "custody.updated" => Event::CustodyUpdated {
            asset_id: field("asset_id"),
            trustee_ref: field("trustee_ref"),
            status: field("status"),
        },
        _ => Event::Unknown { event_type },
    })
}

fn parts(data: &Object<'_>) -> Result<Vec<EventPart>, EventError> {
    if data.raw("distributions").is_none() {
        return Ok(Vec::new());
    }
    let missing = EventError::Missing("distributions that can be read");
    let parts = data.objects("distributions").ok_or(missing)?;
    let part = |part: &Object<'_>| {
        Some(EventPart {
            token_id: part.filled("token_id")?,
            amount: parse_plain_decimal(&part.text("amount")?).ok()?,
            investor_wallet: part.filled("investor_wallet"),
        })
    };
    parts.iter().map(part).collect::<Option<_>>().ok_or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event_type: &str, data: &str) -> Result<Event, EventError> {
        read_event(format!(r#"{{"event_type":"{event_type}","data":{data}}}"#).as_bytes())
    }

    #[test]
    fn each_of_the_six_events_is_read() {
        let minted =
            r#"{"token_id":"T","tx_hash":"H","fraction_owned":12.50,"investment_amount":9007199254740993}"#;
        let Event::TokenMinted { fraction_owned, investment_amount, .. } =
            read("token.minted", minted).unwrap()
        else {
            panic!("it is a minted token");
        };
        assert_eq!(fraction_owned.unwrap().to_string(), "12.50");
        assert_eq!(investment_amount.unwrap().to_string(), "9007199254740993", "no float was near it");
        let paid = r#"{"payout_id":"P","tx_hash":"H","distributions":[{"token_id":"T","amount":0.1}]}"#;
        let Event::PayoutCompleted { parts, .. } = read("payout.completed", paid).unwrap() else {
            panic!("it is a payout");
        };
        assert_eq!(parts[0].amount.to_string(), "0.1");
        assert_eq!(
            read("payout.failed", r#"{"payout_id":"P","reason":"no money"}"#),
            Ok(Event::PayoutFailed { payout_id: "P".to_owned(), reason: Some("no money".to_owned()) })
        );
        let moved = Event::TransferCompleted {
            token_id: "T".to_owned(),
            to_wallet: "G2".to_owned(),
            from_wallet: None,
            tx_hash: None,
        };
        assert_eq!(read("transfer.completed", r#"{"token_id":"T","to_wallet":"G2"}"#), Ok(moved));
        assert_eq!(
            read("wallet.created", r#"{"wallet_address":"G1","user_email":"a@example.com"}"#),
            Ok(Event::WalletCreated { address: "G1".to_owned(), trustee_ref: None })
        );
        let custody = Event::CustodyUpdated {
            asset_id: Some("1".to_owned()),
            trustee_ref: None,
            status: Some("held".to_owned()),
        };
        assert_eq!(read("custody.updated", r#"{"asset_id":1,"status":"held"}"#), Ok(custody));
    }

    #[test]
    fn what_the_vendors_own_handler_requires_is_required() {
        for (event_type, data, missing) in [
            ("token.minted", r#"{"tx_hash":"H"}"#, "token_id"),
            ("token.minted", r#"{"token_id":"T"}"#, "tx_hash"),
            ("payout.completed", r#"{"tx_hash":"H"}"#, "payout_id"),
            ("payout.completed", r#"{"payout_id":"P"}"#, "tx_hash"),
            ("payout.failed", "{}", "payout_id"),
            ("transfer.completed", r#"{"token_id":"T"}"#, "to_wallet"),
            ("wallet.created", r#"{"user_email":"a@example.com"}"#, "wallet_address"),
        ] {
            assert_eq!(read(event_type, data), Err(EventError::Missing(missing)), "{event_type}");
        }
        assert_eq!(
            read_event(br#"{"event":"token.minted","data":{}}"#),
            Err(EventError::Missing("event_type"))
        );
        assert_eq!(read_event(b"[]"), Err(EventError::NotAnObject));
    }

    #[test]
    fn an_unknown_event_keeps_its_name() {
        let event_type = "token.burnt".to_owned();
        assert_eq!(read(&event_type, "{}"), Ok(Event::Unknown { event_type }));
    }
}
