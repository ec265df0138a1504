//! When a schedule ticks: a cron pattern in a time zone.

use std::str::FromStr;

use croner::Cron;
use jiff::Zoned;
use jiff::tz::TimeZone;
use payfleet_core::Timestamp;

use crate::Error;

/// The moments of a cron pattern in a time zone: for schedules that are kept elsewhere than in the queue.
#[derive(Clone, Debug)]
pub struct When {
    cron: Cron,
    zone: TimeZone,
}

impl When {
    /// Reads a pattern (minute, hour, day of month, month, day of week; or six fields, of which the first
    /// is the second) and the name of an IANA time zone.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], which names `cron` or `zone`.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, Error> {
        let invalid = |field, reason: String| Error::InvalidArgument { field, reason };
        let parsed = Cron::from_str(cron).map_err(|error| invalid("cron", error.to_string()))?;
        let zone = TimeZone::get(zone).map_err(|error| invalid("zone", error.to_string()))?;
        Ok(Self { cron: parsed, zone })
    }

    fn at(&self, at: Timestamp) -> Option<Zoned> {
        let at = jiff::Timestamp::from_millisecond(at.unix_ms()).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }

    /// The first tick after `after`, if there will ever be one.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&self.at(after)?, false).ok()?;
        Some(Timestamp::from_unix_ms(next.timestamp().as_millisecond()))
    }

    /// The last ticks up to `until` and after `since`, at most `most`, the latest first.
    #[must_use]
    pub fn before(&self, until: Timestamp, since: Timestamp, most: u32) -> Vec<Timestamp> {
        let mut ticks = Vec::new();
        let (mut from, mut inclusive) = (self.at(until), true);
        for _ in 0..most {
            let tick = from.and_then(|from| self.cron.find_previous_occurrence(&from, inclusive).ok());
            let Some(at) = tick.as_ref().map(|t| Timestamp::from_unix_ms(t.timestamp().as_millisecond()))
            else {
                break;
            };
            if at <= since {
                break;
            }
            // Within a second a pattern ticks once.
            if at <= until {
                ticks.push(at);
            }
            (from, inclusive) = (tick, false);
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_772_409_600_000;
    const HOUR: i64 = 3_600_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(MONDAY + ms)
    }

    #[test]
    fn a_pattern_ticks_by_the_clock_of_its_zone() {
        let lagos = When::parse("30 2 * * MON-FRI", "Africa/Lagos").unwrap();
        assert_eq!(lagos.next_after(at(0)), Some(at(HOUR + HOUR / 2)), "one hour ahead of UTC");
        let seconds = When::parse("*/10 * * * * *", "UTC").unwrap();
        assert_eq!(seconds.before(at(25_500), at(0), 9), [at(20_000), at(10_000)]);
        assert_eq!(seconds.before(at(20_000), at(0), 1), [at(20_000)]);
        assert_eq!(seconds.before(at(20_000), at(20_000), 9), []);
    }

    #[test]
    fn what_is_no_pattern_or_zone_is_refused_and_names_the_field() {
        let field = |cron: &str, zone: &str| match When::parse(cron, zone).err() {
            Some(Error::InvalidArgument { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field("every day", "UTC"), "cron");
        assert_eq!(field("61 * * * *", "UTC"), "cron");
        assert_eq!(field("0 0 * * *", "Mars/Olympus"), "zone");
    }
}
