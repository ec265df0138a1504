//! What assets report of themselves, sent on in batches. Sending a reading again changes nothing.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asked::Asked;
use crate::kinds::OperationKind;
use crate::provider::{Action, Provider};

/// A batch of readings, in the order in which they are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// 1 to [`Telemetry::MOST`] readings.
    pub readings: Vec<Reading>,
}

/// One reading of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which asset.
    pub asset_id: String,
    /// Percent, 0 to 100.
    pub battery_level: Decimal,
    /// Driven so far.
    pub kilometers: Decimal,
    /// The asset's own word.
    pub status: String,
    /// Degrees north and east, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<(Decimal, Decimal)>,
    /// RFC 3339.
    pub timestamp: String,
}

impl Telemetry {
    /// The most readings a batch may have.
    pub const MOST: usize = 100;
}

impl Asked for Telemetry {
    fn kind(&self) -> OperationKind {
        OperationKind::Telemetry
    }

    fn provider(&self) -> Provider {
        Provider::TrovoTech
    }

    fn action(&self) -> Action {
        Action::Telemetry
    }

    fn shown(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([("readings", json!(self.readings.len()))])
    }
}
