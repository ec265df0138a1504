//! The harness: real Redis and Postgres as child processes, one pair per test binary, with a database
//! and a key prefix per test; the World, a whole fleet in one test; a web app that is told; and the
//! frame of the benchmarks.

pub mod binaries;
pub mod measure;
pub mod proxy;
pub mod receiver;
pub mod records;
pub mod servers;
pub mod store;
pub mod stripe;
pub mod trap;
pub mod world;
