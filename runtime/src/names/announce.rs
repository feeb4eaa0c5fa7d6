//! Keeping an object's name: registered, renewed, registered again after the name server forgot, given back in the end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::{
    Grant, IfTaken, NamesError, NamesProxy, Registration, Renewal, Renewed, TIMEOUT, asking,
};
use crate::client::{Client, default_client};
use crate::error::{CallError, Result};
use crate::proxy::Proxy;
use crate::uri::Uri;
use crate::{random, task};

/// How long an announced name outlives its owner unless it says otherwise.
const LEASE: Duration = Duration::from_secs(30);

/// The longest wait between two attempts to reach the name server.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Says at the name server under which name an object is to be found, for as long as what
/// [`start`](Announce::start) returns is kept.
///
/// Dropping that, or the end of the process, gives the name back: at once, or when the lease ends, after 30 s by default.
/// Meanwhile the name server may be away or restarted: the name is registered again when it is back.
pub fn announce(name: impl Into<String>, uri: impl Into<Uri>) -> Announce {
    Announce {
        registration: Registration {
            lease: Some(seconds(LEASE)),
            ..Registration::new(name, uri)
        },
        client: None,
        server: None,
        load: None,
    }
}

/// What is announced; see [`announce`].
#[must_use = "nothing is announced until `start` is called"]
pub struct Announce {
    registration: Registration,
    client: Option<Client>,
    server: Option<Uri>,
    load: Option<Load>,
}

type Load = Arc<dyn Fn() -> u32 + Send + Sync>;

impl Announce {
    /// Lets the object be found by these tags, too.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.registration
            .tags
            .extend(tags.into_iter().map(Into::into));
        self
    }

    /// What happens if somebody else has the name; by default the announcement is refused.
    pub fn if_taken(mut self, if_taken: IfTaken) -> Self {
        self.registration.if_taken = if_taken;
        self
    }

    /// How long the name outlives its owner, in whole seconds from 1 to 86 400; the default is 30.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.registration.lease = Some(seconds(lease));
        self
    }

    /// How much the object has to do, asked at each renewal, for clients that choose the least loaded. It is called where
    /// tasks run, so it should return at once.
    pub fn load(mut self, load: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        self.load = Some(Arc::new(load));
        self
    }

    /// Speaks to the name server through this client.
    pub fn client(mut self, client: &Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Speaks to the name server at this URI.
    ///
    /// # Errors
    ///
    /// `InvalidUri`, if the URI does not say where the name server is.
    pub fn at(mut self, server: impl Into<Uri>) -> Result<Self> {
        self.server = Some(server.into().as_directory()?);
        Ok(self)
    }

    /// Registers the name, and starts to keep it.
    ///
    /// # Errors
    ///
    /// `App` if the name server refuses, as it does if the name is taken; otherwise as [`locate`](super::locate).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the name registered until its lease ends.
    pub async fn start(mut self) -> Result<Announced, CallError<NamesError>> {
        let client = match self.client.take() {
            Some(client) => client,
            None => default_client()?,
        };
        // Never 0, which stands for nobody in particular.
        self.registration.owner = u64::from_le_bytes(random::bytes()) | 1;
        let load = self.load.take();
        if let Some(load) = &load {
            self.registration.load = load();
        }
        let names = asking::name_server(&client, self.server.as_ref()).await?;
        let Grant { epoch } = names.register(self.registration.clone()).await?;
        let (state, watched) = watch::channel(State::Held(epoch));
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper {
            client,
            server: self.server,
            names: Some(names),
            registration: self.registration,
            load,
            state,
        };
        task::spawn(keeper.run(epoch, stopped));
        Ok(Announced {
            state: watched,
            stop: Some(stop),
        })
    }
}

/// A name that is kept. Dropping it gives the name back.
#[must_use = "dropping this gives the name back"]
#[derive(Debug)]
pub struct Announced {
    state: watch::Receiver<State>,
    /// Told to stop by being dropped.
    stop: Option<oneshot::Sender<()>>,
}

#[derive(Clone, Debug)]
enum State {
    Held(u64),
    Lost(NamesError),
    Withdrawn,
}

impl Announced {
    /// The epoch of the registration: greater than that of everybody who had the name before. It changes when the name had
    /// to be registered again; `None` if the name was lost.
    pub fn epoch(&self) -> Option<u64> {
        match *self.state.borrow() {
            State::Held(epoch) => Some(epoch),
            State::Lost(_) | State::Withdrawn => None,
        }
    }

