//! What values look like in the contract, made from the types that read them: a new asset, network or
//! kind is in the document without a word here.

use payfleet_core::Asset;
use payfleet_core::address::Network;
use payfleet_core::kinds::OperationKind;
use payfleet_core::kinds::lifecycle::State;
use payfleet_core::kinds::payout::Origin;
use payfleet_core::provider::Provider;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, KnownFormat, SchemaFormat, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, OneOfBuilder, Ref, Schema, Type};

const ASSET: &str = "Asset";

use crate::fields::{LONGEST_STRIPE_ID, LONGEST_URL};

/// A text.
fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

/// A text that is one of `words`.
pub(crate) fn words<T: AsRef<str>>(description: &str, words: impl IntoIterator<Item = T>) -> Object {
    let words: Vec<String> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
    text(description).enum_values(Some(words)).build()
}

/// What a client needs to go on, by name; members differ by kind.
pub(crate) fn result() -> Object {
    let number = |description: &str| {
        ObjectBuilder::new().schema_type(Type::Integer).description(Some(description)).build()
    };
    let card = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("What the payer knows it by, where it is a card."))
        .property("brand", text("`visa`, `mastercard`, ..."))
        .property("last4", text("The end of its number."))
        .property("exp_month", number("The last month it is good for, 1 to 12."))
        .property("exp_year", number("The year of that month."));
    let method = ObjectBuilder::new()
        .property("id", text("Its id, as `payment_method` of a payment."))
        .property("type", text("`card`, `us_bank_account`, ..."))
        .property("card", card)
        .required("id")
        .required("type")
        .required("card");
    let methods = ArrayBuilder::new()
        .items(method)
        .description(Some("What a customer pays with, newest first, at most 100."))
        .build();
    ObjectBuilder::new()
        .description(Some(
            "What the client needs to go on, by name: a wallet's `address`, a link's `url`, a payment's `status` and \
             `client_secret`, what an account may do and has `currently_due`, a customer's `payment_methods`.",
        ))
        .property("payment_methods", methods)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// An asset's code, or null.
pub(crate) fn asset_or_null() -> Schema {
    Schema::OneOf(
        OneOfBuilder::new().item(asset()).item(ObjectBuilder::new().schema_type(Type::Null)).build(),
    )
}

/// A positive decimal.
pub(crate) fn amount() -> Object {
    text("A decimal string, with at most as many decimals as its asset has.")
        .pattern(Some("^[0-9]{1,28}(\\.[0-9]{1,18})?$"))
        .max_length(Some(40))
        .examples(["15.5"])
        .build()
}

/// An asset's code.
pub(crate) fn asset() -> Ref {
    Ref::from_schema_name(ASSET)
}

/// What is said once and referred to, because it is long: by its name.
pub(crate) fn shared() -> [(String, Object); 1] {
    [(ASSET.to_owned(), assets())]
}

fn assets() -> Object {
    words("An asset by its code.", Asset::ALL.iter().map(|asset| asset.code()))
}

/// A currency's code.
pub(crate) fn currency() -> Object {
    words("A currency by its code.", payfleet_providers::stripe::CURRENCIES)
}

/// An id that Stripe gave.
pub(crate) fn stripe_id() -> Object {
    text("An id of Stripe's.").pattern(Some("^[A-Za-z0-9_]+$")).max_length(Some(LONGEST_STRIPE_ID)).build()
}

/// The address of a page.
pub(crate) fn page() -> Object {
    text("The address of a page.").pattern(Some("^https://.+")).max_length(Some(LONGEST_URL)).build()
}

/// A chain's name.
pub(crate) fn network() -> Object {
    words("A chain.", Network::ALL.map(Network::as_str))
}

/// An operation kind's name.
pub(crate) fn kind() -> Object {
    words("What was asked.", OperationKind::ALL.map(OperationKind::as_str))
}

/// A provider's name.
pub(crate) fn provider() -> Object {
    words("Who carries it out.", Provider::ALL.map(Provider::as_str))
}

/// Why a payout or a transfer is made.
pub(crate) fn origin() -> Object {
    words("Why a payout or a transfer is made.", Origin::NAMES)
}

/// A state's name, as Postgres knows it.
pub(crate) fn state() -> Object {
    words("How far it has come.", State::NAMES)
}

/// A day.
pub(crate) fn day() -> Object {
    text("A day, YYYY-MM-DD.").format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))).build()
}

/// A moment.
pub(crate) fn moment() -> Object {
    text("A moment, RFC 3339.").format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build()
}

/// An id.
pub(crate) fn id() -> Object {
    text("A UUID.").format(Some(SchemaFormat::Custom("uuid".to_owned()))).build()
}

/// Some of `words`, with commas between them.
pub(crate) fn list_of(words: &[&str], default: &str) -> Object {
    let word = words.join("|");
    text("Words with commas between them.")
        .pattern(Some(format!("^({word})(,({word}))*$")))
        .default(Some(default.into()))
        .build()
}
