//! Reading a provider's record of a window page by page: what reconciliation does. No more than a page
//! is held, and a listing can go on where an earlier one was.

use payfleet_core::Timestamp;
use payfleet_core::kinds::reconcile::Listed;

use crate::client::Client;
use crate::failure::{Call, ProviderError};
use crate::trovotech;

/// The most pages that one listing reads: a record that seems to have no end is none.
const MOST_PAGES: u32 = 20_000;

/// A page of a record.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListedPage {
    pub(crate) entries: Vec<Listed>,
    /// What names the next page; `None` on the last.
    pub(crate) next: Option<String>,
}

/// A record that is being read.
#[derive(Debug)]
pub struct Listing<'a> {
    client: &'a Client,
    window: (Timestamp, Timestamp),
    /// The connected account whose record it is; `None`: our own.
    account: Option<&'a str>,
    /// What names the next page; `None` at the beginning.
    next: Option<String>,
    /// Of a record that comes whole: as far as it has not been read.
    rest: Option<trovotech::Tokens>,
    pages: u32,
    is_over: bool,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(
        client: &'a Client,
        window: (Timestamp, Timestamp),
        account: Option<&'a str>,
        after: Option<String>,
    ) -> Self {
        Self { client, window, account, next: after, rest: None, pages: 0, is_over: false }
    }

    /// The entries of the next page; none behind the last. Those of a provider that pages by more than the
    /// window are left out, so a page can be empty and not the last.
    ///
    /// # Errors
    /// [`ProviderError`]; the page has not been read then.
    pub async fn next_page(&mut self) -> Result<Vec<Listed>, ProviderError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let (from, to) = self.window;
        let after = self.next.as_deref();
        let ListedPage { entries, next } = match self.client {
            Client::Heleket(client) => client.list_page(from, to, after).await?,
            Client::Stripe(client) => client.list_page(self.account, from, to, after).await?,
            Client::TrovoTech(client) => {
                let rest = match &mut self.rest {
                    Some(rest) => rest,
                    None => self.rest.insert(client.every_token().await?),
                };
                let (entries, is_last) = rest.page(from, to).await?;
                self.is_over = is_last;
                return Ok(entries);
            }
            // It lists no effects of ours; see [`crate::tatum::Client::executed_page`].
            Client::Tatum(_) => ListedPage::default(),
        };
        self.pages = self.pages.saturating_add(1);
        if next.is_some() && (next == self.next || self.pages >= MOST_PAGES) {
            let endless = "the listing does not end; ask for a shorter window";
            return Err(ProviderError::unexpected(Call::Read, endless));
        }
        self.is_over = next.is_none();
        self.next = next;
        Ok(entries)
    }

    /// Whether the last page has been read.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Where another listing of the same record goes on behind what has been read; `None`: at its
    /// beginning.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.next.as_deref()
    }
}
