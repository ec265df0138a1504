//! Tatum as a server: subscriptions and their webhooks, four chains that blocks, reorganisations and
//! finality move, look-ups, broadcast, rates, credits. `control` has the paths that move the chains.
//!
//! With a `settle_after`, a chain whose pool is not empty makes a block each time that long has passed.

mod api;
mod book;
mod chains;
mod control;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use book::{Book, Hmac};
use chains::Change;
use payfleet_core::Timestamp;
use secrecy::ExposeSecret;

use super::chain::Chain;
use crate::sandbox::{Actor, Filling, Happened, Notice, Options, Signed, limits, locked};
use crate::signature::hmac_sha512_base64;

/// The pause before try n+1 is `15 · 2.7925^n` seconds: these, on the paid plan.
const PAUSES_S: [u64; 10] = [15, 42, 117, 327, 912, 2_547, 7_113, 19_863, 55_469, 154_897];

/// A sandbox of Tatum.
pub(crate) struct Tatum {
    options: Options,
    book: Mutex<Book>,
    /// How many calls are paid for; `None` is any number.
    credits: Mutex<Option<u64>>,
    /// When each chain made its last block.
    last_block: Mutex<[Option<Timestamp>; 4]>,
}

impl Tatum {
    pub(crate) fn open(options: Options) -> anyhow::Result<Self> {
        let book = Mutex::new(Book::open(&options.dir)?);
        Ok(Self { options, book, credits: Mutex::new(None), last_block: Mutex::new([None; 4]) })
    }

    /// Lets time make blocks.
    fn tick(&self, book: &mut Book) {
        let now = self.options.now();
        if self.options.settle_after.is_zero() {
            return;
        }
        for (chain, last) in Chain::ALL.into_iter().zip(locked(&self.last_block).iter_mut()) {
            let pending = book.ledger(chain).is_some_and(chains::Ledger::has_pool);
            let since = last.get_or_insert(now);
            if !pending {
                *last = Some(now);
            } else if now.unix_ms().saturating_sub(since.unix_ms()) >= self.options.settle_after_ms() {
                *last = Some(now);
                // A record that cannot be written shows at the next call.
                let _ = book.change(chain, Change::Block, now);
            }
        }
    }
}

impl Actor for Tatum {
    fn routes(self: Arc<Self>) -> Router {
        let limit = limits::Limit::of(&self.options);
        let limited = api::routes(&self).layer(from_fn_with_state(limit, limits::admit));
        limited.merge(control::routes()).with_state(self)
    }

    fn now(&self) -> Timestamp {
        self.options.now()
    }

    fn effects(&self) -> Vec<Happened> {
        locked(&self.book).effects()
    }

    /// Without an HMAC secret, as after deleting a subscription with an empty id, nothing is signed.
    fn sign(&self, payload: String) -> Signed {
        let own = self.options.secret.expose_secret();
        let book = locked(&self.book);
        let secret = match book.hmac() {
            Hmac::Own => own,
            Hmac::Set(secret) => secret,
            Hmac::Off => return Signed { header: None, body: payload },
        };
        let hash = hmac_sha512_base64(secret.as_bytes(), payload.as_bytes()).unwrap_or_default();
        Signed { header: Some(("x-payload-hash", hash)), body: payload }
    }

    fn forget(&self, transaction: &str) -> bool {
        locked(&self.book).forget(transaction)
    }

    /// Webhooks of payments of TRX to the address that they are about, delivered long since.
    fn fill(&self, filling: &Filling) -> bool {
        locked(&self.book).fill(filling);
        true
    }

    fn due(&self) -> Vec<Notice> {
        let mut book = locked(&self.book);
        self.tick(&mut book);
        book.due()
    }

    fn delivered(&self, notice: &str) {
        // A record that cannot be written shows at the next call; at worst this one is told twice.
        let _ = locked(&self.book).delivered(notice);
    }

    fn retry_after(&self, failures: u32) -> Option<Duration> {
        let number = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        PAUSES_S.get(number).copied().map(Duration::from_secs)
    }

    fn attempted(&self, notice: &str, status: Option<u16>, next: Option<Duration>) {
        let next = next.and_then(|pause| i64::try_from(pause.as_millis()).ok());
        let next_ms = next.map(|pause_ms| self.options.now().plus_ms(pause_ms).unix_ms());
        locked(&self.book).attempted(notice, status, next_ms);
    }
}
