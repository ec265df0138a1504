//! Who changes something by hand, and why: kept and shown with what was changed.

/// Author and reason.
#[derive(clap::Args)]
pub(crate) struct Said {
    /// Who says so
    #[arg(long)]
    author: String,
    /// Why
    #[arg(long)]
    reason: String,
}

impl Said {
    /// Both, as they are shown.
    pub(crate) fn words(&self) -> anyhow::Result<String> {
        let (author, reason) = self.parts()?;
        Ok(format!("{reason} ({author})"))
    }

    /// Author and reason, neither of them empty.
    pub(crate) fn parts(&self) -> anyhow::Result<(&str, &str)> {
        let (author, reason) = (self.author.trim(), self.reason.trim());
        anyhow::ensure!(
            !author.is_empty() && !reason.is_empty(),
            "--author and --reason must say something: they are kept, and shown to whoever asks why"
        );
        Ok((author, reason))
    }
}
