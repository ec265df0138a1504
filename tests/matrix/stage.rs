//! The World of a row: what its operations build on, and what each cell asks for.

use std::cell::Cell;

use payfleet_core::provider::Provider;
use payfleet_core::{JobId, OperationId, TenantId};
use payfleet_providers::sandbox::Sandbox;
use payfleet_tests::store::{ADDRESS, WALLET};
use payfleet_tests::stripe::{
    account, ask, authorization, fund, funded_account, payment, payout, refund, shown, transfer, until,
};
use payfleet_tests::world::{Setup, World};
use serde_json::{Value, json};

use crate::rows::Row;

/// The holders of a distribution that we split.
pub(crate) const HOLDERS: usize = 3;

/// A row on its stage.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) row: Row,
    /// What every operation of the row builds on, where they share it.
    ground: Option<Ground>,
    /// How many cells have asked for something.
    asked: usize,
}

/// Something that has settled.
struct Ground {
    operation: OperationId,
    provider_ref: String,
}

/// What a cell asks for.
pub(crate) struct Asked {
    pub(crate) key: String,
    pub(crate) path: &'static str,
    pub(crate) body: Value,
    /// The path at the provider that carries it out.
    pub(crate) call: String,
    pub(crate) operation: OperationId,
    /// Whose intent the call is: the operation's own, or that of one of its payouts.
    pub(crate) caller: OperationId,
    pub(crate) job: JobId,
    /// Whether the order that it is has been paid.
    pub(crate) is_paid: Cell<bool>,
}

impl Stage {
    /// Without workers.
    pub(crate) async fn set(row: Row) -> Self {
        let setup = Setup {
            workers: 0,
            database_connections: 4,
            lease: std::time::Duration::from_secs(1),
            call_timeout: std::time::Duration::from_secs(20),
            ..Setup::default()
        };
        let mut world = World::with(setup).await;
        // An order's address is watched by nobody who tells us, and a mint in doubt has no answer.
        world.abandon_webhooks();
        world.add_worker();
        let ground = ground(&world, row).await;
        world.stop_workers().await;
        Self { world, row, ground, asked: 0 }
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        let providers = &self.world.providers;
        match self.row.provider() {
            Provider::Heleket => &providers.heleket,
            Provider::TrovoTech => &providers.trovotech,
            Provider::Stripe => &providers.stripe,
            Provider::Tatum => &providers.tatum,
        }
    }

    /// What the next cell asks for. What only it builds on is made first.
    pub(crate) async fn next(&mut self) -> Asked {
        self.asked += 1;
        let key = format!("cell-{}", self.asked);
        let (body, call) = if self.needs_a_subject() {
            self.world.add_worker();
            let asked = self.about_a_subject(&key).await;
            self.world.stop_workers().await;
            asked
        } else {
            self.plain(&key)
        };
        let path = self.row.kind().endpoint();
        let operation = OperationId::derive(&TenantId::default(), path, &key);
        let caller = match self.row.parts() {
            Some(kind) => {
                let part = format!("distribution:{operation}:holder-0");
                OperationId::derive(&TenantId::default(), kind.endpoint(), &part)
            }
            None => operation,
        };
        let (job, is_paid) = (JobId::first_of(operation), Cell::new(false));
        Asked { key, path, body, call, operation, caller, job, is_paid }
    }

    fn needs_a_subject(&self) -> bool {
        matches!(
            self.row,
            Row::PaymentMethodDetached | Row::PaymentConfirmed | Row::PaymentCaptured | Row::PaymentCancelled
        )
    }

    /// The operation that they build on.
    fn subject(&self) -> OperationId {
        self.ground.as_ref().expect("the row has a ground").operation
    }

