//! Refunds: never more than was captured, and back when the card gives them back.

use payfleet_tests::world::{Setup, World};
use rust_decimal::Decimal;
use serde_json::json;

use super::{ask, authorization, balance, effects, payment, refund, shown, until};

#[tokio::test]
async fn twenty_refunds_at_once_never_pass_what_was_captured() {
    let world = World::with(Setup { workers: 2, ..Setup::default() }).await;
    let paid = ask(&world, "/v1/payments", "p", payment("20", "pm_card_visa")).await;
    let asked = (0..20).map(async |number: usize| {
        ask(&world, "/v1/refunds", &format!("r-{number}"), refund(paid, "3")).await
    });
    let refunds = futures::future::join_all(asked).await;
    world.run_until_idle().await;
    let mut settled = 0;
    for id in refunds {
        let view = shown(&world, id).await;
        if view["state"] == "settled" {
            settled += 1;
        } else {
            assert_eq!(view["state"], "failed", "{view}");
            assert!(view["reason"].as_str().unwrap().contains("is left of"), "{view}");
        }
    }
    assert_eq!(settled, 6);
    let refunded = world.providers.effects(&world.providers.stripe).await;
    let refunded = refunded.iter().filter(|effect| effect.kind == "refund");
    let sum: Decimal = refunded.map(|effect| effect.amount.parse::<Decimal>().unwrap()).sum();
    assert_eq!(sum, Decimal::from(18));
    assert_eq!(balance(&world, "provider:stripe:default").await, "2");
    world.finish().await;
}

#[tokio::test]
async fn a_refund_that_the_card_gives_back_is_returned_and_posted_back() {
    let world = World::start().await;
    let paid = ask(&world, "/v1/payments", "p", payment("20", "pm_card_refundFail")).await;
    let id = ask(&world, "/v1/refunds", "r", refund(paid, "20")).await;
    until(&world, id, "returned").await;
    world.run_until_idle().await;
    assert_eq!(balance(&world, "provider:stripe:default").await, "20", "posted, and posted back");
    assert_eq!(world.store.open_discrepancies().await.unwrap(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_refund_waits_for_its_payment_and_takes_no_other_currency() {
    let world = World::start().await;
    let paid = ask(&world, "/v1/payments", "p", authorization("20", "pm_card_visa")).await;
    let euros = json!({"payment": paid, "amount": "5", "asset": "EUR"});
    let euros = ask(&world, "/v1/refunds", "euros", euros).await;
    let dollars = ask(&world, "/v1/refunds", "dollars", refund(paid, "5")).await;
    until(&world, dollars, "requested").await;
    ask(&world, "/v1/payment_changes", "capture", json!({"payment": paid, "change": "capture"})).await;
    world.run_until_idle().await;
    let view = shown(&world, euros).await;
    assert_eq!(view["state"], "failed", "{view}");
    assert!(view["reason"].as_str().unwrap().contains("taken in USD"), "{view}");
    world.assert_state(dollars, "settled").await;
    assert_eq!(effects(&world, "refund").await, 1);
    world.finish().await;
}
