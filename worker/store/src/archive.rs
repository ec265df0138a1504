//! Old months of history leave the database: exported, counted, detached and dropped, one partition at
//! a time. What makes an effect happen once (operations, intents, inbox, movements, keys of webhooks) is
//! in tables that are never partitioned, and stays.

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, raw_sql};
use time::Date;

use crate::{Store, StoreError};

/// The tables that are partitioned by month, and what keeps one of their months here.
const PARENTS: [(&str, &str); 4] = [
    ("intent_attempts", UNFINISHED),
    ("operation_history", UNFINISHED),
    // The feed has no cursor of its readers, but a receiver that is behind is told from here.
    (
        "transitions",
        "SELECT count(DISTINCT o.id), min(o.id::text) FROM {partition} t JOIN operations o ON o.id = t.operation_id
         WHERE (o.state NOT IN ('settled', 'returned', 'failed') AND o.kind <> 'payout_schedule')
            OR t.position IS NULL OR EXISTS (
             SELECT 1 FROM notifications n WHERE n.operation_id = o.id AND n.delivered < n.written)",
    ),
    (
        "webhook_bodies",
        "SELECT count(*), min(webhook_id)::text FROM {partition} b JOIN webhook_events e ON e.id = b.webhook_id
         WHERE e.status IN ('received', 'parked')",
    ),
];

/// A payout schedule stands for years, and nothing is decided by its history.
const UNFINISHED: &str = "SELECT count(DISTINCT o.id), min(o.id::text) FROM {partition} h
    JOIN operations o ON o.id = h.operation_id
    WHERE o.state NOT IN ('settled', 'returned', 'failed') AND o.kind <> 'payout_schedule'";

/// One month of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldMonth {
    /// The partitioned table.
    pub parent: String,
    /// Its partition: `PARENT_YYYY_MM`.
    pub partition: String,
    month: Date,
    held_by: &'static str,
}

/// What still needs a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// How many operations that are unfinished or not wholly told, or webhooks that are not handled.
    pub count: i64,
    /// One of them, by id.
    pub one: String,
}

impl Store {
    /// The partitions that lie wholly before the month that `before` is in, oldest first.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn old_months(&self, before: Date) -> Result<Vec<OldMonth>, StoreError> {
        let parents = PARENTS.map(|(parent, _)| parent.to_owned());
        let rows = sqlx::query!(
            "/* archive_old_months */ SELECT p.relname::text AS \"parent!\", c.relname::text AS \"partition!\",
                 to_date(right(c.relname, 7), 'YYYY_MM') AS \"month!\"
             FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
             WHERE p.relname = ANY($1) AND p.relnamespace = current_schema()::regnamespace
               AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
               AND to_date(right(c.relname, 7), 'YYYY_MM') < date_trunc('month', $2::date)
             ORDER BY 3, 1",
            parents.as_slice(),
            before,
        )
        .fetch_all(&self.pool)
        .await?;
        let month = |row: (String, String, Date)| {
            let (parent, partition, month) = row;
            let (_, held_by) = PARENTS.into_iter().find(|(name, _)| *name == parent)?;
            Some(OldMonth { parent, partition, month, held_by })
        };
        Ok(rows.into_iter().filter_map(|row| month((row.parent, row.partition, row.month))).collect())
    }

    /// What still needs the month, if anything does: such a month stays.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn holds_back(&self, month: &OldMonth) -> Result<Option<HeldBack>, StoreError> {
        let mut lent = self.lend().await?;
        let mut reading = lent.begin().await?;
        patient(&mut reading).await?;
        let sql = month.held_by.replace("{partition}", &month.quoted());
        let (count, one): (i64, Option<String>) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *reading).await?;
        reading.rollback().await?;
        lent.give_back();
        Ok((count > 0).then(|| HeldBack { count, one: one.unwrap_or_default() }))
    }

    /// Gives the month to `write`, piece by piece, as CSV with a header, and answers its number of rows.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses; what `write` returns, as
    /// [`StoreError::Export`].
    pub async fn export(
        &self,
        month: &OldMonth,
        write: &mut (dyn FnMut(&[u8]) -> std::io::Result<()> + Send),
    ) -> Result<i64, StoreError> {
        let mut lent = self.lend().await?;
        let mut snapshot = lent.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        patient(&mut snapshot).await?;
        let rows = count(&mut snapshot, month).await?;
        let copy = format!("COPY {} TO STDOUT (FORMAT csv, HEADER)", month.quoted());
        let mut pieces = snapshot.copy_out_raw(&copy).await?;
        while let Some(piece) = pieces.try_next().await? {
            write(&piece).map_err(StoreError::Export)?;
        }
        drop(pieces);
        snapshot.rollback().await?;
        lent.give_back();
        Ok(rows)
    }

    /// Drops the month, of which a file with `rows` rows is safe on a disk. Workers wait for the moment
    /// that detaching takes, at most a second at a time.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the month has another number of rows by now; nothing was dropped
    /// then. Other [`StoreError`]s where the table is in use for too long, or Postgres is away.
    pub async fn retire(&self, month: &OldMonth, rows: i64, sha256: &[u8; 32]) -> Result<(), StoreError> {
        let retiring = Retiring { month, rows, sha256 };
        self.transaction("retire_month", &retiring, |c, retiring| Box::pin(retire(c, retiring))).await
    }

    /// Rows that are in no month, by table: what came for a month that had no partition.
    ///
    /// # Errors
    /// [`StoreError`], where Postgres is away or refuses.
    pub async fn rows_of_no_month(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let mut found = Vec::new();
        for (parent, _) in PARENTS {
            let sql = format!("SELECT count(*) FROM {parent}_default");
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await?;
            if rows > 0 {
                found.push((parent.to_owned(), rows));
            }
        }
        Ok(found)
    }
}

impl OldMonth {
    fn quoted(&self) -> String {
        format!("\"{}\"", self.partition.replace('"', "\"\""))
    }
}

struct Retiring<'a> {
    month: &'a OldMonth,
    rows: i64,
    sha256: &'a [u8; 32],
}

async fn retire(connection: &mut PgConnection, retiring: &Retiring<'_>) -> Result<(), StoreError> {
    let Retiring { month, rows, sha256 } = retiring;
    let partition = month.quoted();
    patient(connection).await?;
    // Against late writers of this month alone; the fleet writes to others meanwhile.
    run(connection, &format!("SET LOCAL lock_timeout = '1s'; LOCK TABLE {partition} IN SHARE MODE")).await?;
    let there = count(connection, month).await?;
    if there != *rows {
        return Err(StoreError::Changed { partition: month.partition.clone(), exported: *rows, there });
    }
    let parent = &month.parent;
    run(connection, &format!("ALTER TABLE {parent} DETACH PARTITION {partition}; DROP TABLE {partition}"))
        .await?;
    sqlx::query!(
        "/* archive_month */ INSERT INTO archived_months (parent, month, rows, sha256) VALUES ($1, $2, $3, $4)",
        month.parent,
        month.month,
        rows,
        sha256.as_slice(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// For this transaction: a month may take longer to read than any statement of a worker.
async fn patient(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection
        .execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        .await?;
    Ok(())
}

async fn count(connection: &mut PgConnection, month: &OldMonth) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM {}", month.quoted());
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?)
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), StoreError> {
    connection.execute(raw_sql(AssertSqlSafe(sql.to_owned()))).await?;
    Ok(())
}