    /// A body, and the path that carries it out.
    fn plain(&self, key: &str) -> (Value, String) {
        let (body, call) = match self.row {
            Row::PayoutToAnAddress => (
                json!({"amount": "15.5", "asset": "USDT", "network": "TRON", "address": ADDRESS}),
                "/v1/payout",
            ),
            Row::PayoutToABank => (payout(self.subject(), "2"), "/v1/payouts"),
            Row::Transfer => (transfer(self.subject(), "2"), "/v1/transfers"),
            Row::Mint => (mint(key), "/token/mint"),
            Row::Wallet => (
                json!({"investor_email": format!("{key}@example.com"), "investor_name": "An Investor", "kyc_verified": true}),
                "/wallet/create",
            ),
            Row::Telemetry => (telemetry(key), "/telemetry/sync"),
            Row::Account => (json!({"country": "US", "email": "carrier@example.com"}), "/v1/accounts"),
            Row::AccountLink => (
                json!({"account": self.subject(), "refresh_url": "https://shop.example/again", "return_url": "https://shop.example/done"}),
                "/v1/account_links",
            ),
            Row::Customer => (json!({"email": format!("{key}@example.com")}), "/v1/customers"),
            Row::PaymentMethodAttached => (
                json!({"customer": self.subject(), "payment_method": "pm_card_visa", "change": "attach"}),
                "/v1/payment_methods/pm_card_visa/attach",
            ),
            Row::Payment => (payment("20", "pm_card_visa"), "/v1/payment_intents"),
            Row::Refund => (refund(self.subject(), "2"), "/v1/refunds"),
            Row::DistributionByUs => {
                let to = json!({"network": "TRON", "address": ADDRESS});
                (distribution(key, "USDT", &to), "/v1/payout")
            }
            Row::DistributionByUsOverStripe => {
                (distribution(key, "USD", &json!({"account": self.subject()})), "/v1/transfers")
            }
            Row::DistributionByTrovoTech => (self.distribution_by_trovotech(key), "/payout/distribute"),
            Row::Order => (
                json!({"amount": "10", "asset": "TRX", "network": "TRON", "lifetime_s": 3600}),
                "/v4/subscription",
            ),
            Row::PaymentMethodDetached
            | Row::PaymentConfirmed
            | Row::PaymentCaptured
            | Row::PaymentCancelled => panic!("{} needs a subject", self.row.name()),
        };
        (body, call.to_owned())
    }

    fn distribution_by_trovotech(&self, key: &str) -> Value {
        let token = &self.ground.as_ref().expect("a token").provider_ref;
        let token = json!({"token_id": token});
        json!({"asset_id": "bus", "period": key, "amount": "10", "asset": "NGN", "holders": [token]})
    }

    /// The same for what changes something of its own.
    async fn about_a_subject(&self, key: &str) -> (Value, String) {
        let world = &self.world;
        let subject = format!("{key} subject");
        if self.row == Row::PaymentMethodDetached {
            let attach =
                json!({"customer": self.subject(), "payment_method": "pm_card_visa", "change": "attach"});
            let attached = ask(world, "/v1/payment_methods", &subject, attach).await;
            until(world, attached, "settled").await;
            let method =
                shown(world, attached).await["result"]["payment_method"].as_str().unwrap().to_owned();
            let body = json!({"customer": self.subject(), "payment_method": method, "change": "detach"});
            return (body, format!("/v1/payment_methods/{method}/detach"));
        }
        let (body, change) = match self.row {
            Row::PaymentConfirmed => (json!({"amount": "20", "asset": "USD"}), "confirm"),
            Row::PaymentCaptured => (authorization("20", "pm_card_visa"), "capture"),
            _ => (authorization("20", "pm_card_visa"), "cancel"),
        };
        let paid = ask(world, "/v1/payments", &subject, body).await;
        until(world, paid, "accepted").await;
        let intent = shown(world, paid).await["provider_ref"].as_str().unwrap().to_owned();
        let mut body = json!({"payment": paid, "change": change});
        if self.row == Row::PaymentConfirmed {
            body["payment_method"] = json!("pm_card_visa");
        }
        (body, format!("/v1/payment_intents/{intent}/{change}"))
    }

