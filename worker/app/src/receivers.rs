//! Whom this worker tells of transitions: the receivers of its settings, each with the tenant whose
//! operations it is told of, its URL and its secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use payfleet_core::TenantId;
use payfleet_core::ids::ReceiverName;
use payfleet_core::kinds::notify::RETRY_AFTER_MS;
use payfleet_process::Settings;
use payfleet_providers::callback::{Client, Config, SigningSecret};
use secrecy::{ExposeSecret, SecretString};

/// Where receivers are set.
pub(crate) const RECEIVERS: &str = "NOTIFY_RECEIVERS";
const SECRETS: &str = "NOTIFY_SECRETS";
const OLD_SECRETS: &str = "NOTIFY_SECRETS_OLD";
const RETRY: &str = "NOTIFY_RETRY_MS";

/// One receiver.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Under which name it is known.
    pub name: ReceiverName,
    /// Whose operations it is told of.
    pub tenant: TenantId,
    /// Where it listens, and what its callbacks are signed with.
    pub callback: Config,
}

/// The receivers, and how patient we are with them.
#[derive(Clone, Debug)]
pub struct Receivers {
    /// Each under a name of its own.
    pub all: Vec<Receiver>,
    /// How long after each failed attempt the next one follows; after the last, there is none.
    pub retry_after: Arc<[Duration]>,
}

impl Default for Receivers {
    fn default() -> Self {
        Self { all: Vec::new(), retry_after: RETRY_AFTER_MS.map(Duration::from_millis).into() }
    }
}

impl Receivers {
    /// Reads the settings; mistakes are collected in `settings`, and name entries by their place: an
    /// entry may hold a secret.
    #[must_use]
    pub fn read(settings: &mut Settings, allow_private: bool) -> Self {
        let secrets = read_secrets(settings, SECRETS);
        let old = read_secrets(settings, OLD_SECRETS);
        let entries = settings.optional::<String>(RECEIVERS).unwrap_or_default();
        let mut all: Vec<Receiver> = Vec::new();
        for (place, entry) in entries_of(&entries) {
            let Some((name, tenant, url)) = receiver(settings, place, entry) else { continue };
            if all.iter().any(|receiver| receiver.name == name) {
                settings.mistake(RECEIVERS, format!("entry {place} repeats the name of an earlier one"));
                continue;
            }
            let live: Vec<_> =
                [&secrets, &old].into_iter().filter_map(|secrets| secrets.get(&name).cloned()).collect();
            if !secrets.contains_key(&name) {
                settings.mistake(SECRETS, format!("has none for {name}: give {name}:whsec_..."));
            }
            let callback = Config { url, secrets: live, allow_private };
            if let Err(error) = Client::new(RECEIVERS, callback.clone()) {
                settings.mistake(RECEIVERS, format!("entry {place} cannot be used: {error}"));
            }
            all.push(Receiver { name, tenant, callback });
        }
        for (variable, secrets) in [(SECRETS, &secrets), (OLD_SECRETS, &old)] {
            for name in secrets.keys().filter(|name| all.iter().all(|receiver| &receiver.name != *name)) {
                settings.mistake(variable, format!("names {name}, which is none of {RECEIVERS}"));
            }
        }
        Self { all, retry_after: read_retry(settings) }
    }
}

fn entries_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.split(',').map(str::trim)).filter(|(_, entry)| !entry.is_empty())
}

fn receiver(settings: &mut Settings, place: usize, entry: &str) -> Option<(ReceiverName, TenantId, String)> {
    let read = || {
        let (name, rest) = entry.split_once(':')?;
        let (tenant, url) = rest.split_once(':')?;
        let name = ReceiverName::try_from(name.to_owned()).ok()?;
        Some((name, TenantId::try_from(tenant.to_owned()).ok()?, url.to_owned()))
    };
    let read = read();
    if read.is_none() {
        settings.mistake(
            RECEIVERS,
            format!("entry {place} is not of the form name:tenant:url, such as shop:default:https://shop.example/hook"),
        );
    }
    read
}

fn read_secrets(settings: &mut Settings, variable: &'static str) -> BTreeMap<ReceiverName, SigningSecret> {
    let text = settings.secret(variable).unwrap_or_else(|| SecretString::from(""));
    let mut secrets = BTreeMap::new();
    for (place, entry) in entries_of(text.expose_secret()) {
        let named = entry.split_once(':');
        let name = named.and_then(|(name, _)| ReceiverName::try_from(name.to_owned()).ok());
        let secret = named.map_or("", |(_, secret)| secret);
        match (name, SigningSecret::new(secret)) {
            (Some(name), Ok(secret)) => {
                if secrets.insert(name, secret).is_some() {
                    settings.mistake(
                        variable,
                        format!("entry {place} repeats a receiver: put the second one into {OLD_SECRETS}"),
                    );
                }
            }
            (None, _) => settings.mistake(variable, format!("entry {place} has not the form name:whsec_...")),
            (_, Err(error)) => settings.mistake(variable, format!("entry {place}: {error}")),
        }
    }
    secrets
}

