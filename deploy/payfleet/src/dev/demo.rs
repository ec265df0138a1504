//! Demo traffic: what a web app and the providers would send, over HTTP like theirs.

use std::time::Duration;

use payfleet_core::OperationId;
use payfleet_core::provider::Provider;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::sandboxes::Sandboxes;

/// A well-formed TRON address, whose owner is nobody in particular.
pub(super) const TRON_ADDRESS: &str = "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm";
const WALLET: &str = "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57";

const TRICKLE: Duration = Duration::from_millis(700);
/// Mints of one percent that fit into one asset.
const MINTS_PER_ASSET: u64 = 100;

/// Requests as a web app makes them.
pub(super) struct Intake {
    http: Client,
    url: String,
    token: String,
}

#[derive(Deserialize)]
struct Accepted {
    operation_id: OperationId,
}

impl Intake {
    pub(super) fn new(url: String, token: String) -> anyhow::Result<Self> {
        Ok(Self { http: http_client()?, url, token })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Asks for a payout of a few USDT.
    pub(super) async fn payout(&self, key: &str, number: u64) -> anyhow::Result<OperationId> {
        let amount = format!("{}.25", number % 40 + 1);
        let body = json!({
            "amount": amount, "asset": "USDT", "network": "TRON", "address": TRON_ADDRESS,
            "reference": format!("demo {number}"),
        });
        self.post("/v1/payouts", key, &body).await
    }

    /// Asks for one percent of an asset. A hundred of them are all of it; the next asset follows.
    pub(super) async fn mint(&self, key: &str, run: &str, number: u64) -> anyhow::Result<OperationId> {
        let asset = number / MINTS_PER_ASSET;
        let body = json!({
            "asset_id": format!("van-{run}-{asset}"),
            "asset_type": "EV",
            "asset_metadata": {
                "name": format!("Van {run} {asset}"), "type": "van", "purchase_date": "2025-02-28",
                "purchase_price": "50000", "lifespan_years": 8,
            },
            "investor_wallet": WALLET, "fraction_owned": "1", "amount": "500", "asset": "USD",
        });
        self.post("/v1/mints", key, &body).await
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<OperationId> {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.header("Idempotency-Key", key).json(body).send().await?;
        let status = answer.status();
        if !status.is_success() {
            anyhow::bail!("{path} was answered {status}: {}", answer.text().await?);
        }
        Ok(answer.json::<Accepted>().await?.operation_id)
    }
}

/// Sends without end: mostly payouts, some mints, and now and then a webhook of each provider.
pub(super) async fn trickle(fleet: &Fleet) -> anyhow::Result<()> {
    let run = run_name();
    let mut was_well = true;
    for number in 0_u64.. {
        let key = format!("demo-{run}-{number}");
        let sent = match number % 10 {
            3 | 7 => fleet.intake().mint(&key, &run, number / 5).await.map(|_| ()),
            9 => webhooks(fleet.sandboxes(), &key).await,
            _ => fleet.intake().payout(&key, number).await.map(|_| ()),
        };
        if let Err(error) = &sent
            && was_well
        {
            tracing::warn!("Demo traffic is refused; it goes on trying: {error:#}");
        }
        was_well = sent.is_ok();
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

/// Has each provider send one signed event that is about nothing of ours.
pub(super) async fn webhooks(sandboxes: &Sandboxes, mark: &str) -> anyhow::Result<()> {
    for provider in Provider::ALL {
        sandboxes.emit(provider, &event(provider, mark)).await?;
    }
    Ok(())
}

fn event(provider: Provider, mark: &str) -> Value {
    match provider {
        Provider::Stripe => json!({
            "type": "payout.paid",
            "object": { "id": format!("po_{mark}"), "object": "payout", "amount": 1250, "currency": "usd" },
        }),
        Provider::Tatum => json!({
            "subscriptionType": "ADDRESS_EVENT", "txId": format!("tx-{mark}"), "address": TRON_ADDRESS,
            "amount": "12.5", "asset": "TRON", "chain": "tron-mainnet", "type": "native", "blockNumber": 1,
        }),
        Provider::Heleket => json!({
            "type": "payment", "uuid": format!("payment-{mark}"), "order_id": mark, "amount": "12.5",
            "status": "paid", "is_final": true,
        }),
        Provider::TrovoTech => json!({
            "event_type": "wallet.created",
            "data": { "wallet_address": WALLET, "status": mark },
        }),
    }
}

/// Tells the requests of this run from those of every other.
pub(super) fn run_name() -> String {
    format!("{:08x}", fastrand::Rng::new().u32(..))
}

/// For our own processes on loopback: no proxy, no redirects.
pub(super) fn http_client() -> anyhow::Result<Client> {
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(Duration::from_secs(10)).build()?)
}
