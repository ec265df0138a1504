//! The durable record of a sandbox: a file of JSON lines that is only ever appended to.
//!
//! A line is in the operating system's hands before the call it records is answered, so a killed
//! sandbox forgets nothing; it does not wait for the disk, since it is no bank. A last line that was
//! torn is cut off at the next start.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An open record.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Opens `name` in `dir`, and reads what is in it.
    pub(crate) fn open<T: DeserializeOwned>(dir: &Path, name: &str) -> anyhow::Result<(Self, Vec<T>)> {
        create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join(name);
        let bytes = if path.exists() { std::fs::read(&path)? } else { Vec::new() };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last.saturating_add(1));
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let entries = lines.map(serde_json::from_slice).collect::<Result<Vec<T>, _>>();
        let entries = entries.with_context(|| format!("{} is not a sandbox's record", path.display()))?;
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(u64::try_from(whole)?)?;
        Ok((Self { file }, entries))
    }

    pub(crate) fn append<T: Serialize>(&mut self, entry: &T) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line).context("cannot write the sandbox's record")
    }
}
