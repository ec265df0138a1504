//! Stripe's record of a window: several lists, one after the other. A place in it is the name of a list
//! and the last id that was read of it.

use payfleet_core::Timestamp;
use payfleet_core::kinds::reconcile::Listed;
use payfleet_core::provider::Report;

use super::REFERENCE;
use super::client::{Client, Page};
use super::objects::{Metadata, Resource};
use super::params::{Created, ListFilter};
use crate::client::ProviderError;
use crate::failure::Call;
use crate::listing::ListedPage;

/// What our own account has made.
const OURS: [&str; 3] = ["payment_intents", "refunds", "transfers"];
/// What a connected account has paid out; and which of its earlier payouts came back, which they may do
/// for five business days after they were paid.
const OF_ACCOUNT: [&str; 2] = ["payouts", "failed_payouts"];
/// Five business days with the longest holidays in between.
const MAY_COME_BACK_MS: i64 = 14 * 24 * 3_600_000;

impl Client {
    /// A page of what was made from `from` (inclusive) to `to` (exclusive), by us or, for us, on a connected
    /// account. `after` is what the page before named as the next.
    pub(crate) async fn list_page(
        &self,
        account: Option<&str>,
        from: Timestamp,
        to: Timestamp,
        after: Option<&str>,
    ) -> Result<ListedPage, ProviderError> {
        let lists: &[&str] = if account.is_some() { &OF_ACCOUNT } else { &OURS };
        let (list, behind) = after.and_then(|place| place.split_once(':')).unwrap_or_default();
        let at = lists.iter().position(|name| *name == list).unwrap_or(0);
        let list = lists.get(at).copied().unwrap_or_default();
        let starting_after = Some(behind.to_owned()).filter(|id| !id.is_empty());
        let filter = ListFilter {
            created: Created { from: Some(from), to: Some(to) },
            starting_after,
            limit: Some(100),
            ..ListFilter::default()
        };
        let (entries, behind) = self.read_page(list, account, filter).await?;
        let next = match behind {
            Some(id) => Some(format!("{list}:{id}")),
            None => lists.get(at.saturating_add(1)).map(|list| format!("{list}:")),
        };
        Ok(ListedPage { entries, next })
    }

    /// The entries, and the last id where there are more.
    async fn read_page(
        &self,
        list: &str,
        account: Option<&str>,
        mut filter: ListFilter,
    ) -> Result<(Vec<Listed>, Option<String>), ProviderError> {
        let platform = self.platform();
        match (list, account) {
            ("refunds", _) => {
                turned(&platform.refunds(&filter).await?, |r| entry(&r.metadata, r.created, r.into()))
            }
            ("transfers", _) => {
                turned(&platform.transfers(&filter).await?, |t| entry(&t.metadata, t.created, t.into()))
            }
            ("payouts" | "failed_payouts", Some(account)) => {
                if list == "failed_payouts" {
                    let Created { from, .. } = filter.created;
                    let earliest = from.map(|from| from.plus_ms(-MAY_COME_BACK_MS));
                    filter.created = Created { from: earliest, to: from };
                    filter.status = Some("failed".to_owned());
                }
                let page = self.account(account).payouts(&filter).await?;
                let (mut entries, behind) = turned(&page, |p| entry(&p.metadata, p.created, p.into()))?;
                // What its owner, or Stripe by its schedule, has paid out is none of our business.
                entries.retain(|entry| entry.our_reference.is_some());
                Ok((entries, behind))
            }
            _ => {
                let page = platform.payment_intents(&filter).await?;
                turned(&page, |p| entry(&p.metadata, p.created, p.into()))
            }
        }
    }
}

fn turned<T: Resource>(
    page: &Page<T>,
    entry: impl Fn(&T) -> Listed,
) -> Result<(Vec<Listed>, Option<String>), ProviderError> {
    let last = page.data.last().map(|last| last.id().to_owned());
    if page.has_more && last.is_none() {
        return Err(ProviderError::unexpected(Call::Read, "an empty page that is not the last"));
    }
    Ok((page.data.iter().map(entry).collect(), last.filter(|_| page.has_more)))
}

fn entry(metadata: &Metadata, created: Timestamp, report: Report) -> Listed {
    Listed { our_reference: metadata.get(REFERENCE).cloned(), at: Some(created), report }
}
