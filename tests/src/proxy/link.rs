//! One proxied connection: two directions pumped side by side until one ends or the plan ends it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::conversation::{Conversation, Replies, Requests};
use super::plan::{Direction, Plan, Rules};

const PIECE: usize = 64 * 1024;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// One side closed it.
    Closed,
    /// The plan did.
    Reset,
}

/// Closing it will send RST.
pub(super) fn reset(stream: &TcpStream) {
    // If it is gone already, so much the better.
    let _ = stream.set_zero_linger();
}

pub(super) async fn run(number: u64, mut client: TcpStream, mut server: TcpStream, plan: &Plan) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let end = {
        let conversation = Conversation::default();
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let asks = Pump { number, from: from_client, to: to_server, plan, rules: plan.rules() };
        let answers = Pump { number, from: from_server, to: to_client, plan, rules: plan.rules() };
        tokio::select! {
            end = asks.ask(Requests::new(&conversation)) => end.unwrap_or(End::Closed),
            end = answers.answer(Replies::new(&conversation)) => end.unwrap_or(End::Closed),
            () = until_reset(number, plan.rules()) => {
                plan.count(|fired| fired.resets += 1);
                End::Reset
            }
        }
    };
    if end == End::Reset {
        reset(&client);
        reset(&server);
    }
}

async fn until_reset(number: u64, mut rules: watch::Receiver<Rules>) {
    // It ends only with the proxy, and then the connection shall end too.
    let _ = rules.wait_for(|rules| rules.resets(number)).await;
}

/// One direction.
struct Pump<'a> {
    number: u64,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    plan: &'a Plan,
    rules: watch::Receiver<Rules>,
}

impl Pump<'_> {
    async fn ask(mut self, mut requests: Requests<'_>) -> io::Result<End> {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = self.from.read(&mut buffer).await?;
            let piece = &buffer[..length];
            if piece.is_empty() {
                return Ok(End::Closed);
            }
            self.hold_back().await;
            requests.read(piece, self.plan);
            if self.write(Direction::ToServer, piece).await? == Some(End::Reset) {
                return Ok(End::Reset);
            }
        }
    }

    async fn answer(mut self, mut replies: Replies<'_>) -> io::Result<End> {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = self.from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(End::Closed);
            }
            self.hold_back().await;
            let (passes, dropped) = replies.pass(&buffer[..length], self.plan);
            if self.write(Direction::ToClient, &passes).await? == Some(End::Reset) {
                return Ok(End::Reset);
            }
            if dropped {
                self.plan.count(|fired| fired.replies_dropped += 1);
                return Ok(End::Reset);
            }
        }
    }

    async fn write(&mut self, direction: Direction, piece: &[u8]) -> io::Result<Option<End>> {
        let cut = self.plan.cut_within(direction, piece.len());
        self.to.write_all(&piece[..cut.unwrap_or(piece.len())]).await?;
        Ok(cut.map(|_| End::Reset))
    }

    /// Waits as long as the rules want a piece to wait.
    async fn hold_back(&mut self) {
        let rules = *self.rules.borrow_and_update();
        if rules.silences(self.number) {
            self.plan.count(|fired| fired.held += 1);
            let number = self.number;
            // It ends only with the proxy.
            let _ = self.rules.wait_for(|rules| !rules.silences(number)).await;
        }
        if rules.delay > Duration::ZERO {
            self.plan.count(|fired| fired.delayed += 1);
            // tidy: sleeps because lateness is the fault that was asked for
            tokio::time::sleep(rules.delay).await;
        }
    }
}
