//! The names of limiters and breakers, and the list of those in use, for operators.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{BreakerPolicy, BreakerState, Limiter, LimiterState};
use crate::{Error, Queue, keys};

/// A limiter's or a breaker's key, and whether its name has been put on the list.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) key: String,
    list: String,
    listed: Mutex<Option<Instant>>,
}

/// A name is put on the list again after this: it is taken off it once its key has expired, which takes
/// a day without any call.
const LIST_AGAIN: Duration = Duration::from_hours(1);

const MAX_NAME: usize = 128;
const MAX_REASON: usize = 200;

/// A reason as it is kept.
pub(super) fn cut(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or(reason)
}

impl Named {
    /// Checks a name: 1 to 128 characters of a-z, A-Z, 0-9, `_`, `-`, `.`, `:`.
    pub(super) fn new(queue: &Queue, what: keys::Shared, name: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(Error::InvalidArgument {
                field: "name",
                reason: format!(
                    "it must be 1 to {MAX_NAME} characters of a-z, A-Z, 0-9, '_', '-', '.' or ':'"
                ),
            });
        }
        let prefix = &queue.config().prefix;
        Ok(Self {
            name: name.to_owned(),
            key: keys::shared(prefix, what, name),
            list: keys::shared_names(prefix, what),
            listed: Mutex::default(),
        })
    }

    /// Puts the name on the list, after a call that made its key. The list serves only people, so nothing
    /// that goes wrong here may hold up a call.
    pub(super) async fn list(&self, queue: &Queue) {
        let before = self.listed.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_some_and(|at| at.elapsed() < LIST_AGAIN) {
            *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = before;
            return;
        }
        let mut add = redis::cmd("SADD");
        add.arg(&self.list).arg(&self.name);
        if queue.command::<u64>(&add).await.is_err() {
            *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Queue {
    /// All limiters that were used within a day or that an operator has set, by name, with what their
    /// callers declared.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn limiters(&self) -> Result<Vec<LimiterState>, Error> {
        let mut limiters = Vec::new();
        for name in self.names(keys::Shared::Limiter).await? {
            limiters.push(Limiter::as_declared(self, &name)?.state().await?);
        }
        Ok(limiters)
    }

    /// All breakers that were used within a day or that an operator has forced, by name.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn breakers(&self) -> Result<Vec<BreakerState>, Error> {
        let mut breakers = Vec::new();
        for name in self.names(keys::Shared::Breaker).await? {
            breakers.push(self.breaker(&name, BreakerPolicy::default())?.state().await?);
        }
        Ok(breakers)
    }

    async fn names(&self, what: keys::Shared) -> Result<Vec<String>, Error> {
        let prefix = &self.config().prefix;
        let list = keys::shared_names(prefix, what);
        let mut members = redis::cmd("SMEMBERS");
        members.arg(&list);
        let mut names = Vec::new();
        for name in self.command::<Vec<String>>(&members).await? {
            let mut exists = redis::cmd("EXISTS");
            exists.arg(keys::shared(prefix, what, &name));
            if self.command::<bool>(&exists).await? {
                names.push(name);
            } else {
                let mut remove = redis::cmd("SREM");
                remove.arg(&list).arg(&name);
                self.command::<u64>(&remove).await?;
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}
