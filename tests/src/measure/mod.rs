//! The frame of the benchmarks: what they are called with, rows with medians, ranges and references of
//! the same run, and the document that the last full run is kept in. Nothing here passes or fails: a
//! row says whether its target is met, and why not where it is not.

mod document;
pub mod kernel;
mod measured;

use std::cell::RefCell;
use std::collections::BTreeSet;

pub use measured::{Measured, Series, Side, Target, Whys};

/// What every benchmark is called with.
#[derive(Clone, Debug, clap::Args)]
pub struct Wishes {
    /// One JSON object a row instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Fewer of everything, once each: for development.
    #[arg(long)]
    pub quick: bool,
    /// Puts the table into docs/benchmarks.md.
    #[arg(long)]
    pub write: bool,
    /// How often each row is measured.
    #[arg(long)]
    times: Option<usize>,
    /// Only these rows or families.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
}

impl Wishes {
    /// How often each row is measured.
    pub fn times(&self) -> usize {
        self.times.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Names of the rows and families that are wanted; empty: all.
    pub fn wanted(&self) -> BTreeSet<String> {
        self.rows.iter().cloned().collect()
    }

    /// Refuses to keep what is not a full run.
    ///
    /// # Errors
    /// In words, for whoever asked.
    pub fn check(&self) -> anyhow::Result<()> {
        let is_full = self.rows.is_empty() && !self.quick;
        anyhow::ensure!(!self.write || is_full, "only a full run is written");
        Ok(())
    }
}

/// A section of the document while it is measured: each row is shown when it is there.
pub struct Table {
    is_json: bool,
    whys: &'static Whys,
    text: RefCell<String>,
}

impl Table {
    /// A table under `head`, which begins with the section's heading. `whys` explains missed targets.
    pub fn begin(wishes: &Wishes, head: &str, whys: &'static Whys) -> Self {
        let text = format!("{head}\n\n{}\n", measured::HEAD);
        if !wishes.json {
            print!("{text}");
        }
        Self { is_json: wishes.json, whys, text: RefCell::new(text) }
    }

    /// Shows a row.
    pub fn show(&self, row: &Measured) {
        let line = row.line(self.whys);
        println!("{}", if self.is_json { row.json(self.whys) } else { line.clone() });
        let mut text = self.text.borrow_mut();
        text.push_str(&line);
        text.push('\n');
    }

    /// Puts it into docs/benchmarks.md, in the place of the section with the same heading.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn write(&self) -> std::io::Result<()> {
        document::write(&self.text.borrow())
    }
}
