//! Which call is which.

use axum::http::Method;
use serde_json::Value;

use super::params::Params;
use super::refused::Refused;
use super::tx::Tx;
use super::{
    accounts, balance, customers, disputes, events, intents, lists, payments, payouts, refunds, transfers,
};

/// What a call comes to; `None` where there is no such URL.
pub(super) fn route(
    tx: &mut Tx<'_>,
    method: &Method,
    path: &[&str],
    params: &Params,
) -> Option<Result<Value, Refused>> {
    if *method == Method::POST {
        post(tx, path, params)
    } else if *method == Method::GET {
        get(tx, path, params)
    } else if *method == Method::DELETE {
        delete(tx, path)
    } else {
        None
    }
}

fn post(tx: &mut Tx<'_>, path: &[&str], params: &Params) -> Option<Result<Value, Refused>> {
    Some(match *path {
        ["payment_intents"] => intents::create(tx, params),
        ["payment_intents", id] => intents::update(tx, id, params),
        ["payment_intents", id, "confirm"] => payments::confirm(tx, id, params),
        ["payment_intents", id, "capture"] => payments::capture(tx, id, params),
        ["payment_intents", id, "cancel"] => payments::cancel(tx, id, params),
        ["refunds"] => refunds::create(tx, params),
        ["customers"] => customers::create(tx, params),
        ["customers", id] => customers::update(tx, id, params),
        ["payment_methods", id, "attach"] => customers::attach(tx, id, params),
        ["payment_methods", id, "detach"] => customers::detach(tx, id, params),
        ["accounts"] => accounts::create(tx, params),
        ["accounts", id] => accounts::update(tx, id, params),
        ["account_links"] => accounts::link(tx, params),
        ["transfers"] => transfers::create(tx, params),
        ["transfers", id, "reversals"] => transfers::reverse(tx, id, params),
        ["payouts"] => payouts::create(tx, params),
        ["payouts", id, "cancel"] => payouts::cancel(tx, id, params),
        ["payouts", id, "reverse"] => payouts::reverse(tx, id, params),
        ["webhook_endpoints"] => events::endpoint(tx, params),
        ["disputes", id] => disputes::answer(tx, id, params),
        ["disputes", id, "close"] => disputes::close(tx, id, params),
        _ => return None,
    })
}

fn get(tx: &mut Tx<'_>, path: &[&str], params: &Params) -> Option<Result<Value, Refused>> {
    Some(match *path {
        ["payment_intents", "search"] => lists::search(tx, "payment_intent", params),
        ["payment_intents"] => lists::list(tx, "payment_intent", &["customer"], params),
        ["payment_intents", id] => lists::one(tx, "payment_intent", id),
        ["charges"] => lists::list(tx, "charge", &["customer", "payment_intent"], params),
        ["charges", id] => lists::one(tx, "charge", id),
        ["refunds"] => lists::list(tx, "refund", &["charge", "payment_intent"], params),
        ["refunds", id] => lists::one(tx, "refund", id),
        ["customers"] => lists::list(tx, "customer", &["email"], params),
        ["customers", id] => lists::one(tx, "customer", id),
        ["customers", id, "payment_methods"] => customers::payment_methods(tx, id, params),
        ["payment_methods", id] => lists::one(tx, "payment_method", id),
        ["account"] => accounts::own(tx),
        ["accounts"] => lists::list(tx, "account", &[], params),
        ["accounts", id] => lists::one(tx, "account", id),
        ["transfers"] => lists::list(tx, "transfer", &["destination", "transfer_group"], params),
        ["transfers", id] => lists::one(tx, "transfer", id),
        ["transfers", id, "reversals"] => transfers::reversals(tx, id, params),
        ["payouts"] => lists::list(tx, "payout", &["status", "destination"], params),
        ["payouts", id] => lists::one(tx, "payout", id),
        ["application_fees"] => lists::list(tx, "application_fee", &["charge"], params),
        ["application_fees", id] => lists::one(tx, "application_fee", id),
        ["disputes"] => lists::list(tx, "dispute", &["charge", "payment_intent"], params),
        ["disputes", id] => lists::one(tx, "dispute", id),
        ["balance"] => Ok(balance::show(tx)),
        ["balance_transactions"] => balance::list(tx, params),
        ["balance_transactions", id] => balance::one(tx, id),
        ["events"] => events::list(tx, params),
        ["events", id] => lists::one(tx, "event", id),
        ["webhook_endpoints"] => lists::list(tx, "webhook_endpoint", &[], params),
        ["webhook_endpoints", id] => lists::one(tx, "webhook_endpoint", id),
        _ => return None,
    })
}

fn delete(tx: &mut Tx<'_>, path: &[&str]) -> Option<Result<Value, Refused>> {
    match *path {
        ["customers", id] => Some(customers::delete(tx, id)),
        _ => None,
    }
}
