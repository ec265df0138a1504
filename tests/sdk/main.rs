//! The official libraries of the providers as clients of our sandboxes: whoever can be served by the
//! sandbox can be served by the provider. Each library runs a script of its own language, which asserts.
//! And the library of Standard Webhooks as a web app that takes our callbacks.
//! And schemathesis as a client of our own contract.
//!
//! They are installed into the target directory, in pinned versions. Where Node or Python is missing the
//! test says so loudly and shows nothing; with `CI=true` it fails instead.

mod callbacks;
mod install;
mod schemathesis;
mod script;
mod stellar;
mod stripe;
