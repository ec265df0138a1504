//! What must be true after a cell.

use std::collections::BTreeMap;

use payfleet_core::OperationId;
use payfleet_core::provider::DoubtPolicy;
use payfleet_providers::Clients;
use payfleet_store::OperationView;
use payfleet_tests::store::audit;
use payfleet_tests::world::World;
use rust_decimal::Decimal;
use serde_json::json;

use crate::rows::Row;
use crate::stage::{Asked, HOLDERS, Stage};

/// How an operation must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Settled,
    /// As the provider lets doubt be resolved: settled, or in doubt and in front of a person.
    AsDoubtIsResolved,
}

impl Stage {
    /// Waits until nothing more happens to an operation by itself.
    pub(crate) async fn until_rest(&self, id: OperationId) {
        let rests = |view: &OperationView| {
            let awaits = view.request.is_awaited() && view.state.name() == "accepted";
            view.state.is_final() || view.parked.is_some() || awaits
        };
        let is_there =
            async |world: &World| world.store.operation(id).await.unwrap().is_some_and(|view| rests(&view));
        self.world.until(&format!("{id} comes to rest"), is_there).await;
    }

    /// Lets everything come to rest, and checks: how it ended; what happened at the provider; ledger,
    /// history and reservations; that nobody is forgotten.
    pub(crate) async fn verdict(&self, asked: &Asked, ending: Ending) {
        self.until_rest(asked.operation).await;
        if self.row == Row::Order {
            self.pay(asked, &["10"]).await;
            let is_paid = async |world: &World| {
                world
                    .store
                    .operation(asked.operation)
                    .await
                    .unwrap()
                    .is_some_and(|view| view.state.is_final())
            };
            self.world.until("the order is paid", is_paid).await;
        }
        // A late answer ends a doubt that a person was told of; the rescuer makes the job for it.
        if ending == Ending::Settled {
            let ends = async |world: &World| {
                world
                    .store
                    .operation(asked.operation)
                    .await
                    .unwrap()
                    .is_some_and(|view| view.state.is_final())
            };
            self.world.until("it ends", ends).await;
        }
        self.world.run_until_idle().await;
        let view = self.view(asked.operation).await;
        assert_eq!(Row::of(&view.request), Some(self.row), "the row runs what it says");
        let happened = self.happened(&view).await;
        if ending == Ending::AsDoubtIsResolved && self.only_a_person_knows(&view) {
            assert_eq!(view.state.name(), "in_doubt", "{view:?}");
            assert_eq!(view.parked.as_deref(), Some("in_doubt"), "{view:?}");
            assert!(self.world.store.has_dead_letter(view.id).await.unwrap(), "nobody is told of {view:?}");
            assert!(happened.unwrap_or_default() <= 1, "{happened:?} effects of {view:?}");
        } else {
            assert_eq!(view.state.name(), "settled", "{view:?}");
            let once = if self.row.parts().is_some() { HOLDERS } else { 1 };
            assert_eq!(happened.unwrap_or(once), once, "effects of {view:?}");
        }
        let findings = audit(&self.world.store).await;
        assert!(findings.is_empty(), "the audit: {findings:#?}");
        assert_eq!(self.world.store.forgotten().await.unwrap(), 0, "operations that nothing will wake");
        let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
        for balance in self.world.store.balances().await.unwrap() {
            *sums.entry(balance.unit).or_default() += balance.balance;
        }
        assert!(sums.values().all(Decimal::is_zero), "the ledger does not balance: {sums:?}");
    }

    async fn view(&self, id: OperationId) -> OperationView {
        self.world.store.operation(id).await.unwrap().expect("the operation")
    }

    /// Pays an order, once: its money comes from somebody else.
    pub(crate) async fn pay(&self, asked: &Asked, amounts: &[&str]) {
        if asked.is_paid.replace(true) {
            return;
        }
        let view = self.view(asked.operation).await;
        let address = view.state.facts().and_then(|facts| facts.get("address")).expect("its address");
        for amount in amounts {
            self.world.chain("tron", "pay", &json!({"to": address, "amount": amount})).await;
        }
        self.world.chain("tron", "mine", &json!({"blocks": 5})).await;
    }

    /// Whether doubt about this operation is left to a person, as its provider declares.
    fn only_a_person_knows(&self, view: &OperationView) -> bool {
        let clients = Clients::new(self.world.providers.configs()).expect("clients");
        let effect = view.effect();
        // What we divide has no call of its own; its payouts have one each.
        let client = clients.of(self.row.provider()).expect("a client");
        self.row.parts().is_none() && client.doubt(effect.action()) == DoubtPolicy::Operator
    }

    /// How often the operation happened at its provider, by its references there; `None` where the
    /// provider makes the same thing of it however often it is asked for.
    async fn happened(&self, view: &OperationView) -> Option<usize> {
        let mut references = self.world.references(view.id).await;
        match self.row {
            // One wallet an investor, and a reading is the same when it comes again.
            Row::Wallet | Row::Telemetry => return None,
            // The address stands in for a reference.
            Row::Order => references = vec![view.state.facts()?.get("address")?.as_str()?.to_owned()],
            _ => {}
        }
        let effects = self.world.providers.effects(self.sandbox()).await;
        Some(
            effects
                .iter()
                .filter(|effect| self.is_its_kind(&effect.kind) && references.contains(&effect.reference))
                .count(),
        )
    }

    /// What the sandbox calls what the row does.
    fn is_its_kind(&self, kind: &str) -> bool {
        match self.row {
            Row::Order => kind == "subscription",
            row => kind == row.parts().unwrap_or(row.kind()).as_str(),
        }
    }
}
