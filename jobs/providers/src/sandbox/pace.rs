//! How fast a sandbox was called: the most calls in any one second by its clock, of all together and
//! of each class. Refused calls count too, since a limit is about what is sent.
//!
//! The second slides: a limit that only holds from one full second to the next is none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use payfleet_core::Timestamp;

use super::{Actor, locked};

/// Two calls less than this apart are in one window.
const WINDOW_MS: i64 = 1_000;
/// The name under which all calls are counted together.
const ALL: &str = "all";

/// The calls of one class.
#[derive(Debug, Default)]
struct Calls {
    /// Those of the window that ends with the last one.
    recent: VecDeque<i64>,
    most: usize,
}

/// How fast each class of call came.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<BTreeMap<String, Calls>>);

impl Pace {
    /// The most calls in any one second, by class.
    pub(super) fn most_in_a_second(&self) -> BTreeMap<String, usize> {
        locked(&self.0).iter().map(|(class, calls)| (class.clone(), calls.most)).collect()
    }

    fn note(&self, class: String, at: Timestamp) {
        let mut classes = locked(&self.0);
        for class in [ALL.to_owned(), class] {
            classes.entry(class).or_default().note(at.unix_ms());
        }
    }
}

impl Calls {
    fn note(&mut self, at_ms: i64) {
        while self.recent.front().is_some_and(|first| at_ms.saturating_sub(*first) >= WINDOW_MS) {
            self.recent.pop_front();
        }
        self.recent.push_back(at_ms);
        self.most = self.most.max(self.recent.len());
    }
}

/// What the middleware counts by.
#[derive(Clone)]
pub(super) struct Counter {
    pub(super) actor: Arc<dyn Actor>,
    pub(super) pace: Arc<Pace>,
}

/// The middleware: counts a call as it comes, before anything is done about it.
pub(super) async fn count(State(counter): State<Counter>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/_") {
        let route = request.extensions().get::<MatchedPath>().map_or(path, MatchedPath::as_str);
        let route = counter.actor.route_of(path).unwrap_or_else(|| route.to_owned());
        counter.pace.note(format!("{} {route}", request.method()), counter.actor.now());
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_and_classes_are_counted_apart_and_together() {
        let pace = Pace::default();
        let at = |class: &str, ms: i64| pace.note(class.to_owned(), Timestamp::from_unix_ms(ms));
        // Three within a second that begins in the middle of one.
        for (class, ms) in [("a", 0), ("a", 900), ("b", 950), ("a", 1_000), ("a", 1_899), ("a", 2_899)] {
            at(class, ms);
        }
        let most = pace.most_in_a_second();
        assert_eq!((most["a"], most["b"], most[ALL]), (3, 1, 4), "{most:?}");
    }
}
