//! Webhooks stored in one transaction, each with its own outcome.

use payfleet_core::address::Network;
use payfleet_core::kinds::lifecycle::{Event, State};
use payfleet_core::provider::{CallOutcome, Progress, Provider, Report};
use payfleet_core::{AccountId, Money, Timestamp};
use payfleet_store::{IncomingWebhook, Next, SeenDeposit, Store, Taken, WebhookContent, WebhookCount};
use payfleet_tests::store::{audit, claim, claim_again, intent, job, open, order, overdue, payout, store};

fn incoming(event_key: &str, content: WebhookContent) -> IncomingWebhook {
    IncomingWebhook {
        provider: Provider::Heleket,
        account: AccountId::default(),
        event_key: event_key.to_owned(),
        event_type: "payout".to_owned(),
        body: event_key.as_bytes().to_vec(),
        received_at: Timestamp::from_unix_ms(1_790_000_000_000),
        content,
    }
}

/// A hint under the inbox key that the worker gives it.
fn hint(event_key: &str, ours: Option<&str>, theirs: Option<&str>) -> IncomingWebhook {
    let hash = payfleet_core::ids::RequestHash::of(event_key.as_bytes()).to_hex();
    let content = WebhookContent::Hint {
        our_reference: ours.map(str::to_owned),
        provider_ref: theirs.map(str::to_owned),
        inbox_key: format!("webhook:{event_key}:{}", &hash[..16]),
        event: Box::new(Event::Hinted { report: Report::of("u1", Progress::Pending, "process") }),
    };
    incoming(event_key, content)
}

/// One payout that is accepted as `u1`, and one whose call is under way, with its reference.
async fn operations(store: &Store) -> String {
    let mut accepted = claim(store, &payout("accepted"), "w").await;
    open(store, &mut accepted, "w").await;
    let report = Report::of("u1", Progress::Pending, "process");
    let event = Event::Called { intent: 1, outcome: CallOutcome::Accepted { report } };
    let in_an_hour = |_: &State| Next::After { ms: 3_600_000 };
    store.record(&mut accepted, &job("w"), &event, None, &in_an_hour).await.unwrap();
    let mut calling = claim(store, &payout("calling"), "w").await;
    let reference = intent(&calling).reference;
    open(store, &mut calling, "w").await;
    reference
}

fn counted(status: &str, count: i64) -> WebhookCount {
    WebhookCount { provider: "heleket".to_owned(), status: status.to_owned(), count }
}

#[tokio::test]
async fn each_event_of_a_batch_has_its_own_outcome() {
    let store = store().await;
    let reference = operations(&store).await;
    let batch = [
        hint("known", None, Some("u1")),
        incoming("ignored", WebhookContent::Ignored { detail: "moves nothing".to_owned() }),
        hint("unknown", None, Some("u9")),
        hint("calling", Some(&reference), None),
        hint("known again", None, Some("u1")),
    ];
    let taken = store.take_webhooks(&batch).await.unwrap();
    let words: Vec<String> = taken
        .iter()
        .map(|one| match one {
            Taken::Processed { operation, wants_job, .. } => format!("{} {wants_job}", operation.id),
            Taken::Deposited => "deposited".to_owned(),
            Taken::Ignored => "ignored".to_owned(),
            Taken::Left => "left".to_owned(),
        })
        .collect();
    let (accepted, calling) = (payout("accepted").id(), payout("calling").id());
    let (woken, awake) = (format!("{accepted} true"), format!("{accepted} false"));
    assert_eq!(words, [woken.as_str(), "ignored", "left", &format!("{calling} false"), &awake]);
    // The one that is left was not stored: whoever handles it alone stores it.
    assert_eq!(store.webhook_counts().await.unwrap(), [counted("ignored", 1), counted("processed", 3)]);
    let due = overdue(&store).await;
    assert_eq!(due.iter().map(|one| one.operation.id).collect::<Vec<_>>(), [accepted]);
    assert_eq!(audit(&store).await, []);

    // Again, as after a lost answer: nothing is written, and each finds that it was handled.
    let again = store.take_webhooks(&batch).await.unwrap();
    assert!(again.iter().all(|one| matches!(one, Taken::Left)), "{again:?}");
    assert_eq!(store.webhook_counts().await.unwrap(), [counted("ignored", 1), counted("processed", 3)]);
    claim_again(&store, accepted, "w").await;
    assert_eq!(audit(&store).await, []);
}

