//! Every case of the vendors' vectors, and what no vector covers: configuration, keys, arbitrary bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn field<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}

fn body_of(case: &Value) -> Vec<u8> {
    STANDARD.decode(field(case, "raw_body_base64")).unwrap()
}

fn secrets(all: &[&str]) -> Secrets {
    Secrets::new(all.iter().map(|secret| SecretString::from(*secret)).collect())
}

fn deliver(
    provider: Provider,
    header: Option<&str>,
    body: &[u8],
    now_s: i64,
    secrets: &Secrets,
) -> Result<Verified, Rejected> {
    let name = match provider {
        Provider::Stripe => "stripe-signature",
        Provider::Tatum => "x-payload-hash",
        Provider::TrovoTech => "x-trovotech-signature",
        Provider::Heleket => "",
    };
    let header = |asked: &str| header.filter(|_| asked == name).map(str::as_bytes);
    let now = Timestamp::from_unix_ms(now_s * 1000);
    verify(Delivery { provider, header: &header, body, now }, secrets)
}

/// Runs one case with its own secret, with it as the second of two, and with others only.
fn check(provider: Provider, case: &Value, secret: &str, now_s: i64, accept: bool) {
    let (name, body, header) = (field(case, "name"), body_of(case), case["header"].as_str());
    let verdict = |all: &[&str]| deliver(provider, header, &body, now_s, &secrets(all));
    let alone = verdict(&[secret]);
    assert_eq!(alone.is_ok(), accept, "{provider} {name}: {alone:?}");
    assert_eq!(verdict(&["another", secret]), alone, "{provider} {name}, while the secret is rolled");
    assert!(verdict(&["another", "one more"]).is_err(), "{provider} {name}, with secrets of others");
    assert_eq!(verdict(&[]), Err(Rejected::NotConfigured));
    assert_eq!(verdict(&[""]), Err(Rejected::NotConfigured), "an empty secret is none");
    if let Ok(verified) = alone {
        let parsed = parse(provider, &body).unwrap();
        assert_eq!((parsed.event_key, parsed.event_type), (verified.event_key, verified.event_type));
    }
}

#[test]
fn every_stripe_vector_gets_the_verdict_of_stripes_own_libraries() {
    let cases = vectors(include_str!("../../vectors/stripe.json"));
    for case in &cases {
        let now = case["now"].as_i64().unwrap();
        // We offer no tolerance that switches the age check off; at its own time such a case is fine.
        let checked_at = if case["tolerance"] == 0 {
            let late = deliver(
                Provider::Stripe,
                case["header"].as_str(),
                &body_of(case),
                now,
                &secrets(&[field(case, "secret")]),
            );
            assert_eq!(late, Err(Rejected::Stale));
            1_760_000_000
        } else {
            now
        };
        check(Provider::Stripe, case, field(case, "secret"), checked_at, case["expect"] == "accept");
    }
    assert!(cases.len() >= 18);
}

#[test]
fn every_tatum_vector_gets_its_verdict() {
    let cases = vectors(include_str!("../../vectors/tatum.json"));
    for case in &cases {
        check(Provider::Tatum, case, field(case, "secret"), 0, case["expect"] == "accept");
    }
    assert!(cases.len() >= 12);
}

#[test]
fn every_trovotech_vector_gets_its_verdict() {
    let cases = vectors(include_str!("../../vectors/trovotech.json"));
    for case in &cases {
        check(Provider::TrovoTech, case, field(case, "secret"), 0, case["expect"] == "accept");
    }
    assert!(cases.len() >= 11);
}

#[test]
fn every_heleket_vector_gets_its_verdict() {
    let cases = vectors(include_str!("../../vectors/heleket.json"));
    for case in cases.iter().filter(|case| case["kind"] == "webhook") {
        // `policy`: the vendor's libraries disagree. We accept what either accepts (no vector here
        // repeats a key, which we refuse whoever accepts it).
        let accept = case["expect"] == "accept" || case["expect"] == "policy";
        check(Provider::Heleket, case, field(case, "api_key"), 0, accept);
    }
    for case in cases.iter().filter(|case| case["kind"] == "request") {
        let sign = heleket::sign::sign(&body_of(case), field(case, "api_key").as_bytes());
        assert_eq!(sign, field(case, "expected_sign"), "{}", field(case, "name"));
    }
    assert!(cases.len() >= 29);
}

#[test]
fn the_age_limit_is_three_hundred_seconds_inclusive() {
    let case = &vectors(include_str!("../../vectors/stripe.json"))[0];
    let at = |now| {
        deliver(
            Provider::Stripe,
            case["header"].as_str(),
            &body_of(case),
            now,
            &secrets(&[field(case, "secret")]),
        )
    };
    assert!(at(1_760_000_300).is_ok());
    assert_eq!(at(1_760_000_301), Err(Rejected::Stale));
    // A forged one is told that it is forged, not that it is late.
    let forged = deliver(Provider::Stripe, case["header"].as_str(), b"{}", 1_770_000_000, &secrets(&["x"]));
    assert_eq!(forged, Err(Rejected::BadSignature));
}

