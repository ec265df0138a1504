//! How many letters a minute a plan releases where nobody says: a tenth of what the slowest limiter of
//! their providers grants, so that nine tenths are left to what is new.

use std::time::Duration;

use payfleet_core::provider::Provider;
use payfleet_providers::published::Service;
use payfleet_queue::Queue;

/// Where no provider is called.
const UNLIMITED: i32 = 60;

/// A tenth of the slowest limit of `providers`: what workers use now, or what is published where they
/// have not called yet.
pub(super) async fn of(queue: &Queue, providers: &[Provider]) -> anyhow::Result<i32> {
    let known = queue.limiters().await?;
    let mut slowest: Option<u64> = None;
    for service in Service::ALL.into_iter().filter(|service| providers.contains(&service.provider())) {
        let prefix = format!("{service}:");
        let used: Vec<u64> = known
            .iter()
            .filter(|state| state.name.starts_with(&prefix))
            .map(|state| a_minute(state.limit.count, state.limit.window))
            .collect();
        let published =
            || service.classes().iter().map(|class| a_minute(class.rate.count, class.rate.window));
        let least = if used.is_empty() { published().min() } else { used.into_iter().min() };
        slowest = slowest.into_iter().chain(least).min();
    }
    let tenth = slowest.map(|slowest| i32::try_from(slowest / 10).unwrap_or(i32::MAX).max(1));
    Ok(tenth.unwrap_or(UNLIMITED))
}

fn a_minute(count: u32, window: Duration) -> u64 {
    let window_ms = window.as_millis().max(1);
    u64::try_from(u128::from(count) * 60_000 / window_ms).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_any_window_are_compared_by_the_minute() {
        assert_eq!(a_minute(3, Duration::from_secs(1)), 180);
        assert_eq!(a_minute(30, Duration::from_hours(1)), 0);
    }
}
