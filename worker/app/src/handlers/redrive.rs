//! The `redrive` job: one step of a plan. It looks what became of what was released, releases the next
//! letters as far as that allows, and says when it comes again. Redis is asked before Postgres: what
//! has left it dead is archived by then.

use std::time::Duration;

use payfleet_core::JobId;
use payfleet_core::job::{Origin, QueueName};
use payfleet_core::kinds::redrive::Redrive;
use payfleet_queue::Outcome;
use payfleet_store::{Candidate, ClaimedPlan, ItemOutcome, Kept, Out, Released, StepClaim, StepEnd};

use super::{HandlerError, Handlers};
use crate::jobs;
use crate::rebuild::may_pass;
use crate::redrive::steps::{End, LOOK_MS, MOST_OUT, RATIO_OF, batch, end_of, pause_ms, stops};
use crate::redrive::{ReleaseError, release, revived};

/// How many letters more than may be released are looked at: some are skipped.
const SPARE: usize = 20;
/// Between two looks at what a plan has released that releases nothing more, in milliseconds.
const IDLE_LOOK_MS: u64 = 5_000;

/// What a step has learned and done so far.
#[derive(Default)]
struct Progress {
    kept: Vec<Kept>,
    good: i64,
    bad: i64,
    /// Letters that are still out.
    out: usize,
    /// Those among them that count.
    out_that_count: usize,
    lost: Vec<JobId>,
    released: usize,
}

impl Progress {
    fn keep(&mut self, job: JobId, outcome: ItemOutcome, detail: String) {
        self.kept.push(Kept { job, outcome, detail });
    }
}

impl Handlers {
    pub(super) async fn redrive(&self, step: Redrive) -> Result<Outcome, HandlerError> {
        let plan = match self.store.claim_redrive(step).await? {
            StepClaim::Claimed(plan) => plan,
            StepClaim::NotYet { ms } => {
                let reason = "the step is not due, or another worker has taken it".to_owned();
                return Ok(Outcome::Defer { delay: Duration::from_millis(ms.max(50)), reason });
            }
            StepClaim::Passed => {
                tracing::info!(redrive.plan = step.plan, "The plan is not at this step any more.");
                return Ok(done());
            }
        };
        let mut progress = self.look(&plan).await?;
        self.release_lost(&plan, &mut progress).await?;
        let good = plan.good.saturating_add(progress.good);
        let recent = self.recent(&plan, &progress).await?;
        let end = match stops(good, recent, plan.stop_percent) {
            _ if !plan.releases && progress.out > 0 => {
                let paced = pause_ms(plan.per_minute, progress.released);
                StepEnd::GoOn { after_ms: if progress.released > 0 { paced } else { IDLE_LOOK_MS } }
            }
            _ if !plan.releases => StepEnd::Rest,
            Some(why) => StepEnd::Stopped { why, after_ms: LOOK_MS },
            None => self.release_next(&plan, good, &mut progress).await?,
        };
        let is_ours =
            self.store.end_step(&plan, self.executor.worker(), &progress.kept, progress.good, &end).await?;
        if !is_ours {
            tracing::info!(redrive.plan = step.plan, "The plan has been moved by somebody else meanwhile.");
            return Ok(done());
        }
        let after_ms = match end {
            StepEnd::GoOn { after_ms } => after_ms,
            StepEnd::Stopped { why, after_ms } => {
                tracing::error!(redrive.plan = step.plan, "The plan has stopped by itself: {why}");
                after_ms
            }
            StepEnd::Finished | StepEnd::Rest => {
                tracing::info!(redrive.plan = step.plan, "Nothing of the plan is left to do.");
                return Ok(done());
            }
        };
        let next = Redrive { step: step.step.saturating_add(1), ..step };
        let after = Duration::from_millis(after_ms);
        Ok(Outcome::Done { then: vec![jobs::redrive(&next, after, Origin::FollowUp)?] })
    }

    /// What became of what was released.
    async fn look(&self, plan: &ClaimedPlan) -> Result<Progress, HandlerError> {
        let all = self.store.redrive_out(plan.step.plan, limit(MOST_OUT)).await?;
        let mut progress = Progress::default();
        let mut gone: Vec<&Out> = Vec::new();
        for one in &all {
            if self.is_with_workers(one).await? {
                progress.out += 1;
                progress.out_that_count += usize::from(one.counts);
            } else {
                gone.push(one);
            }
        }
        if gone.is_empty() {
            return Ok(progress);
        }
        let jobs: Vec<JobId> = gone.iter().map(|one| one.job).collect();
        for fate in self.store.redrive_fates(plan.step.plan, &jobs).await? {
            let counts = gone.iter().any(|one| one.job == fate.job && one.counts);
            match end_of(&fate) {
                End::Known(outcome, detail) => {
                    if counts && outcome == ItemOutcome::Done {
                        progress.good += 1;
                    } else if counts {
                        progress.bad += 1;
                    }
                    progress.keep(fate.job, outcome, detail);
                }
                open => {
                    progress.out += 1;
                    progress.out_that_count += usize::from(counts);
                    progress.lost.extend((open == End::Lost).then_some(fate.job));
                }
            }
        }
        Ok(progress)
    }

