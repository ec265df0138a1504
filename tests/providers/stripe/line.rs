//! A server below HTTP: it keeps each request byte for byte and answers from a script.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What to answer with.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The rest of an HTTP answer: status, further headers, JSON body.
    Json(u16, &'static str, String),
    /// None: the connection is reset once the request has been read.
    Reset,
}

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path_and_query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn parse(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap().split(' ');
        let (method, path_and_query) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { method, path_and_query, headers, body: String::new() }
    }
}

/// The server.
pub(crate) struct Line {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Line {
    /// Answers the n-th request with the n-th of `answers`, and all further ones with the last.
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let answers = Arc::new(Mutex::new(answers));
        let planned = Arc::clone(&answers);
        let serving = payfleet_process::spawn("a line", async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = take(&mut stream).await;
                let number = kept.lock().unwrap().len();
                kept.lock().unwrap().push(request);
                let answer = {
                    let planned = planned.lock().unwrap();
                    planned[number.min(planned.len() - 1)].clone()
                };
                match &answer {
                    Answer::Json(status, headers, body) => {
                        let text = format!(
                            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}\
                             content-length: {}\r\nconnection: close\r\n\r\n{body}",
                            body.len()
                        );
                        stream.write_all(text.as_bytes()).await.unwrap();
                    }
                    Answer::Reset => stream.set_zero_linger().unwrap(),
                }
            }
        });
        Self { url, seen, answers, serving }
    }

    /// Answers every further request so.
    pub(crate) fn answer(&self, answer: Answer) {
        *self.answers.lock().unwrap() = vec![answer];
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(stream: &mut tokio::net::TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let end = loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request ended early");
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let mut seen = Seen::parse(std::str::from_utf8(&bytes[..end]).unwrap());
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the body ended early");
    }
    seen.body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    seen
}
