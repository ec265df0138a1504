//! CSV exports: RFC 4180, one header line, read page by page and sent as it is read, so that memory
//! stays flat however much is selected.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe: texts of clients and
//! providers end up there.

use std::borrow::Cow;
use std::future::Future;
use std::io;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;

use crate::problem::{Kind, Problem};

/// What the answer's media type is, and the contract's word for it.
pub(crate) const CSV: &str = "text/csv";

/// One line of an export: texts, which are made safe, and values of ours, which are as they are.
pub(crate) enum Cell<'a> {
    /// A text that somebody else may have written.
    Text(Option<&'a str>),
    /// A number, a moment, an id, a word of ours.
    Ours(String),
}

/// Lines that are being written.
pub(crate) struct Lines(::csv::Writer<Vec<u8>>);

/// Whether the caller asks for CSV rather than JSON.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    let accepts = |media: &str| {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|range| range.split(';').next().unwrap_or(range).trim().eq_ignore_ascii_case(media))
    };
    accepts(CSV) && !accepts("application/json")
}

impl Lines {
    /// Begins a file with its header.
    pub(crate) fn with_header(names: &[&str]) -> Result<Self, Problem> {
        let mut lines = Self::new();
        lines.0.write_record(names).map_err(failed)?;
        Ok(lines)
    }

    /// Goes on with a file.
    pub(crate) fn new() -> Self {
        let mut options = ::csv::WriterBuilder::new();
        Self(options.terminator(::csv::Terminator::CRLF).from_writer(Vec::new()))
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, cells: &[Cell<'_>]) -> Result<(), Problem> {
        for cell in cells {
            match cell {
                Cell::Text(text) => self.0.write_field(harmless(text.unwrap_or_default()).as_ref()),
                Cell::Ours(text) => self.0.write_field(text),
            }
            .map_err(failed)?;
        }
        self.0.write_record(None::<&[u8]>).map_err(failed)
    }

    fn finish(self) -> Result<Bytes, Problem> {
        self.0.into_inner().map(Bytes::from).map_err(failed)
    }
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn failed(error: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Internal, "Ask again, for JSON if it happens again.").because(error)
}

/// The lines read so far, and where to go on, if there is more.
pub(crate) type Read<P> = (Lines, Option<P>);

/// Sends what `read` reads, from `first` on, as a file called `name`. An error after the beginning
/// breaks the connection off, so that a part is never taken for the whole.
pub(crate) fn file<P, F, R>(name: &str, first: Read<P>, read: F) -> Response
where
    P: Send + 'static,
    F: Fn(P) -> R + Send + 'static,
    R: Future<Output = Result<Read<P>, Problem>> + Send + 'static,
{
    let pages = stream::try_unfold((Some(first), read), |(page, read)| async move {
        let Some((lines, next)) = page else { return Ok(None) };
        let bytes = lines.finish().map_err(|problem| broken_off(&problem))?;
        let following = match next {
            Some(next) => Some(read(next).await.map_err(|problem| broken_off(&problem))?),
            None => None,
        };
        Ok::<_, io::Error>(Some((bytes, (following, read))))
    });
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

fn broken_off(problem: &Problem) -> io::Error {
    let why = problem.cause().unwrap_or("no cause").to_owned();
    tracing::warn!(error = why, "An export was broken off.");
    io::Error::other(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn csv_is_wanted_where_it_is_named_and_json_is_not() {
        assert!(wanted(&accept("text/csv")));
        assert!(wanted(&accept("Text/CSV; q=0.9, */*; q=0.1")));
        for json in ["application/json", "*/*", "text/csv, application/json", "text/csvx", ""] {
            assert!(!wanted(&accept(json)), "{json}");
        }
        assert!(!wanted(&HeaderMap::new()));
    }

    #[test]
    fn formulas_are_disarmed_and_marks_are_quoted() {
        let mut lines = Lines::with_header(&["a", "b"]).unwrap();
        for text in ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"] {
            lines.line(&[Cell::Text(Some(text)), Cell::Ours("-1".to_owned())]).unwrap();
        }
        lines.line(&[Cell::Text(Some("a \"b\", c\nd")), Cell::Text(None)]).unwrap();
        let text = String::from_utf8(lines.finish().unwrap().to_vec()).unwrap();
        assert_eq!(
            text,
            "a,b\r\n'=1+1,-1\r\n'+1,-1\r\n'-1,-1\r\n'@sum,-1\r\n'\tx,-1\r\n\"'\rx\",-1\r\n\
             \"a \"\"b\"\", c\nd\",\r\n"
        );
    }
}