    /// How the last letters ended: those of this step, and of before as many as are missing.
    async fn recent(&self, plan: &ClaimedPlan, progress: &Progress) -> Result<(i64, i64), HandlerError> {
        let now = progress.good.saturating_add(progress.bad);
        let missing = RATIO_OF.saturating_sub(now).max(0);
        let (good, bad) = self.store.redrive_recent(plan.step.plan, missing).await?;
        Ok((good.saturating_add(progress.good), bad.saturating_add(progress.bad)))
    }

    /// Also one that is dead there: its end is known when it is archived.
    async fn is_with_workers(&self, one: &Out) -> Result<bool, HandlerError> {
        let Ok(queue) = QueueName::try_from(one.queue.as_str()) else { return Ok(false) };
        Ok(self.queue.find(&queue, one.job).await?.is_some())
    }

    /// Releases what Redis has lost, a second's worth: also where the plan releases nothing more, for
    /// these were released already, and may be all that is left of a request.
    async fn release_lost(&self, plan: &ClaimedPlan, progress: &mut Progress) -> Result<(), HandlerError> {
        let a_second = batch(plan.per_minute, 1, 0, 0);
        for job in std::mem::take(&mut progress.lost).into_iter().take(a_second) {
            self.release_again(job).await?;
            progress.released += 1;
        }
        Ok(())
    }

    /// Releases the next letters as far as they may go now.
    async fn release_next(
        &self,
        plan: &ClaimedPlan,
        good: i64,
        progress: &mut Progress,
    ) -> Result<StepEnd, HandlerError> {
        let most = batch(plan.per_minute, good, progress.out, progress.out_that_count);
        let most = most.saturating_sub(progress.released);
        if most == 0 {
            return Ok(StepEnd::GoOn { after_ms: pause_ms(plan.per_minute, progress.released) });
        }
        let fetched = most.saturating_add(SPARE);
        let candidates = self.store.redrive_candidates(plan.step.plan, limit(fetched)).await?;
        let mut left = candidates.len();
        let before = progress.released;
        for letter in &candidates {
            if progress.released - before == most {
                break;
            }
            left -= 1;
            if !self.release_one(plan, letter, progress).await? {
                // Not written: the plan has been moved.
                return Ok(StepEnd::GoOn { after_ms: LOOK_MS });
            }
        }
        if progress.released > 0 {
            return Ok(StepEnd::GoOn { after_ms: pause_ms(plan.per_minute, progress.released) });
        }
        if left > 0 || candidates.len() == fetched {
            // All of these were skipped.
            return Ok(StepEnd::GoOn { after_ms: 0 });
        }
        Ok(if progress.out == 0 { StepEnd::Finished } else { StepEnd::GoOn { after_ms: LOOK_MS } })
    }

    async fn release_again(&self, job: JobId) -> Result<(), HandlerError> {
        let Some(letter) = self.store.dead_letter(job).await? else { return Ok(()) };
        tracing::warn!(job.id = %job, "A released letter was lost with Redis and is released again.");
        match self.give_back(&letter.kind, &letter.job, letter.died_at).await? {
            Ok(()) => Ok(()),
            Err(why) => {
                tracing::warn!(job.id = %job, "It cannot be: {why}");
                Ok(())
            }
        }
    }

    /// Answers whether the next one may follow: not where the plan was paused meanwhile, or where this
    /// worker took so long that another has taken the step.
    async fn release_one(
        &self,
        plan: &ClaimedPlan,
        letter: &Candidate,
        progress: &mut Progress,
    ) -> Result<bool, HandlerError> {
        if !self.store.may_release(plan).await? {
            return Ok(false);
        }
        let elsewhere = "somebody else has released it";
        let skip = match &letter.over {
            _ if letter.is_released => Some(elsewhere.to_owned()),
            Some(state) => Some(format!("its operation is {state} already")),
            None => None,
        };
        let skip = match skip {
            Some(why) => Some(why),
            None => self.give_back(&letter.kind, &letter.record, letter.died_at).await?.err(),
        };
        if let Some(why) = skip {
            progress.keep(letter.job, ItemOutcome::Skipped, why);
            return Ok(true);
        }
        // Only once it is in Redis: a crash in between releases it again, and releasing twice is once.
        match self.store.keep_released(plan, letter).await? {
            Released::Ours => progress.released += 1,
            Released::Elsewhere => progress.keep(letter.job, ItemOutcome::Skipped, elsewhere.to_owned()),
            Released::Late | Released::Passed => return Ok(false),
        }
        Ok(true)
    }

    /// Puts a letter into its queue; the inner error says why that letter cannot be.
    async fn give_back(
        &self,
        kind: &str,
        record: &serde_json::Value,
        died_at: payfleet_core::Timestamp,
    ) -> Result<Result<(), String>, HandlerError> {
        let released = match revived(kind, record) {
            Ok(job) => release(&self.queue, job, died_at).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match released {
            // Redis as a whole; what is wrong with one letter keeps no other waiting.
            Err(ReleaseError::Queue(error)) if may_pass(&error) || is_refused(&error) => Err(error.into()),
            other => Ok(other.map_err(|error| error.to_string())),
        }
    }
}

fn is_refused(error: &payfleet_queue::Error) -> bool {
    matches!(error, payfleet_queue::Error::Refused { .. })
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn done() -> Outcome {
    Outcome::Done { then: Vec::new() }
}
