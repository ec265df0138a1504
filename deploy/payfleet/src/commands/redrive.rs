//! `payfleet redrive`: many dead letters released by a plan. Making a plan is the dry run: it selects,
//! counts and sums, and releases nothing. Workers release; this command only says when they may.

mod approval;
mod pace;
mod shown;

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use payfleet_core::Timestamp;
use payfleet_core::job::Origin;
use payfleet_core::kinds::redrive::Redrive;
use payfleet_core::provider::Provider;
use payfleet_store::{NewPlan, Pace, RedrivePlan, Said as SaidWords, Selection, Store};
use payfleet_worker::jobs;

use super::said::Said;
use super::show;
use super::stores::{Database, Redis};

/// Subcommands of `payfleet redrive`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Selects dead letters and says what releasing them would mean; releases nothing
    #[command(after_help = "\
What is selected now is the plan: what dies later is in no plan of before. At least one of the
selections is needed, or --all; several of them all hold.

Above some letters, or some of an asset, a plan is released only after another person than its author has
approved it. That is set where this command runs and not by an option; what it was stays with the plan:
  REDRIVE_APPROVE_ABOVE          how many letters; 100 where it is not set
  REDRIVE_APPROVE_ABOVE_AMOUNTS  how much of each asset, such as USDT=10000,BTC=0.1
Any amount of an asset that is not named there wants approval, and so does what moves money without saying
how much. What moves none goes by the letters alone. Names are kept, and not proven yet.

Examples:
  payfleet redrive plan --provider heleket --code provider_refuses_us --author on-call --reason 'key is mended'
  payfleet redrive plan --queue payout --died-after 2026-05-01T02:00:00Z --per-minute 30 \\
    --author on-call --reason 'outage of last night' --json")]
    Plan(Box<Plan>),
    /// Lists plans, newest first
    #[command(after_help = "Example:\n  payfleet redrive list --json")]
    List(List),
    /// Shows a plan: what it is about now, how far it has come, who did what
    #[command(after_help = "Example:\n  payfleet redrive show 7")]
    Show(One),
    /// Agrees to a plan that needs a second person
    #[command(
        after_help = "Example:\n  payfleet redrive approve 7 --author team-lead --reason 'looked at it'"
    )]
    Approve(Word),
    /// Has workers release a plan: one letter, and when that has ended well, so many a minute
    #[command(after_help = "\
It stops by itself when the first letter does not end well, or when too many of the others do not. Safe
at any time: a worker that finds an open intent asks the provider before it sends anything.

Example:
  payfleet redrive release 7 --author on-call --reason 'dry run looks right'")]
    Release(Start),
    /// Has a plan release nothing more until it is resumed
    #[command(after_help = "Example:\n  payfleet redrive pause 7 --author on-call --reason 'looking at one'")]
    Pause(Word),
    /// Has a plan go on that was paused, or that has stopped by itself: then with one letter first
    #[command(
        after_help = "Example:\n  payfleet redrive resume 7 --author on-call --reason 'limits are raised'"
    )]
    Resume(Start),
    /// Ends a plan: what was not released stays a dead letter
    #[command(
        after_help = "Example:\n  payfleet redrive abandon 7 --author on-call --reason 'wrong selection'"
    )]
    Abandon(Word),
}

#[derive(clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    redis: Redis,
    /// Those of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Those of this kind of job: payout, mint, notify, ...
    #[arg(long)]
    kind: Option<String>,
    /// Those at this provider; of a request that never reached Postgres, none is known
    #[arg(long)]
    provider: Option<Provider>,
    /// Those of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Those that died of this class
    #[arg(long)]
    class: Option<String>,
    /// Those that died of this code
    #[arg(long)]
    code: Option<String>,
    /// Those that died at this moment or later
    #[arg(long, value_name = "MOMENT", value_parser = show::parse_moment)]
    died_after: Option<Timestamp>,
    /// Those that died before this moment
    #[arg(long, value_name = "MOMENT", value_parser = show::parse_moment)]
    died_before: Option<Timestamp>,
    /// Every dead letter there is
    #[arg(long)]
    all: bool,
    /// How many are released a minute; default: a tenth of the slowest limit of their providers
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=60_000))]
    per_minute: Option<i32>,
    /// Stops when more than so many in a hundred of the last 50 have not ended well
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(0..=100))]
    stop_percent: i32,
    #[command(flatten)]
    said: Said,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct One {
    #[command(flatten)]
    database: Database,
    /// The plan's number
    plan: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Word {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    said: Said,
}

#[derive(clap::Args)]
pub(crate) struct Start {
    #[command(flatten)]
    word: Word,
    #[command(flatten)]
    redis: Redis,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Plan(options) => plan(&options).await,
        Command::List(options) => list(&options).await,
        Command::Show(options) => shown::show(&options.database.open()?, options.plan, options.json).await,
        Command::Approve(word) => approve(&word).await,
        Command::Release(start) => begin(&start, &["planned"]).await,
        Command::Resume(start) => begin(&start, &["paused", "stopped"]).await,
        Command::Pause(word) => halt(&word, &["releasing"], "paused").await,
        Command::Abandon(word) => {
            halt(&word, &["planned", "releasing", "paused", "stopped"], "abandoned").await
        }
    }
}

