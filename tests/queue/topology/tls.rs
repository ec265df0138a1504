//! Over TLS, and as a user who may do no more than a queue needs.

use std::path::Path;
use std::process::Command;

use payfleet::servers::{RedisOptions, RedisServer};
use payfleet_queue::limits::{BreakerPolicy, Limit};
use payfleet_queue::{ClientCertificate, Config, Outcome, Queue, Settlement, Tls};

use crate::world::{job_in, queue_name};

/// The rights that `Config::url` names.
const RIGHTS: [&str; 4] = ["~{payfleet*", "+@all", "-@dangerous", "-@admin"];

/// A certificate authority, and a server's and a client's certificate by it, made with OpenSSL.
fn certificates(dir: &Path) {
    let openssl = |args: &str| {
        let run = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().unwrap();
        assert!(run.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&run.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=test-ca"));
    std::fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1,DNS:localhost").unwrap();
    for name in ["server", "client"] {
        openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out {name}.crt"
        ));
    }
}

async fn works(queue: &Queue) {
    let name = queue_name("main");
    queue.enqueue(&[job_in(&name, 1)]).await.unwrap();
    let taken = queue.take(&name, "w", 1).await.unwrap();
    let done = Settlement { lease: taken.jobs[0].lease, outcome: Outcome::done() };
    queue.settle(&name, &[done]).await.unwrap();
    queue.waiter(&name).wait(payfleet_queue::PATIENCE).await.unwrap();
    assert_eq!(queue.limiter("x", Limit::per_second(10)).unwrap().reserve(1).await.unwrap().granted, 1);
    let _ = queue.breaker("x", BreakerPolicy::default()).unwrap().admit().await.unwrap();
}

#[tokio::test]
async fn a_server_that_wants_certificates_gets_ours_and_must_show_one_that_we_trust() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let tls_port = payfleet::servers::free_port().unwrap();
    let settings = [
        ("tls-port", tls_port.to_string()),
        ("tls-cert-file", file("server.crt")),
        ("tls-key-file", file("server.key")),
        ("tls-ca-cert-file", file("ca.crt")),
        ("tls-auth-clients", "yes".to_owned()),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let _server = RedisServer::start(RedisOptions { settings, ..RedisOptions::default() }).await.unwrap();
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let client = ClientCertificate { chain: read("client.crt"), key: read("client.key") };

    let mut config = Config::new(format!("rediss://localhost:{tls_port}"));
    config.tls = Some(Tls { ca: Some(read("ca.crt")), client: Some(client.clone()) });
    works(&Queue::open(config.clone()).unwrap()).await;

    // An authority that did not sign the server's certificate.
    let stranger = tempfile::tempdir().unwrap();
    certificates(stranger.path());
    let ca = std::fs::read(stranger.path().join("ca.crt")).unwrap();
    config.tls = Some(Tls { ca: Some(ca), client: Some(client) });
    let error = Queue::open(config).unwrap().ping().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn a_user_with_a_queues_rights_can_do_all_that_a_queue_does() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let mut admin =
        redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("fleet").arg("on").arg(">pass/word").arg(&RIGHTS);
    let () = user.query_async(&mut admin).await.unwrap();
    let url = server.url().replace("redis://", "redis://fleet:pass%2Fword@");
    works(&Queue::open(Config::new(url)).unwrap()).await;
}