fn read_retry(settings: &mut Settings) -> Arc<[Duration]> {
    let Some(text) = settings.optional::<String>(RETRY) else { return Receivers::default().retry_after };
    let read: Result<Vec<u64>, _> = text.split(',').map(|one| one.trim().parse()).collect();
    match read {
        Ok(delays) if !delays.contains(&0) => delays.into_iter().map(Duration::from_millis).collect(),
        _ => {
            settings.mistake(RETRY, "must be milliseconds of at least 1, comma-separated: 5000,300000");
            Receivers::default().retry_after
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const TWO: &str = "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn read(pairs: &[(&str, &str)]) -> (Receivers, Vec<String>) {
        let map = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::from_map(map);
        let receivers = Receivers::read(&mut settings, false);
        (receivers, settings.finish().map_or_else(|mistakes| mistakes.lines().to_vec(), |()| Vec::new()))
    }

    #[test]
    fn receivers_are_read_with_both_secrets_of_a_rotation_the_new_one_first() {
        let (receivers, mistakes) = read(&[
            (RECEIVERS, "shop:default:https://shop.example/hook, books:acme:https://books.example:8443"),
            (SECRETS, &format!("shop:{ONE},books:{TWO}")),
            (OLD_SECRETS, &format!("shop:{TWO}")),
            (RETRY, "10, 20"),
        ]);
        assert_eq!(mistakes, Vec::<String>::new());
        let seen: Vec<_> = receivers
            .all
            .iter()
            .map(|one| {
                (
                    one.name.as_str(),
                    one.tenant.as_str(),
                    one.callback.url.as_str(),
                    one.callback.secrets.len(),
                )
            })
            .collect();
        let want = [
            ("shop", "default", "https://shop.example/hook", 2),
            ("books", "acme", "https://books.example:8443", 1),
        ];
        assert_eq!(seen, want);
        assert_eq!(*receivers.retry_after, [10, 20].map(Duration::from_millis));
    }

    #[test]
    fn without_settings_nobody_is_told_and_the_schedule_is_that_of_standard_webhooks() {
        let (receivers, mistakes) = read(&[]);
        assert!(mistakes.is_empty() && receivers.all.is_empty());
        assert_eq!(receivers.retry_after.len(), 9);
    }

    #[test]
    fn every_mistake_is_named_by_its_place_and_no_secret_is_repeated() {
        let (_, mistakes) = read(&[
            (
                RECEIVERS,
                "shop, a:b c:https://x.example, web:default:http://web.example, \
                 in:default:https://10.0.0.1/hook, in:default:https://y.example",
            ),
            (SECRETS, &format!("web:{ONE},in:whsec_hunter2,{TWO},web:{TWO},gone:{ONE}")),
            (OLD_SECRETS, &format!("gone:{TWO}")),
            (RETRY, "5,0"),
        ]);
        let all = mistakes.join("\n");
        for part in [
            "NOTIFY_RECEIVERS: entry 1 is not of the form",
            "NOTIFY_RECEIVERS: entry 2 is not of the form",
            "NOTIFY_RECEIVERS: entry 3 cannot be used: NOTIFY_RECEIVERS: must be https",
            "NOTIFY_RECEIVERS: entry 4 cannot be used: NOTIFY_RECEIVERS: is a private",
            "NOTIFY_RECEIVERS: entry 5 repeats the name",
            "NOTIFY_SECRETS: entry 2: a secret is whsec_",
            "NOTIFY_SECRETS: entry 3 has not the form",
            "NOTIFY_SECRETS: entry 4 repeats a receiver",
            "NOTIFY_SECRETS: has none for in",
            "NOTIFY_SECRETS: names gone, which is none",
            "NOTIFY_SECRETS_OLD: names gone, which is none",
            "NOTIFY_RETRY_MS: must be milliseconds",
        ] {
            assert!(all.contains(part), "{part} is not in\n{all}");
        }
        assert_eq!(mistakes.len(), 12, "{all}");
        assert!(!all.contains("hunter2") && !all.contains(&ONE[6..]) && !all.contains(&TWO[6..]), "{all}");
    }
}
