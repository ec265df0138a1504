//! The harness: real Redis and Postgres as child processes, one pair per test binary, with a database
//! and a key prefix per test; and the World, a whole fleet in one test.

pub mod binaries;
pub mod proxy;
pub mod servers;
pub mod store;
pub mod world;
