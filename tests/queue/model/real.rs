//! Takes each step on the real queue and holds every answer against the oracle.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_core::Timestamp;
use payfleet_core::job::NewJob;
use payfleet_queue::{Config, Error, LeaseRef, Outcome, Place, Queue, Settled, Settlement, TimeSource};
use proptest_state_machine::StateMachineTest;
use tokio::runtime::Runtime;

use super::oracle::Oracle;
use super::steps::{End, Plan, Sketch, Spec, Step, WORKERS, Which, named};
use crate::world::{START, World, failure};

/// Fewer than there are ids, so that the queue is sometimes full.
const MAX_DEPTH: u64 = 10;
/// All jobs are looked up after every so many steps.
const LOOK_EVERY: usize = 8;

/// A Redis and a world that all cases of a thread use one after the other.
pub(super) struct Bench {
    runtime: Runtime,
    world: RefCell<World>,
    /// The same queue with the scripts of an earlier release.
    earlier: RefCell<Queue>,
    _server: RedisServer,
}

thread_local! {
    static BENCH: RefCell<Option<Rc<Bench>>> = const { RefCell::new(None) };
}

impl Bench {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (server, world) = runtime.block_on(async {
            let settings = vec![("appendonly".to_owned(), "no".to_owned())];
            let server =
                RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
            let world = World::at(&server.url(), |config| config.max_depth = MAX_DEPTH).await;
            (server, world)
        });
        let scripts = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("queue/released/0.1.0"));
        let earlier = Queue::open(Config { scripts, ..world.queue.config().clone() }).unwrap();
        Self { runtime, world: RefCell::new(world), earlier: RefCell::new(earlier), _server: server }
    }

    fn of_this_thread() -> Rc<Self> {
        BENCH.with(|bench| Rc::clone(bench.borrow_mut().get_or_insert_with(|| Rc::new(Self::start()))))
    }
}

/// Empties the Redis, which is the bench's alone, and sets the clock back.
async fn begin_anew(world: &mut World) {
    let TimeSource::Key(clock) = world.queue.config().time.clone() else { panic!("a stepped clock") };
    let mut begin = redis::pipe();
    begin.cmd("FLUSHALL").cmd("SET").arg(clock).arg(START);
    let () = begin.query_async(&mut world.redis).await.unwrap();
}

async fn forget_scripts(world: &mut World) {
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut world.redis).await.unwrap();
}

/// The queue under test, its workers, and what the contract says of them. `ROLLING`: every other step is
/// taken by a process of an earlier release, as during a deploy.
pub(super) struct Real<const ROLLING: bool> {
    bench: Rc<Bench>,
    oracle: Oracle,
    hands: [Vec<LeaseRef>; WORKERS],
    /// Leases that ended, and those of workers that died.
    old: Vec<LeaseRef>,
    jobs_made: u64,
    steps: usize,
}

impl<const ROLLING: bool> Real<ROLLING> {
    fn new() -> Self {
        let bench = Bench::of_this_thread();
        bench.runtime.block_on(begin_anew(&mut bench.world.borrow_mut()));
        let oracle = Oracle::new(MAX_DEPTH);
        Self { bench, oracle, hands: Default::default(), old: Vec::new(), jobs_made: 0, steps: 0 }
    }

    fn jobs(&mut self, world: &World, specs: &[Spec]) -> Vec<NewJob> {
        let from = self.jobs_made;
        self.jobs_made += u64::try_from(specs.len()).unwrap();
        specs.iter().zip(from..).map(|(spec, serial)| spec.job(&world.name, serial)).collect()
    }

    fn pick(&self, worker: usize, which: Which) -> Option<LeaseRef> {
        let (leases, n) = match which {
            Which::Held(n) => (&self.hands[worker], n),
            Which::Old(n) => (&self.old, n),
        };
        leases.get(n % leases.len().max(1)).copied()
    }

    fn drop_from_hands(&mut self, leases: &[LeaseRef]) {
        for hand in &mut self.hands {
            hand.retain(|held| !leases.contains(held));
        }
        self.old.extend(leases.iter().filter(|lease| lease.token > 0));
    }

