//! The providers, as sandboxes inside this process, and the settings that point a fleet at them.
//! Their record is on disk: what was paid stays paid when the fleet is started again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use payfleet_core::provider::Provider;
use payfleet_process::SystemClock;
use payfleet_providers::sandbox::{self, Options, Sandbox};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;

use crate::commands::hash_token::new_token;

const MERCHANT: &str = "dev-merchant";
/// BIP 32's second test vector: its private key is known to everybody, and the chains are sandboxes.
const XPUB: &str = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH";

/// One sandbox per provider.
pub(super) struct Sandboxes {
    running: BTreeMap<Provider, Sandbox>,
    secrets: BTreeMap<Provider, String>,
    /// Heleket signs what is about incoming payments with a key of its own.
    payment_key: String,
    /// Stripe signs what is about connected accounts with a secret of its own.
    connect_secret: String,
    api_key: String,
    http: Client,
}

/// Something that really happened at a provider.
#[derive(Deserialize)]
pub(super) struct Effect {
    /// `payout`, `mint`.
    pub(super) kind: String,
}

#[derive(Deserialize)]
struct Effects {
    effects: Vec<Effect>,
}

#[derive(Deserialize)]
struct Deliveries {
    pending: u64,
}

impl Sandboxes {
    /// Starts all four. Their webhooks go to the producer at `producer_url`.
    pub(super) async fn start(
        dir: &Path,
        producer_url: &str,
        settle_after: Duration,
    ) -> anyhow::Result<Self> {
        let api_key = new_token()?;
        let http = super::demo::http_client()?;
        let mut this = Self {
            running: BTreeMap::new(),
            secrets: BTreeMap::new(),
            api_key,
            payment_key: new_token()?,
            connect_secret: new_token()?,
            http,
        };
        for provider in Provider::ALL {
            let secret = new_token()?;
            let mut options = Options::new(dir.join(provider.as_str()), Arc::new(SystemClock));
            options.webhook_url = Some(format!("{producer_url}/webhooks/{provider}"));
            options.secret = secret.clone().into();
            options.api_key = this.api_key.clone().into();
            options.connect_secret = Some(this.connect_secret.clone().into());
            options.payment_key = this.payment_key.clone().into();
            MERCHANT.clone_into(&mut options.merchant);
            options.settle_after = settle_after;
            let started = match provider {
                Provider::Stripe => sandbox::start_stripe(options).await,
                Provider::Tatum => sandbox::start_tatum(options).await,
                Provider::Heleket => sandbox::start_heleket(options).await,
                Provider::TrovoTech => sandbox::start_trovotech(options).await,
            };
            let started = started.with_context(|| format!("the sandbox of {provider} cannot be started"))?;
            this.running.insert(provider, started);
            this.secrets.insert(provider, secret);
        }
        Ok(this)
    }

    /// Where a provider's sandbox is.
    pub(super) fn url(&self, provider: Provider) -> String {
        self.running.get(&provider).map(Sandbox::url).unwrap_or_default()
    }

    /// What the producer verifies webhooks with.
    pub(super) fn producer_settings(&self) -> BTreeMap<String, String> {
        let names = [
            ("STRIPE_WEBHOOK_SECRET", Provider::Stripe),
            ("TATUM_WEBHOOK_SECRET", Provider::Tatum),
            ("HELEKET_API_KEY", Provider::Heleket),
            ("TROVOTECH_WEBHOOK_SECRET", Provider::TrovoTech),
        ];
        let mut settings: BTreeMap<_, _> =
            names.into_iter().map(|(name, provider)| (name.to_owned(), self.secret(provider))).collect();
        settings.insert("HELEKET_PAYMENT_KEY".to_owned(), self.payment_key.clone());
        settings.insert("STRIPE_CONNECT_WEBHOOK_SECRET".to_owned(), self.connect_secret.clone());
        settings
    }

    /// What workers call them with.
    pub(super) fn worker_settings(&self, producer_url: &str) -> BTreeMap<String, String> {
        let trovotech = self.url(Provider::TrovoTech);
        let settings = [
            ("HELEKET_PROJECT_URL", self.url(Provider::Heleket)),
            ("HELEKET_MERCHANT_ID", MERCHANT.to_owned()),
            ("HELEKET_API_KEY", self.secret(Provider::Heleket)),
            ("HELEKET_CALLBACK_URL", format!("{producer_url}/webhooks/heleket")),
            ("TROVOTECH_BASE_URL", trovotech.clone()),
            ("TROVOTECH_API_KEY", self.api_key.clone()),
            ("TROVOTECH_ISSUER_ID", "dev-issuer".to_owned()),
            ("BANTU_EXPANSION_URL", trovotech),
            ("STRIPE_BASE_URL", self.url(Provider::Stripe)),
            ("STRIPE_SECRET_KEY", self.api_key.clone()),
            ("TATUM_BASE_URL", self.url(Provider::Tatum)),
            ("TATUM_API_KEY", self.api_key.clone()),
            ("TATUM_WEBHOOK_URL", "https://payfleet.example.com/webhooks/tatum".to_owned()),
            ("TATUM_XPUB_ETH", XPUB.to_owned()),
            ("TATUM_XPUB_BTC", XPUB.to_owned()),
            ("TATUM_XPUB_POLYGON", XPUB.to_owned()),
            ("TATUM_XPUB_TRON", XPUB.to_owned()),
            ("ALLOW_PRIVATE_HOSTS", "true".to_owned()),
            // A sandbox takes any number of calls.
            ("HELEKET_LIMITS", "all=1000/s".to_owned()),
            ("TROVOTECH_LIMITS", "all=1000/s".to_owned()),
            ("BANTU_LIMITS", "all=1000/s".to_owned()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What really happened at a provider, in order.
    pub(super) async fn effects(&self, provider: Provider) -> anyhow::Result<Vec<Effect>> {
        let answer = self.http.get(format!("{}/_effects", self.url(provider))).send().await?;
        Ok(answer.error_for_status()?.json::<Effects>().await?.effects)
    }

    /// Has a provider send a webhook, rightly signed.
    pub(super) async fn emit(&self, provider: Provider, payload: &Value) -> anyhow::Result<()> {
        let request = self.http.post(format!("{}/_emit", self.url(provider))).body(payload.to_string());
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// How many webhooks have not been answered with 2xx yet.
    pub(super) async fn undelivered(&self) -> anyhow::Result<u64> {
        let mut pending = 0_u64;
        for provider in Provider::ALL {
            let answer = self.http.get(format!("{}/_deliveries", self.url(provider))).send().await?;
            let deliveries: Deliveries = answer.error_for_status()?.json().await?;
            pending = pending.saturating_add(deliveries.pending);
        }
        Ok(pending)
    }

    pub(super) async fn stop(self) {
        for sandbox in self.running.into_values() {
            sandbox.stop().await;
        }
    }

    fn secret(&self, provider: Provider) -> String {
        self.secrets.get(&provider).cloned().unwrap_or_default()
    }
}
