//! Real processes: what happens when they are killed, stopped and started again.

mod dev;
mod health;
mod seen;
mod servers;
mod worker;
