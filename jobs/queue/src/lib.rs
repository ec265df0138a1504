//! A durable job queue on Redis, driven by apalis. All time is Redis' own; a worker's clock decides
//! nothing.
#![doc = include_str!("../../../docs/queue.md")]

pub mod admin;
pub mod backend;
mod bytes;
mod config;
mod connection;
mod durable;
mod enqueue;
mod error;
mod inspect;
mod keys;
pub mod limits;
mod queue;
mod record;
mod reply;
mod schedule;
mod scripts;
mod settle;
mod take;
mod tls;
mod together;
mod vocabulary;
mod wait;
mod why;

pub use payfleet_core::Timestamp;
pub use payfleet_core::backoff::Backoff;
pub use payfleet_core::ids::{JobId, RequestHash, TenantId};
pub use payfleet_core::job::{
    AttemptRecord, DeadJob, Dedupe, Failure, InvalidQueueName, Job, NewJob, Origin, QueueName, TraceContext,
};

pub use config::{Config, Durability, TimeSource};
pub use error::Error;
pub use queue::Queue;
pub use schedule::{Fired, Missed, Overlap, Schedule, Scheduled, Schedules, UnusableSchedule, When};
pub use tls::{ClientCertificate, Tls};
pub use vocabulary::{
    Deferral, Enqueued, JobView, LeaseRef, Leased, Outcome, Place, QueueStats, Settled, Settlement, Taken,
};
pub use wait::{PATIENCE, Waiter};
pub use why::{Limited, Waiting, Why};
