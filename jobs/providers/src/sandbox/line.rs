//! Connections that a handler can cut: a reset is what a crashed provider or a firewall leaves behind.
//! They can be cut at once, or so many bytes into the body of the answer that is written next.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::locked;

/// What ends the head of an answer.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How far a connection carries.
#[derive(Clone, Copy, Debug, Default)]
enum Reach {
    /// Everything arrives.
    #[default]
    Whole,
    /// The head of the next answer arrives, and this many bytes of its body.
    IntoBody(usize),
    /// This many bytes more arrive.
    Bytes(usize),
}

/// The handle by which a handler cuts its own connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<Mutex<Reach>>);

impl Line {
    /// Whatever is written next never arrives; the peer sees a reset.
    pub(crate) fn cut(&self) {
        *locked(&self.0) = Reach::Bytes(0);
    }

    /// The answer that is written next arrives up to this many bytes of its body, then comes a reset.
    pub(crate) fn cut_in_body(&self, after: usize) {
        *locked(&self.0) = Reach::IntoBody(after);
    }

    /// How many of the bytes that are to be written may be.
    fn admits(&self, bytes: &[u8]) -> usize {
        match *locked(&self.0) {
            Reach::Whole => bytes.len(),
            Reach::Bytes(left) => left.min(bytes.len()),
            Reach::IntoBody(after) => {
                let end = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END);
                let head = end.map(|end| end.saturating_add(HEAD_END.len()));
                head.map_or(bytes.len(), |head| head.saturating_add(after).min(bytes.len()))
            }
        }
    }

    fn was_written(&self, bytes: &[u8]) {
        let mut reach = locked(&self.0);
        match *reach {
            Reach::Whole => {}
            Reach::Bytes(left) => *reach = Reach::Bytes(left.saturating_sub(bytes.len())),
            Reach::IntoBody(after) => {
                if let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
                    let body = bytes.len().saturating_sub(end.saturating_add(HEAD_END.len()));
                    *reach = Reach::Bytes(after.saturating_sub(body));
                }
            }
        }
    }

    fn is_cut(&self) -> bool {
        matches!(*locked(&self.0), Reach::Bytes(0))
    }
}

/// Accepts connections that can be cut.
pub(super) struct Lines(pub(super) TcpListener);

impl Listener for Lines {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.0).await;
        // Only speed is lost without it.
        let _ = stream.set_nodelay(true);
        (Cuttable { stream, line: Line::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

/// A connection and its handle.
pub(super) struct Cuttable {
    stream: TcpStream,
    line: Line,
}

impl Cuttable {
    fn check(&self) -> io::Result<()> {
        if self.line.is_cut() {
            // With it, closing sends a reset rather than a goodbye.
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let admitted = self.line.admits(buf);
        let written = Pin::new(&mut self.stream).poll_write(cx, buf.get(..admitted).unwrap_or_default());
        if let Poll::Ready(Ok(count)) = written {
            self.line.was_written(buf.get(..count).unwrap_or_default());
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
