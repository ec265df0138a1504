//! Records that must be readable for ever, and records that nobody can read.

use super::*;

/// A job as version 1 wrote it: such records wait in Redis while the fleet is upgraded.
const VERSION_1: &[u8] = b"\x01\xa3\x18\x5c\x50\x00\x01\x08\x02\x00\x03\x00\x09\x00\x00\x00\x05\
    0123456789abcdef\x08wallet:1\x00\x00\x00\x63\x06payout\x00\x04\x00\x00\x03\x00\x01k\
    HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHH\x00\x00\x00\x49\
    {\"t\":\"acme\",\"f\":{\"amount\":\"12.50\"},\"w\":7,\"c\":{\"traceparent\":\"00-a-b-01\"}}{\"n\": 1.10}";

fn queue() -> QueueName {
    QueueName::try_from("payout").unwrap()
}

fn read(record: &[u8]) -> Result<Job, Error> {
    let history = b"{\"attempt\":1,\"at_ms\":5,\"worker\":\"w\",\"class\":\"retryable\",\"code\":\"c\",\"message\":\"m\"}";
    Stored { queue: &queue(), record, history }.decode()
}

#[test]
fn a_record_of_version_1_is_read() {
    let job = read(VERSION_1).unwrap();
    assert_eq!((job.attempt, job.deliveries, job.envelope.max_attempts), (3, 5, 9));
    assert_eq!((job.envelope.priority, job.envelope.payload_version, job.envelope.delay_ms), (0, 4, 7));
    assert_eq!(job.envelope.id, id_from(b"0123456789abcdef").unwrap());
    assert_eq!(job.enqueued_at.unix_ms(), 1_800_000_000_000);
    assert_eq!((job.envelope.lane.as_deref(), job.envelope.kind.as_str()), (Some("wallet:1"), "payout"));
    assert_eq!(job.envelope.payload.get(), "{\"n\": 1.10}");
    assert_eq!(job.envelope.tenant.as_str(), "acme");
    assert_eq!(job.envelope.dedupe.unwrap().key, "k");
    assert_eq!(job.envelope.facts.get("amount").map(String::as_str), Some("12.50"));
    assert_eq!(job.history.first().map(|record| record.code.as_str()), Some("c"));
}

#[test]
fn what_is_written_is_what_was_read() {
    let job = read(VERSION_1).unwrap();
    let mut again = VERSION_1[STAMP..].to_vec();
    // A new job has no crashes, is at its first attempt and was never delivered.
    again[2..5].copy_from_slice(&[0, 0, 1]);
    again[7..11].fill(0);
    assert_eq!(encode(&job.envelope, Some(Duration::from_millis(99))).unwrap(), again);
}

#[test]
fn a_record_cut_in_its_envelope_is_an_error_and_shown_raw() {
    for length in 0..VERSION_1.len() {
        assert!(read(&VERSION_1[..length]).is_err(), "{length}");
    }
    let id = JobId::named("x", &[]);
    let cut = Stored { queue: &queue(), record: b"\x01\xff", history: b"" };
    assert_eq!(cut.decode_or_raw(id).unwrap().envelope.payload.get(), "{\"raw_hex\":\"01ff\"}");
}

#[test]
fn a_field_that_cannot_be_kept_is_named() {
    let good = read(VERSION_1).unwrap().envelope;
    let field = |change: &dyn Fn(&mut NewJob)| {
        let mut job = good.clone();
        change(&mut job);
        match encode(&job, None) {
            Err(Error::InvalidJob { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(&|job| job.priority = 3), "priority");
    assert_eq!(field(&|job| job.max_attempts = 0), "max_attempts");
    assert_eq!(field(&|job| job.max_attempts = 70_000), "max_attempts");
    assert_eq!(field(&|job| job.kind.clear()), "kind");
    assert_eq!(field(&|job| job.lane = Some("x".repeat(10_240))), "lane");
    assert_eq!(field(&|job| job.lane = Some("a\nb".to_owned())), "lane");
    assert_eq!(field(&|job| job.dedupe.as_mut().unwrap().key = "k".repeat(10_240)), "dedupe.key");
    assert_eq!(field(&|job| job.dedupe.as_mut().unwrap().key.clear()), "dedupe.key");
    let large = serde_json::value::to_raw_value(&"x".repeat(256 * 1024)).unwrap();
    assert_eq!(field(&|job| job.payload = large.clone()), "payload");
}

#[test]
fn what_a_newer_release_wrote_into_the_body_is_foreign_and_what_rotted_is_not() {
    let stored = |record: &[u8]| Stored { queue: &queue(), record, history: b"" }.is_foreign();
    assert!(!stored(VERSION_1));
    let kind = VERSION_1.windows(6).position(|part| part == b"payout").unwrap();
    // Behind the kind: two bytes of version, then origin, encoding and parts.
    for (at, foreign) in [(kind + 8, 7), (kind + 9, 1), (kind + 10, 4)] {
        let mut record = VERSION_1.to_vec();
        record[at] = foreign;
        assert!(stored(&record), "byte {at}");
        assert!(read(&record).is_err(), "byte {at}");
    }
    let mut other_version = VERSION_1.to_vec();
    other_version[STAMP] = 9;
    assert!(!stored(&other_version));
    assert!(!stored(&VERSION_1[..40]));
}

#[test]
fn a_deadline_is_kept() {
    let mut job = read(VERSION_1).unwrap().envelope;
    assert_eq!(job.deadline, None, "records from before there were any have none");
    job.deadline = Some(Timestamp::from_unix_ms(1_800_000_000_123));
    let record = [&[0; STAMP], &encode(&job, None).unwrap()[..]].concat();
    assert_eq!(read(&record).unwrap().envelope.deadline, job.deadline);
}