    async fn step(&mut self, world: &mut World, step: Step) {
        match step {
            Step::Enqueue(specs) => self.enqueue(world, &specs).await,
            Step::Take { worker, max } => self.take(world, worker, max).await,
            Step::Renew { worker, old } => self.renew(world, worker, old).await,
            Step::Settle { worker, ends } => self.settle(world, worker, ends).await,
            Step::Release { worker, which } => self.release(world, worker, &which).await,
            Step::Start { worker, which } => self.start(world, worker, which).await,
            Step::Absorb { worker, which } => self.absorb(world, worker, which).await,
            Step::Crash { worker } => self.old.append(&mut self.hands[worker]),
            Step::Cancel(n) => {
                let answer = world.queue.cancel(&world.name, named(n)).await.unwrap();
                self.oracle.cancelled(named(n), answer);
            }
            Step::Promote(n) => {
                let answer = world.queue.promote(&world.name, named(n)).await.unwrap();
                self.oracle.promoted(named(n), answer);
            }
            Step::Reschedule(n, ms) => {
                let delay = Duration::from_millis(ms);
                let answer = world.queue.reschedule(&world.name, named(n), delay).await.unwrap();
                self.oracle.rescheduled(named(n), ms, answer);
            }
            Step::RemoveDead(n) => {
                let died_at = match world.place(named(n)).await {
                    Some(Place::Dead { died_at, .. }) => died_at,
                    _ => Timestamp::from_unix_ms(START),
                };
                let another = (named(n), died_at.plus_ms(-1));
                assert_eq!(world.queue.remove_dead(&world.name, &[another]).await.unwrap(), 0);
                let removed = world.queue.remove_dead(&world.name, &[(named(n), died_at)]).await.unwrap();
                self.oracle.removed_dead(named(n), removed == 1);
            }
            Step::Pause => {
                world.queue.pause(&world.name).await.unwrap();
                self.oracle.pause(true);
            }
            Step::Resume => {
                world.queue.resume(&world.name).await.unwrap();
                self.oracle.pause(false);
            }
            Step::Pass(ms) => self.pass(world, ms).await,
            Step::ForgetScripts => forget_scripts(world).await,
        }
    }

    async fn pass(&mut self, world: &mut World, ms: u64) {
        world.advance(Duration::from_millis(ms)).await;
        self.oracle.pass(ms);
    }

    async fn enqueue(&mut self, world: &World, specs: &[Spec]) {
        let jobs = self.jobs(world, specs);
        match world.queue.enqueue(&jobs).await {
            Ok(answers) => self.oracle.enqueued(&jobs, Some(&answers)),
            Err(Error::QueueFull { .. }) => self.oracle.enqueued(&jobs, None),
            Err(error) => panic!("{error}"),
        }
    }

    async fn take(&mut self, world: &World, worker: usize, max: usize) {
        let taken = world.queue.take(&world.name, &format!("w{worker}"), max).await.unwrap();
        self.oracle.taken(max, &taken);
        self.hands[worker].extend(taken.jobs.iter().map(|leased| leased.lease));
    }

    async fn renew(&mut self, world: &World, worker: usize, old: usize) {
        let mut leases = self.hands[worker].clone();
        leases.extend(self.pick(worker, Which::Old(old)));
        let answers = world.queue.renew(&world.name, &leases).await.unwrap();
        self.oracle.renewed(&leases, &answers);
        let lost: Vec<_> = leases.iter().zip(&answers).filter(|(_, held)| !**held).map(|(l, _)| *l).collect();
        self.drop_from_hands(&lost);
    }

    async fn settle(&mut self, world: &World, worker: usize, ends: Vec<(Which, End)>) {
        let mut settlements = Vec::new();
        // In which order a call's jobs bring their follow-ups is nobody's affair, so one brings some.
        let mut brings = true;
        for (which, end) in ends {
            let Some(lease) = self.pick(worker, which) else { continue };
            let outcome = match end {
                End::Done(then) if std::mem::take(&mut brings) => {
                    Outcome::Done { then: self.jobs(world, &then) }
                }
                End::Done(_) => Outcome::done(),
                End::Retry(ms) => {
                    Outcome::Retry { delay: Duration::from_millis(ms), failure: failure("again") }
                }
                End::Defer(ms) => {
                    Outcome::Defer { delay: Duration::from_millis(ms), reason: "later".to_owned() }
                }
                End::Unknown(ms) => {
                    Outcome::Unknown { delay: Duration::from_millis(ms), reason: "a stranger".to_owned() }
                }
                End::Dead => Outcome::Dead { failure: failure("never") },
            };
            settlements.push(Settlement { lease, outcome });
        }
        let answers = world.queue.settle(&world.name, &settlements).await.unwrap();
        self.oracle.settled(&settlements, &answers);
        let applied = settlements.iter().zip(&answers).filter(|(_, answer)| **answer == Settled::Applied);
        let ended: Vec<LeaseRef> = applied.map(|(settlement, _)| settlement.lease).collect();
        self.drop_from_hands(&ended);
    }

