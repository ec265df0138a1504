//! `payfleet dev` as its users run it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use payfleet_tests::binaries::binary;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::seen::{runs, until_gone};

const PAYOUT: &str = "/v1/payouts";

/// A fleet without demo traffic, in a folder that outlives it.
struct Dev {
    process: Child,
    producer: String,
    token: String,
    exports: String,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// On servers of its own, whatever the shell of whoever runs the test names.
fn payfleet_dev() -> Command {
    let mut command = Command::new(binary("payfleet"));
    command.arg("dev").env_remove("REDIS_URL").env_remove("DATABASE_URL");
    command
}

impl Dev {
    fn start(dir: &Path) -> Self {
        let mut process = payfleet_dev()
            .args(["--no-demo", "--port", "0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut after = |name: &str| lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        let (producer, token) = (after("producer").unwrap(), after("token").unwrap());
        let exports = after("  export ").unwrap();
        // Whoever writes into a closed pipe would be the next to fail.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, producer, token, exports }
    }

    /// The pids of everything it has started, from the files by which it would be swept.
    fn children(&self, dir: &Path) -> Vec<u32> {
        let folders = [dir.to_owned(), dir.join("redis"), dir.join("postgres")];
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten());
        let pids: Vec<PathBuf> = files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "pid"))
            .collect();
        pids.iter()
            .map(|file| std::fs::read_to_string(file).unwrap().split(' ').next().unwrap().parse().unwrap())
            .collect()
    }

    async fn request(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.json().await.unwrap()
    }

    /// What an operator's command says of this fleet, run as the fleet's first lines tell people to.
    fn inside(&self, command: &str) -> String {
        let script = format!("export {}; exec '{}' {command}", self.exports, binary("payfleet").display());
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn signal(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        self.process.wait().unwrap()
    }
}

#[tokio::test]
async fn asked_to_stop_it_leaves_no_process_and_the_next_run_knows_what_was_asked_before() {
    let dir = tempfile::tempdir().unwrap();
    let first = Dev::start(dir.path());
    let children = first.children(dir.path());
    assert_eq!(children.len(), 5, "Redis, Postgres, producer, two workers");
    assert!(children.iter().all(|pid| runs(*pid)));
    assert!(first.inside("limits list").ends_with("of the fleet under payfleet-dev.\n"));
    assert!(first.inside("audit").starts_with("0 operations"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({
        "amount": "15.5", "asset": "USDT", "network": "TRON", "address": "TDD97yguPESTpcrJMqU6h2ozZbibv4Vaqm",
    });
    let post =
        http.post(format!("{}{PAYOUT}", first.producer)).header("Idempotency-Key", "order-1").json(&body);
    let accepted = first.request(post).await;
    assert!(first.signal(Signal::TERM).success());
    for pid in children {
        assert!(!runs(pid), "{pid} was left behind");
    }
    let second = Dev::start(dir.path());
    let get = http.get(format!("{}{}", second.producer, accepted["status_url"].as_str().unwrap()));
    assert_eq!(second.request(get).await["operation_id"], accepted["operation_id"]);
    assert!(second.signal(Signal::INT).success());
}

#[tokio::test]
async fn killed_it_takes_everything_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path());
    let children = dev.children(dir.path());
    assert_eq!(children.len(), 5);
    dev.signal(Signal::KILL);
    for pid in children {
        until_gone(pid).await;
    }
}

#[test]
fn its_finite_demo_settles_everything() {
    let output = payfleet_dev().args(["--once", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && report["ok"] == json!(true), "{report:#}");
    assert_eq!(report["effects"], json!({"heleket": {"payout": 5}, "trovotech": {"mint": 3}}));
    assert!(report["ledger"]["sums"].as_object().unwrap().values().all(|sum| sum == "0"), "{report:#}");
}
