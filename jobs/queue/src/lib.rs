//! A durable job queue on Redis, driven by apalis: leases with fencing tokens and heartbeats,
//! retries, delays, dead letters, dedupe keys, and scripts whose work never grows with the backlog.
//!
//! The queue knows nothing of what its jobs mean. All time is Redis' own; a worker's clock decides
//! nothing.
//!
//! ```no_run
//! use apalis_core::worker::builder::WorkerBuilder;
//! use payfleet_core::job::{NewJob, QueueName};
//! use payfleet_queue::backend::{BackendOptions, Delivery, RedisBackend};
//! use payfleet_queue::{Config, Enqueued, Outcome, Queue};
//!
//! async fn handle(delivery: Delivery) -> Outcome {
//!     println!("attempt {} of {}", delivery.job.attempt, delivery.job.envelope.id);
//!     Outcome::done()
//! }
//!
//! # async fn example(job: NewJob) -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::open(Config::new("redis://127.0.0.1:6379"))?;
//! for answer in queue.enqueue(&[job]).await? {
//!     if let Enqueued::Conflict(id) = answer {
//!         println!("the key belongs to another request, job {id}");
//!     }
//! }
//! let options = BackendOptions::new("worker-1");
//! let backend = RedisBackend::new(queue, QueueName::try_from("mail")?, options);
//! WorkerBuilder::new("worker-1").backend(backend).build(handle).run().await?;
//! # Ok(())
//! # }
//! ```

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

pub use config::{Config, Durability, TimeSource};
pub use error::Error;
pub use queue::Queue;
pub use schedule::{Fired, Missed, Overlap, Schedule, Scheduled, Schedules, UnusableSchedule};
pub use tls::{ClientCertificate, Tls};
pub use vocabulary::{
    Deferral, Enqueued, JobView, LeaseRef, Leased, Outcome, Place, QueueStats, Settled, Settlement, Taken,
};
pub use wait::{PATIENCE, Waiter};
pub use why::{Waiting, Why};
