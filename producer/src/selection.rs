//! Which operations a list, an export or a statistic is about, and where a page ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::payout::Origin;
use payfleet_core::provider::Provider;
use payfleet_core::{Asset, OperationId, TenantId, Timestamp};
use payfleet_store::{Filter, Position};
use utoipa::IntoParams;

use crate::parameters::Parameters;
use crate::schemas;

/// How many operations are on a page where nothing else is said, and at most.
const PAGE: u16 = 50;
const LARGEST_PAGE: u16 = 200;

/// What is asked of every list of operations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Selection {
    /// Only of this kind.
    #[param(schema_with = schemas::kind, required = false)]
    kind: Option<OperationKind>,
    /// Only in this state.
    #[param(schema_with = schemas::state, required = false)]
    state: Option<&'static str>,
    /// Only at this provider.
    #[param(schema_with = schemas::provider, required = false)]
    provider: Option<Provider>,
    /// Only payouts and transfers made for this reason.
    #[param(schema_with = schemas::origin, required = false)]
    origin: Option<&'static str>,
    /// Only of this asset.
    #[param(schema_with = schemas::asset, required = false)]
    asset: Option<Asset>,
    /// Only those that stand still until a person acts, or only the others.
    parked: Option<bool>,
    /// Only those a worker first touched at this moment or later.
    #[param(schema_with = schemas::moment, required = false)]
    created_from: Option<Timestamp>,
    /// Only those a worker first touched before this moment.
    #[param(schema_with = schemas::moment, required = false)]
    created_to: Option<Timestamp>,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageOf {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub(crate) limit: u16,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub(crate) cursor: Option<Position>,
}

impl Selection {
    /// Reads it. Where the path says which `kind`, the query cannot.
    pub(crate) fn read(parameters: &mut Parameters, kind: Option<OperationKind>) -> Self {
        let selection = Self {
            kind: kind.or_else(|| {
                let name = parameters.one_of("kind", &OperationKind::ALL.map(OperationKind::as_str))?;
                OperationKind::ALL.into_iter().find(|kind| kind.as_str() == name)
            }),
            state: parameters.one_of("state", &State::NAMES),
            provider: parameters.parsed("provider"),
            origin: match kind {
                None | Some(OperationKind::Payout | OperationKind::Transfer) => {
                    parameters.one_of("origin", &Origin::NAMES)
                }
                Some(_) => None,
            },
            asset: parameters.parsed("asset"),
            parked: parameters.flag("parked"),
            created_from: parameters.moment("created_from"),
            created_to: parameters.moment("created_to"),
        };
        if let (Some(from), Some(to)) = (selection.created_from, selection.created_to)
            && from >= to
        {
            parameters.refuse("created_to", "must be later than created_from");
        }
        selection
    }

    /// The same for the store, among the operations of `tenant`.
    pub(crate) fn of(self, tenant: TenantId) -> Filter {
        Filter {
            tenant,
            kind: self.kind,
            state: self.state,
            provider: self.provider,
            origin: self.origin,
            asset: self.asset,
            parked: self.parked,
            from: self.created_from,
            to: self.created_to,
        }
    }
}

impl PageOf {
    pub(crate) fn read(parameters: &mut Parameters) -> Self {
        let limit = parameters.whole("limit", LARGEST_PAGE).unwrap_or(PAGE);
        let cursor = parameters.text("cursor").and_then(|text| {
            let position = position(&text);
            if position.is_none() {
                parameters.refuse("cursor", "must be the next_cursor of a page, as it came");
            }
            position
        });
        Self { limit, cursor }
    }
}

/// A position as clients carry it. They are not meant to look inside.
pub(crate) fn cursor(position: Position) -> String {
    let id = position.id.as_uuid().into_bytes();
    let bytes: Vec<u8> = position.created_us.to_be_bytes().into_iter().chain(id).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn position(text: &str) -> Option<Position> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (created, id) = bytes.split_first_chunk::<8>()?;
    let id = hex::encode(id).parse::<OperationId>().ok()?;
    Some(Position { created_us: i64::from_be_bytes(*created), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_cursor_and_anything_else_is_refused() {
        let id = OperationId::derive(&TenantId::default(), "/v1/payouts", "1");
        let here = Position { created_us: 1_760_000_000_123_456, id };
        assert_eq!(position(&cursor(here)), Some(here));
        for bad in ["", "x", "AAAA", &cursor(here)[1..], &format!("{}A", cursor(here)), "\u{e9}"] {
            assert_eq!(position(bad), None, "{bad}");
        }
    }
}
