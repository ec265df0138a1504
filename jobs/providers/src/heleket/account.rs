//! What Heleket tells about our account, and moving money between its two wallets: services with their
//! limits, the price of a payout, balances, transfers, and a webhook sent on request.
//!
//! Balances and test webhooks for payments are signed with the payment key, everything else with the
//! payout key. A transfer has no key and no look-up: a lost answer is for a person, with the balances.

use payfleet_core::address::Network;
use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Asset, Money};
use rust_decimal::Decimal;
use secrecy::SecretString;

use super::answer;
use super::client::Client;
use super::wire::{Calculate, NoBody, TestWebhook, Transfer};
use crate::client::ProviderError;
use crate::failure::Call;
use crate::http::Answer;
use crate::json::Object;

/// One coin on one network that payouts can be made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The provider's name of the network.
    pub network: String,
    /// The provider's code of the coin.
    pub currency: String,
    /// Whether it works at present.
    pub is_available: bool,
    /// The least amount of a payout, in the coin.
    pub least: Decimal,
    /// The most, in the coin. Refusals have been seen to name another one.
    pub most: Decimal,
    /// The fixed part of the fee, in the coin.
    pub fee: Decimal,
    /// The other part, in percent of the amount.
    pub fee_percent: Decimal,
}

/// What a payout would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What the beneficiary would get.
    pub amount: Decimal,
    /// The fee.
    pub commission: Decimal,
    /// What would leave our balance.
    pub merchant_amount: Decimal,
}

/// One of the two kinds of wallet an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wallet {
    /// The merchant's, from which payouts are made.
    Business,
    /// The owner's.
    Personal,
}

/// What one wallet holds of one coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Whose.
    pub wallet: Wallet,
    /// Its id.
    pub uuid: String,
    /// The provider's code of the coin.
    pub currency: String,
    /// How much.
    pub amount: Decimal,
}

/// A transfer that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The owner's wallet.
    pub personal: String,
    /// The merchant's wallet.
    pub business: String,
}

/// Where Heleket documents the price of a payout: its libraries and its pages name two paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PreviewPath {
    /// `/v1/payout/calculate`, as the libraries have it.
    #[default]
    Calculate,
    /// `/v1/payout/calc`, as the pages have it.
    Calc,
}

impl PreviewPath {
    const fn segments(self) -> [&'static str; 3] {
        match self {
            Self::Calculate => ["v1", "payout", "calculate"],
            Self::Calc => ["v1", "payout", "calc"],
        }
    }
}

/// What a test webhook pretends to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pretended {
    /// An invoice; signed with the payment key.
    Payment,
    /// A static wallet; signed with the payment key.
    Wallet,
    /// A payout; signed with the payout key.
    Payout,
}

impl Client {
    /// What payouts can be made in, with limits and fees.
    ///
    /// # Errors
    /// [`ProviderError`] where there is no whole list.
    pub async fn services(&self) -> Result<Vec<Service>, ProviderError> {
        let path = ["v1", "payout", "services"];
        let answer = self.post(Call::Read, self.payout_key(), &path, None, &NoBody).await?;
        let services = answer::results(Call::Read, &answer)?;
        let services: Option<Vec<Service>> = services.iter().map(service).collect();
        services.ok_or_else(|| unreadable(Call::Read, &answer))
    }

    /// Whether the payout key is let in, by the list of what payouts can be made in.
    pub(crate) async fn test(&self) -> Result<u16, ProviderError> {
        let path = ["v1", "payout", "services"];
        let answer = self.post(Call::Read, self.payout_key(), &path, None, &NoBody).await?;
        answer::results(Call::Read, &answer).map(|_| answer.status)
    }

    /// What a payout of `money` on `network` would cost. Pays nothing.
    ///
    /// # Errors
    /// [`ProviderError`], also where the three amounts cannot be read exactly.
    pub async fn preview(&self, money: &Money, network: Network) -> Result<Preview, ProviderError> {
        let body = Calculate {
            currency: money.asset().code(),
            network: network.as_str(),
            amount: money.amount().to_string(),
            is_subtract: self.is_subtract(),
        };
        let path = self.preview_path().segments();
        let answer = self.post(Call::Read, self.payout_key(), &path, None, &body).await?;
        let result = answer::result(Call::Read, &answer)?;
        let preview = || {
            Some(Preview {
                amount: decimal(&result, "amount")?,
                commission: decimal(&result, "commission")?,
                merchant_amount: decimal(&result, "merchant_amount")?,
            })
        };
        preview().ok_or_else(|| unreadable(Call::Read, &answer))
    }

