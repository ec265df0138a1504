//! Every fault that can be planned at every sandbox: what our client makes of it, what really happened,
//! and that it is known again after a restart.

use payfleet_core::OutcomeClass;
use payfleet_core::provider::Provider;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::conformance::{Told, effect, named};

/// What is planned, and what it comes to.
struct Planned {
    fault: Value,
    /// How often the effect happens when the call is made once.
    happens: usize,
    /// Whether the whole answer arrives.
    answered: bool,
}

fn planned() -> Vec<Planned> {
    let row = |fault: Value, happens: usize, answered: bool| Planned { fault, happens, answered };
    vec![
        row(json!({ "latency_ms": 1 }), 1, true),
        row(json!({ "status": 503 }), 0, false),
        row(json!("reset_before"), 0, false),
        row(json!("reset_during_body"), 1, false),
        row(json!("reset_after_effect"), 1, false),
        row(json!("effect_then_500"), 1, false),
        row(json!({ "effect_then_status": 504 }), 1, false),
        row(json!("huge_body"), 1, false),
    ]
}

#[tokio::test]
async fn every_fault_of_every_sandbox_does_what_it_says_and_is_on_record() {
    for provider in Provider::ALL {
        let mut bench = Bench::start(provider).await;
        let mut happened = 0;
        for (number, Planned { fault, happens, answered }) in planned().into_iter().enumerate() {
            bench.plan(named(provider).1, fault.clone()).await;
            let ended = effect(&bench, &format!("fault-{number}")).await;
            // What is known by its hash is asked for by the client itself, and found where it happened.
            let is_known = answered || provider == Provider::Tatum && happens == 1;
            match ended {
                Ok(_) => assert!(is_known, "{provider} {fault}"),
                Err(Told { class, code, .. }) => {
                    assert!(!is_known, "{provider} {fault}: {code}");
                    assert_eq!(class, OutcomeClass::Ambiguous, "{provider} {fault}: {code}");
                }
            }
            happened += happens;
            assert_eq!(bench.effects().await.len(), happened, "{provider} {fault}");
        }
        bench.all_faults_fired().await;
        let before = bench.effects().await;
        bench = bench.restart().await;
        assert_eq!(bench.effects().await, before, "{provider}");
    }
}

/// The last byte may arrive before the reset does, or not: a success or a doubt, never a failure.
#[tokio::test]
async fn a_reset_after_the_body_is_a_success_or_a_doubt() {
    for provider in Provider::ALL {
        let bench = Bench::start(provider).await;
        bench.plan(named(provider).1, json!("reset_after_body")).await;
        if let Err(Told { class, code, .. }) = effect(&bench, "a").await {
            assert_eq!(class, OutcomeClass::Ambiguous, "{provider}: {code}");
        }
        assert_eq!(bench.effects().await.len(), 1, "{provider}");
        bench.all_faults_fired().await;
    }
}

/// Where there are keys, they can be forgotten: the same request again is another effect.
#[tokio::test]
async fn a_forgotten_key_pays_again() {
    for provider in [Provider::Stripe, Provider::Heleket] {
        let bench = Bench::start(provider).await;
        bench.plan(named(provider).1, json!("forget_key")).await;
        let first = effect(&bench, "a").await.unwrap();
        let second = effect(&bench, "a").await.unwrap();
        assert_ne!(first, second, "{provider}");
        assert_eq!(effect(&bench, "a").await.unwrap(), second, "{provider}: forgotten once");
        let bench = bench.restart().await;
        assert_eq!(effect(&bench, "a").await.unwrap(), second, "{provider}");
        let references: Vec<Value> =
            bench.effects().await.into_iter().map(|effect| effect["reference"].clone()).collect();
        assert_eq!((references.len(), &references[0]), (2, &references[1]), "{provider}: the record tells");
        bench.all_faults_fired().await;
    }
}

#[tokio::test]
async fn a_plan_that_nobody_could_play_is_refused() {
    let bench = Bench::start(Provider::Heleket).await;
    let plan = json!([{ "path": "/v1/payout", "fault": "rest_before" }]);
    assert_eq!(bench.status("_faults", plan).await, 422);
    assert_eq!(bench.read("_faults").await, json!({ "faults": [] }));
}
