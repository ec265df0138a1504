//! Whatever a fleet does with a limiter, the calls that it lets through stay under 0.9 of the
//! published limit in every window. Random workers, replayed by the times of their calls.

use std::time::Duration;

use payfleet_queue::limits::{Booked, Limit, Limiter, Reserved};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::World;

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    /// Calls as often as it may, looking so many times, 9 ms apart, and gives back what is held
    /// after so many looks.
    Saturate(u32, u32),
    /// Reserve so many, use at most so many of them, keep the rest.
    Reserve(u32, u32),
    /// Give back the unused permits of the oldest or the newest reservation.
    GiveBack(bool),
    /// Book one, and use it or keep it.
    Book(bool),
    Lower(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..60).prop_map(Step::Advance),
        1 => (0_u64..3_000).prop_map(Step::Advance),
        3 => (100_u32..150, 0_u32..150).prop_map(|(looks, at)| Step::Saturate(looks, at)),
        6 => (1_u32..20, 0_u32..4).prop_map(|(n, used)| Step::Reserve(n, used)),
        3 => any::<bool>().prop_map(Step::GiveBack),
        4 => any::<bool>().prop_map(Step::Book),
        1 => (0_u64..500).prop_map(Step::Lower),
    ];
    prop::collection::vec(step, 1..16)
}

fn limits() -> impl Strategy<Value = Limit> {
    (1_u32..40, 1_u32..10).prop_map(|(count, burst)| Limit::per_second(count).with_burst(burst.min(count)))
}

/// Runs the steps and returns when calls were made, in milliseconds.
async fn run(limit: Limit, steps: &[Step]) -> Vec<u64> {
    let mut world = World::new().await;
    let limiter = world.queue.limiter("x", limit).unwrap();
    let mut fleet = Fleet { limiter, now: 0, held: Vec::new(), calls: Vec::new() };
    for step in steps {
        match step {
            Step::Advance(ms) => fleet.advance(&mut world, *ms).await,
            Step::Saturate(looks, give_back_at) => {
                for look in 0..*looks {
                    while look == *give_back_at && !fleet.held.is_empty() {
                        fleet.act(&Step::GiveBack(true)).await;
                    }
                    fleet.act(&Step::Reserve(20, 20)).await;
                    fleet.advance(&mut world, 9).await;
                }
            }
            step => fleet.act(step).await,
        }
    }
    fleet.calls.sort_unstable();
    fleet.calls
}

struct Fleet {
    limiter: Limiter,
    now: u64,
    held: Vec<(Reserved, u32)>,
    calls: Vec<u64>,
}

impl Fleet {
    async fn advance(&mut self, world: &mut World, ms: u64) {
        self.now += ms;
        world.advance(Duration::from_millis(ms)).await;
    }

    async fn act(&mut self, step: &Step) {
        match step {
            Step::Advance(_) | Step::Saturate(..) => {}
            Step::Reserve(n, used) => {
                let reserved = self.limiter.reserve(*n).await.unwrap();
                let used = reserved.granted.min(*used);
                self.calls.extend((0..used).map(|_| self.now));
                let unused = reserved.granted - used;
                if unused > 0 {
                    self.held.push((reserved, unused));
                }
            }
            Step::GiveBack(oldest) if !self.held.is_empty() => {
                let at = if *oldest { 0 } else { self.held.len() - 1 };
                let (reserved, unused) = self.held.remove(at);
                self.limiter.give_back(reserved, unused).await.unwrap();
            }
            Step::GiveBack(_) => {}
            Step::Book(is_used) => match self.limiter.book().await.unwrap() {
                Booked::At(wait, _) if *is_used => {
                    self.calls.push(self.now + u64::try_from(wait.as_millis()).unwrap());
                }
                Booked::At(_, permit) => self.held.push((permit, 1)),
                Booked::Later(_) => {}
            },
            Step::Lower(ms) => self.limiter.lowered(Some(Duration::from_millis(*ms)), "429").await.unwrap(),
        }
    }
}

#[test]
fn no_second_sees_more_than_nine_tenths_of_the_published_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(limits(), steps()), |(limit, steps)| {
            let calls = runtime.block_on(run(limit, &steps));
            let most = usize::try_from((limit.count * 9 / 10).max(1)).unwrap();
            for (n, from) in calls.iter().enumerate() {
                let seen = calls[n..].iter().take_while(|at| **at <= from + 1_000).count();
                prop_assert!(seen <= most, "{seen} calls of at most {most} in the second from {from} ms");
            }
            Ok(())
        })
        .unwrap();
}
