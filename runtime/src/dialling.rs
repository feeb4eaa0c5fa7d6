//! Opening sessions from this side: connecting, and beginning the handshake.

use std::sync::Arc;
use std::time::Duration;

use farref_proto::{
    ClientConfig, Connection, FaultKind, InstanceId, Nonce, SessionId, SessionSecret, Time, Token,
};

use crate::Identity;
use crate::codec::Codec;
use crate::error::{Fault, Result};
use crate::node::Node;
use crate::random;
use crate::session::{Hold, Lifetime, Session};
use crate::transport::{self, Transport};
use crate::uri::Address;

/// How a lost connection is made again.
pub(crate) struct Dialer {
    node: Arc<Node>,
    address: Address,
}

impl Dialer {
    /// Connects, without a handshake.
    pub(crate) async fn dial(&self) -> Result<Transport> {
        connect(&self.node, &self.address).await
    }

    /// Where the peer is dialled.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

/// Connects to an address, within the time that the node takes for it.
pub(crate) async fn connect(node: &Node, address: &Address) -> Result<Transport> {
    let failed = |text: String| {
        Fault::not_started(
            FaultKind::ConnectFailed,
            format!("cannot connect to {address}: {text}"),
        )
    };
    let connect = async {
        match address {
            Address::Tcp { host, port } => transport::tcp::connect(host, *port).await,
            #[cfg(unix)]
            Address::Unix(path) => transport::unix::connect(path).await,
            #[cfg(feature = "testing")]
            Address::Memory(name) if let Some(place) = &node.place => place.connect(name).await,
            Address::Memory(name) => transport::memory::connect(name).await,
            #[cfg(not(unix))]
            Address::Unix(_) => Err(std::io::ErrorKind::Unsupported.into()),
        }
    };
    match tokio::time::timeout(node.connect_timeout, connect).await {
        Ok(Ok(transport)) => Ok(transport),
        Ok(Err(error)) => Err(failed(error.to_string()).with_cause(&error)),
        Err(_) => Err(failed(format!(
            "no answer within {:?}",
            node.connect_timeout
        ))),
    }
}

/// Begins a session over a transport that was made to this address, if it has one, and with this process alone if one is
/// named. The handshake is under way afterwards:
/// frames wait for it.
pub(crate) fn open(
    node: &Arc<Node>,
    transport: Transport,
    address: Option<Address>,
    lifetime: Lifetime,
    expected: Option<InstanceId>,
) -> Hold {
    let mut config = ClientConfig::new(
        random::instance_id(),
        SessionId::from_bytes(random::bytes()),
        SessionSecret::from_bytes(random::bytes()),
        Nonce::from_bytes(random::bytes()),
    );
    config.limits = node.limits.clone();
    if address.is_none() {
        // Nobody can open the application's pipe again.
        config.limits.linger = Duration::ZERO;
    }
    // What it knows, also for its own calls; what it accepts is looked at in each call that comes.
    config.codecs = Codec::available().bits();
    config.name.clone_from(&node.name);
    config.features = node.features();
    config.expected_instance = expected;
    config.token = node.token.clone().map(Token::new);
    let identity = match config.token {
        Some(_) => Identity::Token,
        None => Identity::Anonymous,
    };
    let connection = Connection::client(config, Time::ZERO);
    let dialer = address.map(|address| Dialer {
        node: Arc::clone(node),
        address,
    });
    let session = Session::new(
        Arc::clone(node),
        dialer,
        lifetime,
        transport.peer.clone(),
        identity,
        connection,
    );
    // Held before its tasks run, so that it is not taken for unused.
    let hold = session.first_hold();
    node.add_session(&session);
    session.drive(transport, None);
    hold
}

/// Opens a session with this process, which is told to be at this address; with no other.
pub(crate) async fn dial(node: &Arc<Node>, address: &Address, process: InstanceId) -> Result<Hold> {
    let transport = connect(node, address).await?;
    let address = Some(address.clone());
    let hold = open(node, transport, address, Lifetime::WhileUsed, Some(process));
    hold.session().opened().await?;
    Ok(hold)
}
