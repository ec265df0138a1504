//! The proxy itself, in front of a server that says back what it is told, and of a Redis.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Direction, Duration, Proxy};
use payfleet::servers::{RedisOptions, RedisServer};

async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    payfleet_process::spawn("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            payfleet_process::spawn("echo", async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// Says something and returns what came back.
async fn said(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    Ok(String::from_utf8(back).unwrap())
}

async fn is_silent(stream: &mut TcpStream, text: &str) -> bool {
    tokio::time::timeout(Duration::from_millis(50), said(stream, text)).await.is_err()
}

#[tokio::test]
async fn what_is_not_to_be_broken_passes_also_late() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(said(&mut stream, "hello").await.unwrap(), "hello");
    assert_eq!(proxy.fired().delayed, 0);
    proxy.delay(Duration::from_millis(1));
    assert_eq!(said(&mut stream, "hello").await.unwrap(), "hello");
    assert_eq!((proxy.fired().delayed, proxy.fired().connections), (2, 1));
}

#[tokio::test]
async fn a_blackhole_keeps_what_it_got_until_it_is_healed() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.blackhole();
    assert!(is_silent(&mut stream, "one").await);
    assert_eq!(proxy.fired().held, 1);
    proxy.heal();
    let mut back = [0; 3];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"one");
}

#[tokio::test]
async fn a_half_open_connection_is_silent_for_ever_and_a_new_one_works() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut old = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(said(&mut old, "hello").await.unwrap(), "hello");
    proxy.half_open();
    proxy.heal();
    assert!(is_silent(&mut old, "hello").await);
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(said(&mut new, "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_reset_ends_the_connections_there_are_and_a_refusal_those_to_come() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut old = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(said(&mut old, "hello").await.unwrap(), "hello");
    proxy.reset();
    let error = old.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(proxy.fired().resets, 1);
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(said(&mut new, "hello").await.unwrap(), "hello");
    proxy.refuse();
    assert!(new.read_u8().await.is_err());
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(said(&mut late, "hello").await.is_err());
}

#[tokio::test]
async fn a_cut_falls_after_exactly_so_many_bytes_of_its_direction() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.cut_after(Direction::ToClient, 7);
    assert_eq!(said(&mut stream, "hello").await.unwrap(), "hello");
    stream.write_all(b"hello").await.unwrap();
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest).await;
    // Whether the reset overtakes the last bytes is the kernel's affair.
    assert!(ended.is_err() && b"he".starts_with(&rest), "{ended:?} {rest:?}");
    assert_eq!(proxy.fired().cuts, 1);
}

#[tokio::test]
async fn the_reply_to_one_command_is_dropped_after_it_ran_and_those_before_it_pass() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], server.port()).into()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.drop_reply_to("mine", 1);
    let commands =
        b"*2\r\n$4\r\nINCR\r\n$5\r\nother\r\n*2\r\n$4\r\nINCR\r\n$4\r\nmine\r\n*1\r\n$4\r\nPING\r\n";
    stream.write_all(commands).await.unwrap();
    let mut replies = Vec::new();
    let ended = stream.read_to_end(&mut replies).await;
    assert!(ended.is_err() && b":1\r\n".starts_with(&replies), "{ended:?} {replies:?}");
    assert_eq!(proxy.fired().replies_dropped, 1);

    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    again.write_all(b"*2\r\n$3\r\nGET\r\n$4\r\nmine\r\n").await.unwrap();
    let mut value = [0; 7];
    again.read_exact(&mut value).await.unwrap();
    assert_eq!(&value, b"$1\r\n1\r\n", "it ran");
}
