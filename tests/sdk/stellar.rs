//! Stellar's own library against our XDR, our signatures, and our sandbox of Bantu's ledger.

use std::process::Stdio;
use std::sync::Arc;

use payfleet_process::SystemClock;
use payfleet_providers::sandbox::{self, Options};
use payfleet_providers::trovotech::bantupay::Seed;
use payfleet_providers::trovotech::transaction::{ExpectedPayment, PaymentAsset, UnsignedPayment};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::script::{in_node, passes, said};

const PASSED: &str = "all as Stellar does it";
/// The upper time bound of every transaction that the library builds.
const END_S: u64 = 1_760_003_600;

/// The seed of who pays, on both sides.
fn seed() -> Seed {
    Seed::new([7; 32])
}

fn text<'a>(made: &'a Value, name: &str) -> &'a str {
    made[name].as_str().unwrap()
}

/// What was asked for, as the library says it built it.
fn asked(made: &Value) -> ExpectedPayment {
    let asset = &made["asset"];
    ExpectedPayment {
        source: text(made, "source").to_owned(),
        destination: text(made, "destination").to_owned(),
        asset: if asset.is_null() {
            PaymentAsset::Native
        } else {
            PaymentAsset::Issued {
                code: text(asset, "code").to_owned(),
                issuer: text(asset, "issuer").to_owned(),
            }
        },
        amount: text(made, "amount").parse::<Decimal>().unwrap(),
        memo: made["memo"].as_str().map(str::to_owned),
        highest_fee: 100,
        now_s: END_S - 60,
        dead_after_s: END_S,
    }
}

/// Reads and signs what the library built: the same hash, signature and envelope as its own.
fn redone(made: &Value) -> Value {
    let unsigned = UnsignedPayment::decode(text(made, "unsigned")).unwrap();
    assert_eq!(unsigned.check(&asked(made)), Ok(()), "{made}");
    let passphrase = text(made, "passphrase");
    let signed = unsigned.sign(&seed(), passphrase);
    assert_eq!(signed.hash, text(made, "hash"));
    assert_eq!(signed.signature, text(made, "signature"));
    assert_eq!(signed.envelope, text(made, "signed"));
    json!({
        "passphrase": passphrase, "amount": made["amount"], "memo": made["memo"],
        "envelope": signed.envelope, "hash": signed.hash, "signature": signed.signature,
    })
}

#[tokio::test]
async fn stellars_library_reads_and_verifies_what_we_sign_and_we_what_it_builds() {
    let Some(mut build) = in_node("stellar.mjs") else { return };
    let built: Vec<Value> = serde_json::from_str(&said(build.arg("build")).await).unwrap();
    let payments: Vec<Value> = built.iter().map(redone).collect();
    assert_eq!(payments.len(), 50);
    let requests: Vec<Value> =
        [("/v2/users/alice?limit=10", ""), ("/v2/users/alice/payments", " {\"a\":\"é\"}\n")]
            .into_iter()
            .map(|(path, body)| {
                let text = format!("{path}{}", body.trim());
                json!({ "text": text, "signature": seed().sign_request(path, body) })
            })
            .collect();
    let mut check = in_node("stellar.mjs").unwrap();
    let mut checking = check.arg("check").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let ours = json!({ "payments": payments, "requests": requests }).to_string();
    checking.stdin.take().unwrap().write_all(ours.as_bytes()).await.unwrap();
    let output = checking.wait_with_output().await.unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains(PASSED));
}

#[tokio::test]
async fn stellars_library_takes_our_ledger_for_a_stellar_network() {
    let Some(script) = in_node("stellar.mjs") else { return };
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path().to_owned(), Arc::new(SystemClock));
    let sandbox = sandbox::start_trovotech(options).await.unwrap();
    let mut script: Command = script;
    script.arg("sandbox");
    passes(script, &sandbox, PASSED).await;
}
