//! Real processes: what happens when they are killed, stopped and started again.

mod dev;
mod seen;
mod servers;
mod worker;
