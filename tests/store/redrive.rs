//! Plans that release dead letters: what they select and count, and who may take a step.

use std::sync::LazyLock;
use std::time::Duration;

use payfleet_core::job::{DeadJob, Failure, Job, NewJob, Origin};
use payfleet_core::kinds::redrive::Redrive;
use payfleet_core::kinds::{Advance, NewOperation, OperationKind};
use payfleet_core::provider::Provider;
use payfleet_core::{Clock, JobId, TenantId, Timestamp};
use payfleet_process::SystemClock;
use payfleet_store::{
    ApproveAbove, ClaimedPlan, ItemOutcome, Kept, NewPlan, Pace, RedriveProgress, Released, Said, Selection,
    StepClaim, StepEnd, Store,
};
use payfleet_tests::servers;
use payfleet_tests::store::{claim, open, payout, payout_of, store};
use payfleet_worker::jobs::{self, Subject};
use rust_decimal::Decimal;
use sqlx::{Connection, PgConnection};

const AUTHOR: Said<'static> = Said { author: "on-call", reason: "the key is mended" };
const SECOND: Said<'static> = Said { author: "team-lead", reason: "looked at it" };
const A_DAY_MS: i64 = 86_400_000;

/// Letters of the test of many; the long variant runs with `PAYFLEET_FULL=1`.
fn many() -> usize {
    let is_full = std::env::var_os("PAYFLEET_FULL").is_some_and(|value| value == "1");
    if is_full { 10_000 } else { 200 }
}

fn subject(new: &NewOperation) -> Subject {
    Subject { id: new.id(), kind: OperationKind::Payout, tenant: TenantId::default() }
}

/// The job that asks for a payout, as the producer makes it.
fn asks(new: &NewOperation) -> NewJob {
    let first = JobId::first_of(new.id());
    let mut job = jobs::advance(&subject(new), first, Duration::ZERO, Origin::Api).unwrap();
    let advance = Advance { operation_id: new.id(), request: Some(new.clone()), event: None };
    job.payload = serde_json::value::to_raw_value(&advance).unwrap();
    job
}

async fn dies(store: &Store, envelope: NewJob, code: &str, died_at: Timestamp) {
    let failure =
        Failure { class: "terminal".to_owned(), code: code.to_owned(), message: "refused".to_owned() };
    let job = Job { envelope, attempt: 1, deliveries: 1, enqueued_at: died_at, history: Vec::new() };
    store.archive(&DeadJob { job, died_at, failure }).await.unwrap();
}

async fn alter(url: &str, sql: &'static str, operation: payfleet_core::OperationId) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let altered = sqlx::query(sql).bind(operation.as_uuid()).execute(&mut connection).await.unwrap();
    assert_eq!(altered.rows_affected(), 1);
    connection.close().await.unwrap();
}

fn new_plan(selection: &Selection) -> NewPlan<'_> {
    NewPlan { selection, said: AUTHOR, pace: Pace::Of(60), stop_percent: 20, approve_above: &ABOVE }
}

fn above(letters: i64, amounts: &[(&str, i64)]) -> ApproveAbove {
    let amounts = amounts.iter().map(|(asset, amount)| ((*asset).to_owned(), Decimal::from(*amount)));
    ApproveAbove { letters, amounts: amounts.collect() }
}

static ABOVE: LazyLock<ApproveAbove> = LazyLock::new(|| above(100, &[("USDT", 10_000)]));

async fn plan(store: &Store, selection: &Selection) -> Option<i64> {
    store.plan_redrive(&new_plan(selection)).await.unwrap()
}

/// A plan of every letter that a worker has begun.
async fn begun(store: &Store) -> ClaimedPlan {
    let id = plan(store, &Selection::default()).await.unwrap();
    let step = store.start_redrive(id, "planned", &AUTHOR).await.unwrap().unwrap();
    let step = Redrive { plan: id, step };
    let StepClaim::Claimed(begun) = store.claim_redrive(step).await.unwrap() else { panic!("not claimed") };
    begun
}

