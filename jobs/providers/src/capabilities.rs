//! What each provider can do for us, declared beside its client: its operations, how doubt about each
//! is resolved, what it lists, how much it takes and how it writes amounts.
//!
//! Handlers ask here rather than know; the conformance suite holds each client to its declaration.

use payfleet_core::provider::Provider;

use crate::{heleket, stripe, tatum, trovotech};

/// One provider's declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Every operation of its client.
    pub operations: &'static [Operation],
    /// What reconciliation can read.
    pub listings: &'static [Listing],
    /// How it writes amounts.
    pub amounts: Amounts,
    /// The calls a second it publishes as its limit; `None` where it publishes none.
    pub per_second: Option<u32>,
    /// Whether its webhooks carry an id of their own.
    pub has_event_ids: bool,
    /// Whether its webhooks carry the time at which they were signed.
    pub signs_time: bool,
}

/// An operation and what to do when its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in logs and tables.
    pub name: &'static str,
    /// How a lost answer is resolved.
    pub doubt: Doubt,
}

/// How doubt about one call is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It only asks: ask again.
    Read,
    /// The provider makes the same thing of it however often it is sent: send it again.
    Repeat,
    /// The same request with the same key within this many milliseconds; then a look-up.
    SameKey {
        /// For how long the provider is relied on to know the key.
        window_ms: i64,
    },
    /// The same signed bytes: their hash is known beforehand, and a chain takes them once.
    SameSignedBytes,
    /// Ask what became of it.
    LookUp,
    /// Neither key nor look-up: a person decides.
    Operator,
}

/// A list that can be read for reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What it lists.
    pub name: &'static str,
    /// How its pages follow each other.
    pub paging: Paging,
    /// Whether entries carry a reference of ours.
    pub names_our_reference: bool,
}

/// How the pages of a list follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Everything at once.
    Whole,
    /// Each page names the next one.
    Cursor {
        /// Entries on a page, at most.
        page: u16,
    },
    /// Pages are counted.
    Offset {
        /// Entries on a page, at most.
        page: u16,
    },
}

/// How amounts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amounts {
    /// Integers in the currency's minor unit.
    MinorUnits,
    /// Decimals in strings.
    DecimalString,
    /// JSON numbers, which we read and write digit for digit.
    JsonNumber,
}

impl Operation {
    pub(crate) const fn new(name: &'static str, doubt: Doubt) -> Self {
        Self { name, doubt }
    }
}

impl Capabilities {
    /// How doubt about the operation called `name` is resolved, where there is one.
    #[must_use]
    pub fn doubt(&self, name: &str) -> Option<Doubt> {
        self.operations.iter().find(|operation| operation.name == name).map(|operation| operation.doubt)
    }
}

/// What `provider` declares, where it has a client here.
#[must_use]
pub const fn of(provider: Provider) -> Option<&'static Capabilities> {
    match provider {
        Provider::Tatum => Some(&tatum::CAPABILITIES),
        Provider::Stripe => Some(&stripe::CAPABILITIES),
        Provider::Heleket => Some(&heleket::CAPABILITIES),
        Provider::TrovoTech => Some(&trovotech::CAPABILITIES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_provider_declares_an_operation_twice() {
        for provider in Provider::ALL {
            let Some(capabilities) = of(provider) else { continue };
            let mut names: Vec<&str> =
                capabilities.operations.iter().map(|operation| operation.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{provider}");
        }
    }
}
