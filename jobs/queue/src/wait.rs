//! How an idle worker learns of work at once, at the cost of about one command a second.
//!
//! Whoever makes a job ready pushes a token on the queue's wake list (a bounded number); an idle
//! worker blocks on that list on a connection of its own. The token says only "look": a lost or
//! surplus one costs a look, or at most [`PATIENCE`] of delay.

use std::time::Duration;

use futures::future::BoxFuture;
use payfleet_core::job::QueueName;
use redis::Cmd;
use tokio::time::Instant;

use crate::connection::Own;
use crate::{Error, Queue, keys};

/// How long one blocking command waits in Redis.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for work on one queue.
pub struct Waiter {
    queue: Queue,
    key: String,
    pending: Option<BoxFuture<'static, Result<Answer, Error>>>,
    connection: Option<Own>,
}

struct Answer {
    woken: bool,
    connection: Own,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Queue {
    /// A waiter for `queue`, with a connection of its own from its first use on.
    #[must_use]
    pub fn waiter(&self, queue: &QueueName) -> Waiter {
        let key = keys::wake(&self.config().prefix, queue);
        Waiter { queue: self.clone(), key, pending: None, connection: None }
    }

    /// Wakes one idle worker of `queue`.
    ///
    /// # Errors
    /// What Redis' state brings.
    pub async fn wake(&self, queue: &QueueName) -> Result<(), Error> {
        let mut push = redis::cmd("RPUSH");
        push.arg(keys::wake(&self.config().prefix, queue)).arg("1");
        self.command::<u64>(&push).await.map(|_| ())
    }
}

impl Waiter {
    /// Returns when someone signalled work (`true`), or after `timeout` or [`PATIENCE`], whichever
    /// is shorter (`false`). Dropping the future loses nothing: the next call goes on waiting.
    ///
    /// # Errors
    /// What Redis' state brings; the next call connects anew.
    pub async fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        // The timeout is kept here: Redis looks at its own only ten times a second.
        let end = Instant::now() + timeout.min(PATIENCE);
        loop {
            let Ok(answer) = tokio::time::timeout_at(end, self.answer()).await else {
                return Ok(false);
            };
            // A command that was pending since an earlier call may end early, and without a signal.
            if answer? {
                return Ok(true);
            }
        }
    }

    /// Whether the pending command, or a new one, brought a signal.
    async fn answer(&mut self) -> Result<bool, Error> {
        let pending = self.pending.get_or_insert_with(|| {
            let (queue, key) = (self.queue.clone(), self.key.clone());
            Box::pin(block(queue, key, self.connection.take()))
        });
        let answer = pending.await;
        self.pending = None;
        let answer = answer?;
        self.connection = Some(answer.connection);
        Ok(answer.woken)
    }

    /// Waits only for the answer of a command that is still pending, and for ever without one: for
    /// a worker that became busy, which should pass a signal on.
    pub(crate) async fn leftover(&mut self) -> bool {
        if self.pending.is_none() {
            std::future::pending::<()>().await;
        }
        self.answer().await.unwrap_or(false)
    }
}

async fn block(queue: Queue, key: String, connection: Option<Own>) -> Result<Answer, Error> {
    let routes = &queue.inner.routes;
    let mut pop = redis::cmd("BLPOP");
    pop.arg(key).arg(PATIENCE.as_secs_f64());
    // The queue may have moved to another server meanwhile: nobody would wake us here.
    let mut own = match connection.filter(|own| routes.is_current(own, &pop)) {
        Some(own) => own,
        None => routes.own(&pop, PATIENCE).await?,
    };
    match popped(&mut own, &pop).await {
        Ok(woken) => Ok(Answer { woken, connection: own }),
        Err(error) => {
            routes.own_failed(own, &error);
            Err(Error::from_redis(&error, None))
        }
    }
}

async fn popped(own: &mut Own, pop: &Cmd) -> redis::RedisResult<bool> {
    let popped: Option<(String, String)> = pop.query_async(&mut own.connection).await?;
    Ok(popped.is_some())
}
