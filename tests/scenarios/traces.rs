//! One trace, from the HTTP request through Redis to the provider and Postgres.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use payfleet_process::spawn;
use payfleet_tests::world::{Setup, World};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Trace id, service and name of every span that was exported.
type Spans = Vec<(Vec<u8>, String, String)>;

/// A collector that takes OTLP over HTTP and keeps what it is sent.
async fn collector() -> (String, watch::Receiver<Spans>) {
    let (sender, spans) = watch::channel(Spans::new());
    let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::new(sender));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    spawn("collector", async move { axum::serve(listener, app).await.unwrap() });
    (url, spans)
}

async fn take(State(sender): State<Arc<watch::Sender<Spans>>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    sender.send_modify(|spans| {
        for resource in request.resource_spans {
            let service = resource.resource.iter().flat_map(|one| &one.attributes);
            let service = service.filter(|one| one.key == "service.name");
            let service = service.map(|one| format!("{:?}", one.value)).collect::<String>();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push((span.trace_id, service.clone(), span.name));
            }
        }
    });
}

#[tokio::test]
async fn one_trace_runs_from_the_request_to_the_provider_call_and_the_sql() {
    let (endpoint, mut spans) = collector().await;
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let export = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
    let worker = world.worker_process_with("traced", &export).await;
    let (producer, api) = world.producer_process(&export).await;
    api.payout("order-1", "15.5").await.accepted();
    world.run_until_idle().await;
    // Stopping flushes what is still to be exported.
    assert!(worker.stop().await.success(), "{}", worker.last_words());
    assert!(producer.stop().await.success(), "{}", producer.last_words());
    let complete = |spans: &Spans| {
        let roots = spans.iter().filter(|(_, service, _)| service.contains("payfleet-producer"));
        roots.map(|(trace, ..)| trace).any(|trace| {
            let has = |name: &str| {
                spans.iter().any(|(id, service, span)| {
                    id == trace && span == name && service.contains("payfleet-worker")
                })
            };
            has("job") && has("provider.call") && has("postgres.transaction")
        })
    };
    let seen = spans.wait_for(complete);
    let seen = tokio::time::timeout(std::time::Duration::from_secs(30), seen).await.is_ok();
    assert!(seen, "no trace is complete: {:?}", *spans.borrow());
    world.finish().await;
}

#[tokio::test]
async fn no_secret_reaches_a_log_however_much_is_logged() {
    let world = World::with(Setup { workers: 0, ..Setup::default() }).await;
    let more = [("LOG", "trace,hyper=trace,reqwest=trace,payfleet=trace".to_owned())];
    let worker = world.worker_process_with("talkative", &more).await;
    world.api.payout("order-1", "15.5").await.accepted();
    world.api.mint("mint-1", "bus-1", "12.5").await.accepted();
    world.providers.plan(&world.providers.heleket, "/v1/payout", 1, serde_json::json!({"status": 401})).await;
    world.api.post("/v1/orders/none/cancel", "unused", &serde_json::json!({})).await;
    world.run_until_idle().await;
    let log = worker.log("talkative");
    assert!(log.contains("The provider was called."), "it has logged what it did");
    for secret in world.providers.secrets_of_workers() {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    assert!(worker.stop().await.success());
    world.finish().await;
}