    async fn release(&mut self, world: &World, worker: usize, which: &[Which]) {
        let mut leases: Vec<LeaseRef> = which.iter().filter_map(|which| self.pick(worker, *which)).collect();
        leases.sort_by_key(|lease| (lease.id, lease.token));
        leases.dedup();
        world.queue.release(&world.name, &leases).await.unwrap();
        self.oracle.released(&leases);
        self.drop_from_hands(&leases);
    }

    async fn start(&mut self, world: &World, worker: usize, which: Which) {
        let Some(lease) = self.pick(worker, which) else { return };
        let answer = world.queue.start(&world.name, lease).await.unwrap();
        self.oracle.started(lease, answer);
    }

    async fn absorb(&mut self, world: &World, worker: usize, which: Which) {
        let Some(lease) = self.pick(worker, which) else { return };
        let ids = world.queue.absorb(&world.name, lease).await.unwrap();
        self.oracle.absorbed(lease, &ids);
    }

    async fn look(&self, world: &World) {
        let stats = world.stats().await;
        self.oracle.check_stats(&stats);
        if self.steps.is_multiple_of(LOOK_EVERY) {
            self.look_everywhere(world).await;
        }
    }

    async fn look_everywhere(&self, world: &World) {
        for id in self.oracle.ids() {
            let found = world.queue.find(&world.name, id).await.unwrap();
            self.oracle.check_found(id, found.as_ref());
        }
        let dead = world.queue.dead(&world.name, 100).await.unwrap();
        self.oracle.check_dead(&dead.iter().map(|dead| dead.job.envelope.id).collect());
    }

    /// At the end one more worker does all there is to do: every job is handed out or dead.
    async fn drain(&mut self, world: &mut World) {
        const ROUNDS: usize = 50;
        world.queue.resume(&world.name).await.unwrap();
        self.oracle.pause(false);
        for _ in 0..ROUNDS {
            self.pass(world, 60_000).await;
            self.take(world, 0, 100).await;
            let leases = std::mem::take(&mut self.hands[0]);
            let settlements: Vec<_> =
                leases.iter().map(|lease| Settlement { lease: *lease, outcome: Outcome::done() }).collect();
            let answers = world.queue.settle(&world.name, &settlements).await.unwrap();
            self.oracle.settled(&settlements, &answers);
            let stats = world.stats().await;
            self.oracle.check_stats(&stats);
            if stats.ready + stats.running + stats.delayed == 0 {
                return self.look_everywhere(world).await;
            }
        }
        panic!("jobs are left that nobody gets: {:?}", world.stats().await);
    }
}

impl<const ROLLING: bool> StateMachineTest for Real<ROLLING> {
    type SystemUnderTest = Self;
    type Reference = Plan;

    fn init_test(_: &Sketch) -> Self {
        Self::new()
    }

    fn apply(mut real: Self, _: &Sketch, step: Step) -> Self {
        let bench = Rc::clone(&real.bench);
        let mut world = bench.world.borrow_mut();
        real.steps += 1;
        if ROLLING {
            std::mem::swap(&mut world.queue, &mut bench.earlier.borrow_mut());
        }
        bench.runtime.block_on(async {
            real.step(&mut world, step).await;
            real.look(&world).await;
        });
        real
    }

    fn teardown(mut real: Self, _: Sketch) {
        let bench = Rc::clone(&real.bench);
        let mut world = bench.world.borrow_mut();
        bench.runtime.block_on(real.drain(&mut world));
    }
}
