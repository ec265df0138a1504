//! One Redis and one Postgres per test binary. A test gets a database and a key prefix of its own, so
//! tests run side by side.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use payfleet::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use payfleet_store::{Store, admin};
use tokio::sync::OnceCell;

/// The database that every test's is copied from.
const TEMPLATE: &str = "payfleet_template";

static POSTGRES: OnceCell<PostgresServer> = OnceCell::const_new();
static REDIS: OnceCell<RedisServer> = OnceCell::const_new();
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The Postgres of this test binary, with a migrated template.
pub async fn postgres() -> &'static PostgresServer {
    POSTGRES
        .get_or_init(|| async {
            let options = PostgresOptions { dir: Some(folder("postgres")), ..PostgresOptions::default() };
            let server = PostgresServer::start(options).await.expect("a private Postgres");
            let url = server.url(TEMPLATE);
            admin::create_database_if_missing(&url).await.expect("the template");
            let store = Store::connect_lazy(&url, 1).expect("its URL");
            admin::migrate(&store).await.expect("the migrations");
            store.close().await;
            server
        })
        .await
}

/// The Redis of this test binary.
pub async fn redis() -> &'static RedisServer {
    REDIS
        .get_or_init(|| async {
            let options = RedisOptions { dir: Some(folder("redis")), ..RedisOptions::default() };
            RedisServer::start(options).await.expect("a private Redis")
        })
        .await
}

/// A name no other test has.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}_{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// The URL of a fresh, migrated database on `server`.
pub async fn database_on(server: &PostgresServer) -> String {
    let url = server.url(&unique("test"));
    admin::create_database_if_missing(&url).await.expect("a database");
    let store = Store::connect_lazy(&url, 1).expect("its URL");
    admin::migrate(&store).await.expect("the migrations");
    store.close().await;
    url
}

/// The URL of a fresh, migrated database, copied from the template of this test binary.
pub async fn database() -> String {
    let server = postgres().await;
    let name = unique("test");
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&server.url("postgres"))
        .await
        .expect("a connection");
    let copy = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
    // Two copies of one template at once are refused: the lock makes them take turns.
    sqlx::raw_sql("SELECT pg_advisory_lock(1)").execute(&mut connection).await.expect("the lock");
    sqlx::raw_sql(sqlx::AssertSqlSafe(copy)).execute(&mut connection).await.expect("a copy");
    sqlx::Connection::close(connection).await.expect("a clean end");
    server.url(&name)
}

/// A folder for one server of this process, under the build's own folder. What earlier runs left is
/// removed.
fn folder(name: &str) -> PathBuf {
    let root = target().join("tmp").join("servers");
    std::fs::create_dir_all(&root).expect("a folder for servers");
    for entry in std::fs::read_dir(&root).expect("its entries").flatten() {
        let pid = entry.file_name().to_string_lossy().rsplit('-').next().unwrap_or_default().to_owned();
        if !Path::new("/proc").join(pid).exists() {
            // Another process may be quicker; what is gone is gone.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    root.join(format!("{name}-{}", std::process::id()))
}

/// The build's folder: where this program is, in `target/PROFILE` or, a test, in `deps` below.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("a program has a path");
    let folder = exe.parent().expect("its folder");
    let profile = if folder.ends_with("deps") { folder.parent().expect("target/PROFILE") } else { folder };
    profile.parent().expect("target").to_owned()
}
