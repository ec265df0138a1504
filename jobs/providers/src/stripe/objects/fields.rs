//! Reading one JSON object member by member, each with its declared type.

use payfleet_core::{Money, Timestamp};

use super::Metadata;
use crate::json::{NotAnObject, Object};
use crate::stripe::amount::from_minor;

/// An answer of another shape than declared; names the member at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its {0} is not what Stripe declares")]
pub(crate) struct Unreadable(pub(crate) &'static str);

impl From<NotAnObject> for Unreadable {
    fn from(_: NotAnObject) -> Self {
        Self("JSON")
    }
}

/// Something Stripe answers with.
pub(crate) trait Resource: Sized {
    /// Its `object` member.
    const OBJECT: &'static str;

    /// Reads the members.
    fn read(fields: &Fields<'_>) -> Result<Self, Unreadable>;

    /// Its id, by which a list goes on.
    fn id(&self) -> &str;

    /// Reads it where it is what it should be.
    fn of(fields: &Fields<'_>) -> Result<Self, Unreadable> {
        if fields.text("object")? == Self::OBJECT { Self::read(fields) } else { Err(Unreadable("object")) }
    }
}

/// One object's members.
pub(crate) struct Fields<'a>(Object<'a>);

impl<'a> From<Object<'a>> for Fields<'a> {
    fn from(object: Object<'a>) -> Self {
        Self(object)
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self(Object::parse(body)?))
    }

    fn is_null(&self, name: &str) -> bool {
        self.0.raw(name).is_none_or(|raw| raw.get() == "null")
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<String, Unreadable> {
        let raw = self.0.raw(name).ok_or(Unreadable(name))?;
        serde_json::from_str(raw.get()).map_err(|_| Unreadable(name))
    }

    pub(crate) fn maybe_text(&self, name: &'static str) -> Result<Option<String>, Unreadable> {
        if self.is_null(name) { Ok(None) } else { self.text(name).map(Some) }
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Unreadable> {
        self.0.flag(name).ok_or(Unreadable(name))
    }

    pub(crate) fn integer(&self, name: &'static str) -> Result<i64, Unreadable> {
        self.0.raw(name).and_then(|raw| raw.get().parse().ok()).ok_or(Unreadable(name))
    }

    /// Unix seconds.
    pub(crate) fn time(&self, name: &'static str) -> Result<Timestamp, Unreadable> {
        Ok(Timestamp::from_unix_ms(self.integer(name)?.saturating_mul(1000)))
    }

    pub(crate) fn maybe_time(&self, name: &'static str) -> Result<Option<Timestamp>, Unreadable> {
        if self.is_null(name) { Ok(None) } else { self.time(name).map(Some) }
    }

    /// An amount in the currency of this object.
    pub(crate) fn money(&self, name: &'static str) -> Result<Money, Unreadable> {
        from_minor(self.integer(name)?, &self.text("currency")?).ok_or(Unreadable(name))
    }

    pub(crate) fn maybe_money(&self, name: &'static str) -> Result<Option<Money>, Unreadable> {
        if self.is_null(name) { Ok(None) } else { self.money(name).map(Some) }
    }

    /// The id of another object, which may be expanded.
    pub(crate) fn reference(&self, name: &'static str) -> Result<String, Unreadable> {
        match self.0.object(name) {
            Some(object) => object.filled("id").ok_or(Unreadable(name)),
            None => self.text(name),
        }
    }

    pub(crate) fn maybe_reference(&self, name: &'static str) -> Result<Option<String>, Unreadable> {
        if self.is_null(name) { Ok(None) } else { self.reference(name).map(Some) }
    }

    pub(crate) fn object(&self, name: &'static str) -> Result<Self, Unreadable> {
        self.0.object(name).map(Self).ok_or(Unreadable(name))
    }

    pub(crate) fn maybe_object(&self, name: &'static str) -> Result<Option<Self>, Unreadable> {
        if self.is_null(name) { Ok(None) } else { self.object(name).map(Some) }
    }

    pub(crate) fn objects(&self, name: &'static str) -> Result<Vec<Self>, Unreadable> {
        let raw = self.0.raw(name).ok_or(Unreadable(name))?;
        let objects: Vec<Object<'a>> = serde_json::from_str(raw.get()).map_err(|_| Unreadable(name))?;
        Ok(objects.into_iter().map(Self).collect())
    }

    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<String>, Unreadable> {
        if self.is_null(name) {
            return Ok(Vec::new());
        }
        let raw = self.0.raw(name).ok_or(Unreadable(name))?;
        serde_json::from_str(raw.get()).map_err(|_| Unreadable(name))
    }

    /// A map of texts; an absent one is empty.
    pub(crate) fn map(&self, name: &'static str) -> Result<Metadata, Unreadable> {
        if self.is_null(name) {
            return Ok(Metadata::new());
        }
        let raw = self.0.raw(name).ok_or(Unreadable(name))?;
        serde_json::from_str(raw.get()).map_err(|_| Unreadable(name))
    }

    /// The member as it was written.
    pub(crate) fn raw(&self, name: &'static str) -> Result<String, Unreadable> {
        self.0.raw(name).map(|raw| raw.get().to_owned()).ok_or(Unreadable(name))
    }
}