    /// What both wallets hold.
    ///
    /// # Errors
    /// [`ProviderError`]; with the code `no_payment_key` where none is configured.
    pub async fn balances(&self) -> Result<Vec<Balance>, ProviderError> {
        let key = self.payment_key()?;
        let answer = self.post(Call::Read, key, &["v1", "balance"], None, &NoBody).await?;
        // `result` is the object in one sample and a list of it in another.
        let result = answer::results(Call::Read, &answer).map(|results| results.into_iter().next());
        let result = match result {
            Ok(Some(result)) => result,
            _ => answer::result(Call::Read, &answer)?,
        };
        let result = result.object("balance").unwrap_or(result);
        let mut balances = Vec::new();
        for (name, wallet) in [("merchant", Wallet::Business), ("user", Wallet::Personal)] {
            let held = result.objects(name).ok_or_else(|| unreadable(Call::Read, &answer))?;
            for object in &held {
                balances.push(balance(object, wallet).ok_or_else(|| unreadable(Call::Read, &answer))?);
            }
        }
        Ok(balances)
    }

    /// Moves `money` from the other wallet to `to`, once. Never retries.
    ///
    /// # Errors
    /// [`ProviderError`]; an ambiguous one can be resolved by nothing but a look at the balances.
    pub async fn transfer(&self, to: Wallet, money: &Money) -> Result<Moved, ProviderError> {
        let path = match to {
            Wallet::Personal => ["v1", "transfer", "to-personal"],
            Wallet::Business => ["v1", "transfer", "to-business"],
        };
        let body = Transfer { amount: money.amount().to_string(), currency: money.asset().code() };
        let answer = self.post(Call::Effect, self.payout_key(), &path, None, &body).await?;
        let result = answer::result(Call::Effect, &answer)?;
        let moved = || {
            Some(Moved {
                personal: result.filled("user_wallet_uuid")?,
                business: result.filled("merchant_wallet_uuid")?,
            })
        };
        moved().ok_or_else(|| unreadable(Call::Effect, &answer))
    }

    /// Has a webhook sent to `url` as if something came to `status`. Moves nothing.
    ///
    /// # Errors
    /// [`ProviderError`]; with the code `url_length` where `url` is not of 6 to 150 characters.
    pub async fn test_webhook(
        &self,
        about: Pretended,
        url: &str,
        asset: Asset,
        network: Network,
        status: &str,
    ) -> Result<(), ProviderError> {
        if !(6..=150).contains(&url.len()) {
            return Err(ProviderError::refused("url_length", "the URL must have 6 to 150 characters"));
        }
        let (kind, key) = match about {
            Pretended::Payment => ("payment", self.payment_key()?),
            Pretended::Wallet => ("wallet", self.payment_key()?),
            Pretended::Payout => ("payout", self.payout_key()),
        };
        let body =
            TestWebhook { url_callback: url, currency: asset.code(), network: network.as_str(), status };
        let path = ["v1", "test-webhook", kind];
        let answer = self.post(Call::Read, key, &path, None, &body).await?;
        answer::success(Call::Read, &answer).map(|_| ())
    }

    fn payment_key(&self) -> Result<&SecretString, ProviderError> {
        self.configured_payment_key().ok_or_else(|| {
            ProviderError::refused("no_payment_key", "HELEKET_PAYMENT_KEY is not set, and this needs it")
        })
    }
}

fn unreadable(call: Call, answer: &Answer) -> ProviderError {
    answer.explain(ProviderError::unexpected(call, "the answer lacks something that was asked for"))
}

fn decimal(object: &Object<'_>, name: &str) -> Option<Decimal> {
    parse_plain_decimal(&object.text(name)?).ok()
}

fn service(object: &Object<'_>) -> Option<Service> {
    let (limit, commission) = (object.object("limit")?, object.object("commission")?);
    Some(Service {
        network: object.filled("network")?,
        currency: object.filled("currency")?,
        is_available: object.flag("is_available")?,
        least: decimal(&limit, "min_amount")?,
        most: decimal(&limit, "max_amount")?,
        fee: decimal(&commission, "fee_amount")?,
        fee_percent: decimal(&commission, "percent")?,
    })
}

fn balance(object: &Object<'_>, wallet: Wallet) -> Option<Balance> {
    Some(Balance {
        wallet,
        uuid: object.filled("uuid")?,
        currency: object.filled("currency_code")?,
        amount: decimal(object, "balance")?,
    })
}
