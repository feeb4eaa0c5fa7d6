//! Which introductions are followed, and how many at once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::peer::{Peer, PeerAddress};
use crate::uri::{Address, Uri};

/// Whether references to objects of third processes lead there directly, and what that may cost.
///
/// Without it, such a reference leads through the process that passed it on, and lives no longer than that. What a
/// process dials because a peer named the address is decided here; unless told otherwise, only the peer's own host.
///
/// # Examples
///
/// ```
/// use farref::{Address, Client, HandOff};
///
/// // Follows introductions to one network.
/// let hand_off = HandOff::if_allowed(|_peer, uri| {
///     matches!(uri.address(), Some(Address::Tcp { host, .. }) if host.starts_with("10.1."))
/// });
/// let client = Client::builder().hand_off(hand_off).build();
/// # let _ = client;
/// ```
#[derive(Clone)]
pub struct HandOff {
    rule: Rule,
    pub(crate) patience: Duration,
    pub(crate) max_provided: usize,
    pub(crate) max_parked: usize,
    pub(crate) max_pending: usize,
}

#[derive(Clone)]
enum Rule {
    Never,
    SameHost,
    Anywhere,
    If(Arc<Allows>),
}

type Allows = dyn Fn(&Peer, &Uri) -> bool + Send + Sync;

impl HandOff {
    /// 10 seconds.
    pub const PATIENCE: Duration = Duration::from_secs(10);
    /// 1024 objects: as many as a peer may call at once.
    pub const MAX_PROVIDED: usize = 1024;
    /// 64 claims: they only cross what is on its way.
    pub const MAX_PARKED: usize = 64;
    /// 256 introductions.
    pub const MAX_PENDING: usize = 256;

    fn new(rule: Rule) -> Self {
        HandOff {
            rule,
            patience: Self::PATIENCE,
            max_provided: Self::MAX_PROVIDED,
            max_parked: Self::MAX_PARKED,
            max_pending: Self::MAX_PENDING,
        }
    }

    /// Takes no part in hand-offs, nor lets others: every reference leads through whoever passed it on.
    pub fn never() -> Self {
        HandOff::new(Rule::Never)
    }

    /// Dials an address that a peer names only if it is on that peer's own host. This is the default.
    pub fn same_host() -> Self {
        HandOff::new(Rule::SameHost)
    }

    /// Dials whatever peers name. Whoever can pass a reference here can have this process try any address of its network.
    pub fn anywhere() -> Self {
        HandOff::new(Rule::Anywhere)
    }

    /// Dials an address that a peer names if `allows` says so.
    pub fn if_allowed(allows: impl Fn(&Peer, &Uri) -> bool + Send + Sync + 'static) -> Self {
        HandOff::new(Rule::If(Arc::new(allows)))
    }

    /// How long a claim waits that came before what it claims, how long what is provided may be claimed, and how long
    /// this process tries to get a reference of its own before it uses the one through its peer.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many objects one peer may have provided for others that were not claimed yet. For one more it is refused, and
    /// the reference leads through that peer.
    #[must_use]
    pub fn max_provided(mut self, objects: usize) -> Self {
        self.max_provided = objects;
        self
    }

    /// How many claims of one peer wait for what they claim. One more is refused.
    #[must_use]
    pub fn max_parked(mut self, claims: usize) -> Self {
        self.max_parked = claims;
        self
    }

    /// How many introductions by one peer are followed at once. References beyond lead through that peer.
    #[must_use]
    pub fn max_pending(mut self, introductions: usize) -> Self {
        self.max_pending = introductions;
        self
    }

    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.rule, Rule::Never)
    }

    /// Whether this address, which the peer named, may be dialled.
    pub(crate) fn allows(&self, peer: &Peer, uri: &Uri) -> bool {
        match &self.rule {
            Rule::Never => false,
            Rule::SameHost => uri
                .address()
                .is_some_and(|address| is_same_host(peer.address(), address)),
            Rule::Anywhere => true,
            Rule::If(allows) => allows(peer, uri),
        }
    }
}

/// Whether the address is on the host of a peer, as far as can be told without asking anybody.
fn is_same_host(peer: &PeerAddress, address: &Address) -> bool {
    let is_loopback =
        |host: &str| host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match (peer, address) {
        // What is loopback to a peer elsewhere is somebody else here.
        (PeerAddress::Tcp(peer), Address::Tcp { host, .. }) => {
            host.parse() == Ok(peer.ip()) || peer.ip().is_loopback() && is_loopback(host)
        }
        (PeerAddress::Unix(_) | PeerAddress::Memory(_), Address::Tcp { host, .. }) => {
            is_loopback(host)
        }
        (peer, Address::Unix(_) | Address::Memory(_)) => peer.is_local(),
        (PeerAddress::Stream(_), Address::Tcp { .. }) => false,
    }
}

impl Default for HandOff {
    fn default() -> Self {
        HandOff::same_host()
    }
}

impl fmt::Debug for HandOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.rule {
            Rule::Never => "never",
            Rule::SameHost => "same host",
            Rule::Anywhere => "anywhere",
            Rule::If(_) => "if allowed",
        };
        f.debug_struct("HandOff")
            .field("rule", &rule)
            .field("patience", &self.patience)
            .field("max_provided", &self.max_provided)
            .field("max_parked", &self.max_parked)
            .field("max_pending", &self.max_pending)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(uri: &str) -> Address {
        let uri: Uri = uri.parse().expect("it is one");
        uri.address().expect("it has one").clone()
    }

    #[test]
    fn only_the_peers_own_host_is_the_same() {
        let tcp = |text: &str| PeerAddress::Tcp(text.parse().expect("it is one"));
        let cases = [
            (tcp("127.0.0.1:5"), "far://127.0.0.1:9", true),
            (tcp("127.0.0.1:5"), "far://localhost:9", true),
            (tcp("127.0.0.1:5"), "far://[::1]:9", true),
            (tcp("127.0.0.1:5"), "far+unix:/run/it.sock", true),
            (tcp("127.0.0.1:5"), "far://10.0.0.7:9", false),
            (tcp("10.0.0.7:5"), "far://10.0.0.7:9", true),
            (tcp("10.0.0.7:5"), "far://10.0.0.8:9", false),
            (tcp("10.0.0.7:5"), "far://127.0.0.1:9", false),
            (tcp("10.0.0.7:5"), "far://localhost:9", false),
            (tcp("10.0.0.7:5"), "far://example.org:9", false),
            (tcp("10.0.0.7:5"), "far+unix:/run/it.sock", false),
            (PeerAddress::Unix(None), "far://127.0.0.1:9", true),
            (PeerAddress::Unix(None), "far://10.0.0.7:9", false),
            (
                PeerAddress::Stream("pipe".into()),
                "far://127.0.0.1:9",
                false,
            ),
        ];
        for (peer, uri, same) in cases {
            assert_eq!(is_same_host(&peer, &address(uri)), same, "{peer} {uri}");
        }
    }
}
