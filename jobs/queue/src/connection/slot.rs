//! Which of a cluster's 16,384 slots a key is in, and which key a command is about.

use redis::{Arg, Cmd};

/// The slot of a key: CRC-16 of what stands between its first braces, if anything does.
pub(super) fn of_key(key: &[u8]) -> u16 {
    let tag = || {
        let (_, after) = split_at(key, b'{')?;
        let (tag, _) = split_at(after, b'}')?;
        (!tag.is_empty()).then_some(tag)
    };
    crc16(tag().unwrap_or(key)) & 0x3fff
}

fn split_at(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == at)?;
    let (before, from) = bytes.split_at_checked(position)?;
    Some((before, from.split_first()?.1))
}

/// CRC-16/XMODEM: polynomial 0x1021, from 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// The slot of the key that `call` is about; `None` if any server will do.
pub(super) fn of_call(call: &Cmd) -> Option<u16> {
    let argument = |n: usize| match call.args_iter().nth(n) {
        Some(Arg::Simple(bytes)) => Some(bytes),
        _ => None,
    };
    match argument(0)? {
        b"EVALSHA" => argument(3).map(of_key),
        b"PING" | b"INFO" | b"CONFIG" | b"ROLE" | b"SCRIPT" | b"TIME" | b"CLUSTER" => None,
        _ => argument(1).map(of_key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(of_key(b"foo"), 12_182);
        assert_eq!(of_key(b"{foo}:ready"), 12_182);
        assert_eq!(of_key(b"x{foo}{bar}"), 12_182);
        assert_eq!(of_key(b"{}foo"), crc16(b"{}foo") & 0x3fff);
        assert_eq!(of_key(b"foo{"), crc16(b"foo{") & 0x3fff);
    }

    #[test]
    fn a_script_call_is_about_its_key() {
        let mut call = redis::cmd("EVALSHA");
        call.arg("0123").arg(1).arg("{foo}").arg("x");
        assert_eq!(of_call(&call), Some(12_182));
        let mut call = redis::cmd("BLPOP");
        call.arg("foo").arg(1);
        assert_eq!(of_call(&call), Some(12_182));
        assert_eq!(of_call(&redis::cmd("PING")), None);
    }
}
