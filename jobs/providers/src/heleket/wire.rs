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

/// `YYYY-MM-DD HH:mm:ss` in UTC. The filters carry no zone of their own.
pub(super) fn filter_date(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from(at).format(&format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::heleket::sign::sign;

    /// The recorded request called `name`, compared with `body` as we would send it.
    fn is_sent_as_recorded(name: &str, body: &impl Serialize) {
        let recorded: Value = serde_json::from_str(include_str!("../../vectors/heleket_wire.json")).unwrap();
        let cases = recorded["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let body = serde_json::to_vec(body).unwrap();
        assert_eq!(String::from_utf8(body.clone()).unwrap(), case["body"], "{name}");
        assert_eq!(
            sign(&body, case["api_key"].as_str().unwrap().as_bytes()),
            case["headers"]["sign"],
            "{name}"
        );
    }

    #[test]
    fn requests_are_the_recorded_ones_byte_for_byte() {
        is_sent_as_recorded(
            "payout.create",
            &CreatePayout {
                amount: "15.5".to_owned(),
                currency: "USDT",
                order_id: "pay-0001",
                address: "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm",
                is_subtract: true,
                network: "TRON",
                url_callback: Some("https://example.com/hooks/heleket"),
            },
        );
        is_sent_as_recorded("payout.info.uuid", &PayoutInfo::Uuid("u1"));
        is_sent_as_recorded("payout.info.order", &PayoutInfo::OrderId("pay-0001"));
        let list = PayoutList {
            date_from: filter_date(Timestamp::from_unix_ms(1_767_225_600_000)),
            date_to: filter_date(Timestamp::from_unix_ms(1_769_903_999_000)),
        };
        is_sent_as_recorded("payout.list", &list);
    }
}
