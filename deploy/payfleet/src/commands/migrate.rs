//! `payfleet migrate`.

use payfleet_store::admin;

use super::stores::Database;

/// Options of `payfleet migrate`.
#[derive(clap::Args)]
#[command(after_help = "\
Run it before workers of a new version start. It may run twice, and from several machines at once.

Example:
  DATABASE_URL=postgres://payfleet@10.0.0.6/payfleet payfleet migrate")]
pub(crate) struct Options {
    #[command(flatten)]
    database: Database,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    prepare(&options.database.database_url).await?;
    println!("The database is up to date.");
    Ok(())
}

/// Creates, migrates, and makes the partitions that workers write to.
pub(crate) async fn prepare(database_url: &str) -> anyhow::Result<()> {
    admin::create_database_if_missing(database_url).await?;
    let store = payfleet_store::Store::connect_lazy(database_url, 1)?;
    admin::migrate(&store).await?;
    admin::ensure_partitions(&store).await?;
    store.close().await;
    Ok(())
}
