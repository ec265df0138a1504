//! What a run does about differences that are safe to heal: it puts an event into the inbox of the
//! operation, as a webhook would, and the job that advances the operation does the rest. Where that job
//! is not there any more, the rescuer makes it: the event has made the operation due.

use payfleet_core::kinds::lifecycle::Event;
use payfleet_core::kinds::reconcile::{Found, Held, Remedy};
use payfleet_core::provider::{CallOutcome, Progress, Report};
use payfleet_store::OpenRun;

use super::{Handlers, Stop};

impl Handlers {
    /// Carries out what `found` says of `held`. Once a run: repeating it changes nothing.
    pub(super) async fn remedy(
        &self,
        run: &OpenRun,
        found: &[Found],
        held: &Held,
        report: &Report,
    ) -> Result<(), Stop> {
        for found in found.iter().filter(|found| found.operation == Some(held.operation)) {
            let event = match found.remedy {
                Some(Remedy::Adopted) => {
                    let outcome = CallOutcome::Accepted { report: report.clone() };
                    Event::Evidence { intent: held.intent, outcome, decides: false }
                }
                Some(Remedy::Asked) => Event::Hinted { report: report.clone() },
                Some(Remedy::Woken) => {
                    let id = held.provider_ref.clone().unwrap_or_default();
                    Event::Hinted { report: Report::of(id, Progress::Pending, "stuck") }
                }
                // Of deposits, which have no inbox of their own.
                Some(Remedy::Applied) | None => continue,
            };
            let key = format!("reconciled:{}:{}", run.id, report.provider_ref);
            self.store.deliver(held.operation, &key, &event).await?;
        }
        Ok(())
    }
}
