//! How many letters a minute a plan releases where nobody says: a tenth of what the slowest limiter of
//! their providers grants, so that nine tenths are left to what is new.

use std::time::Duration;

use payfleet_core::provider::Provider;
use payfleet_providers::published::Service;
use payfleet_queue::Queue;

/// Where no provider is called.
pub(super) const UNLIMITED: i32 = 60;

/// For each provider that has limits, a tenth of its slowest: what workers use now, or what is published
/// where they have not called yet.
pub(super) async fn of_all(queue: &Queue) -> anyhow::Result<Vec<(Provider, i32)>> {
    let known = queue.limiters().await?;
    let mut paces = Vec::new();
    for service in Service::ALL {
        let prefix = format!("{service}:");
        let used: Vec<u64> = known
            .iter()
            .filter(|state| state.name.starts_with(&prefix))
            .map(|state| a_minute(state.limit.count, state.limit.window))
            .collect();
        let published =
            || service.classes().iter().map(|class| a_minute(class.rate.count, class.rate.window));
        let slowest = if used.is_empty() { published().min() } else { used.into_iter().min() };
        let tenth = slowest.map(|slowest| i32::try_from(slowest / 10).unwrap_or(i32::MAX).max(1));
        paces.extend(tenth.map(|tenth| (service.provider(), tenth)));
    }
    Ok(paces)
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