async fn plan(options: &Plan) -> anyhow::Result<()> {
    let selection = Selection {
        queue: options.queue.clone(),
        kind: options.kind.clone(),
        provider: options.provider.map(|provider| provider.as_str().to_owned()),
        tenant: options.tenant.clone(),
        class: options.class.clone(),
        code: options.code.clone(),
        died_from: options.died_after,
        died_before: options.died_before,
    };
    let selects_all = selection == Selection::default();
    ensure!(
        options.all || !selects_all,
        "say which: --queue, --kind, --provider, --tenant, --class, --code, --died-after, --died-before, or --all"
    );
    ensure!(!options.all || selects_all, "--all selects every dead letter: leave it or the others out");
    let (author, reason) = options.said.parts()?;
    let approve_above = approval::from_environment()?;
    let store = options.database.open()?;
    let of = match options.per_minute {
        Some(_) => Vec::new(),
        None => pace::of_all(&options.redis.open()?).await?,
    };
    let slowest = Pace::Slowest { of: &of, otherwise: pace::UNLIMITED };
    let new = NewPlan {
        selection: &selection,
        said: SaidWords { author, reason },
        pace: options.per_minute.map_or(slowest, Pace::Of),
        stop_percent: options.stop_percent,
        approve_above: &approve_above,
    };
    let Some(id) = store.plan_redrive(&new).await? else {
        bail!(
            "no dead letter is selected, so there is nothing to plan; payfleet dlq list shows those there are"
        )
    };
    shown::show(&store, id, options.json).await
}

async fn list(options: &List) -> anyhow::Result<()> {
    let store = options.database.open()?;
    let mut rows = Vec::new();
    for plan in store.redrive_plans(options.limit).await? {
        let progress = store.redrive_progress(plan.id).await?;
        rows.push((plan, progress));
    }
    shown::list(&rows, options.json)
}

async fn approve(word: &Word) -> anyhow::Result<()> {
    let (author, reason) = word.said.parts()?;
    let store = word.one.database.open()?;
    let plan = find(&store, word.one.plan).await?;
    ensure!(plan.wants_approval, "plan {} needs no second person: payfleet redrive release", plan.id);
    if let Some(by) = &plan.approved_by {
        bail!("plan {} is approved already, by {by}", plan.id);
    }
    ensure!(
        plan.author.to_lowercase() != author.to_lowercase(),
        "--author: {author} has made plan {}; a second person must approve it",
        plan.id
    );
    ensure!(plan.state == "planned", "plan {} is {}: only what is planned is approved", plan.id, plan.state);
    if !store.approve_redrive(plan.id, &SaidWords { author, reason }).await? {
        bail!(changed_meanwhile(plan.id));
    }
    shown::show(&store, plan.id, word.one.json).await
}

async fn begin(start: &Start, from: &[&str]) -> anyhow::Result<()> {
    let Start { word, redis } = start;
    let (author, reason) = word.said.parts()?;
    let (store, queue) = (word.one.database.open()?, redis.open()?);
    let plan = find(&store, word.one.plan).await?;
    allow(&plan, from)?;
    ensure!(
        plan.approved_by.is_some() || !plan.wants_approval,
        "plan {} needs a second person: somebody else than {} runs payfleet redrive approve {} first",
        plan.id,
        plan.author,
        plan.id
    );
    let said = SaidWords { author, reason };
    let Some(step) = store.start_redrive(plan.id, &plan.state, &said).await? else {
        bail!(changed_meanwhile(plan.id))
    };
    let job = jobs::redrive(&Redrive { plan: plan.id, step }, Duration::ZERO, Origin::Admin)?;
    if let Err(error) = queue.enqueue(&[job]).await {
        eprintln!("Workers begin within seconds of Redis being back: {error}");
    }
    shown::show(&store, plan.id, word.one.json).await
}

async fn halt(word: &Word, from: &[&str], to: &str) -> anyhow::Result<()> {
    let (author, reason) = word.said.parts()?;
    let store = word.one.database.open()?;
    let plan = find(&store, word.one.plan).await?;
    allow(&plan, from)?;
    let from: Vec<String> = from.iter().map(|&state| state.to_owned()).collect();
    if !store.halt_redrive(plan.id, &from, to, &SaidWords { author, reason }).await? {
        bail!(changed_meanwhile(plan.id));
    }
    shown::show(&store, plan.id, word.one.json).await
}

fn allow(plan: &RedrivePlan, from: &[&str]) -> anyhow::Result<()> {
    ensure!(
        from.contains(&plan.state.as_str()),
        "plan {} is {}, and that is for plans that are {}",
        plan.id,
        plan.state,
        from.join(" or ")
    );
    Ok(())
}

fn changed_meanwhile(plan: i64) -> String {
    format!("plan {plan} has changed meanwhile: look at it again with payfleet redrive show {plan}")
}

async fn find(store: &Store, plan: i64) -> anyhow::Result<RedrivePlan> {
    let found = store.redrive_plan(plan).await?;
    found.with_context(|| format!("there is no plan {plan}; payfleet redrive list shows those there are"))
}
