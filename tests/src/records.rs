//! Made-up records that agree: as many at a provider's sandbox as in Postgres. For comparing long ones; no
//! audit would let them pass, so their World ends with [`World::leave`].

use std::collections::BTreeMap;

use payfleet_core::address::Network;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::order::Order;
use payfleet_core::kinds::payout::Origin;
use payfleet_core::kinds::transfer::Transfer;
use payfleet_core::kinds::{NewOperation, Request};
use payfleet_core::provider::Provider;
use payfleet_core::{AccountId, Clock, Money, OperationId, TenantId, Timestamp};
use payfleet_process::SystemClock;
use payfleet_providers::sandbox::Sandbox;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::store::{ADDRESS, mint, payout_of};
use crate::world::{Effect, World};

/// How many rows go to Postgres together.
const BATCH: usize = 5_000;

/// Makes `count` records up, of 1.5 each, at the provider and here; the window that holds them.
pub async fn agree(world: &World, provider: Provider, count: u32) -> (Timestamp, Timestamp) {
    let now = SystemClock.now().whole_second();
    // Long past, and each of the window's seconds is whole.
    let (from, to) = (now.plus_ms(-40 * 86_400_000), now.plus_ms(-10 * 86_400_000));
    let account = OperationId::derive(&TenantId::default(), "/v1/accounts", "filled");
    let about = match provider {
        Provider::Tatum => ADDRESS,
        Provider::Stripe | Provider::Heleket | Provider::TrovoTech => "acct_filled",
    };
    let sandbox = sandbox(world, provider);
    world.providers.fill(sandbox, count, (from, to), about).await;
    let mut connection = PgConnection::connect(world.database_url()).await.expect("a connection");
    if provider == Provider::Tatum {
        deposits(&mut connection, count, (from, to)).await;
    } else {
        let effects = world.providers.effects(sandbox).await;
        let filled: Vec<&Effect> =
            effects.iter().filter(|one| (from.unix_ms()..to.unix_ms()).contains(&one.at)).collect();
        assert_eq!(filled.len(), usize::try_from(count).expect("a count"));
        for some in filled.chunks(BATCH) {
            operations(&mut connection, provider, account, some).await;
        }
    }
    connection.close().await.expect("a clean end");
    (from, to)
}

fn sandbox(world: &World, provider: Provider) -> &Sandbox {
    match provider {
        Provider::Stripe => &world.providers.stripe,
        Provider::Tatum => &world.providers.tatum,
        Provider::Heleket => &world.providers.heleket,
        Provider::TrovoTech => &world.providers.trovotech,
    }
}

fn new(reference: &str, request: Request) -> NewOperation {
    NewOperation {
        tenant: TenantId::default(),
        idempotency_key: reference.to_owned(),
        account: AccountId::default(),
        request,
    }
}

fn asked(provider: Provider, account: OperationId, reference: &str) -> NewOperation {
    match provider {
        Provider::TrovoTech => mint(reference, reference, "100"),
        Provider::Stripe => {
            let money = Money::parse_positive("1.5", "USD".parse().expect("an asset")).expect("an amount");
            new(
                reference,
                Request::Transfer(Transfer { money, account, group: None, origin: Origin::Manual }),
            )
        }
        Provider::Heleket | Provider::Tatum => payout_of(reference, "1.5"),
    }
}

