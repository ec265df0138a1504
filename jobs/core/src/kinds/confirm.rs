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
    /// How long to wait between two looks, in milliseconds; absent: [`interval_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
}

/// The longest pause between two polls, in milliseconds: six hours.
const LONGEST_PAUSE_MS: u64 = 6 * 3_600_000;

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

/// How long to wait between two polls of something on `network` that its provider has had for
/// `waited_ms`: an eighth of that, but not less than [`interval_ms`] and not more than six hours. What
/// takes ten times as long is asked about some times more, not ten times as often.
#[must_use]
pub const fn pause_ms(network: Option<Network>, waited_ms: u64) -> u64 {
    let (least, grown) = (interval_ms(network), waited_ms / 8);
    if grown > LONGEST_PAUSE_MS {
        LONGEST_PAUSE_MS
    } else if grown > least {
        grown
    } else {
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_asked_about_less_and_less_often() {
        const DAY_MS: u64 = 24 * 3_600_000;
        let polls = |until_ms: u64| {
            let mut waited_ms = 0;
            let mut polls = 0_u32;
            while waited_ms < until_ms {
                waited_ms += pause_ms(None, waited_ms);
                polls += 1;
            }
            polls
        };
        assert_eq!(pause_ms(None, 0), 30_000);
        assert_eq!(pause_ms(None, DAY_MS), DAY_MS / 8);
        assert_eq!(pause_ms(None, 30 * DAY_MS), 6 * 3_600_000);
        assert!(polls(3_600_000) < 40, "{}", polls(3_600_000));
        assert!(polls(DAY_MS) < 70, "{}", polls(DAY_MS));
        assert!(polls(7 * DAY_MS) < 110, "{}", polls(7 * DAY_MS));
    }

    #[test]
    fn each_chain_is_looked_at_about_once_a_block_and_seldom_where_blocks_are_slow() {
        const HOUR_MS: u64 = 3_600_000;
        let table = [
            (Some(Network::Bantu), 5_000),
            (Some(Network::Tron), 30_000),
            (Some(Network::Bsc), 30_000),
            (Some(Network::Polygon), 30_000),
            (Some(Network::Eth), 30_000),
            (Some(Network::Btc), 60_000),
            (None, 30_000),
        ];
        assert!(Network::ALL.iter().all(|network| table.iter().any(|(one, _)| *one == Some(*network))));
        for (network, ms) in table {
            assert_eq!(interval_ms(network), ms, "{network:?}");
            // What is young is asked about as often as its chain moves; what is old, as seldom anywhere.
            assert_eq!(pause_ms(network, 0), ms, "{network:?}");
            assert_eq!(pause_ms(network, 8 * ms), ms, "{network:?}");
            assert_eq!(pause_ms(network, 16 * ms), 2 * ms, "{network:?}");
            assert_eq!(pause_ms(network, 8 * HOUR_MS), HOUR_MS, "{network:?}");
            assert_eq!(pause_ms(network, u64::MAX), LONGEST_PAUSE_MS, "{network:?}");
        }
    }

    #[test]
    fn a_look_that_an_earlier_version_asked_for_is_read() {
        let operation = "0197a6b2-0000-8000-8000-000000000000";
        let text = format!(r#"{{"operation_id":"{operation}","version":4}}"#);
        let Look::Operation(confirm) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert_eq!((confirm.version, confirm.every_ms), (4, None));
        assert_eq!(serde_json::to_string(&confirm).unwrap(), text);
    }
}
