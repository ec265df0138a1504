//! A TCP proxy in the test's own process that breaks what goes through it: slow, silent, reset, cut in
//! the middle, half open, or without the one reply that mattered.
//!
//! The test steers it while clients use it, and reads from [`Proxy::fired`] that a fault it planned
//! really happened: a run whose fault never fired proves nothing. It knows where the messages of
//! Redis begin and end; anything else passes as it comes, piece by piece.

mod conversation;
mod link;
mod plan;
pub(crate) mod resp;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use plan::Plan;
pub use plan::{Direction, Fired};

/// In front of one server. Ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    plan: Arc<Plan>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy on a free port of loopback. The server need not be up; then connections are reset.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Plan::default());
        let accepting = payfleet_process::spawn("proxy", accept(listener, server, Arc::clone(&plan)));
        Ok(Self { address, plan, accepting })
    }

    /// Where clients shall connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As [`Self::address`], for a client of Redis.
    #[must_use]
    pub fn redis_url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// What has happened so far.
    #[must_use]
    pub fn fired(&self) -> Fired {
        self.plan.fired()
    }

    /// From now on every piece is passed on only after `by`; zero ends it.
    pub fn delay(&self, by: Duration) {
        self.plan.change(|rules| rules.delay = by);
    }

    /// Until [`Self::heal`] nothing passes in either direction, on connections old and new; none is
    /// closed, and a connection can still be made.
    pub fn blackhole(&self) {
        self.plan.change(|rules| rules.silent = true);
    }

    /// The connections that exist now are silent for ever, as if the other machine had lost power;
    /// new ones work.
    pub fn half_open(&self) {
        let next = self.plan.next_connection();
        self.plan.change(|rules| rules.silent_before = next);
    }

    /// Resets the connections that exist now; new ones work.
    pub fn reset(&self) {
        let next = self.plan.next_connection();
        self.plan.change(|rules| rules.reset_before = next);
    }

    /// Until [`Self::heal`] connections old and new are reset.
    pub fn refuse(&self) {
        self.plan.change(|rules| rules.refuse = true);
    }

    /// After `bytes` more in this direction, counted over all connections, the one in use is reset,
    /// whatever it was in the middle of. Once.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.plan.arm_cut(direction, bytes);
    }

    /// For the next `times` requests that contain `text`: the server gets the request and answers, the
    /// client gets a reset instead of the answer. (A server that only says it does not know the script
    /// has run nothing, so that answer passes and does not count.)
    pub fn drop_reply_to(&self, text: &str, times: usize) {
        self.plan.arm_drop(text.as_bytes().to_vec(), times);
    }

    /// Ends delay, blackhole and refusal, and forgets what was planned but has not fired. Connections
    /// that are half open stay so.
    pub fn heal(&self) {
        self.plan.heal();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.plan.change(|rules| rules.refuse = true);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, plan: Arc<Plan>) {
    loop {
        // An error here is of one connection, or a lack of descriptors that passes.
        let Ok((client, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let plan = Arc::clone(&plan);
        let number = plan.connected();
        payfleet_process::spawn("proxied connection", async move {
            match TcpStream::connect(server).await {
                Ok(server) => link::run(number, client, server, &plan).await,
                Err(_) => link::reset(&client),
            }
        });
    }
}
