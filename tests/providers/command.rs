//! `payfleet webhook` and `payfleet sandbox`, run as they are.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use payfleet_tests::binaries::binary;

use crate::bench::http;

const BODIES: [(&str, &str, &str); 4] = [
    ("stripe", r#"{"id":"evt_1","type":"payout.paid"}"#, "evt_1"),
    (
        "tatum",
        r#"{"subscriptionType":"S","chain":"c","txId":"t","address":"a","blockNumber":1}"#,
        "S|c|t|a||||confirmed",
    ),
    ("heleket", r#"{"type":"payout","uuid":"u","status":"paid"}"#, "u|paid"),
    ("trovotech", r#"{"event_type":"wallet.created","data":{"wallet_address":"G1"}}"#, "wallet.created|G1|"),
];

fn webhook(arguments: &[&str], body: &[u8]) -> Output {
    let mut command = Command::new(binary("payfleet"));
    command.arg("webhook").args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have refused its arguments, and read nothing.
    let _ = child.stdin.take().unwrap().write_all(body);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_sign_prints_verify_accepts_under_either_secret_and_names() {
    for (provider, body, event_key) in BODIES {
        let now = ["--now", "1780000000"];
        let sign = [&["sign", "--provider", provider, "--secret", "old"], &now[..]].concat();
        let signed = webhook(&sign, body.as_bytes());
        assert!(signed.status.success(), "{}", text(&signed.stderr));
        let (head, body) = text(&signed.stdout).split_once('\n').unwrap();
        let body = if head.is_empty() { body } else { body.strip_prefix('\n').unwrap() };
        let mut verify = vec!["verify", "--provider", provider, "--secret", "new", "--secret", "old"];
        verify.extend(now);
        if !head.is_empty() {
            verify.extend(["--header", head]);
        }
        let verified = webhook(&verify, body.as_bytes());
        assert_eq!(text(&verified.stderr), "", "{provider}");
        assert_eq!(text(&verified.stdout).trim(), event_key);
        let altered = webhook(&verify, body.replacen('"', "\" ", 1).as_bytes());
        assert_eq!(altered.status.code(), Some(1), "{provider}");
        assert_eq!(text(&altered.stdout), "");
        assert!(text(&altered.stderr).contains("the signature is not one of ours"), "{provider}");
    }
}

#[test]
fn a_refusal_says_why() {
    let signed =
        webhook(&["sign", "--provider", "stripe", "--secret", "s", "--now", "1000"], b"{\"id\":\"e\"}");
    let head = text(&signed.stdout).lines().next().unwrap();
    let verify = ["verify", "--provider", "stripe", "--secret", "s", "--header", head];
    let at = |now| webhook(&[&verify[..], &["--now", now]].concat(), b"{\"id\":\"e\"}");
    assert!(at("1300").status.success(), "300 seconds are not too long ago");
    assert!(text(&at("1301").stderr).contains("signed too long ago"));
    let bare = webhook(&["verify", "--provider", "tatum", "--secret", "s"], b"{}");
    assert!(text(&bare.stderr).contains("carries no signature"));
    let unknown = webhook(&["verify", "--provider", "paypal", "--secret", "s"], b"{}");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("known are stripe, tatum, heleket, trovotech"));
}

#[test]
fn each_command_shows_how_it_is_used() {
    for arguments in [&["webhook", "verify"][..], &["webhook", "sign"], &["sandbox"]] {
        let help = Command::new(binary("payfleet")).args(arguments).arg("--help").output().unwrap();
        assert!(help.status.success());
        let example = format!("payfleet {}", arguments.join(" "));
        let (_, examples) = text(&help.stdout).split_once("Example").unwrap();
        assert!(examples.contains(&example), "{example}");
    }
}

/// Killed at the latest when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_four_sandboxes_run_alone_until_they_are_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("payfleet"));
    command.args(["sandbox", "--dir"]).arg(dir.path()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut urls = Vec::new();
    for line in lines.by_ref().map(Result::unwrap).take_while(|line| !line.starts_with("Ctrl-C")) {
        let Some((name, value)) = line.split_once('=') else { continue };
        if name.ends_with("_URL") {
            urls.push(value.to_owned());
        }
    }
    assert_eq!(urls.len(), 5, "four, and the ledger behind TrovoTech");
    for url in urls {
        let effects = http().get(format!("{url}/_effects")).send().await.unwrap().text().await.unwrap();
        assert_eq!(effects, r#"{"effects":[]}"#);
    }
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(running.0.wait().unwrap().success());
}
