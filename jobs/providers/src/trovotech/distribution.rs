//! Revenue that TrovoTech splits over the holders of tokens. There is neither key nor look-up: a lost
//! answer is for a person. The answer is compared with what was asked before it is believed.

use std::collections::HashSet;

use payfleet_core::money::parse_plain_decimal;
use payfleet_core::{Money, OutcomeClass, ProviderKey};
use rust_decimal::Decimal;

use super::answer;
use super::client::Client;
use super::wire::Distribute;
use crate::client::ProviderError;
use crate::failure::Call;
use crate::http::Answer;
use crate::json::Object;

/// A revenue to be split.
#[derive(Clone, Copy, Debug)]
pub struct Revenue<'a> {
    /// Over the holders of these, each once.
    pub token_ids: &'a [String],
    /// All of it; the provider is told the number only.
    pub total: Money,
    /// Such as `2026-05`.
    pub period: &'a str,
    /// For people.
    pub description: &'a str,
}

/// A revenue that was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distributed {
    /// The provider's id of it.
    pub payout_id: String,
    /// Each token's part.
    pub parts: Vec<Part>,
    /// The transaction on Bantu, where named.
    pub tx_hash: Option<String>,
    /// When it was done, as the provider writes it.
    pub completed_at: Option<String>,
}

/// What one token's holder got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The token.
    pub token_id: String,
    /// How much.
    pub amount: Decimal,
}

impl Client {
    /// Splits `revenue`, once. Never retries.
    ///
    /// # Errors
    /// [`ProviderError`]; `other_amount` where the parts are not the whole, `other_tokens` where others
    /// than the asked ones got any. Both are ambiguous: something was paid.
    pub async fn distribute(
        &self,
        revenue: &Revenue<'_>,
        key: &ProviderKey,
    ) -> Result<Distributed, ProviderError> {
        let body = Distribute::of(revenue, self.issuer_id());
        let body = body.ok_or_else(|| ProviderError::refused("not_a_decimal", "the total is no number"))?;
        let answer = self.post(Call::Effect, &["payout", "distribute"], Some(key), &body).await?;
        answer::check(Call::Effect, &answer)?;
        let done = Object::parse(&answer.body).ok().and_then(|object| read(&object));
        let done = done.ok_or_else(|| {
            answer.explain(ProviderError::unexpected(Call::Effect, "the answer is no distribution"))
        })?;
        compare(revenue, &done, &answer)?;
        Ok(done)
    }
}

fn read(object: &Object<'_>) -> Option<Distributed> {
    let parts = object.objects("distributions")?;
    let parts: Option<Vec<Part>> = parts
        .iter()
        .map(|part| {
            let amount = parse_plain_decimal(&part.text("amount")?).ok()?;
            Some(Part { token_id: part.filled("token_id")?, amount })
        })
        .collect();
    Some(Distributed {
        payout_id: object.filled("payout_id")?,
        parts: parts?,
        tx_hash: object.filled("tx_hash"),
        completed_at: object.filled("completed_at"),
    })
}

fn compare(revenue: &Revenue<'_>, done: &Distributed, answer: &Answer) -> Result<(), ProviderError> {
    let differs = |code, what| Err(answer.explain(ProviderError::new(OutcomeClass::Ambiguous, code, what)));
    let asked: HashSet<&String> = revenue.token_ids.iter().collect();
    let mut given = HashSet::new();
    if !done.parts.iter().all(|part| asked.contains(&part.token_id) && given.insert(&part.token_id)) {
        return differs("other_tokens", "it was split over other tokens than asked");
    }
    let sum = done.parts.iter().fold(Decimal::ZERO, |sum, part| sum.saturating_add(part.amount));
    if sum != revenue.total.amount() {
        return differs("other_amount", "the parts are not the whole that was to be split");
    }
    Ok(())
}