#[tokio::test]
async fn another_body_under_a_known_event_key_is_a_variant_in_a_batch_too() {
    let store = store().await;
    operations(&store).await;
    store.take_webhooks(&[hint("known", None, Some("u1"))]).await.unwrap();
    let mut other = hint("known", None, Some("u1"));
    other.body = b"another".to_vec();
    if let WebhookContent::Hint { inbox_key, .. } = &mut other.content {
        let hash = payfleet_core::ids::RequestHash::of(b"another").to_hex();
        *inbox_key = format!("webhook:known:{}", &hash[..16]);
    }
    let taken = store.take_webhooks(&[other]).await.unwrap();
    assert!(matches!(taken.as_slice(), [Taken::Processed { variant: true, .. }]), "{taken:?}");
    assert_eq!(audit(&store).await, []);
}

#[tokio::test]
async fn a_batch_with_an_event_that_cannot_be_stored_writes_nothing() {
    let store = store().await;
    operations(&store).await;
    let batch = [hint("known", None, Some("u1")), hint("a\0b", None, Some("u1"))];
    store.take_webhooks(&batch).await.unwrap_err();
    assert_eq!(store.webhook_counts().await.unwrap(), []);
    assert!(overdue(&store).await.is_empty());
}

/// Tatum tells of a transfer once while it waits and once when it is in a block.
#[tokio::test]
async fn deposits_of_a_batch_are_written_down_once_each_for_the_order_at_their_address() {
    let store = store().await;
    let mut placed = claim(&store, &order("placed"), "w").await;
    let derive = |index: u32| Ok(format!("address {index}"));
    store.allot(&mut placed, Network::Tron, &derive).await.unwrap();
    let deposit = |event_key: &str, address: &str, block: Option<u64>| {
        let amount = if event_key == "lie" { "1000" } else { "10" };
        let seen = SeenDeposit {
            network: Network::Tron,
            transaction: "t1".to_owned(),
            place: String::new(),
            address_key: Network::Tron.key_of(address),
            money: Money::parse_positive(amount, "TRX".parse().unwrap()).unwrap(),
            is_coin: true,
            block,
        };
        let told = incoming(event_key, WebhookContent::Deposit { seen: Box::new(seen) });
        IncomingWebhook { provider: Provider::Tatum, ..told }
    };
    let batch = [
        deposit("pool", "address 0", None),
        deposit("strange", "address 9", Some(7)),
        deposit("block", "address 0", Some(7)),
    ];
    let taken = store.take_webhooks(&batch).await.unwrap();
    assert!(matches!(taken.as_slice(), [Taken::Deposited, Taken::Left, Taken::Deposited]), "{taken:?}");
    assert!(store.due_deposits(Network::Tron, 6, 10).await.unwrap().is_empty(), "not deep enough");
    let due = store.due_deposits(Network::Tron, 7, 10).await.unwrap();
    let seen: Vec<_> = due.iter().map(|one| (one.operation, one.seen.block, one.told_otherwise)).collect();
    assert_eq!(seen, [(order("placed").id(), Some(7), false)]);
    let processed = WebhookCount { provider: "tatum".to_owned(), ..counted("processed", 2) };
    assert_eq!(store.webhook_counts().await.unwrap(), [processed]);
    store
        .take_webhooks(&[deposit("lie", "address 0", Some(7)), deposit("again", "address 0", Some(7))])
        .await
        .unwrap();
    let due = store.due_deposits(Network::Tron, 7, 10).await.unwrap();
    let seen: Vec<_> = due.iter().map(|one| (one.seen.money.to_string(), one.told_otherwise)).collect();
    assert_eq!(seen, [("10 TRX".to_owned(), true)], "what was told first, and that it was contradicted");
    assert_eq!(audit(&store).await, []);
}
