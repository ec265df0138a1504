//! Answers that are none: any text, and real answers with something in them changed. Whatever was asked,
//! nothing panics, no effect is taken for refused or for harmless, no read for final, and nothing of the
//! answer is quoted.

use payfleet_core::address::Network;
use payfleet_core::provider::{CallOutcome, Provider};
use payfleet_core::{Classify, OutcomeClass, Timestamp};
use payfleet_providers::heleket::{Pretended, Wallet};
use payfleet_providers::stripe::{
    AccountLinkType, Confirmation, CustomerFields, EventFilter, ListFilter, NewAccount, NewAccountLink,
    NewPaymentIntent, NewPayout, NewRefund, NewReversal, NewTransfer, NewWebhookEndpoint,
    PaymentMethodFilter, PayoutReversal,
};
use payfleet_providers::tatum::{Chain, SignedTransaction, Template, Watch};
use payfleet_providers::trovotech::{Investor, Revenue};
use payfleet_providers::{Clients, ProviderError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bench::{clients, key, listed, mint, payout};
use crate::stripe::line::{Answer, Line};
use crate::stripe::{client, key as stripe_key, money};

/// Real answers, each of which one of the calls below would take.
const BODIES: &[&str] = &[
    r#"{"state":0,"result":{"uuid":"u","amount":"1.00000000","currency":"USDT","network":"tron","address":"T1","status":"process","is_final":false,"txid":null,"commission":"0.3","balance":7}}"#,
    r#"{"state":0,"result":{"items":[{"uuid":"u","order_id":null,"status":"paid","is_final":true,"amount":"1","currency":"USDT","address":"T","created_at":"2026-05-01T12:00:00+03:00"}],"paginate":{"nextCursor":null,"perPage":15}}}"#,
    r#"{"state":0,"result":[{"network":"TRON","currency":"USDT","is_available":true,"limit":{"min_amount":"0.5","max_amount":"10"},"commission":{"fee_amount":"0.3","percent":"0"}}]}"#,
    r#"{"state":0,"result":{"amount":"1","commission":"0.3","merchant_amount":"1.3","user_wallet_uuid":"a","merchant_wallet_uuid":"b","merchant":[{"uuid":"u","balance":"1","currency_code":"USDT"}],"user":[]}}"#,
    r#"{"token_id":"T","tx_hash":"00ff","wallet_address":"GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57","balance":0.5,"uri":"b://1","payout_id":"P","distributions":[{"token_id":"T","amount":100}]}"#,
    r#"[{"tokenId":"T","txHash":"00ff","fractionOwned":12.50,"investmentAmount":9007199254740993,"mintedAt":"2026-05-01T12:00:00Z"}]"#,
    r#"{"hash":"00ff","successful":true,"ledger":7,"paging_token":"7","_embedded":{"records":[{"hash":"00ff","successful":true,"paging_token":"7"}]}}"#,
    r#"{"hash":"0xff","blockNumber":7,"status":true,"to":"0x1","value":"50000000000000000","txId":"0xff","id":"66b0c0ffee0c0ffee0c0ffee"}"#,
    r#"{"hash":"00ff","blockNumber":-1,"outputs":[{"value":100000,"address":"bc1"}],"ret":[{"contractRet":"SUCCESS"}]}"#,
    r#"[{"id":"66b0c0ffee0c0ffee0c0ffee","type":"ADDRESS_EVENT","attr":{"chain":"ETH","address":"0x1","url":"u"},"subscriptionId":"66b0c0ffee0c0ffee0c0ffee","data":{},"timestamp":1,"retryCount":0,"failed":false}]"#,
    r#"{"id":"ETH","value":"3150.25","basePair":"USD","timestamp":1780000000000,"source":"s"}"#,
    r#"{"id":"pi_1","object":"payment_intent","amount":100,"amount_capturable":0,"amount_received":0,"currency":"usd","status":"succeeded","capture_method":"automatic","created":1760000000,"livemode":false,"metadata":{}}"#,
    r#"{"object":"list","data":[{"id":"re_1","object":"refund","amount":5,"currency":"jpy","status":"pending","created":1760000000,"metadata":{}}],"has_more":false,"url":"/v1"}"#,
    r#"{"object":"balance","available":[{"amount":-5,"currency":"kwd"}],"pending":[],"livemode":false}"#,
];

/// What takes the place of a part.
const FILLINGS: &[&str] = &[
    "",
    "null",
    "{",
    "[",
    "]",
    "}",
    "\"",
    ",",
    ":",
    "-",
    "1e999",
    "99999999999999999999999999999999",
    "0.00000000000000000000000000000001",
    "true",
    "\\u0000",
    "\\ud800",
    "\"a\":1,\"a\":2",
    "é",
];

fn body() -> impl Strategy<Value = String> {
    let parts = (0..BODIES.len(), any::<prop::sample::Index>(), 0_usize..12, 0..FILLINGS.len());
    let changed = parts.prop_map(|(which, at, length, filling)| {
        let mut body = BODIES[which].to_owned();
        let start = at.index(body.len());
        body.replace_range(start..(start + length).min(body.len()), FILLINGS[filling]);
        body
    });
    prop_oneof![4 => changed, 1 => "\\PC{0,60}".prop_map(|text| format!("canary{text}"))]
}

/// The errors of effects, and those of reads.
#[derive(Default)]
struct Ended {
    calls: usize,
    effects: Vec<ProviderError>,
    reads: Vec<ProviderError>,
}

impl Ended {
    fn effect<T>(&mut self, ended: Result<T, ProviderError>) {
        self.calls += 1;
        self.effects.extend(ended.err());
    }

    fn read<T>(&mut self, ended: Result<T, ProviderError>) {
        self.calls += 1;
        self.reads.extend(ended.err());
    }
}

fn window() -> (Timestamp, Timestamp) {
    (Timestamp::from_unix_ms(0), Timestamp::from_unix_ms(4_000_000_000_000))
}

async fn heleket(clients: &Clients, ended: &mut Ended) {
    let client = clients.heleket().unwrap();
    let usdt = money("1", "USDT");
    ended.read(client.services().await);
    ended.read(client.preview(&usdt, Network::Tron).await);
    ended.read(client.balances().await);
    ended.effect(client.transfer(Wallet::Personal, &usdt).await);
    let url = "https://shop.example/hooks";
    ended.read(client.test_webhook(Pretended::Payout, url, usdt.asset(), Network::Tron, "paid").await);
}

async fn trovotech(clients: &Clients, ended: &mut Ended) {
    let (client, key) = (clients.trovotech().unwrap(), key(Provider::TrovoTech, "a"));
    let investor = Investor { email: "i@example.com", name: "I", kyc_verified: true };
    let tokens = ["T".to_owned()];
    let revenue = Revenue { token_ids: &tokens, total: money("100", "NGN"), period: "p", description: "d" };
    ended.effect(client.create_wallet(investor, &key).await);
    ended.read(client.wallet("G1").await);
    ended.effect(client.distribute(&revenue, &key).await);
    ended.read(client.own_tokens().await);
    ended.read(client.transaction("00ff").await);
    ended.read(client.transactions_of("G1", None).await);
}

/// Payouts and mints, as the executor makes them.
async fn effects(clients: &Clients, ended: &mut Ended) {
    for (provider, asked) in [(Provider::Heleket, payout("1")), (Provider::TrovoTech, mint("1"))] {
        let (client, key) = (clients.of(provider).unwrap(), key(provider, "a"));
        ended.calls += 1;
        if let CallOutcome::Failed { class, code, message } = client.call(&asked, &key).await.outcome {
            assert_eq!(class, OutcomeClass::Ambiguous, "{provider} {code}: {message}");
            assert!(!message.contains("canary"));
        }
        ended.read(client.poll(&asked, "u", None).await);
        ended.read(client.poll(&asked, "u", Some("00ff")).await);
        ended.read(listed(client, window().0, window().1).await);
        ended.read(client.knows(&[(asked.clone(), "u".to_owned())]).await);
    }
}

async fn tatum(clients: &Clients, ended: &mut Ended) {
    let (client, id) = (clients.tatum().unwrap(), "66b0c0ffee0c0ffee0c0ffee".parse().unwrap());
    let address = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94";
    let (chain, template) = (Chain::Ethereum, Template::Enriched);
    let watch = Watch { chain, address, url: "https://u.example", template, mempool: false };
    ended.effect(client.subscribe(&watch).await);
    ended.read(client.list_subscriptions(None).await);
    ended.read(client.pause_subscription(&id, true).await);
    ended.read(client.delete_subscription(&id).await);
    ended.read(client.enable_hmac(&"secret".into()).await);
    for chain in Chain::ALL {
        ended.read(client.transaction(chain, "0xff").await);
        ended.read(client.depth(chain, "00ff").await);
    }
    let (eth, usd) = ("ETH".parse().unwrap(), "USD".parse().unwrap());
    ended.read(client.rate(eth, usd).await);
    ended.read(client.executed_page(0).await);
    let signed = SignedTransaction::new(Chain::Tron, r#"{"raw_data_hex":"00"}"#).unwrap();
    ended.effect(client.broadcast(&signed).await);
}

async fn stripe_effects(url: &str, ended: &mut Ended) {
    let (client, key, usd) = (client(url, "sk"), stripe_key("a"), money("1", "USD"));
    let us = client.platform();
    ended.effect(us.create_payment_intent(&NewPaymentIntent::of(usd), &key).await);
    ended.effect(us.confirm_payment_intent("pi_1", &Confirmation::default(), &key).await);
    ended.effect(us.capture_payment_intent("pi_1", None, &key).await);
    ended.effect(us.cancel_payment_intent("pi_1", None, &key).await);
    ended.effect(us.create_refund(&NewRefund::of("pi_1".to_owned()), &key).await);
    ended.effect(us.create_customer(&CustomerFields::default(), &key).await);
    ended.effect(us.update_customer("cus_1", &CustomerFields::default(), &key).await);
    ended.effect(us.delete_customer("cus_1").await);
    ended.effect(us.attach_payment_method("pm_1", "cus_1", &key).await);
    ended.effect(us.detach_payment_method("pm_1", &key).await);
    ended.effect(us.create_account(&NewAccount::default(), &key).await);
    let (refresh_url, return_url) = (String::new(), String::new());
    let account = "acct_1".to_owned();
    let link = NewAccountLink { account, refresh_url, return_url, kind: AccountLinkType::Onboarding };
    ended.effect(us.create_account_link(&link, &key).await);
    ended.effect(us.create_transfer(&NewTransfer::of(usd, "acct_1".to_owned()), &key).await);
    ended.effect(us.reverse_transfer("tr_1", &NewReversal::default(), &key).await);
    ended.effect(us.create_payout(&NewPayout::of(usd), &key).await);
    ended.effect(us.cancel_payout("po_1", &key).await);
    ended.effect(us.reverse_payout("po_1", &PayoutReversal::default(), &key).await);
    let endpoint = NewWebhookEndpoint { url: String::new(), enabled_events: Vec::new(), connect: None };
    ended.effect(us.create_webhook_endpoint(&endpoint, &key).await);
}

async fn stripe_reads(url: &str, ended: &mut Ended) {
    let (client, all) = (client(url, "sk"), ListFilter::default());
    let us = client.platform();
    ended.read(us.payment_intent("pi_1", &[]).await);
    ended.read(us.all_payment_intents(&all).await);
    ended.read(us.search_payment_intents("q").await);
    ended.read(us.refund("re_1").await);
    ended.read(us.all_refunds(&all).await);
    ended.read(us.customer("cus_1").await);
    ended.read(us.payment_methods("cus_1", &PaymentMethodFilter::default()).await);
    ended.read(us.connected_account("acct_1").await);
    ended.read(us.transfer("tr_1").await);
    ended.read(us.all_transfers(&all).await);
    ended.read(us.payout("po_1").await);
    ended.read(us.all_payouts(&all).await);
    ended.read(us.balance().await);
    ended.read(us.all_balance_transactions(&all).await);
    ended.read(us.event("evt_1").await);
    ended.read(us.all_events(&EventFilter::default()).await);
}

#[test]
fn whatever_is_answered_nothing_panics_and_nothing_is_taken_for_proof() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let line = runtime.block_on(Line::start(vec![Answer::Reset]));
    let clients = clients(&line.url, |_| {});
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&body(), |body| {
        line.answer(Answer::Json(200, "", body.clone()));
        let mut ended = Ended::default();
        runtime.block_on(async {
            effects(&clients, &mut ended).await;
            heleket(&clients, &mut ended).await;
            trovotech(&clients, &mut ended).await;
            tatum(&clients, &mut ended).await;
            stripe_effects(&line.url, &mut ended).await;
            stripe_reads(&line.url, &mut ended).await;
        });
        prop_assert!(ended.calls > 60 && !ended.reads.is_empty(), "one body is not everything");
        for (errors, class) in
            [(&ended.effects, OutcomeClass::Ambiguous), (&ended.reads, OutcomeClass::Retryable)]
        {
            for error in errors {
                prop_assert_eq!(error.class(), class, "{}", error);
                prop_assert!(!format!("{error} {error:?}").contains("canary"), "{}", error);
            }
        }
        Ok(())
    });
    result.unwrap();
}
