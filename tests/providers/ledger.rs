//! Transactions handed in to Bantu's ledger: the hash is known beforehand, and whatever happens to the
//! answer, the ledger takes the transaction once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use payfleet_core::provider::Provider;
use payfleet_core::{Classify, OutcomeClass};
use payfleet_providers::trovotech::Client;
use payfleet_providers::trovotech::bantupay::Seed;
use payfleet_providers::trovotech::transaction::{SignedPayment, UnsignedPayment};
use serde_json::{Value, json};

use crate::bench::{Bench, START_MS};

const PASSPHRASE: &str = "Bantu Testnet ; January 2022";
const SUBMIT: &str = "/transactions";
const START_S: u64 = START_MS.unsigned_abs() / 1000;

/// The recorded payment with another sequence number and end, signed for `passphrase` by `seed`.
fn signed(sequence: u64, end_s: u64, passphrase: &str, seed: u8) -> SignedPayment {
    let vectors = include_str!("../../jobs/providers/vectors/trovotech.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let recorded = vectors["bantu"]["tx_signing"][0]["unsigned_envelope_xdr_base64"].as_str().unwrap();
    let mut bytes = STANDARD.decode(recorded).unwrap();
    bytes[44..52].copy_from_slice(&sequence.to_be_bytes());
    bytes[64..72].copy_from_slice(&end_s.to_be_bytes());
    let payment = UnsignedPayment::decode(&STANDARD.encode(bytes)).unwrap();
    payment.sign(&Seed::new([seed; 32]), passphrase)
}

fn payment(sequence: u64) -> SignedPayment {
    signed(sequence, START_S + 60, PASSPHRASE, 7)
}

fn ledger(bench: &Bench) -> &Client {
    bench.clients.trovotech().unwrap()
}

#[tokio::test]
async fn a_signed_payment_enters_the_ledger_once_however_often_it_is_handed_in() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let payment = payment(1);
    assert_eq!(ledger(&bench).transaction(&payment.hash).await.unwrap(), None);
    let entry = ledger(&bench).submit_transaction(&payment).await.unwrap();
    assert_eq!((entry.successful, &entry.hash), (true, &payment.hash));
    assert_eq!(ledger(&bench).submit_transaction(&payment).await.unwrap(), entry);
    let bench = bench.restart().await;
    assert_eq!(ledger(&bench).submit_transaction(&payment).await.unwrap(), entry);
    assert_eq!(ledger(&bench).transaction(&payment.hash).await.unwrap(), Some(entry));
    let effects = bench.effects().await;
    assert_eq!((effects.len(), &effects[0]["amount"]), (1, &json!("10.5")));
}

#[tokio::test]
async fn a_504_is_a_question_to_the_ledger_and_not_an_answer() {
    let bench = Bench::start(Provider::TrovoTech).await;
    bench.plan(SUBMIT, json!({ "effect_then_status": 504 })).await;
    assert!(ledger(&bench).submit_transaction(&payment(1)).await.unwrap().successful, "it is in");
    bench.plan(SUBMIT, json!({ "status": 504 })).await;
    let error = ledger(&bench).submit_transaction(&payment(2)).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, "http_504"));
    ledger(&bench).submit_transaction(&payment(2)).await.unwrap();
    assert_eq!(bench.effects().await.len(), 2);
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn a_lost_answer_is_found_by_the_hash_that_was_known_beforehand() {
    let bench = Bench::start(Provider::TrovoTech).await;
    bench.plan(SUBMIT, json!("reset_after_effect")).await;
    ledger(&bench).submit_transaction(&payment(1)).await.unwrap();
    bench.plan(SUBMIT, json!("reset_after_effect")).await;
    bench.plan("/transactions/*", json!({ "status": 503 })).await;
    let error = ledger(&bench).submit_transaction(&payment(2)).await.unwrap_err();
    assert_eq!(error.class(), OutcomeClass::Ambiguous, "neither answered nor looked up");
    assert!(ledger(&bench).transaction(&payment(2).hash).await.unwrap().is_some());
    bench.all_faults_fired().await;
}

