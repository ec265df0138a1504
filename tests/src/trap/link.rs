//! One connection through a trap: two directions pumped side by side until one of them ends.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PIECE: usize = 64 * 1024;

/// What is known of the language that is spoken on a connection.
pub(super) trait Dialect {
    /// Takes bytes of the client; the next whole message can then be asked for.
    fn heard(&self, piece: &[u8]);

    /// The next whole message of the client, once it may be passed on.
    async fn request(&self) -> Option<Vec<u8>>;

    /// What of the server's bytes may be passed on, once it may.
    async fn answered(&self, piece: &[u8]) -> Vec<u8>;
}

pub(super) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    dialect: impl Dialect,
) -> io::Result<()> {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let asks = async {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from_client.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            dialect.heard(&buffer[..length]);
            while let Some(request) = dialect.request().await {
                to_server.write_all(&request).await?;
            }
        }
    };
    let answers = async {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let passes = dialect.answered(&buffer[..length]).await;
            to_client.write_all(&passes).await?;
        }
    };
    tokio::select! {
        ended = asks => ended,
        ended = answers => ended,
    }
}
