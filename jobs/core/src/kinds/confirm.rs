//! The `confirm` job: asks how far an operation has come and puts the answer into its inbox. It owns
//! no state, and a poll that finds nothing final spends no attempt.

use serde::{Deserialize, Serialize};

use crate::OperationId;
use crate::address::Network;

/// The job's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Look {
    /// At one operation.
    Operation(Confirm),
    /// At a chain, for everything that waits on it.
    Chain {
        /// Which.
        network: Network,
    },
}

/// One operation to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Which operation to ask about; everything else is in its row.
    pub operation_id: OperationId,
    /// The operation's version when this look was asked for. A later version has asked for its own,
    /// and this one ends: so there is always one chain of polls, never two and never none.
    pub version: i64,
}

/// How long to wait between two polls of something on `network`, in milliseconds: about one block,
/// where blocks are slow about a minute. What is on no chain is asked about each half minute.
#[must_use]
pub const fn interval_ms(network: Option<Network>) -> u64 {
    let Some(network) = network else { return 30_000 };
    match network {
        Network::Bantu => 5_000,
        Network::Tron | Network::Bsc | Network::Polygon | Network::Eth => 30_000,
        Network::Btc => 60_000,
    }
}
