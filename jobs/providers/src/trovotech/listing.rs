//! TrovoTech's record: all tokens in one answer, which is read as it comes, so that no more than a page
//! of them is held however many there are.

use payfleet_core::Timestamp;
use payfleet_core::kinds::reconcile::Listed;
use payfleet_core::provider::Report;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::answer;
use super::client::Client;
use crate::client::ProviderError;
use crate::elements::Elements;
use crate::failure::Call;
use crate::json::Object;

/// How many entries are handed over together.
const PAGE: usize = 200;

/// The tokens of an answer, as far as they have not been read.
#[derive(Debug)]
pub(crate) struct Tokens(Elements);

impl Client {
    pub(crate) async fn every_token(&self) -> Result<Tokens, ProviderError> {
        self.elements(&["tokens", "my"]).await.map(Tokens)
    }

    /// The token called `id`, where it is listed.
    pub(crate) async fn find_token(&self, id: &str) -> Result<Option<Report>, ProviderError> {
        let Tokens(mut tokens) = self.every_token().await?;
        while let Some(token) = tokens.next().await? {
            let report = listed(&token)?.report;
            if report.provider_ref == id {
                return Ok(Some(report));
            }
        }
        Ok(None)
    }

    /// Which of the tokens called `ids` there are: one call, however many are asked for.
    pub(crate) async fn known(&self, ids: &[&str]) -> Result<Vec<bool>, ProviderError> {
        let mut known = vec![false; ids.len()];
        let Tokens(mut tokens) = self.every_token().await?;
        while let Some(token) = tokens.next().await? {
            let id = listed(&token)?.report.provider_ref;
            for (known, _) in known.iter_mut().zip(ids).filter(|(_, asked)| **asked == id) {
                *known = true;
            }
        }
        Ok(known)
    }
}

impl Tokens {
    /// The next entries that were minted from `from` (inclusive) to `to` (exclusive), and whether they are
    /// the last.
    pub(crate) async fn page(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(Vec<Listed>, bool), ProviderError> {
        // Its times are whole seconds.
        let (from, to) = (from.whole_second(), to.whole_second());
        let mut entries = Vec::new();
        while entries.len() < PAGE {
            let Some(token) = self.0.next().await? else { return Ok((entries, true)) };
            let entry = listed(&token)?;
            // One without a readable time is kept: better compared once too often than missed.
            if entry.at.is_none_or(|at| (from..to).contains(&at)) {
                entries.push(entry);
            }
        }
        Ok((entries, false))
    }
}

fn listed(token: &[u8]) -> Result<Listed, ProviderError> {
    let unreadable = || ProviderError::unexpected(Call::Read, "a listed token has no id");
    let token = Object::parse(token).map_err(|_| unreadable())?;
    let minted = token.text("mintedAt").and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
    let report = answer::listed(&token).ok_or_else(unreadable)?;
    Ok(Listed { our_reference: None, at: minted.map(Timestamp::from), report })
}