#[tokio::test]
async fn the_dry_run_counts_sums_ages_doubt_and_what_is_over() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let start = SystemClock.now().plus_ms(-60_000);
    for key in ["late", "doubtful", "settled"] {
        let new = payout(key);
        let mut claimed = claim(&store, &new, "a").await;
        if key != "settled" {
            open(&store, &mut claimed, "a").await;
        }
        dies(&store, asks(&new), "unauthorized", start).await;
    }
    let aged = "UPDATE intents SET opened_at = opened_at - interval '2 days' WHERE operation_id = $1";
    alter(&url, aged, payout("late").id()).await;
    alter(&url, "UPDATE operations SET state = 'settled' WHERE id = $1", payout("settled").id()).await;
    let look = jobs::confirm(&subject(&payout("settled")), 1, Duration::ZERO, None).unwrap();
    dies(&store, look, "unauthorized", start.plus_ms(1_000)).await;
    dies(&store, asks(&payout_of("never", "100")), "unauthorized", start.plus_ms(2_000)).await;
    let id = plan(&store, &Selection::default()).await.unwrap();

    let groups = store.redrive_groups(id, &[(Provider::Heleket, A_DAY_MS)]).await.unwrap();
    let [look, known, never] = groups.as_slice() else { panic!("{groups:?}") };
    assert_eq!((look.kind.as_str(), look.count, look.amount.as_deref()), ("confirm", 1, None), "{look:?}");
    assert_eq!((look.over, look.in_doubt), (0, 0), "a look is not its operation: {look:?}");
    assert_eq!((known.provider.as_deref(), known.count), (Some("heleket"), 3), "{known:?}");
    let sum = |group: &payfleet_store::RedriveGroup| group.amount.as_deref().unwrap().parse::<Decimal>();
    assert_eq!((sum(known), known.asset.as_deref()), ("46.5".parse(), Some("USDT")), "{known:?}");
    assert_eq!((known.over, known.in_doubt, known.past_window, known.not_begun), (1, 2, 1, 0), "{known:?}");
    assert_eq!((known.oldest, known.newest), (start, start), "{known:?}");
    assert_eq!((never.provider.as_deref(), never.not_begun), (None, 1), "{never:?}");
    assert_eq!((sum(never), never.oldest), ("100".parse(), start.plus_ms(2_000)), "{never:?}");
}

#[tokio::test]
async fn a_plan_is_what_was_selected_when_it_was_made_each_job_once() {
    let store = store().await;
    let at = |second: i64| Timestamp::from_unix_ms(1_800_000_000_000 + second * 1_000);
    dies(&store, asks(&payout("twice")), "unauthorized", at(0)).await;
    dies(&store, asks(&payout("twice")), "unauthorized", at(1)).await;
    dies(&store, asks(&payout("released")), "unauthorized", at(1)).await;
    store.mark_redriven(asks(&payout("released")).id, at(1)).await.unwrap();
    dies(&store, asks(&payout("otherwise")), "other", at(2)).await;
    let unauthorized = Selection { code: Some("unauthorized".to_owned()), ..Selection::default() };
    let id = plan(&store, &unauthorized).await.unwrap();
    dies(&store, asks(&payout("later")), "unauthorized", at(3)).await;
    let waiting = RedriveProgress { waiting: 1, ..RedriveProgress::default() };
    assert_eq!(store.redrive_progress(id).await.unwrap(), waiting);
    let candidate = store.redrive_candidates(id, 10).await.unwrap().remove(0);
    assert_eq!((candidate.job, candidate.died_at), (asks(&payout("twice")).id, at(1)));

    let late = Selection { died_from: Some(at(2)), died_before: Some(at(3)), ..Selection::default() };
    let id = plan(&store, &late).await.unwrap();
    let candidate = store.redrive_candidates(id, 10).await.unwrap().remove(0);
    assert_eq!(candidate.job, asks(&payout("otherwise")).id);
    let nothing = Selection { queue: Some("mint".to_owned()), ..Selection::default() };
    assert_eq!(plan(&store, &nothing).await, None);
    assert_eq!(store.redrive_plans(10).await.unwrap().len(), 2, "what selects nothing is no plan");
}

