//! A trap on a worker's way: one proxy before Postgres and one before Redis, which stop the worker at one
//! exact step of one operation, so that a test can kill it there, or let others overtake it.
//!
//! The worker itself knows nothing of it and carries no switch for it: a step is recognised by what the
//! worker says to its stores (statements name themselves, `/* intent_save */`, and carry the operation's
//! id; a settle carries the job's).

mod link;
mod postgres;
mod redis;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::{JobId, OperationId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The step at which a worker is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is about to run this statement for the operation. Postgres does not get it.
    Before(&'static str),
    /// As [`Step::Before`], the first time after a transaction with the other one was committed.
    BeforeSince {
        /// The statement of the transaction that was committed.
        committed: &'static str,
        /// The statement that Postgres does not get.
        statement: &'static str,
    },
    /// Postgres has committed the transaction in which this statement ran for the operation. The worker
    /// does not hear of it.
    Committed(&'static str),
    /// It is about to settle the job: what follows is enqueued. Redis does not get it.
    BeforeSettle,
    /// Redis has settled the job. The worker does not hear of it.
    Settled,
}

/// Whom the trap is for, and where it stops them.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// The operation, by the id that statements carry; `None` is any.
    pub operation: Option<OperationId>,
    /// The job that is settled.
    pub job: JobId,
    /// Where.
    pub step: Step,
}

/// How far the trap has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Set,
    Sprung,
    Open,
}

/// How long it takes nobody to come to the step.
const PATIENCE: Duration = Duration::from_secs(90);

/// What both proxies and the test share.
#[derive(Debug)]
struct Spring {
    aim: Aim,
    phase: watch::Sender<Phase>,
    /// The transaction that [`Step::BeforeSince`] waits for has been committed.
    committed: watch::Sender<bool>,
}

impl Spring {
    fn is_set(&self) -> bool {
        *self.phase.borrow() == Phase::Set
    }

    /// Holds up whoever has come to the step, until the trap is opened. Only the first one is held.
    async fn hold(&self) {
        let first = self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Set;
            if first {
                *phase = Phase::Sprung;
            }
            first
        });
        if first {
            // It ends only with the trap, and then nobody waits for what is held.
            let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Open).await;
        }
    }
}

/// A trap that is set. Dropping it opens it; whoever comes anew is refused.
#[derive(Debug)]
pub struct Trap {
    spring: Arc<Spring>,
    postgres: SocketAddr,
    redis: SocketAddr,
    accepting: [JoinHandle<()>; 2],
}

impl Trap {
    /// A trap for whoever reaches these two servers through it.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn set(aim: Aim, postgres: SocketAddr, redis: SocketAddr) -> io::Result<Self> {
        let (phase, committed) = (watch::Sender::new(Phase::Set), watch::Sender::new(false));
        let spring = Arc::new(Spring { aim, phase, committed });
        let to_postgres = TcpListener::bind("127.0.0.1:0").await?;
        let to_redis = TcpListener::bind("127.0.0.1:0").await?;
        let addresses = (to_postgres.local_addr()?, to_redis.local_addr()?);
        let accepting = [
            payfleet_process::spawn("trap", accept(to_postgres, postgres, Arc::clone(&spring), false)),
            payfleet_process::spawn("trap", accept(to_redis, redis, Arc::clone(&spring), true)),
        ];
        Ok(Self { spring, postgres: addresses.0, redis: addresses.1, accepting })
    }

    /// Where Postgres is behind the trap.
    pub fn postgres(&self) -> SocketAddr {
        self.postgres
    }

    /// Where Redis is behind the trap.
    pub fn redis(&self) -> SocketAddr {
        self.redis
    }

    /// Waits until somebody is held.
    ///
    /// # Panics
    /// Nobody comes to the step: it may be called otherwise by now.
    pub async fn sprung(&self) {
        let mut phase = self.spring.phase.subscribe();
        let sprung = phase.wait_for(|phase| *phase == Phase::Sprung);
        let came = tokio::time::timeout(PATIENCE, sprung).await.is_ok();
        assert!(came, "nobody came within {PATIENCE:?} to {:?}", self.spring.aim.step);
    }

    /// Lets whoever is held go on, and catches nobody any more.
    pub fn open(&self) {
        self.spring.phase.send_replace(Phase::Open);
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        for accepting in &self.accepting {
            accepting.abort();
        }
        self.open();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, spring: Arc<Spring>, is_redis: bool) {
    loop {
        // An error here is of one connection, or a lack of descriptors that passes.
        let Ok((client, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let spring = Arc::clone(&spring);
        payfleet_process::spawn("trapped connection", async move {
            if let Ok(server) = TcpStream::connect(server).await {
                // Either side may end it whenever it likes.
                let _ = match is_redis {
                    true => link::run(client, server, redis::Redis::new(&spring)).await,
                    false => link::run(client, server, postgres::Postgres::new(&spring)).await,
                };
            }
        });
    }
}
