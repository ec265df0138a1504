//! The contract in plain Rust: what a queue must answer, and what it must hold afterwards.
//!
//! Where the contract leaves room the oracle does too, and follows what the queue did: a lease past
//! its time may be ended or kept until somebody else has the job, and a job that is due may still be
//! counted among the delayed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use payfleet_core::JobId;
use payfleet_core::ids::RequestHash;
use payfleet_core::job::{Job, NewJob};
use payfleet_queue::{
    Enqueued, JobView, LeaseRef, Leased, Outcome, Place, QueueStats, Settled, Settlement, Taken,
};

use crate::world::{LEASE, START};

/// A job is dead once so many workers ended while it ran alone, and not before.
const MAX_CRASHES: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Ready,
    Delayed {
        due: i64,
    },
    Leased {
        token: u64,
        until: i64,
    },
    /// Its lease expired. Ready again, or dead of its crashes, or still held by the late one.
    Expired {
        token: u64,
    },
    Dead,
}

#[derive(Clone, Debug)]
struct Entry {
    job: NewJob,
    at: At,
    attempt: u32,
    failures: usize,
    /// Finished leases: at least and at most.
    deliveries: (u32, u32),
    /// Leases that expired since it last came through a delivery: it is a suspect.
    expiries: u32,
    /// Of those, the ones that were started.
    crashes: u32,
    is_started: bool,
    /// Given back past its time: before or after the queue noticed, so it may be a suspect or not.
    is_vague: bool,
    /// Its turn among jobs of its priority, while order is promised: due since it was enqueued, and
    /// never handed out.
    turn: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Oracle {
    now: i64,
    max_depth: usize,
    is_paused: bool,
    live: BTreeMap<JobId, Entry>,
    keys: BTreeMap<String, (JobId, RequestHash)>,
    done: u64,
    newest_token: u64,
    next_turn: u64,
}

impl Oracle {
    pub(super) fn new(max_depth: u64) -> Self {
        Self {
            now: START,
            max_depth: usize::try_from(max_depth).unwrap(),
            is_paused: false,
            live: BTreeMap::new(),
            keys: BTreeMap::new(),
            done: 0,
            newest_token: 0,
            next_turn: 0,
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now += i64::try_from(ms).unwrap();
    }

    pub(super) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Checks what an enqueue answered (`None`: the queue is full) and notes it.
    pub(super) fn enqueued(&mut self, jobs: &[NewJob], answers: Option<&[Enqueued]>) {
        let (expected, fresh) = self.judge(jobs);
        let is_over = |more: usize| more > 0 && self.live.len() + more > self.max_depth;
        let Some(answers) = answers else {
            // A job that is in the batch twice may be counted twice.
            let alone = jobs.iter().map(|job| self.judge(std::slice::from_ref(job)).1.len()).sum();
            return assert!(is_over(alone), "a queue that is not full refused {jobs:?}");
        };
        assert!(!is_over(fresh.len()), "a full queue took {answers:?}");
        assert_eq!(answers, expected);
        fresh.into_iter().for_each(|job| self.insert(job));
    }

    /// What becomes of each job, and which are new.
    fn judge(&self, jobs: &[NewJob]) -> (Vec<Enqueued>, Vec<NewJob>) {
        let body = |job: &NewJob| job.dedupe.as_ref().map(|dedupe| dedupe.body_hash);
        let mut keys = self.keys.clone();
        let mut ids: BTreeMap<JobId, Option<RequestHash>> =
            self.live.iter().map(|(id, entry)| (*id, body(&entry.job))).collect();
        let mut fresh = Vec::new();
        let mut judge = |job: &NewJob| {
            if let Some(dedupe) = &job.dedupe
                && let Some((known, hash)) = keys.get(&dedupe.key)
            {
                let is_same = *hash == dedupe.body_hash;
                return if is_same { Enqueued::Existing(*known) } else { Enqueued::Conflict(*known) };
            }
            if let Some(known) = ids.get(&job.id) {
                let differs = known.is_some() && job.dedupe.is_some() && *known != body(job);
                return if differs { Enqueued::Conflict(job.id) } else { Enqueued::Existing(job.id) };
            }
            ids.insert(job.id, body(job));
            if let Some(dedupe) = &job.dedupe {
                keys.insert(dedupe.key.clone(), (job.id, dedupe.body_hash));
            }
            fresh.push(job.clone());
            Enqueued::Created(job.id)
        };
        (jobs.iter().map(&mut judge).collect(), fresh)
    }

    fn insert(&mut self, job: NewJob) {
        if let Some(dedupe) = &job.dedupe {
            self.keys.insert(dedupe.key.clone(), (job.id, dedupe.body_hash));
        }
        let is_due = job.delay_ms == 0;
        let turn = is_due.then_some(self.next_turn);
        self.next_turn += 1;
        let at = self.waiting(job.delay_ms);
        let entry = Entry {
            at,
            attempt: 1,
            failures: 0,
            deliveries: (0, 0),
            expiries: 0,
            crashes: 0,
            is_started: false,
            is_vague: false,
            turn,
            job,
        };
        self.live.insert(entry.job.id, entry);
    }

    fn waiting(&self, delay_ms: u64) -> At {
        match i64::try_from(delay_ms).unwrap() {
            0 => At::Ready,
            delay => At::Delayed { due: self.now + delay },
        }
    }

    /// Takes note of leases whose time is over.
    fn expire(&mut self) {
        for entry in self.live.values_mut() {
            if let At::Leased { token, until } = entry.at
                && until <= self.now
            {
                entry.at = At::Expired { token };
                entry.expiries += 1;
                entry.crashes += u32::from(entry.is_started);
                entry.deliveries.1 += 1;
            }
        }
    }

    fn may_be_taken(&self, entry: &Entry) -> bool {
        match entry.at {
            At::Ready | At::Expired { .. } => true,
            At::Delayed { due } => due <= self.now,
            At::Leased { .. } | At::Dead => false,
        }
    }

    /// Whether nothing at all speaks against handing it out now: a lane may be taken, and a suspect may
    /// have to wait.
    fn must_be_taken(&self, entry: &Entry) -> bool {
        entry.expiries == 0 && entry.job.lane.is_none() && self.may_be_taken(entry)
    }

    /// Checks a take and notes it.
    pub(super) fn taken(&mut self, max: usize, taken: &Taken) {
        self.expire();
        assert_eq!(taken.paused, self.is_paused, "paused");
        assert_eq!(taken.undecodable, 0, "all records can be read");
        if self.is_paused {
            assert!(taken.jobs.is_empty(), "a paused queue hands out nothing");
            return;
        }
        for leased in &taken.jobs {
            self.check_taken(leased);
        }
        self.newest_token = taken.jobs.iter().map(|l| l.lease.token).fold(self.newest_token, u64::max);
        self.check_order(&taken.jobs);
        self.check_lanes(&taken.jobs);
        self.check_count(max, taken);
        for leased in &taken.jobs {
            let until = self.now + i64::try_from(LEASE.as_millis()).unwrap();
            let entry = self.live.get_mut(&leased.lease.id).unwrap();
            entry.at = At::Leased { token: leased.lease.token, until };
            entry.turn = None;
            entry.is_started = false;
            entry.is_vague = false;
            entry.expiries = if leased.suspect { entry.expiries } else { 0 };
            entry.deliveries = (leased.job.deliveries - 1, leased.job.deliveries - 1);
        }
        self.check_patience(taken);
    }

    fn check_taken(&self, leased: &Leased) {
        let LeaseRef { id, token, .. } = leased.lease;
        assert!(token > self.newest_token, "tokens only grow");
        assert_eq!(leased.leased_at.unix_ms(), self.now, "the time of the lease");
        let entry = self.live.get(&id).unwrap_or_else(|| panic!("{id} was handed out and does not exist"));
        assert!(self.may_be_taken(entry), "{id} was handed out and is {:?}", entry.at);
        let is_right = leased.suspect == (entry.expiries > 0) || (entry.is_vague && !leased.suspect);
        assert!(is_right, "{id}: a suspect is one whose lease expired, {} did", entry.expiries);
        assert!(entry.crashes < MAX_CRASHES, "{id} ended {} workers and was handed out", entry.crashes);
        self.check_job(entry, &leased.job, 1);
    }

    /// `leases` are the ones that count besides the finished ones.
    fn check_job(&self, entry: &Entry, job: &Job, leases: u32) {
        let id = job.envelope.id;
        assert_eq!(job.envelope.payload.get(), entry.job.payload.get(), "{id}: the payload");
        assert_eq!(job.envelope.priority, entry.job.priority, "{id}: the priority");
        assert_eq!(job.envelope.max_attempts, entry.job.max_attempts, "{id}: the maximal attempts");
        assert_eq!(job.attempt, entry.attempt, "{id}: the attempt");
        assert_eq!(job.history.len(), entry.failures, "{id}: the failed attempts");
        let (least, most) = (entry.deliveries.0 + leases, entry.deliveries.1 + leases);
        let deliveries = job.deliveries;
        assert!((least..=most).contains(&deliveries), "{id}: {deliveries} of {least} to {most} deliveries");
    }

    /// Urgent ones first; of one priority, those that were due since they came in their order.
    fn check_order(&self, taken: &[Leased]) {
        let ids: BTreeSet<JobId> = taken.iter().map(|leased| leased.lease.id).collect();
        assert_eq!(ids.len(), taken.len(), "no job twice");
        let left =
            || self.live.values().filter(|entry| self.must_be_taken(entry) && !ids.contains(&entry.job.id));
        let mut before: BTreeMap<u8, u64> = BTreeMap::new();
        for entry in taken.iter().map(|leased| &self.live[&leased.lease.id]) {
            if !self.must_be_taken(entry) {
                continue;
            }
            let Entry { job, turn, .. } = entry;
            let urgent = left().find(|left| left.job.priority < job.priority);
            assert!(urgent.is_none(), "{} was handed out before {urgent:?}", job.id);
            if let Some(turn) = *turn {
                let earlier = before.insert(job.priority, turn).is_some_and(|before| before > turn);
                assert!(!earlier, "{} came out of turn", job.id);
                let passed = left()
                    .find(|left| left.job.priority == job.priority && left.turn.is_some_and(|t| t < turn));
                assert!(passed.is_none(), "{} was handed out before {passed:?}", job.id);
            }
        }
    }

    /// Jobs of one lane run one at a time; those that are due since they came, in their order.
    fn check_lanes(&self, taken: &[Leased]) {
        let mut at_work: BTreeSet<&str> = self
            .live
            .values()
            .filter(|entry| matches!(entry.at, At::Leased { .. }))
            .filter_map(|entry| entry.job.lane.as_deref())
            .collect();
        let ids: BTreeSet<JobId> = taken.iter().map(|leased| leased.lease.id).collect();
        for entry in taken.iter().map(|leased| &self.live[&leased.lease.id]) {
            let Some(lane) = entry.job.lane.as_deref() else { continue };
            assert!(at_work.insert(lane), "two jobs of {lane} at a time");
            let passed = self.live.values().find(|left| {
                let is_left = left.job.lane.as_deref() == Some(lane) && !ids.contains(&left.job.id);
                is_left && entry.turn.zip(left.turn).is_some_and(|(taken, left)| left < taken)
            });
            assert!(passed.is_none(), "{} was handed out before {passed:?} of its lane", entry.job.id);
        }
    }

    fn check_count(&self, max: usize, taken: &Taken) {
        let count = taken.jobs.len();
        assert!(count <= max, "{count} jobs for {max}");
        let must = self.live.values().filter(|entry| self.must_be_taken(entry)).count().min(max);
        // A suspect may want its worker for itself.
        let has_suspects = self.live.values().any(|entry| entry.expiries > 0);
        let least = if has_suspects { must.min(1) } else { must };
        assert!(count >= least, "{count} jobs, {least} were due");
    }

    /// A worker must not sleep past the next thing to do.
    fn check_patience(&self, taken: &Taken) {
        let next = self.live.values().filter_map(|entry| match entry.at {
            At::Delayed { due } if due > self.now => Some(due - self.now),
            At::Ready | At::Delayed { .. } => self.must_be_taken(entry).then_some(0),
            At::Leased { until, .. } => Some(until - self.now),
            At::Expired { .. } | At::Dead => None,
        });
        if let Some(next) = next.min() {
            let next = u64::try_from(next).unwrap_or(0);
            let said = taken.next_due_ms;
            assert!(said.is_some_and(|said| said <= next), "next due in {next} ms, the queue says {said:?}");
        }
    }

    /// Whether `lease` holds: `None` if it is over time and the queue may have it either way.
    fn holds(&self, lease: LeaseRef) -> Option<bool> {
        match self.live.get(&lease.id).map(|entry| &entry.at) {
            Some(At::Leased { token, .. }) => Some(*token == lease.token),
            Some(At::Expired { token }) if *token == lease.token => None,
            _ => Some(false),
        }
    }

    /// Checks a renewal and notes it.
    pub(super) fn renewed(&mut self, leases: &[LeaseRef], answers: &[bool]) {
        self.expire();
        assert_eq!(answers.len(), leases.len());
        for (lease, held) in leases.iter().zip(answers) {
            let must = self.holds(*lease);
            assert!(must.is_none_or(|must| must == *held), "renewing {lease:?} gave {held}");
            if *held {
                let until = self.now + i64::try_from(LEASE.as_millis()).unwrap();
                self.revive(*lease);
                self.live.get_mut(&lease.id).unwrap().at = At::Leased { token: lease.token, until };
            } else if must.is_none() {
                self.give_up(*lease);
            }
        }
    }

    /// The lease went on after its time: it counts no expiry.
    fn revive(&mut self, lease: LeaseRef) {
        let entry = self.live.get_mut(&lease.id).unwrap();
        if matches!(entry.at, At::Expired { .. }) {
            entry.expiries -= 1;
            entry.crashes -= u32::from(entry.is_started);
            entry.deliveries.1 -= 1;
        }
    }

    /// The queue refused a lease past its time, so nobody holds the job.
    fn give_up(&mut self, lease: LeaseRef) {
        let entry = self.live.get_mut(&lease.id).unwrap();
        entry.at = At::Expired { token: 0 };
        entry.is_started = false;
    }

    /// Checks the answers of a settle and notes the outcomes.
    pub(super) fn settled(&mut self, settlements: &[Settlement], answers: &[Settled]) {
        self.expire();
        assert_eq!(answers.len(), settlements.len());
        let mut then = Vec::new();
        let mut ended: HashSet<LeaseRef> = HashSet::new();
        for (settlement, answer) in settlements.iter().zip(answers) {
            let (lease, applied) = (settlement.lease, *answer == Settled::Applied);
            // Of several words on one lease in one call one counts, whichever it is.
            let others = || settlements.iter().zip(answers).filter(|(other, _)| other.lease == lease);
            let said = others().filter(|(_, answer)| **answer == Settled::Applied).count();
            let must = if others().count() > 1 || ended.contains(&lease) { None } else { self.holds(lease) };
            assert!(must.is_none_or(|must| must == applied), "settling {settlement:?} gave {answer:?}");
            let may = ended.contains(&lease) || self.holds(lease) != Some(false);
            assert!(said == 0 || (said == 1 && may), "{said} of the words on {lease:?} counted");
            assert!(
                said == 1 || ended.contains(&lease) || self.holds(lease) != Some(true),
                "{lease:?} holds"
            );
            if applied {
                ended.insert(lease);
                self.revive(lease);
                then.extend(self.end(lease.id, &settlement.outcome));
            } else if said == 0 && self.holds(lease).is_none() {
                self.give_up(lease);
            }
        }
        let (_, fresh) = self.judge(&then);
        fresh.into_iter().for_each(|job| self.insert(job));
    }

    /// What an outcome does to a job; returns its follow-ups.
    fn end(&mut self, id: JobId, outcome: &Outcome) -> Vec<NewJob> {
        if let Outcome::Done { then } = outcome {
            self.live.remove(&id);
            self.done += 1;
            return then.clone();
        }
        let wait = |delay: &std::time::Duration| self.waiting(u64::try_from(delay.as_millis()).unwrap());
        let at = match outcome {
            Outcome::Retry { delay, .. } => {
                let entry = &self.live[&id];
                if entry.attempt >= entry.job.max_attempts { At::Dead } else { wait(delay) }
            }
            Outcome::Defer { delay, .. } | Outcome::Unknown { delay, .. } => wait(delay),
            Outcome::Dead { .. } | Outcome::Done { .. } => At::Dead,
        };
        let entry = self.live.get_mut(&id).unwrap();
        entry.at = at;
        entry.is_started = false;
        if matches!(outcome, Outcome::Unknown { .. }) {
            // As if it had never been handed out.
            return Vec::new();
        }
        entry.failures += usize::from(!matches!(outcome, Outcome::Defer { .. }));
        entry.attempt += u32::from(matches!(outcome, Outcome::Retry { .. }) && entry.at != At::Dead);
        entry.deliveries = (entry.deliveries.0 + 1, entry.deliveries.1 + 1);
        (entry.expiries, entry.crashes) = (0, 0);
        Vec::new()
    }

    /// Notes that leases were given back.
    pub(super) fn released(&mut self, leases: &[LeaseRef]) {
        self.expire();
        for lease in leases {
            match self.holds(*lease) {
                Some(true) => {
                    let entry = self.live.get_mut(&lease.id).unwrap();
                    (entry.at, entry.is_started) = (At::Ready, false);
                }
                Some(false) => {}
                // Given back, or expired before: it is there again, whichever it was.
                None => {
                    self.give_up(*lease);
                    self.live.get_mut(&lease.id).unwrap().is_vague = true;
                }
            }
        }
    }

    /// Checks that a suspect may begin, and notes it.
    pub(super) fn started(&mut self, lease: LeaseRef, answer: bool) {
        self.expire();
        let must = self.holds(lease);
        assert!(must.is_none_or(|must| must == answer), "starting {lease:?} gave {answer}");
        if answer {
            let entry = self.live.get_mut(&lease.id).unwrap();
            entry.crashes += u32::from(must.is_none() && !entry.is_started);
            entry.is_started = true;
        }
    }

    /// Checks which jobs were absorbed, and notes it.
    pub(super) fn absorbed(&mut self, lease: LeaseRef, ids: &[JobId]) {
        self.expire();
        assert!(ids.is_empty() || self.holds(lease) != Some(false), "{lease:?} absorbed without holding");
        let lane = self.live.get(&lease.id).and_then(|entry| entry.job.lane.clone());
        let mut must: BTreeSet<JobId> = BTreeSet::new();
        for (id, entry) in self.live.iter().filter(|(_, entry)| lane.is_some() && entry.job.lane == lane) {
            if matches!(entry.at, At::Delayed { due } if due > self.now) && entry.deliveries.1 == 0 {
                must.insert(*id);
            }
        }
        for id in ids {
            let entry = self.live.remove(id).unwrap_or_else(|| panic!("{id} was absorbed and is not there"));
            assert!(lane.is_some() && entry.job.lane == lane, "{id} was absorbed from another lane");
            assert!(matches!(entry.at, At::Delayed { .. }), "{id} was absorbed and is {:?}", entry.at);
            must.remove(id);
        }
        assert!(must.is_empty() || self.holds(lease) != Some(true), "not absorbed: {must:?}");
    }

    /// Checks an operator's change of a job's time.
    pub(super) fn rescheduled(&mut self, id: JobId, delay_ms: u64, answer: bool) {
        self.expire();
        let is_suspect = self.live.get(&id).is_some_and(|entry| entry.expiries > 0);
        self.check_acted(id, answer, |at| match at {
            At::Ready | At::Delayed { .. } if is_suspect => None,
            At::Ready | At::Delayed { .. } => Some(true),
            At::Leased { .. } | At::Dead => Some(false),
            At::Expired { .. } => None,
        });
        if answer {
            let due = self.now + i64::try_from(delay_ms).unwrap();
            let entry = self.live.get_mut(&id).unwrap();
            (entry.at, entry.turn) = (At::Delayed { due }, None);
        }
    }

    /// Checks an operator's cancellation.
    pub(super) fn cancelled(&mut self, id: JobId, answer: bool) {
        self.expire();
        self.check_acted(id, answer, |at| match at {
            At::Ready | At::Delayed { .. } => Some(true),
            At::Leased { .. } | At::Dead => Some(false),
            At::Expired { .. } => None,
        });
        if answer {
            self.live.remove(&id);
        }
    }

    /// Checks an operator's promotion.
    pub(super) fn promoted(&mut self, id: JobId, answer: bool) {
        let now = self.now;
        self.check_acted(id, answer, |at| match at {
            At::Delayed { due } if *due > now => Some(true),
            At::Delayed { .. } => None,
            _ => Some(false),
        });
        if answer {
            let entry = self.live.get_mut(&id).unwrap();
            (entry.at, entry.turn) = (At::Ready, None);
        }
    }

    /// Checks the removal of a dead job.
    pub(super) fn removed_dead(&mut self, id: JobId, answer: bool) {
        self.expire();
        self.check_acted(id, answer, |at| match at {
            At::Dead => Some(true),
            At::Expired { .. } => None,
            _ => Some(false),
        });
        if answer {
            self.check_crashes(id);
            self.live.remove(&id);
        }
    }

    fn check_acted(&self, id: JobId, answer: bool, must: impl Fn(&At) -> Option<bool>) {
        let at = self.live.get(&id).map(|entry| &entry.at);
        let must = at.map_or(Some(false), must);
        assert!(must.is_none_or(|must| must == answer), "{id} is {at:?}, and the queue answered {answer}");
    }

    /// Whoever died without a word from a worker had crashed often enough.
    fn check_crashes(&self, id: JobId) {
        let entry = &self.live[&id];
        let is_right = entry.at == At::Dead || entry.crashes >= MAX_CRASHES;
        assert!(is_right, "{id} died though only {} workers ended while it ran alone", entry.crashes);
    }

    /// Every job is in exactly one place: the places together hold as many as there are.
    pub(super) fn check_stats(&self, stats: &QueueStats) {
        let count = |is: &dyn Fn(&At) -> bool| {
            u64::try_from(self.live.values().filter(|entry| is(&entry.at)).count()).unwrap()
        };
        let sum = stats.ready + stats.running + stats.delayed + stats.dead;
        assert_eq!(sum, count(&|_| true), "{stats:?} are not the jobs there are");
        assert!(stats.ready >= count(&|at| *at == At::Ready), "{stats:?}: ready");
        assert!(stats.dead >= count(&|at| *at == At::Dead), "{stats:?}: dead");
        let not_due = count(&|at| matches!(at, At::Delayed { due } if *due > self.now));
        assert!(stats.delayed >= not_due, "{stats:?}: delayed");
        let held = count(&|at| matches!(at, At::Leased { until, .. } if *until > self.now));
        assert!(stats.running >= held, "{stats:?}: running");
        assert_eq!((stats.done, stats.paused), (self.done, self.is_paused));
    }

    /// The jobs there are.
    pub(super) fn ids(&self) -> Vec<JobId> {
        self.live.keys().copied().collect()
    }

    /// A job is where it must be, as it must be.
    pub(super) fn check_found(&self, id: JobId, found: Option<&JobView>) {
        let entry = &self.live[&id];
        let JobView { job, place, .. } = found.unwrap_or_else(|| panic!("{id} is lost: {entry:?}"));
        let is_right = match (&entry.at, place) {
            (At::Ready, Place::Ready) | (At::Dead, Place::Dead { .. }) => true,
            (At::Delayed { due }, Place::Delayed { due_at }) => due_at.unix_ms() == *due,
            (At::Delayed { due }, Place::Ready) => *due <= self.now,
            (At::Leased { until: at, .. }, Place::Leased { until, .. }) => until.unix_ms() == *at,
            (At::Leased { until, .. }, Place::Ready) => *until <= self.now,
            (At::Expired { .. }, Place::Ready | Place::Leased { .. }) => true,
            (At::Expired { .. }, Place::Dead { failure, .. }) => {
                self.check_crashes(id);
                failure.class == "crash_loop"
            }
            _ => false,
        };
        assert!(is_right, "{id} is {:?}, and the queue says {place:?}", entry.at);
        self.check_job(entry, job, u32::from(matches!(place, Place::Leased { .. })));
    }

    /// The dead are those that must be, and at most those that may be.
    pub(super) fn check_dead(&self, dead: &BTreeSet<JobId>) {
        for id in dead {
            self.check_crashes(*id);
        }
        let missing = self.live.iter().find(|(id, entry)| entry.at == At::Dead && !dead.contains(id));
        assert!(missing.is_none(), "not among the dead: {missing:?}");
    }
}
