//! The weather at the providers, and the gate that goes by it. Every request of every client of this
//! worker passes here, just before it is sent: its breaker must be closed, and it takes a permit of
//! each limiter it counts against. Limiters and breakers are the whole fleet's, in Redis.
//!
//! What may not go out now is put off, which costs no attempt and leaves no doubt. Nobody goes by
//! guesses: while Redis cannot be asked, nothing goes out. That costs nothing, because without Redis
//! there are no new jobs either ([ADR 0010](../../../../docs/adr/0010-no-call-without-a-permit.md)).

mod appointments;
mod leave;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::AccountId;
use payfleet_providers::gate::{Call, Door, Gate, NotNow, Pass, Waiting};
use payfleet_providers::published::{Rate, Service};
use payfleet_queue::limits::{Admission, Booked, Breaker, BreakerPolicy, Limit, Limiter};
use payfleet_queue::{Error, Queue};

use tokio::time::Instant;

use appointments::Appointments;
pub use leave::Leave;
use leave::Permit;
pub use settings::{Limits, parse_rate};

/// When to ask again where an operator has stopped the calls, and where Redis does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const REDIS_AWAY: Duration = Duration::from_secs(1);

/// The gate of one worker.
#[derive(Clone, Debug)]
pub struct Weather {
    skies: Arc<BTreeMap<Service, Sky>>,
}

/// What is known about one service.
#[derive(Debug)]
struct Sky {
    /// Of all calls first, then of the classes.
    limiters: Vec<Limited>,
    /// A service that still reads may not write any more, and the other way round.
    effects: Breaker,
    reads: Breaker,
    rate: Rate,
}

#[derive(Debug)]
struct Limited {
    class: &'static str,
    limiter: Limiter,
    appointments: Appointments,
}

impl Weather {
    /// A gate that goes by `limits` and by breakers of this policy.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: a limit or the policy is out of range.
    pub fn new(queue: &Queue, limits: &Limits, policy: BreakerPolicy) -> Result<Self, Error> {
        let account = AccountId::default();
        let mut skies = BTreeMap::new();
        for service in Service::ALL {
            let name = |of: &str| format!("{service}:{}:{of}", account.as_str());
            let mut limiters = Vec::new();
            for (class, rate) in limits.of(service) {
                let limiter = queue.limiter(&name(class), Limit::per(rate.count, rate.window))?;
                limiters.push(Limited { class, limiter, appointments: Appointments::new(rate) });
            }
            let effects = queue.breaker(&name("effects"), policy)?;
            let reads = queue.breaker(&name("reads"), policy)?;
            skies.insert(service, Sky { limiters, effects, reads, rate: limits.all(service) });
        }
        Ok(Self { skies: Arc::new(skies) })
    }

    fn sky(&self, service: Service) -> Result<&Sky, NotNow> {
        let unknown = || NotNow { wait: LOOK_AGAIN, reason: format!("{service} has no limits here") };
        self.skies.get(&service).ok_or_else(unknown)
    }

    /// Leave for one request, with which it is to be sent at once.
    ///
    /// # Errors
    /// [`NotNow`], with the time to come back.
    pub async fn enter(&self, door: Door) -> Result<Leave, NotNow> {
        let sky = self.sky(door.service)?;
        let breaker = sky.breaker(door.call);
        let mut leave = match breaker.admit().await {
            Ok(Admission::Admitted(pass)) => Leave::new(self.clone(), door, breaker.clone(), pass),
            Ok(Admission::Open { wait, .. }) => {
                let reason = format!("the circuit breaker {} is open", breaker.name());
                return Err(sky.not_now(wait, reason));
            }
            Err(error) => return Err(redis_away(&error)),
        };
        // Where it fails the leave is dropped, and what it holds goes back.
        leave.take(sky).await?;
        Ok(leave)
    }
}

impl Sky {
    const fn breaker(&self, call: Call) -> &Breaker {
        match call {
            Call::Effect => &self.effects,
            Call::Read => &self.reads,
        }
    }

    /// The limiters that a request counts against, the narrowest first.
    fn limiters(&self, door: Door) -> impl Iterator<Item = &Limited> {
        let of_class = self.limiters.iter().skip(1).find(move |one| Some(one.class) == door.class);
        of_class.into_iter().chain(self.limiters.first())
    }

    /// A permit of each limiter, once the time of all has come (within 100 ms), and since when they
    /// may be used at the latest.
    async fn permits(&self, door: Door) -> Result<(Vec<Permit>, Instant), NotNow> {
        let mut permits = Permits(Vec::new());
        let mut good_from = Instant::now();
        for limited in self.limiters(door) {
            let asked = Instant::now();
            match limited.limiter.book().await {
                Ok(Booked::At(wait, reserved)) => {
                    good_from = good_from.max(asked + wait);
                    permits.0.push(Permit { limiter: limited.limiter.clone(), reserved });
                }
                Ok(Booked::Later(wait)) => {
                    let reason = format!("the limit {} is reached", limited.limiter.name());
                    return Err(limited.not_now(wait, reason));
                }
                Err(error) => return Err(redis_away(&error)),
            }
        }
        tokio::time::sleep_until(good_from).await;
        Ok((std::mem::take(&mut permits.0), good_from))
    }

    /// Comes back no faster than calls go out.
    fn not_now(&self, wait: Option<Duration>, reason: String) -> NotNow {
        match self.limiters.first() {
            Some(limited) => limited.not_now(wait, reason),
            None => NotNow { wait: wait.unwrap_or(LOOK_AGAIN), reason },
        }
    }
}

impl Limited {
    fn not_now(&self, wait: Option<Duration>, reason: String) -> NotNow {
        let Some(wait) = wait else {
            return NotNow { wait: LOOK_AGAIN, reason: format!("{reason}, until an operator lifts it") };
        };
        NotNow { wait: self.appointments.after(wait, Instant::now()), reason }
    }
}

/// Permits that go back unless they are taken out.
struct Permits(Vec<Permit>);

impl Drop for Permits {
    fn drop(&mut self) {
        leave::give_back(std::mem::take(&mut self.0));
    }
}

impl Gate for Weather {
    fn enter(&self, door: Door) -> Waiting<'_, Result<Box<dyn Pass>, NotNow>> {
        Box::pin(async move {
            let leave: Box<dyn Pass> = Box::new(Self::enter(self, door).await?);
            Ok(leave)
        })
    }

    fn rate(&self, service: Service) -> Rate {
        self.skies.get(&service).map_or(Rate::per_second(1), |sky| sky.rate)
    }
}

fn redis_away(error: &Error) -> NotNow {
    NotNow { wait: REDIS_AWAY, reason: format!("nobody can say how often the fleet calls: {error}") }
}
