//! A store on a fresh database, and operations to put into it.

use payfleet_core::address::Network;
use payfleet_core::job::TraceContext;
use payfleet_core::kinds::mint::{AssetMetadata, AssetType, Share};
use payfleet_core::kinds::order::Order;
use payfleet_core::kinds::payout::{Destination, Origin, Payout};
use payfleet_core::kinds::{NewOperation, Request};
use payfleet_core::{AccountId, JobId, Money, OperationId, ProviderKey, TenantId};
use payfleet_store::{
    AuditNews, Claim, ClaimRequest, Claimed, Finding, JobRef, NewIntent, Opened, Overdue, OverduePlace, Store,
};

/// Where the payouts of tests go.
pub const ADDRESS: &str = "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm";
/// Where the mints of tests go.
pub const WALLET: &str = "GDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZA57";

/// A store on a fresh, migrated database.
pub async fn store() -> Store {
    Store::connect_lazy(&crate::servers::database().await, 8).expect("the URL of a test database")
}

/// A payout of 15.5 USDT under `key`.
pub fn payout(key: &str) -> NewOperation {
    payout_of(key, "15.5")
}

/// A payout of `amount` USDT under `key`.
pub fn payout_of(key: &str, amount: &str) -> NewOperation {
    let money = Money::parse_positive(amount, "USDT".parse().expect("an asset")).expect("an amount");
    let to = Destination::Crypto { network: Network::Tron, address: ADDRESS.to_owned() };
    let payout = Payout { money, to, reference: None, origin: Origin::Manual };
    operation(key, Request::Payout(payout))
}

/// A mint of `percent` of `asset_id` under `key`.
pub fn mint(key: &str, asset_id: &str, percent: &str) -> NewOperation {
    let share = Share {
        asset_id: asset_id.to_owned(),
        asset_type: AssetType::Ev,
        metadata: AssetMetadata {
            name: "Bus 1".to_owned(),
            model: "E-Bus".to_owned(),
            purchase_date: "2026-01-31".to_owned(),
            purchase_price: "90000".to_owned(),
            lifespan_years: 10,
        },
        wallet: WALLET.to_owned(),
        percent: percent.to_owned().try_into().expect("a percentage"),
        invested: Money::parse_positive("500", "USD".parse().expect("an asset")).expect("an amount"),
    };
    operation(key, Request::Mint(share))
}

/// An order of 10 TRX under `key`.
pub fn order(key: &str) -> NewOperation {
    let money = Money::parse_positive("10", "TRX".parse().expect("an asset")).expect("an amount");
    operation(
        key,
        Request::Order(Order { money, network: Network::Tron, lifetime_s: 3_600, reference: None }),
    )
}

/// `request` of tenant `default` under `key`.
pub fn operation(key: &str, request: Request) -> NewOperation {
    NewOperation {
        tenant: TenantId::default(),
        idempotency_key: key.to_owned(),
        account: AccountId::default(),
        request,
    }
}

/// The one job of a test, as it is delivered to `worker`.
pub fn job(worker: &str) -> JobRef {
    JobRef { id: JobId::named("test", &[]), worker: worker.to_owned(), trace: TraceContext::default() }
}

/// Claims `new`, making its row.
pub async fn claim(store: &Store, new: &NewOperation, worker: &str) -> Claimed {
    claim_with(store, new.id(), Some(new), worker).await
}

/// Claims an operation that has a row.
pub async fn claim_again(store: &Store, id: OperationId, worker: &str) -> Claimed {
    claim_with(store, id, None, worker).await
}

async fn claim_with(store: &Store, id: OperationId, first: Option<&NewOperation>, worker: &str) -> Claimed {
    let request = ClaimRequest { id, first, job: job(worker), redrive: false };
    match store.claim(&request).await.expect("a claim") {
        Claim::Claimed(claimed) => *claimed,
        other => panic!("not claimed: {other:?}"),
    }
}

/// The first intent of a claimed operation.
pub fn intent(claimed: &Claimed) -> NewIntent {
    let operation = &claimed.operation;
    let (provider, action) = (operation.request.provider(), operation.request.action());
    let key = ProviderKey::derive(provider, &operation.account, operation.id, action, 1);
    NewIntent {
        number: 1,
        action,
        reference: key.prefix(32).to_owned(),
        key,
        request_hash: operation.request.hash(),
        reservation: operation.reservation(),
    }
}

/// Commits the first intent of a claimed operation.
pub async fn open(store: &Store, claimed: &mut Claimed, worker: &str) -> Opened {
    let intent = intent(claimed);
    store.open_intent(claimed, &intent, &job(worker)).await.expect("an answer")
}

/// What is overdue now, as the rescuer finds it at its first look.
pub async fn overdue(store: &Store) -> Vec<Overdue> {
    store.overdue(0, 100, &mut OverduePlace::default()).await.expect("an answer")
}

/// Everything the audit finds.
pub async fn audit(store: &Store) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut keep = |news: AuditNews<'_>| {
        if let AuditNews::Found(finding) = news {
            findings.push(finding.clone());
        }
    };
    store.audit(&mut keep).await.expect("an audit");
    findings
}
