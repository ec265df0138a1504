//! Which providers this worker can call: one line each.

use std::sync::Arc;

use payfleet_core::provider::Provider;

use crate::client::{Client, ConfigError};
use crate::gate::Gate;
use crate::{heleket, stripe, tatum, trovotech};

/// The clients of the configured providers. Made once, shared by all handlers.
#[derive(Debug)]
pub struct Clients {
    heleket: Option<Client>,
    trovotech: Option<Client>,
    tatum: Option<tatum::Client>,
    stripe: Option<Client>,
}

impl Clients {
    /// Builds a client for each provider that is configured.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn new(
        heleket: Option<heleket::Config>,
        trovotech: Option<trovotech::Config>,
        stripe: Option<&stripe::Config>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            heleket: heleket.map(heleket::Client::new).transpose()?.map(Client::Heleket),
            trovotech: trovotech.map(trovotech::Client::new).transpose()?.map(Client::TrovoTech),
            tatum: None,
            stripe: stripe.map(stripe::Client::new).transpose()?.map(Client::Stripe),
        })
    }

    /// With Tatum, which has no effects: it watches, tells and broadcasts.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn with_tatum(mut self, config: tatum::Config) -> Result<Self, ConfigError> {
        self.tatum = Some(tatum::Client::new(config)?);
        Ok(self)
    }

    /// Tatum's client, where it is configured.
    #[must_use]
    pub fn tatum(&self) -> Option<&tatum::Client> {
        self.tatum.as_ref()
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
        if let Some(client) = &mut self.tatum {
            client.behind(gate);
        }
        if let Some(Client::Stripe(client)) = &mut self.stripe {
            client.behind(gate);
        }
        self
    }

    /// The client of `provider`, where one is configured and there is anything to call.
    #[must_use]
    pub fn of(&self, provider: Provider) -> Option<&Client> {
        match provider {
            Provider::Heleket => self.heleket.as_ref(),
            Provider::TrovoTech => self.trovotech.as_ref(),
            Provider::Stripe => self.stripe.as_ref(),
            // It has no effects: what comes in there is somebody else's doing.
            Provider::Tatum => None,
        }
    }
}