    /// A webhook that says that what has settled has failed, or went elsewhere.
    pub(crate) async fn contradiction(&self, asked: &Asked) -> Value {
        let world = &self.world;
        let reference = world.references(asked.operation).await.remove(0);
        let made = shown(world, asked.operation).await["provider_ref"].clone();
        let at_stripe = |kind: &str, status: &str| {
            let object =
                json!({"id": made, "object": kind, "status": status, "amount": 200, "currency": "usd"});
            json!({"type": format!("{kind}.{status}"), "object": object})
        };
        match self.row {
            Row::PayoutToAnAddress => json!({
                "type": "payout", "uuid": made, "order_id": reference, "amount": "15.5", "currency": "USDT",
                "network": "TRON", "status": "fail", "is_final": true,
            }),
            Row::PayoutToABank => {
                let mut event = at_stripe("payout", "failed");
                event["account"] = json!(self.ground.as_ref().expect("an account").provider_ref);
                event
            }
            Row::Payment => at_stripe("payment_intent", "canceled"),
            Row::Refund => at_stripe("refund", "failed"),
            Row::Mint => {
                let data = json!({"token_id": made, "tx_hash": "00", "investor_wallet": "another"});
                json!({"event_type": "token.minted", "data": data})
            }
            Row::DistributionByTrovoTech => {
                json!({"event_type": "payout.failed", "data": {"payout_id": made, "reason": "refused"}})
            }
            row => panic!("nothing contradicts {}", row.name()),
        }
    }

    /// How many differences are in front of a person.
    pub(crate) async fn discrepancies(&self) -> i64 {
        self.world.store.open_discrepancies().await.expect("a count")
    }

    /// Waits until nothing is left to do, and checks the promise for the World as a whole.
    pub(crate) async fn finish(mut self) {
        self.world.add_worker();
        self.world.finish().await;
    }
}

/// Makes what the operations of `row` build on.
async fn ground(world: &World, row: Row) -> Option<Ground> {
    let operation = match row {
        Row::PayoutToABank => funded_account(world, "ground", "500").await,
        Row::Transfer | Row::DistributionByUsOverStripe => {
            fund(world, "funds").await;
            account(world, "ground").await
        }
        Row::AccountLink => account(world, "ground").await,
        Row::PaymentMethodAttached | Row::PaymentMethodDetached => {
            ask(world, "/v1/customers", "ground", json!({"email": "payer@example.com"})).await
        }
        Row::Refund => ask(world, "/v1/payments", "ground", payment("900", "pm_card_visa")).await,
        Row::DistributionByTrovoTech => ask(world, "/v1/mints", "ground", mint("ground")).await,
        Row::PayoutToAnAddress
        | Row::Mint
        | Row::Wallet
        | Row::Telemetry
        | Row::Account
        | Row::Customer
        | Row::Payment
        | Row::PaymentConfirmed
        | Row::PaymentCaptured
        | Row::PaymentCancelled
        | Row::DistributionByUs
        | Row::Order => return None,
    };
    until(world, operation, "settled").await;
    world.run_until_idle().await;
    let provider_ref = shown(world, operation).await["provider_ref"].as_str().unwrap().to_owned();
    Some(Ground { operation, provider_ref })
}

fn mint(key: &str) -> Value {
    let metadata = json!({
        "name": format!("Bus {key}"), "type": "E-Bus", "purchase_date": "2026-01-31", "purchase_price": "90000",
        "lifespan_years": 10,
    });
    json!({
        "asset_id": format!("bus-{key}"), "asset_type": "EV", "asset_metadata": metadata,
        "investor_wallet": WALLET, "fraction_owned": "10", "amount": "500", "asset": "USD",
    })
}

fn telemetry(key: &str) -> Value {
    let reading = json!({
        "asset_id": key, "battery_level": 87.5, "kilometers": 12043, "status": "moving",
        "location": {"lat": 6.5244, "lng": -3.3792}, "timestamp": "2026-01-31T12:00:00Z",
    });
    json!({"readings": [reading]})
}

/// Over holders who are all paid `to` the same place.
fn distribution(key: &str, asset: &str, to: &Value) -> Value {
    let holder = |number: usize| {
        let mut holder = to.clone();
        holder["holder"] = json!(format!("holder-{number}"));
        holder["weight"] = json!("1");
        holder
    };
    let holders: Vec<Value> = (0..HOLDERS).map(holder).collect();
    json!({"asset_id": "bus", "period": key, "amount": "10", "asset": asset, "holders": holders})
}
