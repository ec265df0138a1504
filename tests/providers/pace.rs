//! What a sandbox saw of our pace: the most calls in any one second, by class.

use payfleet_core::provider::Provider;
use payfleet_providers::stripe::ListFilter;
use serde_json::{Value, json};

use crate::bench::{Bench, accepted, key, payout};
use crate::stripe;

#[tokio::test]
async fn the_most_calls_in_any_one_second_are_counted_by_class() {
    let bench = Bench::start(Provider::Heleket).await;
    assert_eq!(bench.read("_pace").await, json!({ "most_in_a_second": {} }));
    let pay = async |name: &str| {
        accepted(bench.client().call(&payout("1"), &key(Provider::Heleket, name)).await).provider_ref
    };
    // A second does not begin with a full one.
    bench.clock.advance_ms(600);
    let uuid = pay("a").await;
    pay("b").await;
    bench.clock.advance_ms(500);
    pay("c").await;
    bench.client().poll(&payout("1"), &uuid, None).await.unwrap();
    bench.clock.advance_ms(500);
    pay("d").await;
    let most = json!({ "all": 4, "POST /v1/payout": 3, "POST /v1/payout/info": 1 });
    assert_eq!(bench.read("_pace").await["most_in_a_second"], most);
}

#[tokio::test]
async fn calls_about_different_objects_are_of_one_class_and_refused_ones_count() {
    let bench = Bench::start_with(Provider::Stripe, |options| {
        options.per_second = std::num::NonZeroU32::new(2);
    })
    .await;
    let client = stripe::client(&bench.sandbox.url(), "sandbox-api-key");
    for id in ["po_1", "po_2", "po_3"] {
        client.platform().cancel_payout(id, &stripe::key(id)).await.unwrap_err();
    }
    client.platform().payouts(&ListFilter::default()).await.unwrap_err();
    let most: Value = bench.read("_pace").await["most_in_a_second"].clone();
    assert_eq!(most, json!({ "all": 4, "POST /v1/payouts/{id}/cancel": 3, "GET /v1/payouts": 1 }));
}
