//! The queue on a real Redis: what is promised of jobs, leases, retries, deaths and outages.
//! Time is a key that the tests step.

mod admission;
mod backend;
mod breaker;
mod deaths;
mod dedupe;
mod durability;
mod enqueue;
mod expiry;
mod faults;
mod inspect;
mod lanes;
mod limits;
mod limits_property;
mod liveness;
mod model;
mod operators;
mod outage;
mod schedules;
mod settle;
mod shutdown;
mod suspects;
mod take;
mod topology;
mod unreadable;
mod wake;
mod world;
