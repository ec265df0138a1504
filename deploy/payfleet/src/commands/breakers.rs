//! `payfleet breakers`: a person says that a provider is not to be called, or is, whatever its calls say.

use payfleet_queue::limits::{BreakerPolicy, ForcedBreaker};

use super::said::Said;
use super::stores::Redis;

/// Subcommands of `payfleet breakers`; `payfleet limits list` shows them.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lets no call through, until it is reset
    #[command(after_help = "\
What is held back is put off, spends nothing and leaves no doubt.

Example:
  payfleet breakers open heleket:default:effects --author on-call --reason 'their maintenance'")]
    Open(Change),
    /// Lets every call through, however many fail, until it is reset
    #[command(after_help = "\
Example:
  payfleet breakers close heleket:default:reads --author on-call --reason 'they are back'")]
    Close(Change),
    /// Goes by what calls say again
    #[command(after_help = "\
Example:
  payfleet breakers reset heleket:default:effects --author on-call --reason 'over'")]
    Reset(Change),
}

#[derive(clap::Args)]
pub(crate) struct Change {
    #[command(flatten)]
    redis: Redis,
    /// Its name, as payfleet limits list shows it
    breaker: String,
    #[command(flatten)]
    said: Said,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    let (change, to, words) = match command {
        Command::Open(change) => {
            (change, Some(ForcedBreaker::Open), "open; payfleet breakers reset ends that")
        }
        Command::Close(change) => {
            (change, Some(ForcedBreaker::Closed), "closed; payfleet breakers reset ends that")
        }
        Command::Reset(change) => (change, None, "goes by what calls say"),
    };
    let why = change.said.words()?;
    let queue = change.redis.open()?;
    let is_known = queue.breakers().await?.iter().any(|state| state.name == change.breaker);
    anyhow::ensure!(
        is_known,
        "no worker has used a breaker called {}; payfleet limits list shows those there are",
        change.breaker
    );
    queue.breaker(&change.breaker, BreakerPolicy::default())?.force(to, &why).await?;
    println!("{}: {words}", change.breaker);
    Ok(())
}
