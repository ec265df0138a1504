//! How a job is kept in Redis: a header of fixed width that the scripts read and rewrite, and a body
//! that only this file reads and writes.
//!
//! Header, big-endian, 17 bytes: version (1), priority (1), expired leases (1), attempt (2),
//! maximal attempts (2), deliveries (4), enqueued at in ms (6). Body: JSON with short names and
//! without defaults, since a waiting job costs memory. The id is the hash field, the queue is in the
//! key. A record that cannot be read is kept as it is and dies with its raw bytes.

use std::collections::BTreeMap;

use payfleet_core::Timestamp;
use payfleet_core::ids::{JobId, TenantId};
use payfleet_core::job::{
    AttemptRecord, DeadJob, Dedupe, Failure, Job, NewJob, Origin, QueueName, TraceContext,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Error;

const VERSION: u8 = 1;
const HEADER: usize = 17;
/// The largest body, bytes.
pub(crate) const MAX_BODY: usize = 256 * 1024;
/// The failure class of a record nobody can read.
pub(crate) const UNDECODABLE: &str = "undecodable";

/// `T` is borrowed when writing and owned when reading, so there is one list of names.
#[derive(Serialize, Deserialize)]
struct Body<Text, Tenant, Payload, Facts, Trace, Key> {
    #[serde(rename = "k")]
    kind: Text,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    tenant: Option<Tenant>,
    #[serde(rename = "v")]
    payload_version: u16,
    #[serde(rename = "o")]
    origin: Origin,
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    dedupe: Option<Key>,
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    lane: Option<Text>,
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    trace: Option<Trace>,
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    parent: Option<JobId>,
    #[serde(rename = "p")]
    payload: Payload,
}

type Facts = BTreeMap<String, String>;
type Written<'a> = Body<&'a str, &'a TenantId, &'a RawValue, &'a Facts, &'a TraceContext, &'a Dedupe>;
type Read = Body<String, TenantId, Box<RawValue>, Facts, TraceContext, Dedupe>;

/// The body of `job`.
pub(crate) fn encode(job: &NewJob) -> Result<Vec<u8>, Error> {
    let no_trace = job.trace.traceparent.is_none() && job.trace.tracestate.is_none();
    let body = Written {
        kind: &job.kind,
        tenant: Some(&job.tenant).filter(|t| **t != TenantId::default()),
        payload_version: job.payload_version,
        origin: job.origin,
        facts: Some(&job.facts).filter(|f| !f.is_empty()),
        dedupe: job.dedupe.as_ref(),
        lane: job.lane.as_deref(),
        delay_ms: Some(job.delay_ms).filter(|ms| *ms > 0),
        trace: Some(&job.trace).filter(|_| !no_trace),
        parent: job.parent,
        payload: &job.payload,
    };
    let bytes = serde_json::to_vec(&body).map_err(|e| Error::encoding("a job's body", e))?;
    if bytes.len() > MAX_BODY {
        let reason = format!("it takes {} bytes, the most is {MAX_BODY}", bytes.len());
        return Err(Error::InvalidJob { id: job.id, reason });
    }
    Ok(bytes)
}

/// The id as a hash field.
pub(crate) fn id_bytes(id: JobId) -> [u8; 16] {
    *id.as_uuid().as_bytes()
}

/// The id in a hash field.
pub(crate) fn id_from(bytes: &[u8]) -> Result<JobId, Error> {
    Uuid::from_slice(bytes).map(JobId::from_uuid).map_err(|e| Error::encoding("a job's id", e))
}

/// Where a record was found, and what stood there.
pub(crate) struct Stored<'a> {
    pub(crate) id: JobId,
    pub(crate) queue: &'a QueueName,
    pub(crate) record: &'a [u8],
    /// One JSON object a line; empty without failed attempts.
    pub(crate) history: &'a [u8],
}

