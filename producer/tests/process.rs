//! The real process: how it starts, what it says when it cannot, and how it stops. Neither Redis nor
//! Postgres is running: it has to do all this without them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Nothing listens on the discard port.
const NOWHERE: &str = "127.0.0.1:9";

fn producer(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payfleet-producer"));
    command.env_clear().envs(variables.iter().copied());
    command
}

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> (Output, String) {
    let output = producer(variables).args(arguments).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start() -> Self {
        let tokens = format!("shop:default:{}", "ab".repeat(32));
        let mut child = producer(&[
            ("LISTEN", "127.0.0.1:0"),
            ("REDIS_URL", &format!("redis://{NOWHERE}")),
            ("DATABASE_URL", &format!("postgres://payfleet@{NOWHERE}/payfleet")),
            ("API_TOKENS", &tokens),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).to_owned();
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn stop_with(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn missing_settings_are_all_named_at_once_with_exit_code_2() {
    let (output, said) = run(&[], &[]);
    assert_eq!(output.status.code(), Some(2));
    for name in ["REDIS_URL", "DATABASE_URL", "API_TOKENS"] {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
}

#[test]
fn wrong_and_contradictory_settings_are_named_and_their_values_are_not() {
    let (output, said) = run(
        &[
            ("REDIS_URL", "hunter2"),
            ("DATABASE_URL", "hunter2"),
            ("API_TOKENS", "hunter2"),
            ("LISTEN", "hunter2"),
            ("LOG_FORMAT", "hunter2"),
            ("REQUEST_TIMEOUT_MS", "-1"),
            ("TATUM_WEBHOOK_SECRET_OLD", "hunter2"),
        ],
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    let names =
        ["REDIS_URL", "DATABASE_URL", "API_TOKENS", "LISTEN", "LOG_FORMAT", "REQUEST_TIMEOUT_MS", "TATUM_"];
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn help_lists_every_setting() {
    let (output, said) = run(&[], &["--help"]);
    assert!(output.status.success());
    for name in ["LISTEN", "REDIS_URL", "API_TOKENS", "HELEKET_PAYMENT_KEY", "_OLD", "REQUEST_TIMEOUT_MS"] {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_and_no_panic() {
    let running = Running::start();
    let tokens = format!("shop:default:{}", "ab".repeat(32));
    let (output, said) = run(
        &[
            ("LISTEN", &running.address),
            ("REDIS_URL", "redis://127.0.0.1"),
            ("DATABASE_URL", "postgres://127.0.0.1/payfleet"),
            ("API_TOKENS", &tokens),
        ],
        &[],
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on"), "{said}");
    assert_eq!(running.stop_with(Signal::TERM), Some(0));
}

#[test]
fn without_redis_it_is_up_but_not_ready_and_stops_when_asked_to() {
    for signal in [Signal::TERM, Signal::INT] {
        let running = Running::start();
        assert!(running.get("/healthz").starts_with("HTTP/1.1 200 "));
        let ready = running.get("/readyz");
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("Redis"), "{ready}");
        assert_eq!(running.stop_with(signal), Some(0));
    }
}

#[test]
fn an_idle_connection_does_not_hold_up_the_stop() {
    let running = Running::start();
    let mut idle = TcpStream::connect(&running.address).unwrap();
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0_u8; 12];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(running.stop_with(Signal::TERM), Some(0));
}
