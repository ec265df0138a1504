//! The Lua scripts, assembled: shebang, clock, key names, prelude, then the script's own text.
//!
//! Scripts without a flag are refused by Redis at `maxmemory` before they run: those that add work.
//! Those that drain carry `allow-oom`, so a full Redis empties itself.

use std::borrow::Cow;
use std::path::Path;

use redis::{Cmd, cmd};

use crate::TimeSource;
use crate::keys;

/// One assembled script.
pub(crate) struct Script {
    inner: redis::Script,
}

impl Script {
    /// The start of a call with `KEYS[1]`; the caller appends `ARGV`.
    pub(crate) fn call(&self, key: &str) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(self.inner.get_hash()).arg(1).arg(key);
        call
    }

    /// Hands the text to a Redis that does not know it.
    pub(crate) async fn load(&self, on: &mut redis::aio::MultiplexedConnection) -> redis::RedisResult<()> {
        self.inner.load_async(on).await.map(|_| ())
    }
}

/// All scripts.
pub(crate) struct Scripts {
    pub(crate) enqueue: Script,
    pub(crate) take: Script,
    pub(crate) renew: Script,
    pub(crate) settle: Script,
    pub(crate) find: Script,
    pub(crate) promote: Script,
    pub(crate) cancel: Script,
    pub(crate) pause: Script,
    pub(crate) stats: Script,
    pub(crate) dead: Script,
    pub(crate) remove_dead: Script,
    pub(crate) claim_tick: Script,
    pub(crate) start: Script,
    pub(crate) absorb: Script,
    pub(crate) reschedule: Script,
    pub(crate) peek: Script,
    pub(crate) why: Script,
    pub(crate) schedules: Script,
    pub(crate) fire: Script,
    pub(crate) limit: Script,
    pub(crate) breaker: Script,
}

impl Scripts {
    /// Assembles them with the clock of `time`; what is in the folder `other` is used instead of our own.
    pub(crate) fn new(time: &TimeSource, other: Option<&Path>) -> Self {
        let text = |name: &str, own: &'static str| {
            let path = other.map(|folder| folder.join(format!("{name}.lua")));
            path.and_then(|path| std::fs::read_to_string(path).ok()).map_or(Cow::Borrowed(own), Cow::Owned)
        };
        macro_rules! text {
            ($name:literal) => {
                text($name, include_str!(concat!("scripts/", $name, ".lua")))
            };
        }
        let clock = clock(time);
        let keys = other.and_then(|folder| std::fs::read_to_string(folder.join("keys.lua")).ok());
        let keys = keys.unwrap_or_else(keys::lua);
        let shared = [&clock, &keys, &*text!("prelude"), &text!("lanes"), &text!("leases")].concat();
        let insert = text!("insert");
        let plain = |text: Cow<'_, str>| assemble(&text, &[&shared]);
        let inserting = |text: Cow<'_, str>| assemble(&text, &[&shared, &insert]);
        Self {
            enqueue: inserting(text!("enqueue")),
            take: plain(text!("take")),
            renew: plain(text!("renew")),
            settle: inserting(text!("settle")),
            find: plain(text!("find")),
            promote: plain(text!("promote")),
            cancel: plain(text!("cancel")),
            pause: plain(text!("pause")),
            stats: plain(text!("stats")),
            dead: plain(text!("dead")),
            remove_dead: plain(text!("remove_dead")),
            start: plain(text!("start")),
            absorb: plain(text!("absorb")),
            reschedule: plain(text!("reschedule")),
            peek: plain(text!("peek")),
            why: plain(text!("why")),
            claim_tick: assemble(&text!("claim_tick"), &[]),
            schedules: plain(text!("schedules")),
            fire: inserting(text!("fire")),
            limit: assemble(&text!("limit"), &[&clock]),
            breaker: assemble(&text!("breaker"), &[&clock]),
        }
    }
}

/// Redis wants the shebang first, so the shared parts go behind it.
fn assemble(text: &str, shared: &[&str]) -> Script {
    let (shebang, body) = text.split_once('\n').unwrap_or((text, ""));
    let code = format!("{shebang}\n{}{body}", shared.concat());
    Script { inner: redis::Script::new(&code) }
}

fn clock(time: &TimeSource) -> String {
    match time {
        TimeSource::Redis => include_str!("scripts/clock_redis.lua").to_owned(),
        TimeSource::Key(key) => {
            // Decimal escapes: whatever the key's name is, it stays one Lua string.
            let quoted: Vec<String> = key.bytes().map(|b| format!("\\{b:03}")).collect();
            include_str!("scripts/clock_key.lua").replace("@CLOCK_KEY@", &quoted.concat())
        }
    }
}