#[tokio::test]
async fn many_letters_or_much_of_an_asset_want_a_second_person_who_is_another() {
    let store = store().await;
    let now = SystemClock.now();
    dies(&store, asks(&payout_of("a", "9999.99")), "x", now).await;
    let all = Selection::default();
    let id = plan(&store, &all).await.unwrap();
    assert!(!store.redrive_plan(id).await.unwrap().unwrap().wants_approval);
    assert!(!store.approve_redrive(id, &SECOND).await.unwrap(), "nobody was asked for it");

    dies(&store, asks(&payout_of("b", "0.02")), "x", now).await;
    let much = plan(&store, &all).await.unwrap();
    assert!(store.redrive_plan(much).await.unwrap().unwrap().wants_approval);
    let few = above(1, &[("USDT", 10_000_000)]);
    let many = NewPlan { approve_above: &few, ..new_plan(&all) };
    let many = store.plan_redrive(&many).await.unwrap().unwrap();
    for id in [much, many] {
        assert_eq!(store.start_redrive(id, "planned", &AUTHOR).await.unwrap(), None);
        let same = Said { author: "On-Call", ..AUTHOR };
        assert!(!store.approve_redrive(id, &same).await.unwrap(), "the same person in capitals");
        assert!(store.approve_redrive(id, &SECOND).await.unwrap());
        assert!(store.start_redrive(id, "planned", &AUTHOR).await.unwrap().is_some());
        assert_eq!(store.start_redrive(id, "planned", &AUTHOR).await.unwrap(), None, "released already");
    }
    let said: Vec<_> = store.redrive_changes(many).await.unwrap();
    let said: Vec<_> = said.iter().map(|one| (one.what.as_str(), one.author.as_str())).collect();
    assert_eq!(said, [("planned", "on-call"), ("approved", "team-lead"), ("released", "on-call")]);
}

/// 20,000 francs are little, and 20,000 of something else may be much.
#[tokio::test]
async fn of_an_asset_that_is_not_named_or_an_amount_that_is_not_said_any_wants_a_second_person() {
    let store = store().await;
    let all = Selection::default();
    let wants = async |approve_above: &ApproveAbove| {
        let id = store.plan_redrive(&NewPlan { approve_above, ..new_plan(&all) }).await.unwrap().unwrap();
        let plan = store.redrive_plan(id).await.unwrap().unwrap();
        assert_eq!(plan.approve_above, serde_json::to_value(approve_above).unwrap());
        plan.wants_approval
    };
    let mut wallet = asks(&payout("wallet"));
    wallet.kind = OperationKind::Wallet.job_kind().as_str().to_owned();
    dies(&store, wallet, "x", SystemClock.now()).await;
    assert!(!wants(&above(100, &[])).await, "what moves nothing");
    dies(&store, asks(&payout_of("a", "1")), "x", SystemClock.now()).await;
    assert!(!wants(&above(100, &[("BTC", 0), ("USDT", 1)])).await);
    assert!(wants(&above(100, &[("BTC", 1_000)])).await, "USDT is not named");
    let mut unsaid = asks(&payout("unsaid"));
    unsaid.payload = serde_json::value::to_raw_value("?").unwrap();
    dies(&store, unsaid, "x", SystemClock.now()).await;
    assert!(wants(&above(100, &[("BTC", 1_000), ("USDT", 1_000)])).await, "who knows how much");
}

#[tokio::test]
async fn a_plan_has_the_pace_of_the_slowest_of_its_providers() {
    let store = store().await;
    let all = Selection::default();
    claim(&store, &payout("known"), "a").await;
    dies(&store, asks(&payout("known")), "x", SystemClock.now()).await;
    let pace = async |of: &[(Provider, i32)]| {
        let new = NewPlan { pace: Pace::Slowest { of, otherwise: 60 }, ..new_plan(&all) };
        let id = store.plan_redrive(&new).await.unwrap().unwrap();
        store.redrive_plan(id).await.unwrap().unwrap().per_minute
    };
    assert_eq!(pace(&[(Provider::Stripe, 1), (Provider::Heleket, 9), (Provider::Heleket, 7)]).await, 7);
    assert_eq!(pace(&[(Provider::Stripe, 1)]).await, 60, "it is not called");
}

