//! The secrets that webhooks are verified with, by provider. Each variable may have a second one
//! under `_OLD`, accepted beside it while the secret is being replaced at the provider.
//!
//! A provider without a secret is no mistake: its webhooks are answered 503, and nothing of it is
//! accepted.

use payfleet_core::provider::Provider;
use payfleet_process::Settings;
use payfleet_providers::webhook::Secrets;
use secrecy::{ExposeSecret, SecretString};

/// A variable and the one for the secret it replaces.
type Pair = (&'static str, &'static str);

const STRIPE: [Pair; 2] = [
    ("STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRET_OLD"),
    ("STRIPE_CONNECT_WEBHOOK_SECRET", "STRIPE_CONNECT_WEBHOOK_SECRET_OLD"),
];
const TATUM: [Pair; 1] = [("TATUM_WEBHOOK_SECRET", "TATUM_WEBHOOK_SECRET_OLD")];
const HELEKET: [Pair; 2] =
    [("HELEKET_API_KEY", "HELEKET_API_KEY_OLD"), ("HELEKET_PAYMENT_KEY", "HELEKET_PAYMENT_KEY_OLD")];
const TROVOTECH: [Pair; 1] = [("TROVOTECH_WEBHOOK_SECRET", "TROVOTECH_WEBHOOK_SECRET_OLD")];

/// The live webhook secrets of each provider.
#[derive(Clone, Debug, Default)]
pub struct WebhookSecrets {
    /// Signing secrets of the account's and of the Connect endpoint.
    pub stripe: Secrets,
    /// The HMAC secret set at Tatum.
    pub tatum: Secrets,
    /// The payout key and the payment key: each signs its own kind of webhook.
    pub heleket: Secrets,
    /// The HMAC secret agreed with TrovoTech.
    pub trovotech: Secrets,
}

impl WebhookSecrets {
    /// Reads all of them; an `_OLD` without its successor, or equal to it, is a mistake.
    pub fn read(settings: &mut Settings) -> Self {
        Self {
            stripe: secrets(settings, &STRIPE),
            tatum: secrets(settings, &TATUM),
            heleket: secrets(settings, &HELEKET),
            trovotech: secrets(settings, &TROVOTECH),
        }
    }

    /// Those of one provider.
    #[must_use]
    pub const fn of(&self, provider: Provider) -> &Secrets {
        match provider {
            Provider::Stripe => &self.stripe,
            Provider::Tatum => &self.tatum,
            Provider::Heleket => &self.heleket,
            Provider::TrovoTech => &self.trovotech,
        }
    }
}

fn secrets(settings: &mut Settings, pairs: &[Pair]) -> Secrets {
    Secrets::new(pairs.iter().flat_map(|pair| pair_of_secrets(settings, *pair)).collect())
}

fn pair_of_secrets(settings: &mut Settings, (name, old_name): Pair) -> Vec<SecretString> {
    let (new, old) = (settings.secret(name), settings.secret(old_name));
    match (&new, &old) {
        (None, Some(_)) => {
            settings.mistake(old_name, format!("is set, but {name} is not: set that one, too"));
        }
        (Some(new), Some(old)) if new.expose_secret() == old.expose_secret() => {
            settings.mistake(old_name, format!("is the same as {name}: give the secret before it, or none"));
        }
        _ => {}
    }
    new.into_iter().chain(old).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_secret_needs_a_new_one_that_differs() {
        let map = [("TATUM_WEBHOOK_SECRET_OLD", "a"), ("HELEKET_API_KEY", "b"), ("HELEKET_API_KEY_OLD", "b")];
        let map = map.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::from_map(map);
        let secrets = WebhookSecrets::read(&mut settings);
        assert!(secrets.of(Provider::Heleket).is_configured());
        assert!(!secrets.of(Provider::Stripe).is_configured());
        let mistakes = settings.finish().unwrap_err();
        assert_eq!(mistakes.lines().len(), 2, "{mistakes}");
    }
}
