//! One run: which rows, how many times, how much of everything, and the one Postgres of all of it.

use std::collections::BTreeSet;

use payfleet::servers::{PostgresOptions, PostgresServer};
use payfleet_tests::measure::{Series, Side, Wishes};

use crate::pgbench::Pgbench;
use crate::stage::Stage;

/// The settings of this run.
pub(crate) struct Bench {
    pub(crate) postgres: PostgresServer,
    pub(crate) pgbench: Pgbench,
    /// Times each thing is measured.
    pub(crate) times: usize,
    /// Fewer of everything.
    pub(crate) quick: bool,
    wanted: BTreeSet<String>,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A worker.
    Ours,
    /// Postgres alone.
    Pgbench,
    /// A worker with a hundredth of the work.
    Fewer,
    /// A worker with a tenth of it.
    Part,
}

impl Side for Who {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Pgbench => "pgbench",
            Self::Fewer => "ours, a hundredth",
            Self::Part => "ours, a tenth",
        }
    }

    fn is_ours(self) -> bool {
        self == Self::Ours
    }
}

impl Bench {
    pub(crate) async fn open(wishes: &Wishes) -> anyhow::Result<Self> {
        // As in production: what is committed is on the disk, for both sides.
        let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
        let postgres = PostgresServer::start(options).await?;
        let pgbench = Pgbench::find(&postgres, wishes.quick)?;
        Ok(Self { postgres, pgbench, times: wishes.times(), quick: wishes.quick, wanted: wishes.wanted() })
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.wanted.is_empty() || self.wanted.contains(row)
    }

    /// Whether it or a row of its family is wanted.
    pub(crate) fn wants_any(&self, family: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|row| row.starts_with(family))
    }

    /// A stage with nothing on it.
    pub(crate) async fn stage(&self) -> anyhow::Result<Stage> {
        Stage::set(&self.postgres).await
    }

    /// Measures ours and pgbench with `script`, turn by turn, so that noise hits both.
    pub(crate) async fn beside_pgbench(
        &self,
        script: &str,
        ours: impl AsyncFn(usize) -> anyhow::Result<f64>,
    ) -> anyhow::Result<[(Who, Series); 2]> {
        let mut found = [(Who::Ours, Series::default()), (Who::Pgbench, Series::default())];
        let clients = self.pgbench.best_clients(&self.postgres, script).await?;
        for round in 0..self.times {
            found[0].1.push(ours(round).await?);
            found[1].1.push(self.pgbench.run(&self.postgres, script, clients).await?);
        }
        Ok(found)
    }
}