#[tokio::test]
async fn a_step_is_one_worker_s_and_whoever_took_it_before_writes_nothing() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    dies(&store, asks(&payout("a")), "x", SystemClock.now()).await;
    let id = plan(&store, &Selection::default()).await.unwrap();
    let step = store.start_redrive(id, "planned", &AUTHOR).await.unwrap().unwrap();
    let step = Redrive { plan: id, step };
    let StepClaim::Claimed(held) = store.claim_redrive(step).await.unwrap() else { panic!("not claimed") };
    assert!(matches!(store.claim_redrive(step).await.unwrap(), StepClaim::NotYet { .. }));

    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE redrive_plans SET next_step_at = now()").execute(&mut connection).await.unwrap();
    let StepClaim::Claimed(second) = store.claim_redrive(step).await.unwrap() else { panic!("not claimed") };
    let letter = store.redrive_candidates(id, 1).await.unwrap().remove(0);
    let kept =
        [Kept { job: letter.job, outcome: ItemOutcome::Skipped, detail: "settled already".to_owned() }];
    let go_on = StepEnd::GoOn { after_ms: 0 };
    assert!(!store.end_step(&held, "a", &kept, 0, &go_on).await.unwrap());
    assert_eq!(store.redrive_progress(id).await.unwrap().skipped, 0);
    assert!(store.end_step(&second, "b", &kept, 0, &go_on).await.unwrap());
    assert_eq!(store.redrive_progress(id).await.unwrap().skipped, 1);
    assert!(matches!(store.claim_redrive(step).await.unwrap(), StepClaim::Passed));

    let next = Redrive { step: step.step + 1, ..step };
    assert!(store.halt_redrive(id, &["releasing".to_owned()], "paused", &SECOND).await.unwrap());
    let StepClaim::Claimed(paused) = store.claim_redrive(next).await.unwrap() else { panic!("not claimed") };
    assert!(!paused.releases, "what was released is looked after, and no more");
    assert!(store.end_step(&paused, "a", &[], 0, &StepEnd::Rest).await.unwrap());
    assert_eq!(store.redrive_plan(id).await.unwrap().unwrap().state, "paused");
    assert!(store.redrive_steps(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_last_outcomes_are_counted_and_those_that_became_known_together_together() {
    let store = store().await;
    for key in ["a", "b", "c", "over"] {
        dies(&store, asks(&payout(key)), "x", SystemClock.now()).await;
    }
    let first = begun(&store).await;
    let id = first.step.plan;
    let letters = store.redrive_candidates(id, 4).await.unwrap();
    let kept = |n: usize, outcome| Kept { job: letters[n].job, outcome, detail: "as it is".to_owned() };
    for letter in &letters[..3] {
        assert_eq!(store.keep_released(&first, letter).await.unwrap(), Released::Ours);
    }
    let go_on = StepEnd::GoOn { after_ms: 0 };
    let known = [kept(0, ItemOutcome::Done), kept(3, ItemOutcome::Skipped)];
    assert!(store.end_step(&first, "a", &known, 1, &go_on).await.unwrap());
    let next = Redrive { step: first.step.step + 1, ..first.step };
    let StepClaim::Claimed(second) = store.claim_redrive(next).await.unwrap() else { panic!("not claimed") };
    assert_eq!(second.good, 1);
    let known = [kept(1, ItemOutcome::Failed), kept(2, ItemOutcome::Done)];
    assert!(store.end_step(&second, "a", &known, 1, &go_on).await.unwrap());
    for (most, counted) in [(0, (0, 0)), (1, (1, 1)), (2, (1, 1)), (3, (2, 1)), (50, (2, 1))] {
        assert_eq!(store.redrive_recent(id, most).await.unwrap(), counted, "of the last {most}");
    }
}

#[tokio::test]
async fn who_had_a_plan_do_what_is_never_changed() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    dies(&store, asks(&payout("a")), "x", SystemClock.now()).await;
    plan(&store, &Selection::default()).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for sql in [
        "UPDATE redrive_changes SET author = 'team-lead'",
        "DELETE FROM redrive_changes",
        "TRUNCATE redrive_changes",
    ] {
        let refused = sqlx::query(sql).execute(&mut connection).await.unwrap_err().to_string();
        assert!(refused.contains("redrive_changes is append-only"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn two_plans_of_the_same_letters_release_each_once() {
    let store = store().await;
    dies(&store, asks(&payout("a")), "x", SystemClock.now()).await;
    let first = begun(&store).await;
    let second = begun(&store).await;
    let letter = store.redrive_candidates(first.step.plan, 1).await.unwrap().remove(0);
    assert_eq!(store.keep_released(&first, &letter).await.unwrap(), Released::Ours);
    assert_eq!(store.keep_released(&second, &letter).await.unwrap(), Released::Elsewhere);
    assert!(store.redrive_candidates(second.step.plan, 1).await.unwrap().remove(0).is_released);
}

#[tokio::test]
async fn a_step_that_another_has_taken_releases_nothing_and_of_a_halted_plan_no_more_than_it_had_begun() {
    let url = servers::database().await;
    let store = Store::connect_lazy(&url, 2).unwrap();
    let now = SystemClock.now();
    for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
        dies(&store, asks(&payout(key)), "x", now.plus_ms(i64::try_from(n).unwrap())).await;
    }
    let slow = begun(&store).await;
    let id = slow.step.plan;
    let letters = store.redrive_candidates(id, 3).await.unwrap();
    let [a, b, c] = letters.as_slice() else { panic!("{letters:?}") };
    assert!(store.may_release(&slow).await.unwrap());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE redrive_plans SET next_step_at = now()").execute(&mut connection).await.unwrap();
    let StepClaim::Claimed(quick) = store.claim_redrive(slow.step).await.unwrap() else {
        panic!("not claimed")
    };
    assert!(!store.may_release(&slow).await.unwrap());
    assert_eq!(store.keep_released(&slow, a).await.unwrap(), Released::Passed);
    assert_eq!(store.redrive_candidates(id, 1).await.unwrap().remove(0).job, a.job, "it comes next");
    assert_eq!(store.keep_released(&quick, a).await.unwrap(), Released::Ours);
    assert_eq!(store.keep_released(&quick, a).await.unwrap(), Released::Ours, "its own is not another's");
    let skipped = [Kept { job: a.job, outcome: ItemOutcome::Skipped, detail: "another's".to_owned() }];
    assert!(store.end_step(&quick, "b", &skipped, 0, &StepEnd::GoOn { after_ms: 0 }).await.unwrap());
    let progress = store.redrive_progress(id).await.unwrap();
    assert_eq!((progress.out, progress.skipped), (1, 0), "what was released is not skipped");

    let next = Redrive { step: slow.step.step + 1, ..slow.step };
    let StepClaim::Claimed(third) = store.claim_redrive(next).await.unwrap() else { panic!("not claimed") };
    assert!(store.halt_redrive(id, &["releasing".to_owned()], "paused", &SECOND).await.unwrap());
    assert!(!store.may_release(&third).await.unwrap());
    let StepClaim::Claimed(looks) = store.claim_redrive(next).await.unwrap() else { panic!("not claimed") };
    assert_eq!(store.keep_released(&third, b).await.unwrap(), Released::Late);
    assert!(!store.end_step(&looks, "b", &[], 0, &StepEnd::Rest).await.unwrap(), "it has not seen b");
    assert_eq!(store.redrive_steps(None).await.unwrap().len(), 1, "it is looked after");
    assert_eq!(store.redrive_progress(id).await.unwrap().out, 2);
    let StepClaim::Claimed(looks) = store.claim_redrive(next).await.unwrap() else { panic!("not claimed") };
    assert!(store.end_step(&looks, "b", &[], 0, &StepEnd::Rest).await.unwrap());
    assert_eq!(store.keep_released(&third, c).await.unwrap(), Released::Late);
    assert_eq!(store.redrive_steps(None).await.unwrap().len(), 1, "also where nothing was left to look at");
}

#[tokio::test]
async fn a_plan_of_many_is_made_counted_and_gone_through_in_order() {
    let store = store().await;
    let all = many();
    let start = SystemClock.now().plus_ms(-A_DAY_MS);
    for n in 0..all {
        let died_at = start.plus_ms(i64::try_from(n).unwrap());
        dies(&store, asks(&payout_of(&format!("p-{n}"), "1")), "x", died_at).await;
    }
    let id = plan(&store, &Selection::default()).await.unwrap();
    let groups = store.redrive_groups(id, &[]).await.unwrap();
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(usize::try_from(groups[0].count).unwrap(), all);
    assert_eq!(groups[0].amount.as_deref().unwrap().parse::<Decimal>(), Ok(Decimal::from(all)));
    let step = store.start_redrive(id, "planned", &SECOND).await;
    assert_eq!(step.unwrap(), None, "that many want a second person");
    let page = store.redrive_candidates(id, 200).await.unwrap();
    assert_eq!(page.len(), 200);
    assert!(page.is_sorted_by_key(|letter| letter.died_at));
    assert_eq!(page[0].died_at, start);
}
