//! A durable job queue on Redis, driven by apalis: leases with fencing tokens and heartbeats,
//! retries, delays, dead letters, dedupe keys, and scripts whose work never grows with the backlog.
//!
//! The queue knows nothing of what its jobs mean. All time is Redis' own; a worker's clock decides
//! nothing.

pub mod admin;
mod config;
mod connection;
mod enqueue;
mod error;
mod inspect;
mod keys;
mod queue;
mod record;
mod schedule;
mod scripts;
mod settle;
mod take;
mod vocabulary;
mod wait;

pub use config::{Config, Durability, TimeSource};
pub use error::Error;
pub use queue::Queue;
pub use vocabulary::{
    Enqueued, JobView, LeaseRef, Leased, Outcome, Place, QueueStats, Settled, Settlement, Taken,
};
pub use wait::{PATIENCE, Waiter};
