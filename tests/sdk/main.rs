//! The official libraries of the providers as clients of our sandboxes: whoever can be served by the
//! sandbox can be served by the provider. Each library runs a script of its own language, which asserts.
//! And the library of Standard Webhooks as a web app that takes our callbacks.
//!
//! They are installed into the target directory, in pinned versions. Where Node or Python is missing the
//! test says so loudly and shows nothing; with `CI=true` it fails instead.

mod callbacks;
mod install;
mod script;
mod stellar;
mod stripe;
