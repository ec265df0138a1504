//! How a request leaves: through the gate, smoothed to the service's rate, sent once; and what its end
//! tells the gate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use payfleet_core::OutcomeClass;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};

use crate::failure::{Call, ProviderError};
use crate::gate::{Ended, Gate, pass};
use crate::http::{lost, retry_after_ms};
use crate::published::{Rate, Service};

/// How long a call waits for its turn in this process before it is put off.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The same behind a gate: a limit that a fleet shares is kept only by those who leave soon after they
/// were let out.
const LONGEST_WAIT_BEHIND_GATE: Duration = Duration::from_millis(100);

/// The way out to one service.
#[derive(Debug)]
pub(crate) struct Departure {
    service: Service,
    smoothing: DefaultDirectRateLimiter,
    gate: Option<Arc<dyn Gate>>,
}

impl Departure {
    /// Without a gate: only this process' own rate counts.
    pub(crate) fn new(service: Service, per_second: NonZeroU32) -> Self {
        Self { service, smoothing: RateLimiter::direct(Quota::per_second(per_second)), gate: None }
    }

    /// Lets nothing out that `gate` does not.
    pub(crate) fn behind(&mut self, gate: &Arc<dyn Gate>) {
        self.smoothing = smoothing(gate.rate(self.service));
        self.gate = Some(Arc::clone(gate));
    }

    /// Sends `request` once. Any answer is handed back; what it means for `call` is not judged here.
    pub(crate) async fn send(
        &self,
        call: Call,
        method: &Method,
        path: &[&str],
        request: RequestBuilder,
    ) -> Result<Response, ProviderError> {
        let door = self.service.door(call, method, path);
        let mut pass = match &self.gate {
            Some(gate) => Some(pass(gate.as_ref(), door).await?),
            None => None,
        };
        self.wait_for_turn().await?;
        if let Some(pass) = &mut pass {
            pass.depart();
        }
        let sent = request.send().await.map_err(|error| lost(call, &error));
        if let Some(pass) = pass {
            let ended = match &sent {
                Ok(response) => ended(self.service, response.status().as_u16(), response.headers()),
                Err(error) => Ended::Broken { code: error.code().to_owned(), pause: None },
            };
            pass.report(ended).await;
        }
        sent
    }

    async fn wait_for_turn(&self) -> Result<(), ProviderError> {
        let longest = if self.gate.is_some() { LONGEST_WAIT_BEHIND_GATE } else { LONGEST_WAIT };
        let turn = tokio::time::timeout(longest, self.smoothing.until_ready()).await;
        turn.map_err(|_| {
            ProviderError::new(
                OutcomeClass::RateLimited { retry_after_ms: None },
                "local_limit",
                "too many calls to this provider wait in this process",
            )
        })
    }
}

/// The rate as evenly as it goes, a tenth of it at once.
fn smoothing(rate: Rate) -> DefaultDirectRateLimiter {
    let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(rate.count / 10).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(rate.window / count.get());
    RateLimiter::direct(quota.unwrap_or_else(|| Quota::per_second(count)).allow_burst(burst))
}

/// What an answer says about the other side.
fn ended(service: Service, status: u16, headers: &HeaderMap) -> Ended {
    let pause = retry_after_ms(headers).map(Duration::from_millis);
    match status {
        429 => match service.is_about_class(headers) {
            Some(only_class) => Ended::SlowDown { pause, only_class },
            None => Ended::Answered,
        },
        500.. => Ended::Broken { code: format!("http_{status}"), pause },
        _ => Ended::Answered,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, RETRY_AFTER};

    use super::*;

    #[test]
    fn an_answer_says_whether_the_other_side_works_and_whether_to_slow_down() {
        let mut headers = HeaderMap::new();
        for status in [200, 302, 400, 401, 404, 422] {
            assert_eq!(ended(Service::Heleket, status, &headers), Ended::Answered, "{status}");
        }
        let broken = |pause| Ended::Broken { code: "http_503".to_owned(), pause };
        assert_eq!(ended(Service::Heleket, 503, &headers), broken(None));
        let slow_down = |pause| Ended::SlowDown { pause, only_class: false };
        assert_eq!(ended(Service::Heleket, 429, &headers), slow_down(None));
        assert_eq!(ended(Service::Stripe, 429, &headers), Ended::Answered, "an object is being worked on");
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let pause = Some(Duration::from_secs(7));
        assert_eq!(ended(Service::Tatum, 429, &headers), slow_down(pause));
        assert_eq!(ended(Service::Tatum, 503, &headers), broken(pause));
    }
}
