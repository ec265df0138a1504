//! The Lua scripts, assembled: shebang, clock, key names, prelude, then the script's own text.
//!
//! Scripts without a flag are refused by Redis at `maxmemory` before they run: those that add work.
//! Those that drain carry `allow-oom`, so a full Redis empties itself.

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
    /// Assembles them with the clock of `time`.
    pub(crate) fn new(time: &TimeSource) -> Self {
        let shared = [
            &clock(time),
            &keys::lua(),
            include_str!("scripts/prelude.lua"),
            include_str!("scripts/lanes.lua"),
            include_str!("scripts/leases.lua"),
        ]
        .concat();
        let insert = include_str!("scripts/insert.lua");
        let plain = |text: &str| assemble(text, &[&shared]);
        let inserting = |text: &str| assemble(text, &[&shared, insert]);
        Self {
            enqueue: inserting(include_str!("scripts/enqueue.lua")),
            take: plain(include_str!("scripts/take.lua")),
            renew: plain(include_str!("scripts/renew.lua")),
            settle: inserting(include_str!("scripts/settle.lua")),
            find: plain(include_str!("scripts/find.lua")),
            promote: plain(include_str!("scripts/promote.lua")),
            cancel: plain(include_str!("scripts/cancel.lua")),
            pause: plain(include_str!("scripts/pause.lua")),
            stats: plain(include_str!("scripts/stats.lua")),
            dead: plain(include_str!("scripts/dead.lua")),
            remove_dead: plain(include_str!("scripts/remove_dead.lua")),
            start: plain(include_str!("scripts/start.lua")),
            absorb: plain(include_str!("scripts/absorb.lua")),
            reschedule: plain(include_str!("scripts/reschedule.lua")),
            peek: plain(include_str!("scripts/peek.lua")),
            why: plain(include_str!("scripts/why.lua")),
            claim_tick: assemble(include_str!("scripts/claim_tick.lua"), &[]),
            schedules: plain(include_str!("scripts/schedules.lua")),
            fire: inserting(include_str!("scripts/fire.lua")),
            limit: assemble(include_str!("scripts/limit.lua"), &[&clock(time)]),
            breaker: assemble(include_str!("scripts/breaker.lua"), &[&clock(time)]),
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
