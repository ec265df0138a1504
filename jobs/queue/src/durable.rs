//! A script call that counts only once replicas have it.

use std::time::Duration;

use payfleet_core::job::QueueName;
use redis::{Cmd, FromRedisValue, RedisResult};

use crate::connection::Own;
use crate::queue::{millis, run_on};
use crate::scripts::Script;
use crate::{Error, Queue};

impl Queue {
    /// Runs a script and waits until `count` replicas have what it wrote. A shortfall is an error,
    /// though the writes exist.
    pub(crate) async fn run_for_replicas<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
        queue: &QueueName,
        (count, timeout): (u32, Duration),
    ) -> Result<T, Error> {
        let routes = &self.inner.routes;
        let mut redirects = 2_u8;
        loop {
            let mut own = routes.borrow(call, timeout).await?;
            match run_and_wait(&mut own, script, call, (count, timeout)).await {
                Ok((answer, confirmed)) => {
                    routes.give_back(own);
                    if confirmed < count {
                        return Err(Error::DurabilityShortfall { asked: count, confirmed });
                    }
                    return Ok(answer);
                }
                Err(error) => {
                    if !routes.own_failed(own, &error) || redirects == 0 {
                        return Err(Error::from_redis(&error, Some(queue)));
                    }
                    redirects = redirects.saturating_sub(1);
                }
            }
        }
    }
}

/// WAIT counts the writes of its own connection, and blocks it.
async fn run_and_wait<T: FromRedisValue>(
    own: &mut Own,
    script: &Script,
    call: &Cmd,
    (count, timeout): (u32, Duration),
) -> RedisResult<(T, u32)> {
    let answer = run_on(&mut own.connection, script, call).await?;
    let mut wait = redis::cmd("WAIT");
    wait.arg(count).arg(millis(timeout).max(1));
    Ok((answer, wait.query_async(&mut own.connection).await?))
}
