//! Giving dead letters back to the workers: [one](release), or many by a [plan](steps). A letter goes
//! back under its own id and with all its attempts; whoever finds an open intent then asks the provider
//! before it sends anything, as always.

pub mod release;
pub mod steps;

pub use release::{ReleaseError, release, revived};
