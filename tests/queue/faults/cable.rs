//! 21 once more, with a real cable: the worker lives in a network of its own, and the link to Redis goes
//! down. No proxy closes or answers anything; both kernels believe in their connections.
//!
//! Networks are made by root. Where this test may not, it says so on the terminal and checks nothing.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::TimeSource;

use super::account::{Account, job_of_kind};
use super::process::{PATIENCE, Said, WorkerProcess};
use crate::world::{World, id};

fn ip(arguments: &str) -> Result<(), String> {
    let ran = Command::new("ip").args(arguments.split(' ')).output();
    let ran = ran.map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if ran.status.success() { Ok(()) } else { Err(format!("ip {arguments}: {}", said.trim())) }
}

/// A network beside ours, and the cable in between.
struct Cable {
    name: String,
    /// Our end of it.
    here: Ipv4Addr,
}

impl Cable {
    fn lay() -> Result<Self, String> {
        let pid = std::process::id();
        let [_, _, high, low] = (pid * 4).to_be_bytes();
        let cable = Self { name: format!("pf{pid}"), here: Ipv4Addr::new(10, 254, high, low + 1) };
        let (name, here, there) = (&cable.name, cable.here, Ipv4Addr::new(10, 254, high, low + 2));
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {name}a type veth peer name {name}b netns {name}"))?;
        ip(&format!("addr add {here}/30 dev {name}a"))?;
        ip(&format!("link set {name}a up"))?;
        ip(&format!("-n {name} addr add {there}/30 dev {name}b"))?;
        ip(&format!("-n {name} link set {name}b up"))?;
        Ok(cable)
    }

    fn pull(&self) {
        ip(&format!("link set {}a down", self.name)).unwrap();
    }

    fn plug(&self) {
        ip(&format!("link set {}a up", self.name)).unwrap();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // What was never made cannot be removed.
        let _ = ip(&format!("link del {}a", self.name));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

/// The local ports from which a process' network has connections to `port`.
fn connections(pid: u32, port: u16) -> BTreeSet<String> {
    const ESTABLISHED: &str = "01";
    let remote = format!(":{port:04X}");
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let mut ports = BTreeSet::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields[2].ends_with(&remote) && fields[3] == ESTABLISHED {
            ports.insert(fields[1].to_owned());
        }
    }
    ports
}

#[tokio::test]
async fn a_cable_that_is_pulled_is_noticed_and_work_goes_on_when_it_is_back() {
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(reason) => {
            // Not through a macro: those are kept back while tests pass.
            let said = format!("\n!! NOT CHECKED: a cable that is pulled. It takes root: {reason}\n");
            return std::io::stderr().write_all(said.as_bytes()).unwrap();
        }
    };
    let settings = vec![
        ("bind".to_owned(), format!("127.0.0.1 {}", cable.here)),
        ("protected-mode".to_owned(), "no".to_owned()),
    ];
    let server = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let world = World::at(&server.url(), |config| {
        config.time = TimeSource::Redis;
        config.lease = Duration::from_secs(5);
    })
    .await;
    let mut account = Account::default();
    account.enqueue(&world.queue, &job_of_kind(&world, 1, "hold")).await;
    let url = format!("redis://{}:{}/", cable.here, server.port());
    let mut worker = WorkerProcess::start_in(&cable.name, &world, &url, 8);
    worker.until_said(&[Said::Begins(id(1))]).await;

    let before = connections(worker.pid(), server.port());
    assert!(!before.is_empty(), "it is connected");
    cable.pull();
    for n in 2..=50 {
        account.enqueue(&world.queue, &job_of_kind(&world, n, "done")).await;
    }
    let noticed = async {
        while !connections(worker.pid(), server.port()).is_disjoint(&before) {
            tokio::task::yield_now().await;
        }
    };
    // Left to itself a kernel takes a quarter of an hour.
    tokio::time::timeout(PATIENCE, noticed).await.expect("the worker gives up the dead connections");
    cable.plug();
    worker.go().await;
    Account::until_idle(&world).await;
    let said = worker.stop().await;
    assert!(said.contains(&Said::Ends(id(1))), "the handler was lost");
    account.check(&world, &BTreeSet::new()).await;
}