fn heleket(signed: &str, sent: &str) -> Result<Verified, Rejected> {
    let sign = heleket::sign::sign(signed.as_bytes(), b"k");
    deliver(Provider::Heleket, None, sent.replace("SIGN", &sign).as_bytes(), 0, &secrets(&["k"]))
}

#[test]
fn a_heleket_body_with_a_repeated_key_is_refused_though_its_signature_fits() {
    let signed = r#"{"uuid":"u","status":"paid","amount":"1"}"#;
    assert!(heleket(signed, r#"{"uuid":"u","status":"paid","amount":"1","sign":"SIGN"}"#).is_ok());
    let smuggled = r#"{"uuid":"u","amount":"900","status":"paid","amount":"1","sign":"SIGN"}"#;
    assert!(heleket(signed, smuggled).is_err());
    let twice_signed = r#"{"uuid":"u","status":"paid","amount":"1","sign":"SIGN","sign":"SIGN"}"#;
    assert!(heleket(signed, twice_signed).is_err());
    let nested = r#"{"uuid":"u","status":"paid","convert":{"a":1,"a":2}}"#;
    assert!(
        heleket(nested, r#"{"uuid":"u","status":"paid","convert":{"a":1,"a":2},"sign":"SIGN"}"#).is_err()
    );
}

#[test]
fn only_the_sign_at_the_top_of_a_heleket_body_is_taken_out() {
    let signed = r#"{"a":{"sign":"x"},"uuid":"u"}"#;
    for sent in [
        r#"{"a":{"sign":"x"},"uuid":"u","sign":"SIGN"}"#,
        r#"{"a":{"sign":"x"},"sign":"SIGN","uuid":"u"}"#,
        r#"{"sign":"SIGN","a":{"sign":"x"},"uuid":"u"}"#,
    ] {
        assert!(heleket(signed, sent).is_ok(), "{sent}");
    }
    assert!(heleket("{}", r#"{"sign":"SIGN"}"#).is_ok());
}

#[test]
fn event_keys_tell_events_apart_and_repetitions_not() {
    let key = |provider, body: &str| parse(provider, body.as_bytes()).unwrap().event_key;
    assert_eq!(key(Provider::Stripe, r#"{"id":"evt_1","type":"x"}"#), "evt_1");
    assert_eq!(key(Provider::Heleket, r#"{"uuid":"u","status":"paid","type":"payout"}"#), "u|paid");
    assert_eq!(
        key(Provider::TrovoTech, r#"{"event_type":"token.minted","data":{"token_id":"t","tx_hash":"h"}}"#),
        "token.minted|t|h"
    );
    let tatum = |rest: &str| {
        key(
            Provider::Tatum,
            &format!(r#"{{"subscriptionType":"S","chain":"c","txId":"t","address":"a"{rest}}}"#),
        )
    };
    assert_eq!(tatum(r#","type":"native","asset":"ETH","blockNumber":5"#), "S|c|t|a|native|ETH||confirmed");
    let stages =
        [r#","mempool":true,"blockNumber":5"#, r#","blockNumber":5"#, r#","blockNumber":5,"reorg":true"#];
    let keys: std::collections::HashSet<String> = stages.into_iter().map(tatum).collect();
    assert_eq!(keys.len(), 3, "one transfer has a key for each stage: {keys:?}");
    // Ids never run into each other, and one that is a prefix of another is another.
    assert_ne!(key_of(&["a|b", "c"]), key_of(&["a", "b|c"]));
    assert!(key_of(&[&"x".repeat(500)]).len() <= LONGEST_KEY);
}

#[test]
fn an_event_that_names_nothing_is_known_by_its_bytes() {
    for provider in Provider::ALL {
        let one = parse(provider, b"{\"a\":1}").unwrap().event_key;
        assert!(one.starts_with("body:"), "{provider} {one}");
        assert_ne!(one, parse(provider, b"{\"a\":2}").unwrap().event_key);
    }
}

#[test]
fn a_heleket_event_carries_our_reference_and_a_report() {
    let event = parse(
        Provider::Heleket,
        br#"{"type":"payout","uuid":"u","order_id":"o","status":"brand_new","amount":"1.5","currency":"USDT"}"#,
    )
    .unwrap();
    assert_eq!(event.our_reference.as_deref(), Some("o"));
    assert_eq!(event.event_type, "payout.brand_new");
    let report = event.report.unwrap();
    assert_eq!(report.progress, payfleet_core::provider::Progress::Unknown);
    assert_eq!(report.raw_status, "brand_new");
}

#[test]
fn a_connect_event_names_its_account_and_mode() {
    let event = parse(
        Provider::Stripe,
        br#"{"id":"evt_1","type":"payout.failed","account":"acct_1","livemode":false,
            "data":{"object":{"id":"po_1"}},"request":{"idempotency_key":"k"}}"#,
    )
    .unwrap();
    assert_eq!(event.account.as_deref(), Some("acct_1"));
    assert_eq!(event.livemode, Some(false));
    assert_eq!(event.provider_ref.as_deref(), Some("po_1"));
    assert_eq!(event.our_reference.as_deref(), Some("k"));
}

#[test]
fn neither_secrets_nor_payloads_are_printed() {
    let secrets = secrets(&["canary-secret"]);
    assert!(!format!("{secrets:?}").contains("canary"));
    let error = deliver(Provider::Heleket, None, b"{\"canary\":1}", 0, &secrets).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), header in ".{0,80}") {
        for provider in Provider::ALL {
            let _ = parse(provider, &body);
            let _ = (tatum::read_transfer(&body), trovotech::read_event(&body));
            prop_assert!(deliver(provider, Some(&header), &body, 0, &secrets(&["s"])).is_err());
        }
    }

    #[test]
    fn json_of_any_shape_never_panics(
        name in "id|type|uuid|sign|status|data|event_type|txId|blockNumber|is_final|amount|currency|chain|value|address",
        value in r#"null|true|-1.50|1e999|"x"|"\\ud800"|\[\]|\[\{\}\]|\{\}|\{"object":\{"id":7\}\}|\{"token_id":\[1\]\}"#,
    ) {
        let body = format!("{{\"{name}\":{value},\"type\":\"payout\",\"event_type\":\"token.minted\"}}");
        for provider in Provider::ALL {
            let _ = parse(provider, body.as_bytes());
            let _ = (tatum::read_transfer(body.as_bytes()), trovotech::read_event(body.as_bytes()));
            let _ = deliver(provider, Some("t=1,v1=x"), body.as_bytes(), 0, &secrets(&["s"]));
        }
    }

    #[test]
    fn a_word_that_nobody_knows_survives_in_the_event(word in "[a-z_]{1,40}") {
        for (provider, body) in [
            (Provider::Stripe, format!(r#"{{"id":"e","type":"payout.{word}","data":{{"object":{{
                "id":"po_1","object":"payout","status":"{word}","amount":1,"currency":"usd"}}}}}}"#)),
            (Provider::Tatum, format!(r#"{{"subscriptionType":"{word}","type":"{word}","txId":"t"}}"#)),
            (Provider::Heleket, format!(r#"{{"type":"payout","uuid":"u","status":"{word}"}}"#)),
            (Provider::TrovoTech, format!(r#"{{"event_type":"{word}","data":{{"status":"{word}"}}}}"#)),
        ] {
            let event = parse(provider, body.as_bytes()).unwrap();
            prop_assert!(event.event_type.contains(&word), "{} {}", provider, event.event_type);
            if let Some(report) = event.report {
                prop_assert!(report.raw_status.contains(&word), "{} {}", provider, report.raw_status);
            }
        }
    }

    #[test]
    fn any_body_is_verified_and_any_flipped_byte_of_it_or_its_header_is_not(
        text in "[ -~é]{0,40}",
        number in 0_u32..,
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let now = Timestamp::from_unix_ms(1_780_000_000_000);
        let member = serde_json::to_string(&text).unwrap();
        let body = format!(r#"{{"id":"{number}","uuid":"u","txId":{number},"type":{member},"data":{{}}}}"#);
        for provider in Provider::ALL {
            let signed = sign(provider, body.as_bytes(), &"key".into(), now).unwrap();
            let value = signed.header.map(|(_, value)| value);
            let verdict = |value: Option<&str>, body: &[u8]| {
                deliver(provider, value, body, now.unix_s(), &secrets(&["key"]))
            };
            prop_assert!(verdict(value.as_deref(), &signed.body).is_ok(), "{}", provider);
            let mut flipped = signed.body.clone();
            let place = at.index(flipped.len());
            flipped[place] ^= flip;
            prop_assert!(verdict(value.as_deref(), &flipped).is_err(), "{} {}", provider, place);
            let Some(value) = value else { continue };
            let mut flipped = value.clone().into_bytes();
            let place = at.index(flipped.len());
            flipped[place] ^= flip;
            if let Ok(flipped) = std::str::from_utf8(&flipped) {
                prop_assert!(verdict(Some(flipped), &signed.body).is_err(), "{} {}", provider, place);
            }
        }
    }
}
