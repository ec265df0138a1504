//! The real process: how it starts, what it says when it cannot, and how it stops. Neither Redis nor
//! Postgres is running: it has to do all this without them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// Nothing listens on the discard port.
const REDIS_URL: &str = "redis://127.0.0.1:9";
const DATABASE_URL: &str = "postgres://payfleet@127.0.0.1:9/payfleet";
/// `shop:default:` and the SHA-256 of `canary-token`.
const API_TOKENS: &str = "shop:default:4b598de5faa6a2208f99f7b8a6b61378ac7d7a36d9524056e9be61c17c37667f";

fn producer(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payfleet-producer"));
    command.env_clear().envs(variables.iter().copied());
    command
}

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<(Output, String)> {
    let output = producer(variables).args(arguments).output()?;
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)).join("");
    Ok((output, said))
}

/// Killed on drop, if a test fails before it has stopped it.
struct Running {
    child: Child,
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start() -> anyhow::Result<Self> {
        let mut child = producer(&[
            ("LISTEN", "127.0.0.1:0"),
            ("REDIS_URL", REDIS_URL),
            ("DATABASE_URL", DATABASE_URL),
            ("API_TOKENS", API_TOKENS),
            ("TROVOTECH_WEBHOOK_SECRET", "canary-secret"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").context("another first line")?;
        Ok(Self { address: address.to_owned(), child })
    }

    fn send(&self, request: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    fn post(&self, path: &str, headers: &str, body: &str) -> anyhow::Result<String> {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// Stops it; hands back its exit code and all it logged.
    fn stop_with(mut self, signal: Signal) -> anyhow::Result<(Option<i32>, String)> {
        kill_process(Pid::from_child(&self.child), signal)?;
        let mut logged = String::new();
        self.child.stderr.take().context("no stderr")?.read_to_string(&mut logged)?;
        Ok((self.child.wait()?.code(), logged))
    }
}

#[test]
fn missing_settings_are_all_named_at_once_with_exit_code_2() -> anyhow::Result<()> {
    let (output, said) = run(&[], &[])?;
    assert_eq!(output.status.code(), Some(2));
    for name in ["REDIS_URL", "DATABASE_URL", "API_TOKENS"] {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
    Ok(())
}

#[test]
fn wrong_and_contradictory_settings_are_named_and_their_values_are_not() -> anyhow::Result<()> {
    let wrong = [
        ("REDIS_URL", "hunter2"),
        ("DATABASE_URL", "hunter2"),
        ("API_TOKENS", "hunter2"),
        ("LISTEN", "hunter2"),
        ("LOG_FORMAT", "hunter2"),
        ("REQUEST_TIMEOUT_MS", "-1"),
        ("TATUM_WEBHOOK_SECRET_OLD", "hunter2"),
    ];
    let (output, said) = run(&wrong, &[])?;
    assert_eq!(output.status.code(), Some(2));
    assert!(wrong.iter().all(|(name, _)| said.contains(name)), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    Ok(())
}

#[test]
fn help_lists_every_setting() -> anyhow::Result<()> {
    let (output, said) = run(&[], &["--help"])?;
    assert!(output.status.success());
    for name in ["LISTEN", "REDIS_URL", "API_TOKENS", "HELEKET_PAYMENT_KEY", "_OLD", "REQUEST_TIMEOUT_MS"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_an_error_and_no_panic() -> anyhow::Result<()> {
    let running = Running::start()?;
    let settings = [
        ("LISTEN", running.address.as_str()),
        ("REDIS_URL", REDIS_URL),
        ("DATABASE_URL", DATABASE_URL),
        ("API_TOKENS", API_TOKENS),
    ];
    let (output, said) = run(&settings, &[])?;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on"), "{said}");
    Ok(())
}

#[test]
fn without_redis_it_is_up_but_not_ready_and_stops_when_asked_to() -> anyhow::Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let running = Running::start()?;
        assert!(running.get("/healthz")?.starts_with("HTTP/1.1 200 "));
        let ready = running.get("/readyz")?;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("Redis"), "{ready}");
        assert_eq!(running.stop_with(signal)?.0, Some(0));
    }
    Ok(())
}

#[test]
fn an_idle_connection_does_not_hold_up_the_stop() -> anyhow::Result<()> {
    let running = Running::start()?;
    let mut idle = TcpStream::connect(&running.address)?;
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut first = [0_u8; 12];
    idle.read_exact(&mut first)?;
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(running.stop_with(Signal::TERM)?.0, Some(0));
    Ok(())
}

#[test]
fn every_request_is_logged_once_and_nothing_of_what_it_carried_is() -> anyhow::Result<()> {
    let running = Running::start()?;
    let good = "Authorization: Bearer canary-token\r\nIdempotency-Key: canary-key\r\n";
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let answers = [
        running.post("/v1/payouts", good, r#"{"amount": "canary", "canary-field": 1}"#)?,
        running.post("/v1/payouts", &format!("{good}{trace}"), r#"{"reference": "canary"#)?,
        running.post("/v1/payouts", "Authorization: Bearer canary-wrong\r\n", "{}")?,
        running.post(
            "/webhooks/trovotech",
            "X-TrovoTech-Signature: canary\r\n",
            r#"{"event_type": "canary"}"#,
        )?,
        running.get("/v1/payouts/canary?canary=1")?,
    ];
    let statuses = answers.map(|answer| answer.get(9..12).unwrap_or_default().to_owned());
    assert_eq!(statuses, ["422", "400", "401", "401", "401"]);
    let (code, logged) = running.stop_with(Signal::TERM)?;
    assert_eq!(code, Some(0));
    let decisions = ["invalid-fields", "broken-json", "unauthorized", "bad-signature", "unauthorized"];
    let lines: Vec<&str> = logged.lines().filter(|line| line.contains("\"decision\"")).collect();
    assert_eq!(lines.len(), decisions.len(), "{logged}");
    for (line, decision) in lines.into_iter().zip(decisions) {
        assert!(line.contains(&format!("\"decision\":\"{decision}\"")), "{decision}: {line}");
    }
    assert!(logged.contains("0af7651916cd43dd8448eb211c80319c"), "the caller's trace goes on: {logged}");
    assert!(!logged.contains("canary"), "{logged}");
    Ok(())
}
