//! How often each service may be called: what providers have published, unless a setting says
//! otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use payfleet_process::Settings;
use payfleet_providers::published::{ALL, Rate, Service};
use payfleet_providers::stripe;
use secrecy::ExposeSecret;

/// The most that a limiter counts.
const MOST: u32 = 1_000_000;

/// How often each service may be called by the whole fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits(BTreeMap<(Service, &'static str), Rate>);

impl Default for Limits {
    /// What is published.
    fn default() -> Self {
        let classes = Service::ALL.into_iter().flat_map(|service| {
            service.classes().iter().map(move |class| ((service, class.name), class.rate))
        });
        Self(classes.collect())
    }
}

impl Limits {
    /// What is published, changed by what `settings` say; mistakes are collected there.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let mut limits = Self::default();
        let stripe = settings.secret("STRIPE_SECRET_KEY");
        if !stripe.is_some_and(|key| key.expose_secret().contains("_live_")) {
            limits.set(Service::Stripe, ALL, stripe::TEST_MODE);
        }
        for service in Service::ALL {
            let name = variable(service);
            let Some(text) = settings.optional::<String>(name) else { continue };
            for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                match parse(service, part) {
                    Ok((class, rate)) => limits.set(service, class, rate),
                    Err(mistake) => settings.mistake(name, mistake),
                }
            }
        }
        limits
    }

    /// The same, with another limit for a class.
    pub fn set(&mut self, service: Service, class: &'static str, rate: Rate) {
        self.0.insert((service, class), rate);
    }

    /// Of all calls to `service`.
    #[must_use]
    pub fn all(&self, service: Service) -> Rate {
        self.0.get(&(service, ALL)).copied().unwrap_or(Rate::per_second(1))
    }

    /// The classes of `service`, the one of all calls first.
    pub(super) fn of(&self, service: Service) -> impl Iterator<Item = (&'static str, Rate)> {
        let rate = move |class: &'static str| self.0.get(&(service, class)).map(|rate| (class, *rate));
        service.classes().iter().filter_map(move |class| rate(class.name))
    }
}

const fn variable(service: Service) -> &'static str {
    match service {
        Service::Stripe => "STRIPE_LIMITS",
        Service::Tatum => "TATUM_LIMITS",
        Service::Heleket => "HELEKET_LIMITS",
        Service::TrovoTech => "TROVOTECH_LIMITS",
        Service::Bantu => "BANTU_LIMITS",
    }
}

/// `all=25/s`, or what is wrong with it.
fn parse(service: Service, part: &str) -> Result<(&'static str, Rate), String> {
    let classes = || service.classes().iter().map(|class| class.name);
    let Some((name, rate)) = part.split_once('=') else {
        return Err(format!("{part:?} is not like all=10/s"));
    };
    let Some(class) = classes().find(|class| *class == name.trim()) else {
        let known: Vec<&str> = classes().collect();
        return Err(format!("{:?} is no class of {service}; there are {}", name.trim(), known.join(", ")));
    };
    let rate = parse_rate(rate).map_err(|mistake| format!("{class}: {mistake}, as in {class}=10/s"))?;
    Ok((class, rate))
}

/// Reads a rate: `25/s`, `100/m`, `10/10s`; 25 alone is a second's.
///
/// # Errors
/// In words, what is wrong with it.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let (count, window) = text.split_once('/').unwrap_or((text, "s"));
    let count = count.trim().parse().ok().filter(|count| (1..=MOST).contains(count));
    let count = count.ok_or_else(|| format!("give a count of 1 to {MOST}"))?;
    let window = parse_window(window.trim())
        .ok_or_else(|| "the time must be s, m, h or like 10s, and at most 24 h".to_owned())?;
    Ok(Rate { count, window })
}

fn parse_window(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number = text.strip_suffix(unit)?;
    let number: u64 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    let window = Duration::from_secs(number.checked_mul(seconds)?);
    (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&window).then_some(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Limits, Vec<String>) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = Settings::from_map(variables.collect());
        let limits = Limits::read(&mut settings);
        (limits, settings.finish().err().map_or(Vec::new(), |mistakes| mistakes.lines().to_vec()))
    }

    #[test]
    fn the_defaults_are_what_is_published_for_the_mode_of_the_key() {
        let all = |key| read(&[("STRIPE_SECRET_KEY", key)]).0.all(Service::Stripe);
        assert_eq!(all("sk_test_1"), Rate::per_second(25));
        assert_eq!(all("sk_live_1"), Rate::per_second(100));
        assert_eq!(read(&[]).0.all(Service::Tatum), Rate::per_second(3));
    }

    #[test]
    fn a_setting_changes_the_class_it_names() {
        let (limits, mistakes) =
            read(&[("STRIPE_LIMITS", "all=200, payout-create = 5/10s"), ("TATUM_LIMITS", "all=100/m")]);
        assert_eq!(mistakes, [""; 0]);
        let of =
            |service: Service, name: &str| limits.of(service).find(|(class, _)| *class == name).unwrap().1;
        assert_eq!(of(Service::Stripe, ALL), Rate::per_second(200));
        assert_eq!(of(Service::Stripe, "payout-create"), Rate { count: 5, window: Duration::from_secs(10) });
        assert_eq!(of(Service::Stripe, "refunds"), Rate::per_second(25));
        assert_eq!(of(Service::Tatum, ALL), Rate { count: 100, window: Duration::from_mins(1) });
    }

    #[test]
    fn every_mistake_is_named() {
        let (limits, mistakes) = read(&[
            ("HELEKET_LIMITS", "10, payouts=1/s"),
            ("TATUM_LIMITS", "all=0/s,all=many/s,all=1000001"),
            ("BANTU_LIMITS", "all=1/d,all=1/25h,all=1/0s,all=1/"),
        ]);
        assert_eq!(limits.all(Service::Heleket), Rate::per_second(10));
        let count = "TATUM_LIMITS: all: give a count of 1 to 1000000, as in all=10/s";
        let window =
            "BANTU_LIMITS: all: the time must be s, m, h or like 10s, and at most 24 h, as in all=10/s";
        let expected = [
            count,
            count,
            count,
            "HELEKET_LIMITS: \"10\" is not like all=10/s",
            "HELEKET_LIMITS: \"payouts\" is no class of heleket; there are all",
            window,
            window,
            window,
            window,
        ];
        assert_eq!(mistakes, expected);
    }
}
