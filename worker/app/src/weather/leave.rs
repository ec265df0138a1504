//! The leave to send one request: permits of the limiters and the pass of the breaker. What is not used
//! goes back, whichever way the job takes.

use std::time::Duration;

use payfleet_process::spawn;
use payfleet_providers::gate::{Door, Ended, NotNow, Pass, Waiting};
use payfleet_queue::limits::{Breaker, Limiter, Pass as BreakerPass, Reserved, Transition, Verdict};
use tokio::time::Instant;

use super::{Sky, Weather};

/// A request that leaves later than this after its permit came is another second's: with a tenth of
/// the limit held back and a tenth for bursts, a fleet stays below it as long as none is later.
const FRESH: Duration = Duration::from_millis(100);
/// How long a request whose permit has grown old waits for another one.
const PATIENCE: Duration = Duration::from_secs(5);

/// A permit and where it came from.
#[derive(Debug)]
pub(super) struct Permit {
    pub(super) limiter: Limiter,
    pub(super) reserved: Reserved,
}

/// The leave to send one request. Dropped unused it goes back.
#[derive(Debug)]
pub struct Leave {
    weather: Weather,
    door: Door,
    breaker: Breaker,
    /// Until it was reported.
    pass: Option<BreakerPass>,
    pub(super) permits: Vec<Permit>,
    since: Instant,
}

impl Leave {
    pub(super) fn new(weather: Weather, door: Door, breaker: Breaker, pass: BreakerPass) -> Self {
        let since = Instant::now();
        Self { weather, door, breaker, pass: Some(pass), permits: Vec::new(), since }
    }

    /// Takes permits; those it has go back.
    pub(super) async fn take(&mut self, sky: &Sky) -> Result<(), NotNow> {
        give_back(std::mem::take(&mut self.permits));
        (self.permits, self.since) = sky.permits(self.door).await?;
        Ok(())
    }

    /// New permits for old ones; the breaker's pass stays.
    async fn renew(mut self) -> Result<Self, NotNow> {
        let weather = self.weather.clone();
        let sky = weather.sky(self.door.service)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.take(sky).await {
                Ok(()) => return Ok(self),
                Err(not_now) if Instant::now() + not_now.wait > until => return Err(not_now),
                Err(not_now) => tokio::time::sleep(not_now.wait).await,
            }
        }
    }

    async fn ended(mut self, ended: Ended) {
        let (verdict, reason) = match &ended {
            Ended::Answered => (Verdict::Success, ""),
            Ended::SlowDown { .. } => (Verdict::Neither, ""),
            Ended::Broken { code, .. } => (Verdict::Failure, code.as_str()),
        };
        if let Some(pass) = self.pass.take() {
            let reported = self.breaker.report(pass, verdict, reason).await;
            let breaker = self.breaker.name();
            match reported {
                Ok(Some(Transition::Opened)) => {
                    tracing::warn!(breaker.name = breaker, "A circuit breaker has opened: {reason}.");
                }
                Ok(Some(Transition::Closed)) => {
                    tracing::info!(breaker.name = breaker, "A circuit breaker has closed.");
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(breaker.name = breaker, "A report was lost: {error}"),
            }
        }
        match ended {
            Ended::SlowDown { pause, only_class } => self.slow_down(pause, only_class, "429").await,
            Ended::Broken { code, pause: Some(pause) } => self.slow_down(Some(pause), false, &code).await,
            Ended::Broken { pause: None, .. } | Ended::Answered => {}
        }
    }

    /// Lowers the limit for the whole fleet.
    async fn slow_down(&self, pause: Option<Duration>, only_class: bool, reason: &str) {
        let Ok(sky) = self.weather.sky(self.door.service) else { return };
        let mut limiters = sky.limiters(self.door);
        let affected = if only_class { limiters.next() } else { limiters.last() };
        let Some(limiter) = affected.map(|limited| &limited.limiter) else { return };
        let pause_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        tracing::warn!(
            limiter.name = limiter.name(),
            pause_ms,
            "The provider asks us to slow down: {reason}."
        );
        if let Err(error) = limiter.lowered(pause, reason).await {
            tracing::warn!(limiter.name = limiter.name(), "The fleet could not be slowed down: {error}");
        }
    }
}

impl Pass for Leave {
    fn door(&self) -> Door {
        self.door
    }

    fn is_fresh(&self) -> bool {
        self.since.elapsed() <= FRESH
    }

    fn renewed(self: Box<Self>) -> Waiting<'static, Result<Box<dyn Pass>, NotNow>> {
        Box::pin(async move {
            let leave: Box<dyn Pass> = Box::new(self.renew().await?);
            Ok(leave)
        })
    }

    fn depart(&mut self) {
        self.permits.clear();
    }

    fn report(self: Box<Self>, ended: Ended) -> Waiting<'static, ()> {
        Box::pin((*self).ended(ended))
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.permits));
        if let Some(pass) = self.pass.take() {
            let breaker = self.breaker.clone();
            spawn("breaker", async move {
                // Lost, it is given up after a while.
                let _ = breaker.report(pass, Verdict::Neither, "").await;
            });
        }
    }
}

/// Gives permits back, in the background: nobody waits for that.
pub(super) fn give_back(permits: Vec<Permit>) {
    if permits.is_empty() {
        return;
    }
    spawn("permits", async move {
        for Permit { limiter, reserved } in permits {
            // Lost, it makes nothing faster.
            let _ = limiter.give_back(reserved, 1).await;
        }
    });
}
