//! The limits that providers have published, and where they have published none, what we hold
//! ourselves to. They are the defaults; whoever runs the clients may know better.

use std::fmt;
use std::time::Duration;

use payfleet_core::provider::Provider;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::gate::{Call, Door};
use crate::stripe;

/// The class of all calls to a service.
pub const ALL: &str = "all";

/// What is called. Usually a provider; a provider's ledger is limited and breaks on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Stripe's API.
    Stripe,
    /// Tatum's API.
    Tatum,
    /// Heleket's API.
    Heleket,
    /// TrovoTech's API.
    TrovoTech,
    /// The Horizon-like service of the Bantu network.
    Bantu,
}

/// So many calls in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub window: Duration,
}

/// What a service limits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name in settings and in the names of limiters.
    pub name: &'static str,
    /// How much of it.
    pub rate: Rate,
}

impl Rate {
    /// So many a second.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self { count, window: Duration::from_secs(1) }
    }
}

impl Class {
    pub(crate) const fn per_second(name: &'static str, count: u32) -> Self {
        Self { name, rate: Rate::per_second(count) }
    }
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 5] = [Self::Stripe, Self::Tatum, Self::Heleket, Self::TrovoTech, Self::Bantu];

    /// Its name in logs and in the names of limiters and breakers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Tatum => "tatum",
            Self::Heleket => "heleket",
            Self::TrovoTech => "trovotech",
            Self::Bantu => "bantu",
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn provider(self) -> Provider {
        match self {
            Self::Stripe => Provider::Stripe,
            Self::Tatum => Provider::Tatum,
            Self::Heleket => Provider::Heleket,
            Self::TrovoTech | Self::Bantu => Provider::TrovoTech,
        }
    }

    /// What it limits: all calls first, then the classes that are limited beside that.
    #[must_use]
    pub const fn classes(self) -> &'static [Class] {
        /// The free plan; 200 with a paid one.
        const TATUM: &[Class] = &[Class::per_second(ALL, 3)];
        /// Nothing is published: our own restraint.
        const UNPUBLISHED: &[Class] = &[Class::per_second(ALL, 10)];
        match self {
            Self::Stripe => stripe::CLASSES,
            Self::Tatum => TATUM,
            Self::Heleket | Self::TrovoTech | Self::Bantu => UNPUBLISHED,
        }
    }

    /// What a request counts against. `path` is below the base URL.
    pub(crate) fn door(self, call: Call, method: &Method, path: &[&str]) -> Door {
        let class = match self {
            Self::Stripe => Some(stripe::class(method, path)),
            Self::Tatum | Self::Heleket | Self::TrovoTech | Self::Bantu => None,
        };
        Door { service: self, class, call }
    }

    /// Whether a 429 with these headers is about the class only; `None` where it is about no limit.
    pub(crate) fn is_about_class(self, headers: &HeaderMap) -> Option<bool> {
        match self {
            Self::Stripe => stripe::is_about_class(headers),
            Self::Tatum | Self::Heleket | Self::TrovoTech | Self::Bantu => Some(false),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities;

    #[test]
    fn every_service_limits_all_calls_first_and_no_class_twice() {
        for service in Service::ALL {
            let names: Vec<&str> = service.classes().iter().map(|class| class.name).collect();
            assert_eq!(names[0], ALL, "{service}");
            assert!(!names[1..].contains(&ALL), "{service}");
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{service}");
        }
    }

    #[test]
    fn what_a_provider_declares_as_published_is_what_its_calls_are_held_to() {
        for service in Service::ALL {
            let declared = capabilities::of(service.provider()).and_then(|declared| declared.per_second);
            if let Some(per_second) = declared {
                assert_eq!(service.classes()[0].rate, Rate::per_second(per_second), "{service}");
            }
        }
    }
}
