//! What tests ask of Stripe: the bodies of requests, and what they build on.

use payfleet_core::OperationId;
use serde_json::{Value, json};

use crate::world::World;

/// Waits until an operation has come into `state`.
pub async fn until(world: &World, id: OperationId, state: &str) {
    let is_there = async |world: &World| {
        let view = world.store.operation(id).await.unwrap();
        view.is_some_and(|view| view.state.name() == state)
    };
    world.until(&format!("{id} is {state}"), is_there).await;
}

pub async fn shown(world: &World, id: OperationId) -> Value {
    world.api.get(&format!("/v1/operations/{id}")).await.body
}

pub async fn ask(world: &World, path: &str, key: &str, body: Value) -> OperationId {
    world.api.post(path, &key.replace(' ', "-"), &body).await.accepted()
}

/// A payment with a test card, tried at once.
pub fn payment(amount: &str, card: &str) -> Value {
    json!({"amount": amount, "asset": "USD", "payment_method": card})
}

/// The same, of which the money is only set aside.
pub fn authorization(amount: &str, card: &str) -> Value {
    json!({"amount": amount, "asset": "USD", "payment_method": card, "capture": "manual"})
}

pub fn refund(payment: OperationId, amount: &str) -> Value {
    json!({"payment": payment, "amount": amount, "asset": "USD"})
}

pub fn transfer(account: OperationId, amount: &str) -> Value {
    json!({"account": account, "amount": amount, "asset": "USD"})
}

pub fn payout(account: OperationId, amount: &str) -> Value {
    json!({"account": account, "amount": amount, "asset": "USD", "speed": "standard"})
}

/// An account whose owner has been through the onboarding.
pub async fn account(world: &World, key: &str) -> OperationId {
    let body = json!({"country": "US", "email": "carrier@example.com"});
    let account = ask(world, "/v1/accounts", key, body).await;
    onboard(world, account, &format!("{key} link")).await;
    account
}

pub async fn onboard(world: &World, account: OperationId, key: &str) {
    let pages = "https://shop.example";
    let body = json!({"account": account, "refresh_url": format!("{pages}/again"), "return_url": format!("{pages}/done")});
    let link = ask(world, "/v1/account_links", key, body).await;
    until(world, link, "settled").await;
    let url = shown(world, link).await["result"]["url"].as_str().unwrap().to_owned();
    assert_eq!(world.providers.visit(&url).await, format!("{pages}/done"));
}

/// An account with money of its own: `amount`, transferred from ours.
pub async fn funded_account(world: &World, key: &str, amount: &str) -> OperationId {
    fund(world, &format!("{key} funds")).await;
    let account = account(world, key).await;
    let sent = ask(world, "/v1/transfers", &format!("{key} transfer"), transfer(account, amount)).await;
    until(world, sent, "settled").await;
    account
}

/// Puts money into our own balance at once.
pub async fn fund(world: &World, key: &str) {
    let paid = ask(world, "/v1/payments", key, payment("1000", "pm_card_bypassPending")).await;
    until(world, paid, "settled").await;
}

/// What an account of the ledger holds, as text.
pub async fn balance(world: &World, account: &str) -> String {
    let balances = world.store.balances().await.unwrap();
    balances
        .iter()
        .find(|one| one.account == account)
        .map(|one| one.balance.normalize().to_string())
        .unwrap_or_default()
}

/// How many effects of a kind Stripe has had.
pub async fn effects(world: &World, kind: &str) -> usize {
    let effects = world.providers.effects(&world.providers.stripe).await;
    effects.iter().filter(|effect| effect.kind == kind).count()
}