#[tokio::test]
async fn each_refusal_says_whether_the_payment_can_still_come() {
    let bench = Bench::start(Provider::TrovoTech).await;
    ledger(&bench).submit_transaction(&payment(5)).await.unwrap();
    for (refused, class, code) in [
        (signed(6, START_S - 1, PASSPHRASE, 7), OutcomeClass::Terminal, "tx_too_late"),
        (signed(6, START_S + 60, PASSPHRASE, 8), OutcomeClass::Terminal, "tx_bad_auth"),
        (signed(6, START_S + 60, "another network", 7), OutcomeClass::Terminal, "tx_bad_auth"),
        // Another transaction under a used number; had it been this one, the look-up had found it.
        (signed(5, START_S + 59, PASSPHRASE, 7), OutcomeClass::Ambiguous, "tx_bad_seq"),
    ] {
        let error = ledger(&bench).submit_transaction(&refused).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (class, code));
    }
    for (code, class) in [
        ("tx_insufficient_balance", OutcomeClass::Retryable),
        ("tx_too_early", OutcomeClass::Retryable),
        ("tx_failed", OutcomeClass::Terminal),
        ("tx_from_next_year", OutcomeClass::Ambiguous),
    ] {
        let body = json!({ "extras": { "result_codes": { "transaction": code } } }).to_string();
        let headers = json!({ "content-type": "application/problem+json" });
        bench.plan(SUBMIT, json!({ "answer": { "status": 400, "headers": headers, "body": body } })).await;
        let error = ledger(&bench).submit_transaction(&payment(9)).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (class, code));
    }
    // With the ledger silent, no refusal is for good: an earlier call may have had its effect.
    bench.plan("/transactions/*", json!({ "status": 500 })).await;
    let late = signed(6, START_S - 1, PASSPHRASE, 7);
    let error = ledger(&bench).submit_transaction(&late).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, "tx_too_late"));
    assert_eq!(bench.effects().await.len(), 1);
}

#[tokio::test]
async fn an_answer_about_another_transaction_is_not_taken_for_ours() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let other = json!({ "body": { "hash": "00", "successful": true } });
    bench.plan(SUBMIT, other.clone()).await;
    let error = ledger(&bench).submit_transaction(&payment(1)).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, "unexpected_answer"));
    bench.plan("/transactions/*", other).await;
    let error = ledger(&bench).transaction(&payment(1).hash).await.unwrap_err();
    assert_eq!(error.code(), "unexpected_answer");
}

#[tokio::test]
async fn an_accounts_transactions_are_read_page_by_page() {
    let bench = Bench::start(Provider::TrovoTech).await;
    let mut handed_in = Vec::new();
    for sequence in 1..=25 {
        handed_in.push(ledger(&bench).submit_transaction(&payment(sequence)).await.unwrap().hash);
    }
    let account = "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57";
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = ledger(&bench).transactions_of(account, cursor.as_deref()).await.unwrap();
        let Some(next) = page.next else { break };
        seen.extend(page.entries.into_iter().map(|entry| entry.hash));
        cursor = Some(next);
    }
    assert_eq!(seen, handed_in);
}

#[tokio::test]
async fn the_ledger_must_be_of_the_network_that_is_configured() {
    let bench = Bench::start(Provider::TrovoTech).await;
    assert_eq!(ledger(&bench).check_network(PASSPHRASE).await, Ok(()));
    let error = ledger(&bench).check_network("Bantu Public Network ; January 2022").await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Terminal, "other_network"));
}

#[tokio::test]
async fn a_silent_ledger_leaves_the_payment_in_doubt() {
    let bench = Bench::start(Provider::TrovoTech).await;
    bench.plan(SUBMIT, json!("effect_then_timeout")).await;
    bench.plan("/transactions/*", json!({ "status": 503 })).await;
    let bench = bench.impatient();
    let error = ledger(&bench).submit_transaction(&payment(1)).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (OutcomeClass::Ambiguous, "timeout"));
    assert_eq!(bench.effects().await.len(), 1);
}
