//! Where every accepted job ended, as sets of ids.

use std::collections::BTreeSet;
use std::time::Duration;

use payfleet_core::JobId;
use payfleet_core::job::NewJob;
use payfleet_queue::{Place, Queue};

use super::process::PATIENCE;
use crate::world::World;

/// The jobs that the queue has accepted.
#[derive(Debug, Default)]
pub(super) struct Account {
    accepted: BTreeSet<JobId>,
}

/// A job of this kind.
pub(super) fn job_of_kind(world: &World, n: u64, kind: &str) -> NewJob {
    let mut job = world.job(n);
    job.kind = kind.to_owned();
    job
}

impl Account {
    /// Enqueues a job, as often as it takes: what was refused, or not answered, is asked again.
    pub(super) async fn enqueue(&mut self, queue: &Queue, job: &NewJob) {
        let ask = async {
            loop {
                match queue.enqueue(std::slice::from_ref(job)).await {
                    Ok(answers) => return answers[0].id(),
                    Err(error) => assert!(error.is_unavailable(), "{error}"),
                }
            }
        };
        let id = tokio::time::timeout(PATIENCE, ask).await.expect("the queue takes a job again");
        assert_eq!(id, job.id);
        self.accepted.insert(id);
    }

    /// Enqueues many at once.
    pub(super) async fn enqueue_all(&mut self, queue: &Queue, jobs: &[NewJob]) {
        for batch in jobs.chunks(5_000) {
            for answer in queue.enqueue(batch).await.unwrap() {
                self.accepted.insert(answer.id());
            }
        }
    }

    pub(super) fn ids(&self) -> &BTreeSet<JobId> {
        &self.accepted
    }

    /// Waits until nothing is left to do.
    pub(super) async fn until_idle(world: &World) {
        Self::until_idle_within(world, PATIENCE).await;
    }

    /// As [`Self::until_idle`], for those who know that it takes long.
    pub(super) async fn until_idle_within(world: &World, patience: Duration) {
        let idle = async {
            loop {
                // Redis may be in trouble still.
                if let Ok(stats) = world.queue.stats(std::slice::from_ref(&world.name)).await
                    && stats[0].ready + stats[0].running + stats[0].delayed == 0
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(patience, idle).await.is_err() {
            panic!("work is left: {:?}", world.queue.stats(std::slice::from_ref(&world.name)).await);
        }
    }

    /// Fails unless every accepted job is done, or dead and in `dead`, and none was settled twice.
    pub(super) async fn check(&self, world: &World, dead: &BTreeSet<JobId>) {
        let (mut gone, mut died) = (BTreeSet::new(), BTreeSet::new());
        for id in &self.accepted {
            match world.place(*id).await {
                None => gone.insert(*id),
                Some(Place::Dead { .. }) => died.insert(*id),
                Some(place) => panic!("{id} is still {place:?}"),
            };
        }
        assert_eq!(died, *dead, "the dead");
        let stats = world.stats().await;
        assert_eq!(stats.done, u64::try_from(gone.len()).unwrap(), "none is settled twice: {stats:?}");
        assert_eq!(stats.dead, u64::try_from(dead.len()).unwrap(), "{stats:?}");
    }
}