    /// Waits until the name is lost, because somebody else has it now, and says why. Whoever goes on then works under a
    /// name that leads elsewhere.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn lost(&self) -> NamesError {
        let mut state = self.state.clone();
        let lost = state
            .wait_for(|state| matches!(state, State::Lost(_)))
            .await;
        match lost.as_deref() {
            Ok(State::Lost(error)) => error.clone(),
            // The task was dropped with its runtime, and this should be as well.
            _ => std::future::pending().await,
        }
    }

    /// Gives the name back, and waits until that was tried.
    ///
    /// # Cancel safety
    ///
    /// The name is given back also if the future is dropped.
    pub async fn withdraw(mut self) {
        self.stop.take();
        // An error says that the task is gone already.
        let _ = self
            .state
            .wait_for(|state| !matches!(state, State::Held(_)))
            .await;
    }
}

/// The task that keeps a name.
struct Keeper {
    client: Client,
    server: Option<Uri>,
    names: Option<NamesProxy>,
    registration: Registration,
    load: Option<Load>,
    state: watch::Sender<State>,
}

impl Keeper {
    async fn run(mut self, mut epoch: u64, mut stop: oneshot::Receiver<()>) {
        let lease = Duration::from_secs(self.registration.lease.map_or(u64::MAX, u64::from));
        let mut wait = lease / 3;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = tokio::time::sleep(wait) => {}
            }
            let kept = tokio::select! {
                biased;
                _ = &mut stop => break,
                kept = self.keep(epoch) => kept,
            };
            match kept {
                Ok(newest) => {
                    epoch = newest;
                    self.state.send_if_modified(|state| match state {
                        State::Held(known) if *known == newest => false,
                        state => {
                            *state = State::Held(newest);
                            true
                        }
                    });
                    wait = lease / 3;
                }
                Err(CallError::App(error)) => {
                    tracing::warn!(name = %self.registration.name, %error, "a name was lost");
                    self.state.send_replace(State::Lost(error));
                    return;
                }
                Err(CallError::Fault(fault)) => {
                    tracing::debug!(name = %self.registration.name, %fault, "a name was not renewed");
                    self.names = None;
                    wait = (lease / 10).clamp(Duration::from_millis(100), LONGEST_WAIT);
                }
            }
        }
        let name = self.registration.name.clone();
        if let Ok(names) = self.names().await
            && let Err(error) = names.remove(&name, Some(epoch)).await
        {
            tracing::debug!(%name, %error, "a name was not given back; its lease will end");
        }
        self.state.send_replace(State::Withdrawn);
    }

    async fn names(&mut self) -> Result<NamesProxy> {
        match &self.names {
            Some(names) => Ok(names.clone()),
            None => {
                let names = asking::name_server(&self.client, self.server.as_ref()).await?;
                Ok(self.names.insert(names).clone())
            }
        }
    }

    /// Renews the lease, or registers again what the name server has forgotten; returns the epoch.
    async fn keep(&mut self, epoch: u64) -> Result<u64, CallError<NamesError>> {
        if let Some(load) = &self.load {
            self.registration.load = load();
        }
        let names = self.names().await?.with_timeout(TIMEOUT);
        let renewal = Renewal {
            name: self.registration.name.clone(),
            epoch,
            load: self.registration.load,
        };
        match names.renew(vec![renewal]).await?.first() {
            Some(Renewed::Kept) => Ok(epoch),
            Some(&Renewed::Fenced(newer)) if self.registration.if_taken != IfTaken::Join => {
                Err(CallError::App(NamesError::Fenced {
                    name: self.registration.name.clone(),
                    epoch: newer,
                }))
            }
            _ => {
                // Nobody has the name, or those who have it do not mind. Nobody is replaced by one who came back.
                let if_taken = match self.registration.if_taken {
                    IfTaken::Join => IfTaken::Join,
                    IfTaken::Refuse | IfTaken::Replace => IfTaken::Refuse,
                };
                let registration = Registration {
                    if_taken,
                    ..self.registration.clone()
                };
                Ok(names.register(registration).await?.epoch)
            }
        }
    }
}

/// Whole seconds, at least one.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1)
}

impl fmt::Debug for Announce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announce")
            .field("registration", &self.registration)
            .finish_non_exhaustive()
    }
}