/// An operation and its intent for each effect, settled when it happened.
async fn operations(
    connection: &mut PgConnection,
    provider: Provider,
    account: OperationId,
    effects: &[&Effect],
) {
    let new: Vec<NewOperation> =
        effects.iter().map(|effect| asked(provider, account, &effect.reference)).collect();
    let ids: Vec<Uuid> = new.iter().map(|one| one.id().as_uuid()).collect();
    let references: Vec<&str> = effects.iter().map(|effect| effect.reference.as_str()).collect();
    let refs: Vec<&str> = effects.iter().map(|effect| effect.id.as_str()).collect();
    let times: Vec<i64> = effects.iter().map(|effect| effect.at).collect();
    let requests: Vec<Value> =
        new.iter().map(|one| serde_json::to_value(&one.request).expect("JSON")).collect();
    let hashes: Vec<Vec<u8>> = new.iter().map(|one| one.request.hash().as_bytes().to_vec()).collect();
    let states: Vec<Value> = refs.iter().map(|id| settled(id)).collect();
    let kind = new.first().map_or("", |one| one.request.kind().as_str());
    let action = new.first().map_or("", |one| one.request.action().as_str());
    let insert = "INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account,
             state, state_data, version, provider_ref, amount, asset, created_at)
         SELECT n.id, 'default', $1, n.reference, n.hash, n.request, $2, 'default', 'settled', n.state, 1, n.ref,
             1.5, n.request -> 'money' ->> 'asset', to_timestamp(n.at / 1000.0)
         FROM UNNEST($3::uuid[], $4::text[], $5::bytea[], $6::jsonb[], $7::jsonb[], $8::text[], $9::bigint[])
             AS n (id, reference, hash, request, state, ref, at)";
    let query = sqlx::query(insert).bind(kind).bind(provider.as_str()).bind(&ids).bind(&references);
    let query = query.bind(&hashes).bind(&requests).bind(&states).bind(&refs).bind(&times);
    query.execute(&mut *connection).await.expect("operations");
    let insert =
        "INSERT INTO intents (operation_id, number, action, provider, account, provider_key, reference,
             request_hash, attempts, opened_at, closed_at, outcome)
         SELECT n.id, 1, $1, $2, 'default', n.reference, n.reference, n.hash, 1, to_timestamp(n.at / 1000.0),
             to_timestamp(n.at / 1000.0), 'settled'
         FROM UNNEST($3::uuid[], $4::text[], $5::bytea[], $6::bigint[]) AS n (id, reference, hash, at)";
    let query = sqlx::query(insert).bind(action).bind(provider.as_str()).bind(&ids).bind(&references);
    query.bind(&hashes).bind(&times).execute(connection).await.expect("intents");
}

fn settled(provider_ref: &str) -> Value {
    let provider_ref = provider_ref.to_owned();
    let state = State::Settled { provider_ref, tx_hash: None, moved: None, facts: BTreeMap::new() };
    serde_json::to_value(state).expect("JSON")
}

/// One order, paid in many parts.
async fn deposits(connection: &mut PgConnection, count: u32, (from, to): (Timestamp, Timestamp)) {
    let money = Money::parse_positive("1.5", "TRX".parse().expect("an asset")).expect("an amount");
    let order = Order { money, network: Network::Tron, lifetime_s: Order::LIFETIME_S, reference: None };
    let new = new("filled", Request::Order(order));
    let request = serde_json::to_value(&new.request).expect("JSON");
    let order =
        "INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account,
             state, state_data, version)
         VALUES ($1, 'default', 'order', 'filled', $2, $3, 'tatum', 'default', 'settled', $4, 1)";
    let query = sqlx::query(order).bind(new.id().as_uuid()).bind(new.request.hash().as_bytes().to_vec());
    query.bind(request).bind(settled("filled")).execute(&mut *connection).await.expect("an order");
    let address = "INSERT INTO deposit_addresses (network, address_index, address, address_key, operation_id)
         VALUES ('TRON', 1000000, $1, $2, $3)";
    let key = Network::Tron.key_of(ADDRESS);
    let query = sqlx::query(address).bind(ADDRESS).bind(&key).bind(new.id().as_uuid());
    query.execute(&mut *connection).await.expect("its address");
    // Their names are those that the sandbox gives to what it makes up.
    let deposits = "INSERT INTO deposits (network, transaction, place, address_key, operation_id, amount, asset, is_coin,
             block, status, seen_at)
         SELECT 'TRON', encode(sha256(('filled ' || n)::bytea), 'hex'), '', $1, $2, 1.5, 'TRX', true, 1, 'final',
             to_timestamp(($3 + n * ($4 - $3) / $5) / 1000.0)
         FROM generate_series(0, $5 - 1) AS n";
    let query = sqlx::query(deposits).bind(&key).bind(new.id().as_uuid()).bind(from.unix_ms());
    query.bind(to.unix_ms()).bind(i64::from(count)).execute(connection).await.expect("deposits");
}
