//! Where the messages of Redis' protocol end.

/// The length of the first whole message, if it has arrived.
pub(crate) fn message(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    match bytes[0] {
        b'$' | b'=' | b'!' => match usize::try_from(number()?) {
            Ok(length) => Some(line + length + 2).filter(|end| *end <= bytes.len()),
            Err(_) => Some(line),
        },
        b'*' | b'~' | b'>' | b'%' => {
            let each = if bytes[0] == b'%' { 2 } else { 1 };
            let mut end = line;
            for _ in 0..number()?.max(0) * each {
                end += message(&bytes[end..])?;
            }
            Some(end)
        }
        _ => Some(line),
    }
}

/// Whether a client that begins like this speaks the protocol.
pub(crate) fn is_spoken(first: u8) -> bool {
    first == b'*'
}

/// Whether a request only hands a script over.
pub(crate) fn loads_script(request: &[u8]) -> bool {
    request.starts_with(b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n")
}

/// Whether a reply says that the server did not know the script, and so did nothing.
pub(crate) fn ran_nothing(reply: &[u8]) -> bool {
    reply.starts_with(b"-NOSCRIPT")
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn a_message_ends_where_it_ends_and_a_part_of_one_does_not() {
        for whole in [
            &b"+OK\r\n"[..],
            b":12\r\n",
            b"-ERR no\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$0\r\n\r\n",
        ] {
            let mut with_more = whole.to_vec();
            with_more.extend_from_slice(b"*1\r\n");
            assert_eq!(message(&with_more), Some(whole.len()));
            for cut in 0..whole.len() {
                assert_eq!(message(&whole[..cut]), None, "{:?} {cut}", String::from_utf8_lossy(whole));
            }
        }
    }
}
