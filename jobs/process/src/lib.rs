//! What every process of the fleet does the same way: read its settings and report every mistake in
//! them at once, log and trace, tell the time, name its tasks, and stop when it is asked to.
//!
//! It knows nothing of queues, providers or SQL. Only binaries and the crates behind them use it;
//! `payfleet-core` stays free of clocks and of I/O.

pub mod clock;
pub mod settings;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;

pub use clock::SystemClock;
pub use settings::{Mistakes, Settings};
pub use shutdown::shutdown_signal;
pub use tasks::spawn;
pub use telemetry::{Telemetry, TelemetrySettings, continue_trace, current_trace};
