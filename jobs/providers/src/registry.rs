//! Which providers this worker can call: one line each.

use std::sync::Arc;

use payfleet_core::provider::Provider;

use crate::client::{Client, ConfigError};
use crate::gate::Gate;
use crate::{heleket, stripe, tatum, trovotech};

/// How to reach each provider that is configured.
#[derive(Clone, Debug, Default)]
pub struct Configs {
    /// Heleket, if it may be called.
    pub heleket: Option<heleket::Config>,
    /// TrovoTech, if it may be called.
    pub trovotech: Option<trovotech::Config>,
    /// Stripe, if it may be called.
    pub stripe: Option<stripe::Config>,
    /// Tatum, if it may be called.
    pub tatum: Option<tatum::Config>,
}

/// The clients of the configured providers. Made once, shared by all handlers.
#[derive(Debug)]
pub struct Clients {
    heleket: Option<Client>,
    trovotech: Option<Client>,
    stripe: Option<Client>,
    tatum: Option<Client>,
}

impl Clients {
    /// Builds a client for each provider that is configured.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn new(configs: Configs) -> Result<Self, ConfigError> {
        let Configs { heleket, trovotech, stripe, tatum } = configs;
        Ok(Self {
            heleket: heleket.map(heleket::Client::new).transpose()?.map(Client::Heleket),
            trovotech: trovotech.map(trovotech::Client::new).transpose()?.map(Client::TrovoTech),
            stripe: stripe.as_ref().map(stripe::Client::new).transpose()?.map(Client::Stripe),
            tatum: tatum.map(tatum::Client::new).transpose()?.map(Client::Tatum),
        })
    }

    /// Tatum's client, for what only Tatum offers.
    #[must_use]
    pub fn tatum(&self) -> Option<&tatum::Client> {
        if let Some(Client::Tatum(client)) = &self.tatum { Some(client) } else { None }
    }

    /// Heleket's client, for what only Heleket offers.
    #[must_use]
    pub fn heleket(&self) -> Option<&heleket::Client> {
        if let Some(Client::Heleket(client)) = &self.heleket { Some(client) } else { None }
    }

    /// TrovoTech's client, for what only TrovoTech offers.
    #[must_use]
    pub fn trovotech(&self) -> Option<&trovotech::Client> {
        if let Some(Client::TrovoTech(client)) = &self.trovotech { Some(client) } else { None }
    }

    /// Stripe's client, for what only Stripe offers.
    #[must_use]
    pub fn stripe(&self) -> Option<&stripe::Client> {
        if let Some(Client::Stripe(client)) = &self.stripe { Some(client) } else { None }
    }

    /// Sends nothing that `gate` does not let out, whichever client it comes from.
    #[must_use]
    pub fn behind(mut self, gate: &Arc<dyn Gate>) -> Self {
        if let Some(Client::Heleket(client)) = &mut self.heleket {
            client.behind(gate);
        }
        if let Some(Client::TrovoTech(client)) = &mut self.trovotech {
            client.behind(gate);
        }
        if let Some(Client::Tatum(client)) = &mut self.tatum {
            client.behind(gate);
        }
        if let Some(Client::Stripe(client)) = &mut self.stripe {
            client.behind(gate);
        }
        self
    }

    /// The client of `provider`, where one is configured.
    #[must_use]
    pub fn of(&self, provider: Provider) -> Option<&Client> {
        match provider {
            Provider::Heleket => self.heleket.as_ref(),
            Provider::TrovoTech => self.trovotech.as_ref(),
            Provider::Stripe => self.stripe.as_ref(),
            Provider::Tatum => self.tatum.as_ref(),
        }
    }
}
