//! Our own record of the window: what the provider's has not shown is asked for by its id before it is
//! called missing, because it may be dated elsewhere there. And what of ours has not moved.

use payfleet_core::kinds::reconcile::{Held, missing_there, stuck};
use payfleet_core::provider::{Effect, Progress, Provider, Report};
use payfleet_providers::Client;
use payfleet_store::{ComparedPage, HeldPage, HeldPlace, OpenRun, Step, StuckPage, StuckPlace};

use super::patience::Patience;
use super::{Handlers, Stop, at, beginning, place};

/// Entries read together.
const PAGE: i64 = 200;

impl Handlers {
    pub(super) async fn ours(&self, client: &Client, run: &mut OpenRun) -> Result<(), Stop> {
        let mut after = place::<HeldPlace>(run);
        loop {
            let HeldPage { held, next } = self.store.held(run, after, PAGE).await?;
            let mut page = ComparedPage {
                held: held.iter().map(|(held, _)| held.request.money()).collect(),
                ..ComparedPage::default()
            };
            let unseen = held.into_iter().filter(|(held, seen)| !seen && must_be_there(held));
            let unseen: Vec<Held> = unseen.map(|(held, _)| held).collect();
            let known = self.known(client, run.reconcile.provider, &unseen).await?;
            let missing = unseen.iter().zip(known).filter(|(_, known)| !known);
            page.found.extend(missing.map(|(held, _)| missing_there(held)));
            let goes_on = next.map_or(beginning(Step::Stuck), |next| at(Step::Ours, &next));
            self.save(run, &page, Some(goes_on)).await?;
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    /// Whether the provider knows each by its id.
    async fn known(&self, client: &Client, provider: Provider, held: &[Held]) -> Result<Vec<bool>, Stop> {
        let mut effects: Vec<(Effect, String)> = Vec::with_capacity(held.len());
        for one in held {
            let effect = match self.store.operation(one.operation).await? {
                Some(view) => view.effect(),
                None => Effect { asked: one.request.clone(), on: None },
            };
            effects.push((effect, one.provider_ref.clone().unwrap_or_default()));
        }
        // TrovoTech answers about all at once; of the others each is a call, and may have to wait.
        let at_once = if provider == Provider::TrovoTech { effects.len().max(1) } else { 1 };
        let mut known = Vec::with_capacity(effects.len());
        for some in effects.chunks(at_once) {
            let mut patience = Patience::default();
            known.extend(loop {
                match client.knows(some).await {
                    Ok(known) => break known,
                    Err(error) => patience.bear(error).await?,
                }
            });
        }
        Ok(known)
    }

    pub(super) async fn unmoved(&self, run: &mut OpenRun) -> Result<(), Stop> {
        let mut after = place::<StuckPlace>(run);
        loop {
            let StuckPage { unmoved, next } = self.store.unmoved(run, after, PAGE).await?;
            let mut page = ComparedPage::default();
            for one in unmoved {
                if one.held.request.patience_ms().is_none_or(|patience| one.for_ms < patience) {
                    continue;
                }
                let found = stuck(&one.held, one.was_woken);
                let key = Report::of("stuck", Progress::Pending, "stuck");
                self.remedy(run, std::slice::from_ref(&found), &one.held, &key).await?;
                page.found.push(found);
            }
            let goes_on = next.map(|next| at(Step::Stuck, &next));
            self.save(run, &page, goes_on).await?;
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }
}

/// Whether the provider has once said that it has it.
fn must_be_there(held: &Held) -> bool {
    let is_taken = matches!(held.state.as_str(), "accepted" | "settled" | "quarantined" | "returned");
    is_taken && held.provider_ref.is_some()
}
