//! Who is measured: the fleet, or Postgres alone under pgbench.

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The fleet.
    Ours,
    /// Postgres alone.
    Pgbench,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Pgbench => "pgbench",
        }
    }
}
