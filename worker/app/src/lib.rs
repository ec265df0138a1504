//! The workers of Payfleet: they lease jobs, and run every operation through one executor, so that no
//! kind can get the order of intent, call and outcome wrong.
//!
//! Beside the handlers, every worker keeps the fleet honest: the [rescuer](rescuer) makes the jobs
//! that Postgres says should exist, the [archiver](archiver) moves dead jobs to Postgres, the
//! [scheduler](scheduler) starts what runs by the clock, the [teller](teller) has web apps told of
//! what happened. All four may run in any number of workers at once: what they do is the same however
//! often it is done.

pub mod archiver;
pub mod chains;
pub mod config;
pub mod executor;
pub mod fleet;
pub mod handlers;
mod health;
pub mod jobs;
pub mod rebuild;
pub mod receivers;
pub mod redrive;
pub mod rescuer;
pub mod scheduler;
pub mod teller;
pub mod weather;

pub use config::{Config, Finality};
pub use fleet::{RunError, run};
