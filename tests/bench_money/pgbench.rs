//! pgbench, as the measure of what this Postgres can do on this machine at this moment.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

/// How a script is run.
pub(crate) struct Script {
    pub(crate) sql: &'static str,
    pub(crate) clients: u32,
    pub(crate) seconds: u32,
}

/// An operation, its intent, and what came of it: the two transactions around a call.
pub(crate) const PAYOUT: &str = r#"
BEGIN;
INSERT INTO operations (id, tenant, kind, idempotency_key, request_hash, request, provider, account, state,
    state_data, version, next_wake_at)
VALUES (gen_random_uuid(), 'default', 'payout', gen_random_uuid()::text, decode(repeat('ab', 32), 'hex'),
    '{"kind": "payout", "money": {"amount": "15.5", "asset": "USDT"}, "address": "T"}', 'heleket', 'default',
    'submitting', '{"state": "submitting", "intent": 1}', 2, now() + interval '90 s') RETURNING id AS op \gset
INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
VALUES (:'op', 2, 0, 'requested', 'submitting', '{"event": "intent_opened", "intent": 1}', :'op', 'pgbench');
INSERT INTO intents (operation_id, number, action, provider, account, provider_key, reference, request_hash, attempts)
VALUES (:'op', 1, 'payout', 'heleket', 'default', :'op', :'op', decode(repeat('ab', 32), 'hex'), 1);
COMMIT;
BEGIN;
SELECT 1 FROM operations WHERE id = :'op' AND version = 2 FOR UPDATE;
INSERT INTO operation_history (operation_id, version, step, from_state, to_state, event, job_id, worker)
VALUES (:'op', 3, 0, 'submitting', 'accepted', '{"event": "called", "intent": 1}', :'op', 'pgbench');
INSERT INTO intent_attempts (operation_id, intent, purpose, class, code, message, http_status, duration_ms, worker)
VALUES (:'op', 1, 'call', 'accepted', 'process', '', 200, 1, 'pgbench');
UPDATE intents SET closed_at = now(), outcome = 'accepted' WHERE operation_id = :'op' AND closed_at IS NULL;
UPDATE operations SET version = 3, state = 'accepted', state_data = '{"state": "accepted", "provider_ref": "u"}',
    provider_ref = :'op', next_wake_at = now() + interval '600 s', updated_at = now()
WHERE id = :'op' AND version = 2;
COMMIT;
"#;

/// One event a statement, as a handler without batches would store it.
pub(crate) const WEBHOOK: &str = r"
\set n random(1, 1000000000000)
INSERT INTO webhook_events (provider, event_key, body_hash, event_type, variant, status, received_at)
VALUES ('heleket', :n::text, decode(md5(:n::text), 'hex'), 'payout', false, 'processed', now())
ON CONFLICT ON CONSTRAINT webhook_events_once DO NOTHING;
";

/// Runs the script against `url` and answers its transactions per second: runs of the whole script.
pub(crate) async fn run(bin: &Path, url: &str, script: &Script) -> anyhow::Result<f64> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(script.sql.as_bytes())?;
    let mut command = Command::new(bin);
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.args([format!("--client={}", script.clients), format!("--time={}", script.seconds)]);
    command.arg("--file").arg(file.path()).arg(url);
    let output = command.stdin(Stdio::null()).output().await.context("pgbench runs")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.with_context(|| format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Where pgbench is: beside the server's programs.
pub(crate) fn program() -> anyhow::Result<std::path::PathBuf> {
    let dirs = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = dirs.map(|entry| entry.path().join("bin/pgbench")).filter(|file| file.is_file()).max();
    installed.context("pgbench was not found; install it: apt-get install postgresql-contrib")
}
