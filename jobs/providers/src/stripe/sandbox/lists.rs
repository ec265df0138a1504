//! Lists as Stripe pages them: newest first, by id, at most 100; searches; and members shown whole.

use serde_json::{Value, json};

use super::book::{Stored, member};
use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;

/// What every list takes.
const PAGING: &[&str] = &["limit", "starting_after", "ending_before", "created", "arrival_date"];

/// One object, or Stripe's 404.
pub(super) fn one(tx: &Tx<'_>, kind: &str, id: &str) -> Result<Value, Refused> {
    Ok(tx.find(kind, id)?.value)
}

/// A page of the account's objects of one kind; `filters` are members that must be as given.
pub(super) fn list(tx: &Tx<'_>, kind: &str, filters: &[&str], params: &Params) -> Result<Value, Refused> {
    params.only(&[PAGING, filters].concat())?;
    let matches = |stored: &&Stored| {
        filters.iter().all(|name| params.text(name).is_none_or(|wanted| stored.text(name) == wanted))
    };
    let url = format!("/v1/{kind}s");
    if params.text("ending_before").is_some() {
        let found = tx.of(tx.account.as_deref(), kind).into_iter().filter(matches).collect();
        return page(found, &url, params);
    }
    // A long list is not gone through for each of its pages.
    let limit = limit(params)?;
    let older = match params.text("starting_after") {
        None => tx.newest_first(kind, None),
        Some(id) if tx.get(id).is_some() => tx.newest_first(kind, Some(id)),
        Some(id) => return Err(no_such("starting_after", id)),
    };
    let spans = [Span::of("created", params), Span::of("arrival_date", params)];
    let mut found = older.filter(matches).filter(|stored| spans.iter().all(|span| span.has(stored)));
    let data: Vec<&Value> = found.by_ref().take(limit).map(|stored| &stored.value).collect();
    let has_more = found.next().is_some();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

fn limit(params: &Params) -> Result<usize, Refused> {
    let limit = params.integer("limit")?.unwrap_or(10);
    usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
        Refused::parameter("parameter_invalid_integer", "limit", "This value must be between 1 and 100.")
    })
}

fn no_such(name: &'static str, id: &str) -> Refused {
    Refused::parameter("resource_missing", name, &format!("No such object: '{id}'"))
}

/// A page of `found`, which is oldest first.
pub(super) fn page(found: Vec<&Stored>, url: &str, params: &Params) -> Result<Value, Refused> {
    let limit = limit(params)?;
    let spans = [Span::of("created", params), Span::of("arrival_date", params)];
    let lies_in = |stored: &&Stored| spans.iter().all(|span| span.has(stored));
    let mut newest_first: Vec<&Stored> = found.into_iter().rev().filter(lies_in).collect();
    let place = |name: &'static str, list: &[&Stored]| match params.text(name) {
        None => Ok(None),
        Some(id) => match list.iter().position(|stored| stored.id == id) {
            Some(place) => Ok(Some(place)),
            None => Err(no_such(name, id)),
        },
    };
    let mut has_more = false;
    if let Some(before) = place("ending_before", &newest_first)? {
        newest_first.truncate(before);
        has_more = newest_first.len() > limit;
        newest_first.drain(..newest_first.len().saturating_sub(limit));
    } else {
        if let Some(after) = place("starting_after", &newest_first)? {
            newest_first.drain(..=after);
        }
        has_more |= newest_first.len() > limit;
        newest_first.truncate(limit);
    }
    let data: Vec<&Value> = newest_first.iter().map(|stored| &stored.value).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

/// `name[gte]`, `name[gt]`, `name[lte]`, `name[lt]` or `name` itself, in Unix seconds.
struct Span {
    name: &'static str,
    from: i64,
    to: i64,
}

impl Span {
    fn of(name: &'static str, params: &Params) -> Self {
        let bound = |op: &str| params.text(&format!("{name}{op}")).and_then(|text| text.parse::<i64>().ok());
        let froms = [bound(""), bound("[gte]"), bound("[gt]").map(|after| after.saturating_add(1))];
        let tos = [bound(""), bound("[lte]"), bound("[lt]").map(|before| before.saturating_sub(1))];
        let from = froms.into_iter().flatten().max().unwrap_or(i64::MIN);
        let to = tos.into_iter().flatten().min().unwrap_or(i64::MAX);
        Self { name, from, to }
    }

    fn has(&self, stored: &Stored) -> bool {
        (self.from, self.to) == (i64::MIN, i64::MAX)
            || (self.from..=self.to).contains(&stored.number_of(self.name))
    }
}

/// `metadata['k']:'v'` and `member:'v'`, joined by AND. The real one lags behind; this one does not.
pub(super) fn search(tx: &Tx<'_>, kind: &str, params: &Params) -> Result<Value, Refused> {
    params.only(&["query", "limit", "page"])?;
    let query = params.need("query")?;
    let unreadable = || Refused::parameter("parameter_invalid", "query", "The query cannot be read.");
    let clauses: Option<Vec<(&str, &str)>> = query
        .split(" AND ")
        .map(|clause| {
            let (field, value) = clause.trim().split_once(':')?;
            let value = value.trim_matches(|quote| quote == '\'' || quote == '"');
            Some((field, value))
        })
        .collect();
    let clauses = clauses.ok_or_else(unreadable)?;
    let matches = |stored: &&Stored| {
        clauses.iter().all(|(field, wanted)| {
            let key = field.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']'));
            match key.map(|key| key.trim_matches(|quote| quote == '\'' || quote == '"')) {
                Some(key) => member(stored.at("metadata"), key).as_str() == Some(wanted),
                None => stored.text(field) == *wanted,
            }
        })
    };
    let found = tx.of(tx.account.as_deref(), kind).into_iter().rev().filter(matches);
    let data: Vec<&Value> = found.take(100).map(|stored| &stored.value).collect();
    let url = format!("/v1/{kind}s/search");
    Ok(json!({ "object": "search_result", "data": data, "has_more": false, "next_page": null, "url": url }))
}

/// Shows members whole whose ids are shown otherwise: `latest_charge`, `data.customer`.
pub(super) fn expand(tx: &Tx<'_>, body: &mut Value, paths: &[&str]) {
    for path in paths {
        let (first, rest) = path.split_once('.').map_or((*path, None), |(first, rest)| (first, Some(rest)));
        let Some(member) = body.get_mut(first) else { continue };
        if let Some(whole) = member.as_str().and_then(|id| tx.get(id)) {
            *member = whole.value.clone();
        }
        if let Some(rest) = rest {
            match member {
                Value::Array(entries) => entries.iter_mut().for_each(|entry| expand(tx, entry, &[rest])),
                member => expand(tx, member, &[rest]),
            }
        }
    }
}
