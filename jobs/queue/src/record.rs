//! How a job is kept in Redis: a header that the scripts read and rewrite, and a body that only this
//! file reads and writes.
//!
//! Header, big-endian: enqueued at in ms (6 bytes), version (1), flags (1: the priority in the two low
//! bits, then suspect, strict, set aside), crashes (1), attempt (2), maximal attempts (2), deliveries (4),
//! id (16), lane (1 byte of length, then itself), longest hold of the lane in ms (4, if strict).
//! Body: kind (1 + n), payload version (2), origin (1), encoding of the payload (1; 0: as it is), parts
//! (1), dedupe key (2 + n) and body hash (32) if part 1, extras (4 + n: JSON) if part 2, the payload.
//! A waiting job costs memory, so this is binary; what is rare is in the extras, where a reader skips
//! what it does not know. A record that cannot be read is kept as it is and dies with its raw bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use payfleet_core::Timestamp;
use payfleet_core::ids::{JobId, RequestHash, TenantId};
use payfleet_core::job::{
    AttemptRecord, DeadJob, Dedupe, Failure, Job, NewJob, Origin, QueueName, TraceContext,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bytes::{Reader, Writer};
use crate::queue::MAX_DELAY_MS;
use crate::{Deferral, Error};

/// While a fleet is upgraded, workers of two releases read the same records. A new origin, encoding or
/// part may be written at once: workers that do not know it put the job aside. A new version is first
/// only read, and written by the release after that, since scripts that do not know it take it for rot.
const VERSION: u8 = 1;
/// Bytes of the time, which the enqueueing script puts before the rest.
pub(crate) const STAMP: usize = 6;
/// The largest record, bytes.
pub(crate) const MAX_RECORD: usize = 256 * 1024;
const MAX_KIND: usize = 100;
const MAX_LANE: usize = 200;
const MAX_KEY: usize = 512;
/// The failure class of a record nobody can read.
pub(crate) const UNDECODABLE: &str = "undecodable";
const PRIORITY: u8 = 3;
const SUSPECT: u8 = 4;
const STRICT: u8 = 8;
/// Crashes, attempt, maximal attempts, deliveries, id.
const HEADER_REST: usize = 25;
/// The payload is what was enqueued, byte for byte.
const PLAIN: u8 = 0;
const HAS_DEDUPE: u8 = 1;
const HAS_EXTRAS: u8 = 2;

/// What few jobs have. Owned when reading and borrowed when writing, so there is one list of names.
#[derive(Serialize, Deserialize)]
struct Extras<Tenant, Facts, Trace> {
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    tenant: Option<Tenant>,
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    trace: Option<Trace>,
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    parent: Option<JobId>,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    deadline: Option<Timestamp>,
}

type Facts = BTreeMap<String, String>;
type Written<'a> = Extras<&'a TenantId, &'a Facts, &'a TraceContext>;
type Read = Extras<TenantId, Facts, TraceContext>;

const fn origin_code(origin: Origin) -> u8 {
    match origin {
        Origin::Webhook => 0,
        Origin::Api => 1,
        Origin::Admin => 2,
        Origin::Schedule => 3,
        Origin::FollowUp => 4,
        Origin::Redrive => 5,
        Origin::Rescue => 6,
    }
}

const ORIGINS: [Origin; 7] = [
    Origin::Webhook,
    Origin::Api,
    Origin::Admin,
    Origin::Schedule,
    Origin::FollowUp,
    Origin::Redrive,
    Origin::Rescue,
];

/// The record of `job` but for its first [`STAMP`] bytes. `hold`: its kind is strict about its lane.
pub(crate) fn encode(job: &NewJob, hold: Option<Duration>) -> Result<Vec<u8>, Error> {
    check(job)?;
    let hold = hold.filter(|_| job.lane.is_some());
    let flags = job.priority | if hold.is_some() { STRICT } else { 0 };
    let mut record = Writer::with_capacity(job.payload.get().len() + 128);
    record.u8(VERSION).u8(flags).u8(0).u16(1).u16(u16::try_from(job.max_attempts).unwrap_or(u16::MAX)).u32(0);
    record.bytes(job.id.as_uuid().as_bytes());
    record.short(job.lane.as_deref().unwrap_or_default().as_bytes());
    if let Some(hold) = hold {
        record.u32(u32::try_from(hold.as_millis()).unwrap_or(u32::MAX));
    }
    let extras = extras(job)?;
    let parts =
        if job.dedupe.is_some() { HAS_DEDUPE } else { 0 } | if extras.is_some() { HAS_EXTRAS } else { 0 };
    record
        .short(job.kind.as_bytes())
        .u16(job.payload_version)
        .u8(origin_code(job.origin))
        .u8(PLAIN)
        .u8(parts);
    if let Some(dedupe) = &job.dedupe {
        record.u16(u16::try_from(dedupe.key.len()).unwrap_or(u16::MAX)).bytes(dedupe.key.as_bytes());
        record.bytes(dedupe.body_hash.as_bytes());
    }
    if let Some(extras) = extras {
        record.u32(u32::try_from(extras.len()).unwrap_or(u32::MAX)).bytes(&extras);
    }
    record.bytes(job.payload.get().as_bytes());
    let record = record.finish();
    let length = record.len().saturating_add(STAMP);
    if length > MAX_RECORD {
        return Err(invalid(
            job,
            "payload",
            format!("with its envelope it takes {length} bytes, the most is {MAX_RECORD}"),
        ));
    }
    Ok(record)
}

fn extras(job: &NewJob) -> Result<Option<Vec<u8>>, Error> {
    let no_trace = job.trace.traceparent.is_none() && job.trace.tracestate.is_none();
    let extras = Written {
        tenant: Some(&job.tenant).filter(|t| **t != TenantId::default()),
        facts: Some(&job.facts).filter(|f| !f.is_empty()),
        delay_ms: Some(job.delay_ms).filter(|ms| *ms > 0),
        trace: Some(&job.trace).filter(|_| !no_trace),
        parent: job.parent,
        deadline: job.deadline,
    };
    let plain = extras.tenant.is_none()
        && extras.facts.is_none()
        && extras.delay_ms.is_none()
        && extras.trace.is_none()
        && extras.parent.is_none()
        && extras.deadline.is_none();
    if plain {
        return Ok(None);
    }
    serde_json::to_vec(&extras).map(Some).map_err(|e| Error::encoding("a job's envelope", e))
}

fn invalid(job: &NewJob, field: &'static str, reason: impl Into<String>) -> Error {
    Error::InvalidJob { id: job.id, field, reason: reason.into() }
}

/// Refuses what the queue cannot keep.
fn check(job: &NewJob) -> Result<(), Error> {
    if job.priority > 2 {
        return Err(invalid(job, "priority", "it is 0, 1 or 2"));
    }
    if !(1..=u32::from(u16::MAX)).contains(&job.max_attempts) {
        return Err(invalid(job, "max_attempts", "it is 1 to 65535"));
    }
    if job.delay_ms > MAX_DELAY_MS {
        return Err(invalid(job, "delay_ms", "it is at most 100 years"));
    }
    check_name(job, "kind", &job.kind, MAX_KIND)?;
    if let Some(lane) = &job.lane {
        check_name(job, "lane", lane, MAX_LANE)?;
    }
    if let Some(dedupe) = &job.dedupe {
        check_name(job, "dedupe.key", &dedupe.key, MAX_KEY)?;
    }
    Ok(())
}

fn check_name(job: &NewJob, field: &'static str, name: &str, most: usize) -> Result<(), Error> {
    if name.is_empty() || name.len() > most {
        return Err(invalid(job, field, format!("it is 1 to {most} bytes long, not {}", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid(job, field, "it has no control characters"));
    }
    Ok(())
}

/// The id as the scripts know it.
pub(crate) fn id_bytes(id: JobId) -> [u8; 16] {
    *id.as_uuid().as_bytes()
}

/// The id as the scripts say it.
pub(crate) fn id_from(bytes: &[u8]) -> Result<JobId, Error> {
    Uuid::from_slice(bytes).map(JobId::from_uuid).map_err(|e| Error::encoding("a job's id", e))
}

/// The id in a record, if it reaches that far.
pub(crate) fn id_in(record: &[u8]) -> Option<JobId> {
    record.get(17..33).and_then(|id| id_from(id).ok())
}

/// A record, and what stood beside it.
pub(crate) struct Stored<'a> {
    pub(crate) queue: &'a QueueName,
    pub(crate) record: &'a [u8],
    /// One JSON object a line; empty without failed attempts.
    pub(crate) history: &'a [u8],
}

impl Stored<'_> {
    /// The job. `deliveries` counts finished leases; a caller that holds a new lease adds one.
    pub(crate) fn decode(&self) -> Result<Job, Error> {
        let mut job = self
            .decode_record()
            .ok_or_else(|| Error::encoding("a job's record", "it is cut short, or of another version"))??;
        job.history = self.attempts()?;
        Ok(job)
    }

    fn decode_record(&self) -> Option<Result<Job, Error>> {
        let mut record = Reader::new(self.record);
        let enqueued_ms = i64::try_from(record.number(STAMP)?).ok()?;
        if record.u8()? != VERSION {
            return None;
        }
        let flags = record.u8()?;
        record.u8()?;
        let (attempt, max_attempts, deliveries) = (record.u16()?, record.u16()?, record.u32()?);
        let id = id_from(record.bytes(16)?).ok()?;
        let lane = record.short()?;
        if flags & STRICT != 0 {
            record.u32()?;
        }
        let kind = record.short()?;
        let (payload_version, origin) = (record.u16()?, *ORIGINS.get(usize::from(record.u8()?))?);
        // Nothing else is written yet, so nothing else can be read.
        if record.u8()? != PLAIN {
            return None;
        }
        let parts = record.u8().filter(|parts| parts & !(HAS_DEDUPE | HAS_EXTRAS) == 0)?;
        let dedupe = if parts & HAS_DEDUPE == 0 { None } else { Some(read_dedupe(&mut record)?) };
        let extras = if parts & HAS_EXTRAS == 0 { None } else { Some(record.long()?) };
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let lane = if lane.is_empty() { None } else { Some(text(lane)?) };
        let envelope = NewJob {
            id,
            kind: text(kind)?,
            queue: self.queue.clone(),
            tenant: TenantId::default(),
            payload: match serde_json::from_slice(record.rest()) {
                Ok(payload) => payload,
                Err(error) => return Some(Err(Error::encoding("a job's payload", error))),
            },
            payload_version,
            facts: Facts::new(),
            dedupe,
            lane,
            priority: flags & PRIORITY,
            delay_ms: 0,
            max_attempts: u32::from(max_attempts),
            deadline: None,
            trace: TraceContext::default(),
            origin,
            parent: None,
        };
        let enqueued_at = Timestamp::from_unix_ms(enqueued_ms);
        let mut job =
            Job { envelope, attempt: u32::from(attempt), deliveries, enqueued_at, history: Vec::new() };
        Some(extras.map_or(Ok(()), |extras| add_extras(&mut job.envelope, extras)).map(|()| job))
    }

    /// Whether a newer release wrote something into the body that this one does not know: then the job
    /// is for its workers.
    pub(crate) fn is_foreign(&self) -> bool {
        let known = |(origin, encoding, parts): (u8, u8, u8)| {
            usize::from(origin) < ORIGINS.len()
                && encoding == PLAIN
                && parts & !(HAS_DEDUPE | HAS_EXTRAS) == 0
        };
        self.marks().is_some_and(|marks| !known(marks))
    }

    /// Origin, encoding and parts.
    fn marks(&self) -> Option<(u8, u8, u8)> {
        let mut record = Reader::new(self.record);
        record.bytes(STAMP)?;
        record.u8().filter(|version| *version == VERSION)?;
        let flags = record.u8()?;
        record.bytes(HEADER_REST)?;
        record.short()?;
        if flags & STRICT != 0 {
            record.u32()?;
        }
        record.short()?;
        record.u16()?;
        Some((record.u8()?, record.u8()?, record.u8()?))
    }

    /// Whether a lease on the job expired before: it is to run alone.
    pub(crate) fn is_suspect(&self) -> bool {
        self.record.get(STAMP.saturating_add(1)).is_some_and(|flags| flags & SUSPECT != 0)
    }

    fn attempts(&self) -> Result<Vec<AttemptRecord>, Error> {
        let lines = self.history.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()
            .map_err(|e| Error::encoding("a job's history", e))
    }

    /// A job to show where the record cannot be read: its payload holds the raw bytes.
    fn placeholder(&self, id: JobId) -> Result<Job, Error> {
        let raw = serde_json::json!({ "raw_hex": hex::encode(self.record) });
        let payload =
            serde_json::value::to_raw_value(&raw).map_err(|e| Error::encoding("a raw record", e))?;
        let envelope = NewJob {
            id,
            kind: UNDECODABLE.to_owned(),
            queue: self.queue.clone(),
            tenant: TenantId::default(),
            payload,
            payload_version: 0,
            facts: Facts::new(),
            dedupe: None,
            lane: None,
            priority: 1,
            delay_ms: 0,
            max_attempts: 1,
            deadline: None,
            trace: TraceContext::default(),
            origin: Origin::Admin,
            parent: None,
        };
        let enqueued_at = Timestamp::from_unix_ms(0);
        Ok(Job { envelope, attempt: 1, deliveries: 0, enqueued_at, history: Vec::new() })
    }

    /// The job, or what can be shown of it under this id.
    pub(crate) fn decode_or_raw(&self, id: JobId) -> Result<Job, Error> {
        self.decode().or_else(|_| self.placeholder(id))
    }

    /// A dead job with its death as the scripts write it.
    pub(crate) fn dead(&self, id: JobId, died_at: Timestamp, death: &[u8]) -> Result<DeadJob, Error> {
        let (_, failure) = read_death(death);
        Ok(DeadJob { job: self.decode_or_raw(id)?, died_at, failure })
    }
}

fn read_dedupe(record: &mut Reader<'_>) -> Option<Dedupe> {
    let length = usize::from(record.u16()?);
    let key = std::str::from_utf8(record.bytes(length)?).ok()?.to_owned();
    let body_hash = RequestHash::try_from(record.bytes(32)?).ok()?;
    Some(Dedupe { key, body_hash })
}

fn add_extras(envelope: &mut NewJob, extras: &[u8]) -> Result<(), Error> {
    let extras: Read = serde_json::from_slice(extras).map_err(|e| Error::encoding("a job's envelope", e))?;
    envelope.tenant = extras.tenant.unwrap_or_default();
    envelope.facts = extras.facts.unwrap_or_default();
    envelope.delay_ms = extras.delay_ms.unwrap_or(0);
    envelope.trace = extras.trace.unwrap_or_default();
    envelope.parent = extras.parent;
    envelope.deadline = extras.deadline;
    Ok(())
}

/// A note as the scripts write it: 6 bytes of time (ms), then the reason. Empty: there is none.
pub(crate) fn read_note(note: &[u8]) -> Option<Deferral> {
    let mut reader = Reader::new(note);
    let at = Timestamp::from_unix_ms(i64::try_from(reader.number(STAMP)?).ok()?);
    Some(Deferral { at, reason: String::from_utf8_lossy(reader.rest()).into_owned() })
}

/// A death as the scripts write it: 6 bytes of time (ms), then the failure. One that cannot be read
/// is one all the same, with its bytes for a message.
pub(crate) fn read_death(death: &[u8]) -> (Timestamp, Failure) {
    let mut reader = Reader::new(death);
    let at = reader.number(STAMP).and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
    let failure = serde_json::from_slice(reader.rest()).unwrap_or_else(|error| Failure {
        class: UNDECODABLE.to_owned(),
        code: "death".to_owned(),
        message: format!("what it died of cannot be read ({error}): {}", hex::encode(death)),
    });
    (Timestamp::from_unix_ms(at), failure)
}

#[cfg(test)]
mod tests;
