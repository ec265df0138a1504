//! Replies whose later fields depend on earlier ones.

use redis::{FromRedisValue, Value};

use crate::Error;

pub(crate) struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    pub(crate) fn of(reply: Vec<Value>) -> Self {
        Self(reply.into_iter())
    }

    pub(crate) fn next<T: FromRedisValue>(&mut self) -> Result<T, Error> {
        let value = self.0.next().ok_or_else(|| Error::encoding("a reply of Redis", "it is too short"))?;
        T::from_redis_value(value).map_err(|e| Error::encoding("a reply of Redis", e))
    }
}
