//! Plans as they are printed.

use payfleet_core::provider::Provider;
use payfleet_providers::capabilities::{self, Doubt};
use payfleet_store::{ApproveAbove, RedriveChange, RedriveGroup, RedrivePlan, RedriveProgress, Store};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::show;

/// Prints one plan, whole.
pub(super) async fn show(store: &Store, id: i64, is_json: bool) -> anyhow::Result<()> {
    let plan = super::find(store, id).await?;
    let groups = store.redrive_groups(id, &windows()).await?;
    let (progress, changes) = (store.redrive_progress(id).await?, store.redrive_changes(id).await?);
    if is_json {
        let mut whole = summary(&plan, &progress);
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("totals".to_owned(), totals(&groups));
            whole.insert("groups".to_owned(), groups.iter().map(group).collect());
            whole.insert("changes".to_owned(), changes.iter().map(change).collect());
        }
        return show::json(&whole);
    }
    print(&plan, &groups, &progress, &changes);
    Ok(())
}

/// Prints plans, one a line.
pub(super) fn list(plans: &[(RedrivePlan, RedriveProgress)], is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return show::json(&plans.iter().map(|(plan, progress)| summary(plan, progress)).collect::<Vec<_>>());
    }
    if plans.is_empty() {
        println!("No plans.");
        return Ok(());
    }
    let row = |(plan, progress): &(RedrivePlan, RedriveProgress)| {
        vec![
            plan.id.to_string(),
            show::moment(plan.made_at),
            state(plan),
            progress.waiting.to_string(),
            progress.out.to_string(),
            progress.done.to_string(),
            (progress.failed + progress.died_again).to_string(),
            progress.skipped.to_string(),
            format!("{} ({})", plan.reason, plan.author),
        ]
    };
    let header = ["PLAN", "MADE", "STATE", "WAITING", "OUT", "DONE", "NOT WELL", "SKIPPED", "WHY"];
    println!("{}", show::table(&header, &plans.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

/// For how long each provider that has keys is relied on to know one, in milliseconds.
fn windows() -> Vec<(Provider, i64)> {
    let window = |provider: Provider| {
        let operations = capabilities::of(provider).map(|declared| declared.operations).unwrap_or_default();
        let windows = operations.iter().filter_map(|operation| match operation.doubt {
            Doubt::SameKey { window_ms } => Some(window_ms),
            Doubt::Read | Doubt::Repeat | Doubt::SameSignedBytes | Doubt::LookUp | Doubt::Operator => None,
        });
        windows.min().map(|window_ms| (provider, window_ms))
    };
    Provider::ALL.into_iter().filter_map(window).collect()
}

fn print(plan: &RedrivePlan, groups: &[RedriveGroup], progress: &RedriveProgress, changes: &[RedriveChange]) {
    println!("Plan {}: {}, {} a minute", plan.id, state(plan), plan.per_minute);
    if let Some(why) = &plan.why {
        println!("{why}");
    }
    let row = |one: &RedriveGroup| {
        let amount = one.amount.clone().zip(one.asset.clone());
        vec![
            one.kind.clone(),
            one.provider.clone().unwrap_or_else(|| "-".to_owned()),
            one.count.to_string(),
            amount
                .map_or_else(|| "-".to_owned(), |(amount, asset)| format!("{} {asset}", shortened(&amount))),
            one.over.to_string(),
            one.in_doubt.to_string(),
            one.past_window.to_string(),
            one.not_begun.to_string(),
            show::moment(one.oldest),
            show::moment(one.newest),
        ]
    };
    let header = [
        "KIND",
        "PROVIDER",
        "LETTERS",
        "SUM",
        "OVER",
        "IN DOUBT",
        "PAST WINDOW",
        "NOT BEGUN",
        "FIRST DIED",
        "LAST DIED",
    ];
    println!("\n{}\n", show::table(&header, &groups.iter().map(row).collect::<Vec<_>>()));
    let RedriveProgress { waiting, out, done, failed, died_again, skipped } = progress;
    println!(
        "{waiting} waiting, {out} with the workers, {done} done, {failed} failed, {died_again} died again, \
         {skipped} skipped\n"
    );
    let row = |one: &RedriveChange| {
        vec![show::moment(one.at), one.what.clone(), one.author.clone(), one.reason.clone()]
    };
    println!("{}", show::table(&["AT", "WHAT", "WHO", "WHY"], &changes.iter().map(row).collect::<Vec<_>>()));
    println!("\n{}", approval(plan));
    if plan.wants_approval && plan.approved_by.is_none() && plan.state == "planned" {
        println!(
            "\nSomebody else than {} must approve it: payfleet redrive approve {}",
            plan.author, plan.id
        );
    } else if plan.state == "planned" {
        println!("\nNothing is released yet: payfleet redrive release {}", plan.id);
    }
}

/// Under which thresholds it was made, and what came of it.
fn approval(plan: &RedrivePlan) -> String {
    let above = serde_json::from_value::<ApproveAbove>(plan.approve_above.clone());
    let above = above.map_or_else(
        |_| plan.approve_above.to_string(),
        |above| {
            let amounts = above.amounts.iter().map(|(asset, amount)| format!(", {amount} {asset}"));
            format!("{} letters{}", above.letters, amounts.collect::<String>())
        },
    );
    let came = match &plan.approved_by {
        Some(by) => format!("{by} has approved it"),
        None if plan.wants_approval => "a second person is wanted".to_owned(),
        None => "no second person is wanted".to_owned(),
    };
    format!("Up to {above} and nothing of any other asset are one person's: {came}")
}

fn state(plan: &RedrivePlan) -> String {
    let waits = plan.wants_approval && plan.approved_by.is_none() && plan.state == "planned";
    if waits { "planned, needs approval".to_owned() } else { plan.state.clone() }
}

fn summary(plan: &RedrivePlan, progress: &RedriveProgress) -> Value {
    json!({
        "plan": plan.id,
        "state": plan.state,
        "why": plan.why,
        "made_at": show::moment(plan.made_at),
        "selection": plan.selection,
        "author": plan.author,
        "reason": plan.reason,
        "approve_above": plan.approve_above,
        "wants_approval": plan.wants_approval,
        "approved_by": plan.approved_by,
        "per_minute": plan.per_minute,
        "stop_percent": plan.stop_percent,
        "progress": progress,
    })
}

fn totals(groups: &[RedriveGroup]) -> Value {
    let sum = |of: fn(&RedriveGroup) -> i64| groups.iter().map(of).sum::<i64>();
    json!({
        "letters": sum(|one| one.count),
        "over": sum(|one| one.over),
        "in_doubt": sum(|one| one.in_doubt),
        "past_window": sum(|one| one.past_window),
        "not_begun": sum(|one| one.not_begun),
        "oldest": groups.iter().map(|one| one.oldest).min().map(show::moment),
        "newest": groups.iter().map(|one| one.newest).max().map(show::moment),
    })
}

fn group(one: &RedriveGroup) -> Value {
    json!({
        "kind": one.kind,
        "provider": one.provider,
        "asset": one.asset,
        "amount": one.amount.as_deref().map(shortened),
        "letters": one.count,
        "over": one.over,
        "in_doubt": one.in_doubt,
        "past_window": one.past_window,
        "not_begun": one.not_begun,
        "oldest": show::moment(one.oldest),
        "newest": show::moment(one.newest),
    })
}

fn change(one: &RedriveChange) -> Value {
    json!({ "at": show::moment(one.at), "what": one.what, "author": one.author, "reason": one.reason })
}

/// Without zeros at its end; as it is where it is longer than any number here.
fn shortened(amount: &str) -> String {
    amount.parse::<Decimal>().map_or_else(|_| amount.to_owned(), |amount| amount.normalize().to_string())
}