impl Stored<'_> {
    /// The job. `deliveries` counts finished leases; a caller that holds a new lease adds one.
    pub(crate) fn decode(&self) -> Result<Job, Error> {
        let wrong = |reason: &str| Error::encoding("a job's record", reason);
        let (header, body) = self.record.split_at_checked(HEADER).ok_or_else(|| wrong("it is too short"))?;
        let number = |from: usize, to: usize| {
            header.get(from..to).unwrap_or_default().iter().fold(0_u64, |n, b| (n << 8) | u64::from(*b))
        };
        if number(0, 1) != u64::from(VERSION) {
            return Err(wrong("its version is not one this build knows"));
        }
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let body: Read = serde_json::from_slice(body).map_err(|e| Error::encoding("a job's body", e))?;
        let envelope = NewJob {
            id: self.id,
            kind: body.kind,
            queue: self.queue.clone(),
            tenant: body.tenant.unwrap_or_default(),
            payload: body.payload,
            payload_version: body.payload_version,
            facts: body.facts.unwrap_or_default(),
            dedupe: body.dedupe,
            lane: body.lane,
            priority: u8::try_from(number(1, 2)).unwrap_or(u8::MAX),
            delay_ms: body.delay_ms.unwrap_or(0),
            max_attempts: small(number(5, 7)),
            trace: body.trace.unwrap_or_default(),
            origin: body.origin,
            parent: body.parent,
        };
        Ok(Job {
            envelope,
            attempt: small(number(3, 5)),
            deliveries: small(number(7, 11)),
            enqueued_at: Timestamp::from_unix_ms(i64::try_from(number(11, 17)).unwrap_or(0)),
            history: self.attempts()?,
        })
    }

    fn attempts(&self) -> Result<Vec<AttemptRecord>, Error> {
        let lines = self.history.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()
            .map_err(|e| Error::encoding("a job's history", e))
    }

    /// A job to show where the record cannot be read: its payload holds the raw bytes.
    fn placeholder(&self) -> Result<Job, Error> {
        let raw = serde_json::json!({ "raw_hex": hex::encode(self.record) });
        let payload =
            serde_json::value::to_raw_value(&raw).map_err(|e| Error::encoding("a raw record", e))?;
        let envelope = NewJob {
            id: self.id,
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
            trace: TraceContext::default(),
            origin: Origin::Admin,
            parent: None,
        };
        let enqueued_at = Timestamp::from_unix_ms(0);
        Ok(Job { envelope, attempt: 1, deliveries: 0, enqueued_at, history: Vec::new() })
    }

    /// The job, or what can be shown of it.
    pub(crate) fn decode_or_raw(&self) -> Result<Job, Error> {
        self.decode().or_else(|_| self.placeholder())
    }

    /// A dead job with its death as the scripts write it: 6 bytes of time (ms), then the failure.
    pub(crate) fn dead(&self, death: &[u8]) -> Result<DeadJob, Error> {
        let (at, failure) = split_death(death)?;
        Ok(DeadJob { job: self.decode_or_raw()?, died_at: at, failure })
    }
}

/// Takes a death as the scripts write it apart.
pub(crate) fn split_death(death: &[u8]) -> Result<(Timestamp, Failure), Error> {
    let short = || Error::encoding("a death", "it is too short");
    let (at, failure) = death.split_at_checked(6).ok_or_else(short)?;
    let at = at.iter().fold(0_i64, |n, b| (n << 8) | i64::from(*b));
    let failure = serde_json::from_slice(failure).map_err(|e| Error::encoding("a failure", e))?;
    Ok((Timestamp::from_unix_ms(at), failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job as version 1 wrote it. It must be readable for ever: such records wait in Redis while
    /// the fleet is upgraded.
    const VERSION_1: &[u8] = b"\x01\x00\x02\x00\x03\x00\x09\x00\x00\x00\x05\x01\xa3\x18\x5c\x50\x00\
        {\"k\":\"payout\",\"t\":\"acme\",\"v\":4,\"o\":\"webhook\",\"f\":{\"amount\":\"12.50\"},\"l\":\"wallet:1\",\
        \"w\":7,\"c\":{\"traceparent\":\"00-a-b-01\"},\"p\":{\"n\": 1.10}}";

    fn read(record: &[u8]) -> Result<Job, Error> {
        let queue = QueueName::try_from("payout").unwrap();
        let history = b"{\"attempt\":1,\"at_ms\":5,\"worker\":\"w\",\"class\":\"retryable\",\"code\":\"c\",\"message\":\"m\"}";
        Stored { id: JobId::named("x", &[]), queue: &queue, record, history }.decode()
    }

    #[test]
    fn a_record_of_version_1_is_read() {
        let job = read(VERSION_1).unwrap();
        assert_eq!((job.attempt, job.deliveries, job.envelope.max_attempts), (3, 5, 9));
        assert_eq!((job.envelope.priority, job.envelope.payload_version, job.envelope.delay_ms), (0, 4, 7));
        assert_eq!(job.enqueued_at.unix_ms(), 1_800_000_000_000);
        assert_eq!(job.envelope.payload.get(), "{\"n\": 1.10}");
        assert_eq!(job.envelope.tenant.as_str(), "acme");
        assert_eq!(job.envelope.facts.get("amount").map(String::as_str), Some("12.50"));
        assert_eq!(job.history.first().map(|record| record.code.as_str()), Some("c"));
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let job = read(VERSION_1).unwrap();
        assert_eq!(encode(&job.envelope).unwrap(), VERSION_1[HEADER..]);
    }

    #[test]
    fn a_record_cut_anywhere_is_an_error_and_shown_raw() {
        for length in 0..VERSION_1.len() {
            assert!(read(&VERSION_1[..length]).is_err(), "{length}");
        }
        let queue = QueueName::try_from("payout").unwrap();
        let cut = Stored { id: JobId::named("x", &[]), queue: &queue, record: b"\x01\xff", history: b"" };
        assert_eq!(cut.decode_or_raw().unwrap().envelope.payload.get(), "{\"raw_hex\":\"01ff\"}");
    }
}
