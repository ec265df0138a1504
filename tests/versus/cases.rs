//! The nine cases, and how each is run within its time on either side.

use std::path::Path;
use std::time::Duration;

use crate::watch::Saw;
use crate::{ours, stock};

/// No case takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A defect of apalis-redis 1.0.0, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) done: &'static str,
}

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Stock,
    Ours,
}

pub(crate) const CASES: [Case; 9] = [
    Case { name: "A1", done: "10,000 due jobs wait; a worker starts, then another" },
    Case {
        name: "A2",
        done: "Redis is killed, stalled for 1.5 s, BUSY, READONLY, each while a handler runs",
    },
    Case { name: "A3", done: "5 pushes with one key, default settings" },
    Case { name: "A4", done: "10 jobs longer than a heartbeat, two live workers, one job at a time" },
    Case { name: "A5", done: "graceful stop, start again under the same name" },
    Case { name: "A6", done: "a job with at most 3 attempts always fails" },
    Case {
        name: "A7",
        done: "a job aborts its process; 20 good ones wait beside it; the process is started again 8 times",
    },
    Case { name: "A8", done: "a clean-up while a job waits for its retry; then 5 good jobs" },
    Case { name: "A9", done: "`maxmemory` is reached while 200 jobs wait" },
];

/// Runs a case. `program` is versus-apalis-redis, for the case that needs processes to die.
pub(crate) async fn run(side: Side, case: &str, program: &Path) -> Saw {
    let run = async {
        match (side, case) {
            (Side::Stock, "A1") => stock::many_due().await,
            (Side::Stock, "A2") => stock::redis_fails().await,
            (Side::Stock, "A3") => stock::one_key().await,
            (Side::Stock, "A4") => stock::long_jobs().await,
            (Side::Stock, "A5") => stock::same_name().await,
            (Side::Stock, "A6") => stock::always_fails().await,
            (Side::Stock, "A7") => stock::aborts(program).await,
            (Side::Stock, "A8") => stock::cleaned_up().await,
            (Side::Stock, "A9") => stock::out_of_memory().await,
            (Side::Ours, "A1") => ours::many_due().await,
            (Side::Ours, "A2") => ours::redis_fails().await,
            (Side::Ours, "A3") => ours::one_key().await,
            (Side::Ours, "A4") => ours::long_jobs().await,
            (Side::Ours, "A5") => ours::same_name().await,
            (Side::Ours, "A6") => ours::always_fails().await,
            (Side::Ours, "A7") => ours::aborts(program).await,
            (Side::Ours, "A8") => ours::cleaned_up().await,
            (Side::Ours, "A9") => ours::out_of_memory().await,
            _ => anyhow::bail!("there is no case {case}"),
        }
    };
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(saw)) => saw,
        Ok(Err(error)) => Saw::new(false, format!("could not be run: {error:#}")),
        Err(_) => Saw::new(false, format!("not over after {} s", PATIENCE.as_secs())),
    }
}
