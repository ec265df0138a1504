//! What the operator's command is made of. The command itself is `main.rs`; this library holds what
//! tests use too: private Redis and Postgres servers as child processes.

pub mod servers;
