//! What PHP's `json_encode(json_decode(body, true), JSON_UNESCAPED_UNICODE)` makes of a body without
//! its `sign`: the text Heleket's sender signs, even where something on the way rewrote the bytes.
//!
//! Only what is certain is re-encoded. A repeated key, a number that PHP would round or print with an
//! exponent, a key that PHP would turn into an array index, or deep nesting give nothing, and the
//! caller is left with the bytes as they came.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::json::Object;

/// Deeper than anything Heleket sends.
const DEEPEST: usize = 16;
/// A double holds this many decimal digits unchanged.
const EXACT_DIGITS: usize = 15;

/// The whole object re-encoded, without its top-level `sign`.
pub(crate) fn encode_without_sign(object: &Object<'_>) -> Option<String> {
    let members = object.members().iter().filter(|(key, _)| key != "sign");
    let mut out = String::new();
    encode_members(members, &mut out, DEEPEST)?;
    Some(out)
}

fn encode(value: &RawValue, out: &mut String, depth: usize) -> Option<()> {
    let raw = value.get();
    let depth = depth.checked_sub(1)?;
    match raw.as_bytes().first()? {
        b'{' => encode_members(Object::parse(raw.as_bytes()).ok()?.members().iter(), out, depth),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            out.push('[');
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                encode(item, out, depth)?;
            }
            out.push(']');
            Some(())
        }
        b'"' => {
            encode_text(&serde_json::from_str::<String>(raw).ok()?, out);
            Some(())
        }
        b'-' | b'0'..=b'9' => {
            out.push_str(number(raw)?);
            Some(())
        }
        _ => {
            out.push_str(raw);
            Some(())
        }
    }
}

fn encode_members<'m, 'a: 'm>(
    members: impl Iterator<Item = &'m (String, &'a RawValue)>,
    out: &mut String,
    depth: usize,
) -> Option<()> {
    let start = out.len();
    for (key, value) in members {
        // PHP makes an integer of such a key, and a list of an object that has only those.
        if key.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'-') {
            return None;
        }
        out.push(if out.len() == start { '{' } else { ',' });
        encode_text(key, out);
        out.push(':');
        encode(value, out, depth)?;
    }
    // An empty object is an empty array to PHP.
    out.push_str(if out.len() == start { "[]" } else { "}" });
    Some(())
}

fn encode_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// Whole numbers as they are; fractions without their trailing zeros.
fn number(raw: &str) -> Option<&str> {
    let digits = raw.bytes().filter(u8::is_ascii_digit).count();
    if digits > EXACT_DIGITS || raw.contains(['e', 'E']) {
        return None;
    }
    let Some((whole, fraction)) = raw.split_once('.') else { return Some(raw) };
    // PHP prints numbers below 0.0001 with an exponent, and a zero's sign in its own way.
    let leading_zeros = fraction.len().checked_sub(fraction.trim_start_matches('0').len())?;
    if whole.trim_start_matches('-') == "0" && leading_zeros > 3 {
        return None;
    }
    Some(raw.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn php(body: &str) -> Option<String> {
        encode_without_sign(&Object::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn text_and_numbers_are_written_as_php_writes_them() {
        let body = "{ \"sign\": \"x\", \"u\": \"a/b\\u00eb\\u2028\\u0001\", \"n\": [129.10, 2.0, -3, true, null], \"o\": {} }";
        assert_eq!(
            php(body).unwrap(),
            "{\"u\":\"a\\/bë\\u2028\\u0001\",\"n\":[129.1,2,-3,true,null],\"o\":[]}"
        );
        assert_eq!(php("{\"sign\":\"x\"}").unwrap(), "[]");
    }

    #[test]
    fn what_php_might_write_otherwise_is_left_alone() {
        for body in [
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":1e3}"#,
            r#"{"a":0.00001}"#,
            r#"{"a":1.2345678901234567}"#,
            r#"{"0":"x"}"#,
            r#"{"a":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}"#,
        ] {
            assert_eq!(php(body), None, "{body}");
        }
    }
}
