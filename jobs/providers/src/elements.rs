//! A JSON array that is too long to be held, read element by element as it comes over the wire. Each
//! element is cut out as it was written; whether it is what it should be is for its reader to say.

use reqwest::Response;

use crate::failure::{Call, ProviderError};
use crate::http::lost;

/// No element is read further than this.
const LARGEST_ELEMENT: usize = 64 * 1024;

/// An array as far as it has not been read.
#[derive(Debug)]
pub(crate) struct Elements {
    response: Response,
    cutter: Cutter,
}

impl Elements {
    pub(crate) fn of(response: Response) -> Self {
        Self { response, cutter: Cutter::default() }
    }

    /// The next element; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ProviderError> {
        loop {
            match self.cutter.cut() {
                Cut::Element(element) => return Ok(Some(element)),
                Cut::End => return Ok(None),
                Cut::Not => return Err(ProviderError::unexpected(Call::Read, "the answer is not a list")),
                Cut::More if self.cutter.text.len() > LARGEST_ELEMENT => {
                    let class = Call::Read.unproven();
                    return Err(ProviderError::new(class, "too_large", "an entry is larger than 64 KiB"));
                }
                Cut::More => {}
            }
            match self.response.chunk().await.map_err(|error| lost(Call::Read, &error))? {
                Some(chunk) => self.cutter.text.extend_from_slice(&chunk),
                None => return Err(ProviderError::unexpected(Call::Read, "the list has no end")),
            }
        }
    }
}

enum Cut {
    Element(Vec<u8>),
    More,
    End,
    Not,
}

/// Cuts elements out of text that comes in pieces.
#[derive(Debug, Default)]
struct Cutter {
    text: Vec<u8>,
    /// How much of the text has been looked at.
    looked: usize,
    /// How many arrays and objects are open; the list itself is the first.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    has_ended: bool,
}

impl Cutter {
    fn cut(&mut self) -> Cut {
        while let Some(byte) = self.text.get(self.looked).copied() {
            if self.has_ended {
                if !byte.is_ascii_whitespace() {
                    return Cut::Not;
                }
                self.looked = self.looked.saturating_add(1);
                continue;
            }
            let is_over = match byte {
                _ if self.is_escaped => {
                    self.is_escaped = false;
                    false
                }
                b'\\' if self.in_string => {
                    self.is_escaped = true;
                    false
                }
                b'"' => {
                    self.in_string = !self.in_string;
                    false
                }
                _ if self.in_string => false,
                b'[' | b'{' => {
                    self.depth = self.depth.saturating_add(1);
                    if self.depth == 1 {
                        if byte == b'{' || !self.text.get(..self.looked).is_some_and(is_blank) {
                            return Cut::Not;
                        }
                        self.drop_looked();
                        continue;
                    }
                    false
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.has_ended = self.depth == 0;
                    self.has_ended
                }
                b',' => self.depth == 1,
                _ if self.depth == 0 && !byte.is_ascii_whitespace() => return Cut::Not,
                _ => false,
            };
            if is_over {
                let element = self.text.get(..self.looked).unwrap_or_default().to_vec();
                self.drop_looked();
                if !is_blank(&element) {
                    return Cut::Element(element);
                }
                continue;
            }
            self.looked = self.looked.saturating_add(1);
        }
        if self.has_ended { Cut::End } else { Cut::More }
    }

    /// Forgets what has been looked at, and the byte that ended it.
    fn drop_looked(&mut self) {
        let end = self.looked.saturating_add(1).min(self.text.len());
        self.text.drain(..end);
        self.looked = 0;
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is cut out of `text`, which comes in pieces of `size`; `None` where it is no list.
    fn cut(text: &str, size: usize) -> Option<(Vec<String>, bool)> {
        let mut cutter = Cutter::default();
        let mut elements = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            cutter.text.extend_from_slice(piece);
            loop {
                match cutter.cut() {
                    Cut::Element(element) => elements.push(String::from_utf8(element).unwrap()),
                    Cut::Not => return None,
                    Cut::More | Cut::End => break,
                }
            }
        }
        Some((elements, cutter.has_ended))
    }

    #[test]
    fn elements_are_cut_out_wherever_the_pieces_end() {
        let text = r#" [ {"a":[1,2],"b":"],}{\"\\"}, 5 ,"x,y",[[]] ] "#;
        let whole = [r#" {"a":[1,2],"b":"],}{\"\\"}"#, " 5 ", r#""x,y""#, "[[]] "];
        for size in 1..=text.len() {
            let (elements, has_ended) = cut(text, size).unwrap();
            assert_eq!(elements, whole, "{size}");
            assert!(has_ended, "{size}");
        }
    }

    #[test]
    fn an_empty_list_is_one_and_anything_else_is_none() {
        assert_eq!(cut("[]", 1), Some((Vec::new(), true)));
        assert_eq!(cut("[1", 1), Some((Vec::new(), false)));
        for text in ["{}", "x[1]", "null", "[1] 2"] {
            assert_eq!(cut(text, 3), None, "{text}");
        }
    }
}
