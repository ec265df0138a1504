//! How an idle worker learns of work at once, at the cost of about one command a second.
//!
//! Whoever makes a job ready pushes a token on the queue's wake list (a bounded number); an idle
//! worker blocks on that list on a connection of its own. The token says only "look": a lost or
//! surplus one costs a look, or at most [`PATIENCE`] of delay. A worker with nothing else to do sends
//! its next take along: Redis runs it as soon as the blocking ends, which saves a round trip.

use std::time::Duration;

use futures::future::BoxFuture;
use payfleet_core::job::QueueName;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind};
use tokio::time::Instant;

use crate::connection::Own;
use crate::take::Reply;
use crate::{Error, Queue, Taken, keys};

/// How long one blocking command waits in Redis.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for work on one queue.
pub struct Waiter {
    queue: Queue,
    name: QueueName,
    key: String,
    pending: Option<Pending>,
    connection: Option<Own>,
}

/// Gives the connection back together with the answer.
type Pending = BoxFuture<'static, Result<(Answer, Own), Error>>;

#[derive(Default)]
struct Answer {
    woken: bool,
    /// What the take that went along brought, if it was run.
    taken: Option<Reply>,
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
        Waiter { queue: self.clone(), name: queue.clone(), key, pending: None, connection: None }
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
            if answer?.woken {
                return Ok(true);
            }
        }
    }

    /// Whether a command is still pending from an earlier [`Self::wait`] that was over before it.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Waits for a signal, or for [`PATIENCE`], and then takes, with `take` a call of that script. Not
    /// to be dropped before it answers, nor called while [`Self::is_pending`]. `None`: a take is due,
    /// but this one was not run.
    ///
    /// # Errors
    /// What Redis' state brings; the next call connects anew.
    pub(crate) async fn wait_and_take(&mut self, take: Cmd) -> Result<Option<Taken>, Error> {
        self.begin(Some(take));
        match self.answer().await?.taken {
            Some(reply) => self.queue.taken(&self.name, &reply).await.map(Some),
            None => Ok(None),
        }
    }

    /// The answer of the pending command, or of a new one.
    async fn answer(&mut self) -> Result<Answer, Error> {
        let pending = match self.pending.as_mut() {
            Some(pending) => pending,
            None => self.begin(None),
        };
        let answered = pending.await;
        self.pending = None;
        let (answer, connection) = answered?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn begin(&mut self, take: Option<Cmd>) -> &mut Pending {
        let (queue, key) = (self.queue.clone(), self.key.clone());
        self.pending.insert(Box::pin(block(queue, key, self.connection.take(), take)))
    }

    /// Waits only for the answer of a command that is still pending, and for ever without one: for
    /// a worker that became busy, which should pass a signal on.
    pub(crate) async fn leftover(&mut self) -> bool {
        if self.pending.is_none() {
            std::future::pending::<()>().await;
        }
        self.answer().await.is_ok_and(|answer| answer.woken)
    }
}

/// Blocks on `key`, then has `take` run.
async fn block(
    queue: Queue,
    key: String,
    connection: Option<Own>,
    take: Option<Cmd>,
) -> Result<(Answer, Own), Error> {
    let routes = &queue.inner.routes;
    let mut pop = redis::cmd("BLPOP");
    pop.arg(key).arg(PATIENCE.as_secs_f64());
    // The queue may have moved to another server meanwhile: nobody would wake us here.
    let mut own = match connection.filter(|own| routes.is_current(own, &pop)) {
        Some(own) => own,
        None => routes.own(&pop, PATIENCE).await?,
    };
    let answer = match take {
        None => popped(&mut own, &pop).await,
        Some(take) => popped_and_taken(&queue, &mut own, pop, take).await,
    };
    match answer {
        Ok(answer) => Ok((answer, own)),
        Err(error) => {
            routes.own_failed(own, &error);
            Err(Error::from_redis(&error, None))
        }
    }
}

/// What BLPOP answers: the list and its element, or nothing in time.
type Popped = Option<(String, String)>;

async fn popped(own: &mut Own, pop: &Cmd) -> RedisResult<Answer> {
    let popped: Popped = pop.query_async(&mut own.connection).await?;
    Ok(Answer { woken: popped.is_some(), taken: None })
}

async fn popped_and_taken(queue: &Queue, own: &mut Own, pop: Cmd, take: Cmd) -> RedisResult<Answer> {
    let mut both = redis::pipe();
    both.add_command(pop).add_command(take).ignore_errors();
    let (popped, taken): (RedisResult<Popped>, RedisResult<Reply>) =
        both.query_async(&mut own.connection).await?;
    let taken = match taken {
        Ok(reply) => Some(reply),
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            queue.inner.scripts.take.load(&mut own.connection).await?;
            None
        }
        Err(error) => return Err(error),
    };
    // A take that was run counts, whatever ended the blocking.
    let woken = if taken.is_some() { popped.is_ok_and(|popped| popped.is_some()) } else { popped?.is_some() };
    Ok(Answer { woken, taken })
}
