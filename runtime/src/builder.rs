//! What a client and a daemon are told in the same words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use farref_proto::Limits;

use crate::codec::{Budget, Codec, CodecSet};
use crate::handoff::HandOff;
use crate::life::{self, LifeCycle};
use crate::node::NodeConfig;

/// Says how a [`Client`](crate::Client) or a [`Daemon`](crate::Daemon) behaves.
///
/// As a [`ClientBuilder`](crate::ClientBuilder) or a [`DaemonBuilder`](crate::DaemonBuilder) it has the methods of its role `R`
/// beside these, which are the same for both.
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build` or `bind` is called"]
pub struct Builder<R> {
    pub(crate) node: NodeConfig,
    pub(crate) role: R,
}

impl<R> Builder<R> {
    /// What peers are granted, and what is taken from them.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.node.limits = limits;
        self
    }

    /// What decoding one message may cost.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.node.budget = budget;
        self
    }

    /// How long sessions outlive a lost connection, if the other side keeps them for as long: calls, callbacks and references
    /// go on when there is another. The default is 30 s; with zero, a lost connection is a lost session.
    pub fn linger(mut self, time: Duration) -> Self {
        self.node.limits.linger = time;
        self
    }

    /// The codecs that calls may come in, be they calls of a daemon's clients or those that daemons make back; the default is
    /// all that this build has.
    pub fn accept_codecs(mut self, codecs: CodecSet) -> Self {
        self.node.codecs = codecs;
        self
    }

    /// How the calls are encoded that this process makes; the default is postcard.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.node.codec = codec;
        self
    }

    /// How long a stream that this process produces may last, from its first item on; the default, and zero, is no limit.
    /// It ends with `DeadlineExceeded` then.
    pub fn stream_lifetime(mut self, lifetime: Duration) -> Self {
        self.node.stream_lifetime = Some(lifetime).filter(|lifetime| !lifetime.is_zero());
        self
    }

    /// How long a stream that this process produces outlives a lost connection, if its session does; the default is 30 s.
    /// Beyond that its producer is dropped, and its consumer learns, when it is there again, that the stream has ended with
    /// `SessionLost`. With zero, streams end with their connection.
    pub fn stream_linger(mut self, time: Duration) -> Self {
        self.node.stream_linger = time;
        self
    }

    /// How long a session that waits for its peer asks the socket again and again, between what else the runtime has to do,
    /// before it lets a thread sleep that has nothing else to do; the default is 200 µs. It goes on doing so for as long as
    /// answers tend to come in that time: callers that wait for one call after the other have them several times as soon
    /// where waking a thread takes long, as in virtual machines. Where they do not, it asks ever more seldom. One session of
    /// the process does so at a time, none with zero, and none where the process has one processor. Pipes
    /// through memory and streams that the application opened itself are not asked.
    pub fn busy_poll(mut self, time: Duration) -> Self {
        self.node.busy_poll = time;
        self
    }

    /// Whether references to objects of third processes lead there directly. Who dials for that proves its own `token`, if it
    /// has one.
    pub fn hand_off(mut self, hand_off: HandOff) -> Self {
        self.node.hand_off = hand_off;
        self
    }

    /// What this process calls itself; the default is the program's file name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.node.name = name.into();
        self
    }

    /// Tells what happens to the daemon and to sessions by these signals.
    pub fn life_cycle(mut self, signals: &Arc<LifeCycle>) -> Self {
        self.node.life = Some(life::teller(signals));
        self
    }

    /// Puts it into the network of a test.
    #[cfg(feature = "testing")]
    pub(crate) fn at(mut self, place: crate::testing::Place) -> Self {
        self.node.place = Some(place);
        self
    }
}

impl<R: fmt::Debug> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
