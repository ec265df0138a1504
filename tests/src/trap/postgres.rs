//! What a client says to Postgres, as far as a trap needs it: which named statements it runs with which
//! bytes, and when it commits (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::Dialect;
use super::{Spring, Step};

/// Asks for TLS; the server answers with one byte, and the startup message follows.
const SSL_REQUEST: i32 = 80_877_103;

pub(super) struct Postgres {
    spring: Arc<Spring>,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    heard: Vec<u8>,
    /// The startup message has been sent: from then on every message has a type.
    is_started: bool,
    /// The names that prepared statements call themselves, by the client's names of them.
    statements: HashMap<Vec<u8>, String>,
    /// Those that ran for the operation in this transaction.
    ran: Vec<String>,
    /// The commit that is waited for has been sent; its answer has not come.
    commits: bool,
}

impl Postgres {
    pub(super) fn new(spring: &Arc<Spring>) -> Self {
        Self { spring: Arc::clone(spring), session: Mutex::default() }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The first whole message.
    fn next(&mut self) -> Option<Vec<u8>> {
        let at = usize::from(self.is_started);
        let length = i32::from_be_bytes(self.heard.get(at..at + 4)?.try_into().ok()?);
        let end = at + usize::try_from(length).ok()?;
        (self.heard.len() >= end).then(|| self.heard.drain(..end).collect())
    }

    /// Whether the client is to be held before this message is passed on.
    fn is_awaited(&mut self, message: &[u8], spring: &Spring) -> bool {
        if !self.is_started {
            let code = message.get(4..8).and_then(|code| code.try_into().ok()).map(i32::from_be_bytes);
            self.is_started = code != Some(SSL_REQUEST);
            return false;
        }
        let (kind, body) = (message[0], &message[5..]);
        match kind {
            b'P' => {
                let (name, query) = two_texts(body);
                self.statements.insert(name.to_vec(), named(query).unwrap_or_default());
                false
            }
            b'B' => self.runs(body, spring),
            b'Q' => {
                self.ends(body, spring);
                false
            }
            _ => false,
        }
    }

    /// A statement is about to run.
    fn runs(&mut self, bind: &[u8], spring: &Spring) -> bool {
        let (_, statement) = two_texts(bind);
        let Some(name) = self.statements.get(statement).cloned() else { return false };
        let operation = spring.aim.operation.map(|id| *id.as_uuid().as_bytes());
        let concerns = operation.is_none_or(|id| bind.windows(id.len()).any(|part| part == id));
        if !concerns || !spring.is_set() {
            return false;
        }
        let is_awaited = match spring.aim.step {
            Step::Before(awaited) => awaited == name,
            Step::BeforeSince { statement, .. } => statement == name && *spring.committed.borrow(),
            Step::Committed(_) | Step::BeforeSettle | Step::Settled => false,
        };
        self.ran.push(name);
        is_awaited
    }

    /// A transaction begins or ends.
    fn ends(&mut self, query: &[u8], spring: &Spring) {
        let ran = std::mem::take(&mut self.ran);
        if !query.starts_with(b"COMMIT") || !spring.is_set() {
            return;
        }
        match spring.aim.step {
            Step::Committed(awaited) => self.commits = ran.iter().any(|name| name == awaited),
            Step::BeforeSince { committed, .. } if ran.iter().any(|name| name == committed) => {
                spring.committed.send_replace(true);
            }
            Step::BeforeSince { .. } | Step::Before(_) | Step::BeforeSettle | Step::Settled => {}
        }
    }
}

impl Dialect for Postgres {
    fn heard(&self, piece: &[u8]) {
        self.session().heard.extend_from_slice(piece);
    }

    async fn request(&self) -> Option<Vec<u8>> {
        let (message, is_awaited) = {
            let mut session = self.session();
            let message = session.next()?;
            let is_awaited = session.is_awaited(&message, &self.spring);
            (message, is_awaited)
        };
        if is_awaited {
            self.spring.hold().await;
        }
        Some(message)
    }

    /// Its client waits for the answer to one message before it sends the next, so what comes after a
    /// commit was sent is the answer to it: it has happened.
    async fn answered(&self, piece: &[u8]) -> Vec<u8> {
        let commits = std::mem::take(&mut self.session().commits);
        if commits {
            self.spring.hold().await;
        }
        piece.to_vec()
    }
}

/// The two texts at the beginning of a message, each ended by a zero.
fn two_texts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut texts = bytes.split(|byte| *byte == 0);
    (texts.next().unwrap_or_default(), texts.next().unwrap_or_default())
}

/// The name at the beginning of a query: `/* name */`.
fn named(query: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(query).ok()?;
    let (name, _) = text.trim_start().strip_prefix("/*")?.split_once("*/")?;
    Some(name.trim().to_owned())
}
