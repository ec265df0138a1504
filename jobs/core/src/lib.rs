//! The vocabulary that every part of Payfleet shares: ids, money, addresses, outcome classes, the
//! job envelope, and for each kind of operation its request, its states, and the pure `plan` and
//! `apply` that move it.
//!
//! Nothing here does I/O, reads a clock or draws randomness: what depends on those takes them as
//! arguments. That is what lets every state machine be tested by enumeration.

pub mod address;
pub mod backoff;
pub mod clock;
pub mod ids;
pub mod job;
pub mod kinds;
pub mod ledger;
pub mod money;
pub mod outcome;
pub mod provider;

pub use clock::{Clock, Timestamp};
pub use ids::{AccountId, JobId, OperationId, ProviderKey, TenantId};
pub use money::{Asset, Money};
pub use outcome::{Classify, OutcomeClass};
