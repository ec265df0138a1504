//! The bodies we send to Heleket, member by member in the order of its own libraries, so that the
//! recorded requests can be compared byte for byte.

use payfleet_core::Timestamp;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

/// `POST /v1/payout`.
#[derive(Serialize)]
pub(super) struct CreatePayout<'a> {
    pub(super) amount: String,
    pub(super) currency: &'a str,
    pub(super) order_id: &'a str,
    pub(super) address: &'a str,
    pub(super) is_subtract: bool,
    pub(super) network: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url_callback: Option<&'a str>,
}

/// `POST /v1/payout/info`, by one of its two names.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PayoutInfo<'a> {
    Uuid(&'a str),
    OrderId(&'a str),
}

/// `POST /v1/payout/list`.
#[derive(Serialize)]
pub(super) struct PayoutList {
    pub(super) date_from: String,
    pub(super) date_to: String,
}

/// `POST /v1/payout/calculate`.
#[derive(Serialize)]
pub(super) struct Calculate<'a> {
    pub(super) currency: &'a str,
    pub(super) network: &'a str,
    pub(super) amount: String,
    pub(super) is_subtract: bool,
}

/// `POST /v1/transfer/...`.
#[derive(Serialize)]
pub(super) struct Transfer<'a> {
    pub(super) amount: String,
    pub(super) currency: &'a str,
}

/// `POST /v1/test-webhook/...`.
#[derive(Serialize)]
pub(super) struct TestWebhook<'a> {
    pub(super) url_callback: &'a str,
    pub(super) currency: &'a str,
    pub(super) network: &'a str,
    pub(super) status: &'a str,
}

/// What a body is written as.
pub(super) trait Body {
    /// Its bytes; the signature is over these.
    fn bytes(&self) -> Option<Vec<u8>>;
}

impl<T: Serialize> Body for T {
    fn bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }
}

/// Not even `{}`: the empty body is what is signed.
pub(super) struct NoBody;

impl Body for NoBody {
    fn bytes(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

/// `YYYY-MM-DD HH:mm:ss` in UTC. The filters carry no zone of their own.
pub(super) fn filter_date(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from(at).format(&format).unwrap_or_default()
}
