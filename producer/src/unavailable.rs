//! What a caller reads while a store does not take or give what it should.

use std::fmt;

use payfleet_queue::Error;

use crate::problem::{Kind, Problem};

/// A queue's error as an answer.
pub(crate) fn queue_problem(error: &Error) -> Problem {
    let problem = match error {
        Error::QueueFull { .. } | Error::OutOfMemory => {
            Problem::new(Kind::QueueFull, "Nothing was accepted. Repeat the request later with the same key.")
        }
        Error::Unavailable { .. } | Error::DurabilityShortfall { .. } | Error::Refused { .. } => {
            let detail =
                "Redis does not take it now, so nothing is confirmed. Repeat the request with the same key.";
            Problem::new(Kind::Unavailable, detail)
        }
        Error::InvalidUrl { .. }
        | Error::InvalidJob { .. }
        | Error::InvalidArgument { .. }
        | Error::Encoding { .. } => {
            Problem::new(Kind::Internal, "Nothing was confirmed. Repeat the request with the same key.")
        }
    };
    problem.because(error)
}

/// An unreadable store as an answer, where the queue could not answer instead.
pub(crate) fn store_problem(cause: impl fmt::Display) -> Problem {
    let detail = "Postgres does not answer, so the state cannot be shown. Ask again; nothing is lost.";
    Problem::new(Kind::Unavailable, detail).because(cause)
}
