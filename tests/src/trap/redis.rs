//! What a client says to Redis, as far as a trap needs it: which request settles the job, and which answer
//! belongs to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::Dialect;
use super::{Spring, Step};
use crate::proxy::resp;

pub(super) struct Redis {
    spring: Arc<Spring>,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    heard: Vec<u8>,
    told: Vec<u8>,
    asked: u64,
    answered: u64,
    /// The number of the request that settles the job, once it was sent.
    settle: Option<u64>,
}

impl Redis {
    pub(super) fn new(spring: &Arc<Spring>) -> Self {
        Self { spring: Arc::clone(spring), session: Mutex::default() }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing but a settle names a job that the worker has taken, by its sixteen bytes.
    fn settles(&self, request: &[u8]) -> bool {
        let id = *self.spring.aim.job.as_uuid().as_bytes();
        self.spring.is_set() && request.windows(id.len()).any(|part| part == id)
    }
}

impl Session {
    fn next_request(&mut self) -> Option<Vec<u8>> {
        let request = first(&mut self.heard)?;
        self.asked += 1;
        Some(request)
    }

    /// The next answer, and whether it is the one to the settle.
    fn next_answer(&mut self) -> Option<(Vec<u8>, bool)> {
        let answer = first(&mut self.told)?;
        self.answered += 1;
        // A server that does not know the script has settled nothing; the client sends it again.
        let is_awaited = self.settle == Some(self.answered) && !resp::ran_nothing(&answer);
        Some((answer, is_awaited))
    }
}

/// The first whole message.
fn first(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = if bytes.is_empty() { None } else { resp::message(bytes) }?;
    Some(bytes.drain(..length).collect())
}

impl Dialect for Redis {
    fn heard(&self, piece: &[u8]) {
        self.session().heard.extend_from_slice(piece);
    }

    async fn request(&self) -> Option<Vec<u8>> {
        let (request, number) = {
            let mut session = self.session();
            (session.next_request()?, session.asked)
        };
        match self.spring.aim.step {
            Step::BeforeSettle if self.settles(&request) => self.spring.hold().await,
            Step::Settled if self.settles(&request) => self.session().settle = Some(number),
            Step::Before(_)
            | Step::BeforeSince { .. }
            | Step::Committed(_)
            | Step::BeforeSettle
            | Step::Settled => {}
        }
        Some(request)
    }

    async fn answered(&self, piece: &[u8]) -> Vec<u8> {
        self.session().told.extend_from_slice(piece);
        let mut passes = Vec::new();
        loop {
            let Some((answer, is_awaited)) = self.session().next_answer() else { return passes };
            if is_awaited {
                self.spring.hold().await;
            }
            passes.extend_from_slice(&answer);
        }
    }
}
