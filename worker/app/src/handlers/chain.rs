//! A look at a chain: its height is asked for once for all that waits on it, and every deposit that is
//! deep enough by it is looked up once more before it counts, because its block may be gone. So a chain
//! is asked as often as it is looked at, and once more for each deposit that comes to its end.
//!
//! A look that cannot be made is over: the next tick makes another. What the chain says of one deposit
//! and nobody can read holds up no other; reconciliation shows a person what has waited for too long.

use payfleet_core::address::Network;
use payfleet_core::job::{Job, NewJob};
use payfleet_core::kinds::confirm::interval_ms;
use payfleet_core::provider::Provider;
use payfleet_core::{Classify, Money, OutcomeClass};
use payfleet_providers::ProviderError;
use payfleet_providers::tatum::{Chain, Client, Payments, Shown, Told, confirmations};
use payfleet_queue::Outcome;
use payfleet_store::{Counts, SeenDeposit, Standing, WaitingDeposit};

use super::{HandlerError, Handlers};
use crate::jobs::{self, Subject};

/// How many transactions one look asks for.
const MOST_LOOKUPS: i64 = 50;

/// A transaction that no block and no pool has shown for this long never took effect.
const GIVEN_UP_MS: i64 = 24 * 3_600_000;

/// What a look at its transaction shows of a deposit.
enum Look {
    /// It does not count, or not yet.
    Not(Standing),
    /// It is deep enough to stay, and paid this.
    Deep(Payments),
}

impl Handlers {
    pub(super) async fn chain(&self, job: &Job, network: Network) -> Result<Outcome, HandlerError> {
        match self.look_at_chain(job, network).await {
            Err(HandlerError::Provider(error)) if !comes_back_before_the_next(&error, network) => {
                tracing::warn!(
                    %network, error.class = error.class().as_str(), error.code = error.code(),
                    "The chain could not be looked at, and will be at the next tick: {error}"
                );
                Ok(Outcome::Done { then: Vec::new() })
            }
            looked => looked,
        }
    }

    async fn look_at_chain(&self, job: &Job, network: Network) -> Result<Outcome, HandlerError> {
        let (Some(tatum), Some(chain)) = (self.clients.tatum(), Chain::of(network)) else {
            return Ok(Outcome::Defer {
                delay: std::time::Duration::from_secs(10),
                reason: "Tatum is not configured on this worker".to_owned(),
            });
        };
        let height = tatum.height(chain).await?;
        let need = self.finality.of(network);
        let deepest = height.saturating_add(1).saturating_sub(need);
        let due = self.store.due_deposits(network, deepest, MOST_LOOKUPS).await?;
        // Many may come to their depth with one block. Those in no block wait for the next look.
        let mut are_more = i64::try_from(due.len()).is_ok_and(|count| count == MOST_LOOKUPS)
            && due.iter().all(|deposit| deposit.seen.block.is_some());
        let mut then = Vec::new();
        for deposit in due {
            match self.standing(tatum, chain, &deposit, (height, need)).await {
                Ok(Look::Not(standing)) => self.store.mark_deposit(&deposit.seen, standing).await?,
                Ok(Look::Deep(payments)) => then.extend(self.count(chain, &deposit, &payments).await?),
                Err(HandlerError::Provider(error)) if !is_put_off(&error) => {
                    self.pass_over(&deposit, error).await?;
                    // They would come again at once, and for ever.
                    are_more = false;
                }
                Err(error) => return Err(error),
            }
        }
        if are_more {
            then.push(jobs::look_on(network, job.envelope.id)?);
        }
        Ok(Outcome::Done { then })
    }

    /// Marks a deposit as looked at: what cannot be read would come first in every look. What is broken
    /// for one is so for the others too, and ends the look.
    async fn pass_over(&self, deposit: &WaitingDeposit, error: ProviderError) -> Result<(), HandlerError> {
        let SeenDeposit { network, transaction, block, .. } = &deposit.seen;
        self.store.mark_deposit(&deposit.seen, Standing::In(*block)).await?;
        if !error.is_about_the_question() {
            return Err(error.into());
        }
        tracing::warn!(
            %network, deposit.transaction = transaction, operation.id = %deposit.operation, error.code = error.code(),
            "What the chain says of a deposit cannot be read: {error}"
        );
        Ok(())
    }

    /// Where the chain has it.
    async fn standing(
        &self,
        tatum: &Client,
        chain: Chain,
        deposit: &WaitingDeposit,
        (height, need): (u64, u64),
    ) -> Result<Look, HandlerError> {
        let seen = &deposit.seen;
        let Some(transaction) = tatum.transaction(chain, &seen.transaction).await? else {
            if deposit.known_ms < GIVEN_UP_MS {
                return Ok(Look::Not(Standing::In(None)));
            }
            self.tell(seen, "deposit_gone", "was seen, and the chain does not know it any more").await?;
            return Ok(Look::Not(Standing::Gone));
        };
        if transaction.succeeded == Some(false) {
            return Ok(Look::Not(Standing::Gone));
        }
        Ok(match transaction.block {
            Some(block) if confirmations(height, block) >= need => Look::Deep(transaction.payments),
            block => Look::Not(Standing::In(block)),
        })
    }

    /// Into the inbox of its order, once.
    async fn count(
        &self,
        chain: Chain,
        deposit: &WaitingDeposit,
        payments: &Payments,
    ) -> Result<Option<NewJob>, HandlerError> {
        let judge = |beside: &[Money]| {
            let money = what_counts(deposit, payments, beside)?;
            Some(Counts { money, is_coin: money.asset().code() == chain.coin() })
        };
        let Some(woken) = self.store.count_deposit(deposit, &judge).await? else { return Ok(None) };
        let subject = Subject { id: woken.id, kind: woken.kind, tenant: woken.tenant };
        Ok(Some(jobs::inbox(&subject, &deposit.seen.event_key())?))
    }

    async fn tell(&self, seen: &SeenDeposit, kind: &str, what: &str) -> Result<(), HandlerError> {
        let detail = format!("transaction {} of {} {what}", seen.transaction, seen.money);
        tracing::warn!(network = %seen.network, "A deposit needs a person: {detail}");
        Ok(self.store.note_webhook(Provider::Tatum, kind, Some(&seen.transaction), &detail).await?)
    }
}

/// What counts of a deposit that is deep enough, `beside` what counts of its transaction already under other
/// names; `None` where nothing does. Webhooks are hints: what the chain shows is what was paid. Where it
/// does not show that, the word of signed webhooks has to do, as long as they do not contradict each other.
fn what_counts(deposit: &WaitingDeposit, payments: &Payments, beside: &[Money]) -> Option<Money> {
    let SeenDeposit { network, address_key, place, money, is_coin, .. } = &deposit.seen;
    let told = Told { network: *network, address_key, place, money: *money, is_coin: *is_coin };
    match payments.shown(&told, beside) {
        Shown::Paid(money) => Some(money),
        Shown::Nothing => None,
        Shown::Unknown => (!deposit.told_otherwise).then_some(*money),
    }
}

/// Nothing was asked, or it was not looked at.
fn is_put_off(error: &ProviderError) -> bool {
    matches!(error.class(), OutcomeClass::RateLimited { .. })
}

/// Whether it is worth while to put the look off: else looks would pile up while the provider is away.
fn comes_back_before_the_next(error: &ProviderError, network: Network) -> bool {
    let OutcomeClass::RateLimited { retry_after_ms } = error.class() else { return false };
    retry_after_ms.is_none_or(|ms| ms < interval_ms(Some(network)))
}
