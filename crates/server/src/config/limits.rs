//! `[limits]`: how much anybody may use.

use hub::{Limit, Rates};
use meter::Rate;
use net::{Admission, Pace};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Limits. Every one can be reached by somebody: what happens then is said in the handbook.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages a second one account may send on average. Rates below that are not set follow it; 0 switches it and them off.
    pub messages_per_second: u32,
    /// Messages one account may send at once.
    #[serde(deserialize_with = "some")]
    pub burst: u32,
    /// Most bytes of one message.
    #[serde(deserialize_with = "some")]
    pub message_bytes: usize,
    /// Failed logins after which an address must wait before it tries the same account again, a minute at first and an hour at
    /// most; ten times as many at all accounts together. Nobody else has to wait. 0 switches that off.
    pub login_failures: u32,
    /// Connections in all.
    #[serde(deserialize_with = "some")]
    pub connections: usize,
    /// Connections from one address; an IPv6 /64 counts as one.
    #[serde(deserialize_with = "some")]
    pub connections_per_source: usize,
    /// Connections a minute from one address, and so many at once; 0 switches the limit off.
    pub connections_per_minute: u32,
    /// Events of any kind a second one device may send; without it four times `messages_per_second`.
    pub device_events_per_second: Option<u32>,
    /// Bytes a second one account may send; without it 16,384 for each of `messages_per_second`.
    pub bytes_per_second: Option<u32>,
    /// Requests a minute to see somebody's presence one account may send; without it as many as `messages_per_second`.
    pub subscriptions_per_minute: Option<u32>,
    /// Messages a second from one domain with which nothing was agreed, and as many to it; without it four times `messages_per_second`.
    pub domain_messages_per_second: Option<u32>,
    /// Bytes a second from such a domain, and as many to it; without it 16,384 for each of its messages.
    pub domain_bytes_per_second: Option<u32>,
    /// Requests a minute to see somebody's presence from such a domain; without it four times `messages_per_second`.
    pub domain_subscriptions_per_minute: Option<u32>,
    /// Messages a second that one account is sent from all such domains; without it eight times `messages_per_second`.
    pub incoming_per_second: Option<u32>,
    /// Bytes a second that are read of one client's connection; without it 4 MiB, or no limit where `messages_per_second` is 0.
    pub connection_bytes_per_second: Option<u32>,
    /// The same for all connections from one address that have not logged in yet, and for datagrams from it.
    pub unproven_bytes_per_second: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 50,
            burst: 200,
            message_bytes: 64 * 1024,
            login_failures: 10,
            connections: 100_000,
            connections_per_source: 10_000,
            connections_per_minute: 60_000,
            device_events_per_second: None,
            bytes_per_second: None,
            subscriptions_per_minute: None,
            domain_messages_per_second: None,
            domain_bytes_per_second: None,
            domain_subscriptions_per_minute: None,
            incoming_per_second: None,
            connection_bytes_per_second: None,
            unproven_bytes_per_second: None,
        }
    }
}

/// Bytes that are allowed for each message.
const MESSAGE: u32 = 16 * 1024;
/// Bytes a second that are read of a connection.
const READ: u32 = 4 * 1024 * 1024;
/// Seconds' worth that may come at once, where nothing else was said.
const SECONDS: u64 = 4;

impl Limits {
    /// What the hub measures.
    pub fn rates(&self) -> Rates {
        let own = self.messages_per_second;
        let follows = |set: Option<u32>, by: u32| u64::from(set.unwrap_or(own.saturating_mul(by)));
        let second = |units: u64| Rate::per_second(units, units * SECONDS);
        let minute = |units: u64| Rate::per_minute(units, units * 2);
        let burst = u64::from(self.burst);
        let domain = follows(self.domain_messages_per_second, 4);
        let domain_bytes =
            self.domain_bytes_per_second.map_or(domain.saturating_mul(MESSAGE.into()), u64::from);
        Rates::default()
            .with(Limit::AccountIn, Rate::per_second(own.into(), burst))
            .with(
                Limit::DeviceIn,
                match self.device_events_per_second {
                    Some(set) => second(set.into()),
                    None => Rate::per_second(u64::from(own) * 4, burst * 4),
                },
            )
            .with(Limit::AccountBytesIn, second(follows(self.bytes_per_second, MESSAGE)))
            .with(Limit::SubscriptionsIn, minute(follows(self.subscriptions_per_minute, 1)))
            .with(Limit::AccountOut, second(follows(self.incoming_per_second, 8)))
            .with(Limit::DomainIn, second(domain))
            .with(Limit::DomainOut, second(domain))
            .with(Limit::DomainBytesIn, second(domain_bytes))
            .with(Limit::DomainBytesOut, second(domain_bytes))
            .with(Limit::DomainSubscriptionsIn, minute(follows(self.domain_subscriptions_per_minute, 4)))
    }

    /// What the network admits.
    pub fn admission(&self) -> Admission {
        let usual = if self.messages_per_second == 0 { 0 } else { READ };
        let read = |set: Option<u32>| {
            let bytes = u64::from(set.unwrap_or(usual));
            Rate::per_second(bytes, bytes * 2 * SECONDS)
        };
        let connections = u64::from(self.connections_per_minute);
        Admission {
            total: self.connections,
            per_source: self.connections_per_source,
            pace: Pace {
                connection: read(self.connection_bytes_per_second),
                unproven: read(self.unproven_bytes_per_second),
                connections: Rate::per_minute(connections, connections),
            },
        }
    }

    /// Those that are rates, as one line, for comparing.
    pub fn shown(&self) -> String {
        format!("{:?}, {:?}", self.rates(), self.admission().pace)
    }
}

/// With 0 of it nothing could be done.
fn some<'de, T: Deserialize<'de> + Default + PartialEq, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    let some = T::deserialize(from)?;
    let none = some == T::default();
    if none { Err(D::Error::custom("0 lets nothing through: write a number from 1")) } else { Ok(some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_follows_messages_per_second() {
        let rates = Limits::default().rates();
        assert_eq!(rates.of(Limit::DomainIn), Rate::per_second(200, 800));
        assert_eq!(rates.of(Limit::AccountBytesIn), Rate::per_second(50 * 16_384, 200 * 16_384));
        let none = Limits { messages_per_second: 0, ..Limits::default() };
        assert!(Limit::ALL.into_iter().all(|limit| none.rates().of(limit).is_off()));
        assert!(none.admission().pace.connection.is_off());
        let some = Limits { bytes_per_second: Some(9), ..none };
        assert_eq!(some.rates().of(Limit::AccountBytesIn), Rate::per_second(9, 36));
    }
}
