//! A value that tells when it changes.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::signal::Signal;

/// A value that others watch: what an attribute of an interface reads and writes.
///
/// ```
/// use farref::prelude::*;
/// use farref::{Attribute, Signal};
///
/// #[expose]
/// pub trait Radio {
///     /// Output level, 0.0 to 1.0.
///     #[attribute]
///     fn volume(&self) -> f32;
///     #[attribute]
///     async fn set_volume(&self, level: f32);
///     /// Fires when the volume has changed.
///     #[signal]
///     fn volume_changed(&self) -> &Signal<f32>;
/// }
///
/// struct Kitchen {
///     volume: Attribute<f32>,
/// }
///
/// impl Radio for Kitchen {
///     fn volume(&self) -> f32 {
///         self.volume.get()
///     }
///     async fn set_volume(&self, level: f32) {
///         self.volume.set(level.clamp(0.0, 1.0)).await;
///     }
///     fn volume_changed(&self) -> &Signal<f32> {
///         self.volume.changed()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let radio = RadioProxy::new(Kitchen { volume: Attribute::new(0.5) });
/// let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
/// radio.volume_changed().connect(move |level| told.send(**level).unwrap()).await?;
/// radio.set_volume(0.8).await?;
/// radio.set_volume(0.8).await?;
/// radio.set_volume(7.0).await?;
/// assert_eq!((heard.recv().await, heard.recv().await), (Some(0.8), Some(1.0)));
/// # Ok(())
/// # }
/// ```
///
/// By its name, `<attribute>_changed`, people and tools know which signal tells of an attribute.
pub struct Attribute<T> {
    state: Mutex<State<T>>,
    changed: Signal<T>,
}

struct State<T> {
    value: T,
    /// How often it has changed.
    version: u64,
    /// Whether somebody is telling of changes, who will tell of those that come meanwhile, too.
    is_told: bool,
}

impl<T> Attribute<T> {
    /// An attribute of this value, which nobody watches.
    pub const fn new(value: T) -> Self {
        Attribute {
            state: Mutex::new(State {
                value,
                version: 0,
                is_told: false,
            }),
            changed: Signal::new(),
        }
    }

    /// Fires when the value has changed, with the new one.
    pub fn changed(&self) -> &Signal<T> {
        &self.changed
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Attribute<T> {
    /// The value at this moment.
    ///
    /// It is cloned under the attribute's lock, so cloning it must not ask for the attribute.
    pub fn get(&self) -> T {
        self.lock().value.clone()
    }

    /// Changes the value, and waits until those who watch have been told. An equal value changes nothing.
    ///
    /// Receivers are told one after the other; one that fails is logged and stops nobody. A change that comes while they
    /// are being told of another, also from one of them, is told by whoever is telling, and does not wait for it. Of
    /// several such changes only the last is told: what receivers hear last is the value.
    ///
    /// # Cancel safety
    ///
    /// The value has changed when the future was polled. If it is dropped after that, those who were not told yet are
    /// told with the next change.
    pub async fn set(&self, value: T) {
        let old = {
            let mut state = self.lock();
            if state.value == value {
                return;
            }
            let old = std::mem::replace(&mut state.value, value);
            state.version += 1;
            old
        };
        // Dropping it is the application's code.
        drop(old);
        self.tell().await;
    }

    /// Tells of the value until it is the one that was told last.
    async fn tell(&self) {
        {
            let mut state = self.lock();
            if state.is_told {
                return;
            }
            state.is_told = true;
        }
        let turn = Turn(self);
        let mut told = None;
        loop {
            let (value, version) = {
                let mut state = self.lock();
                if told == Some(state.version) {
                    // Under the same lock, so that no change comes between.
                    state.is_told = false;
                    break;
                }
                (state.value.clone(), state.version)
            };
            told = Some(version);
            for (receiver, response) in self.changed.send_robust(value).await {
                if let Err(error) = response {
                    tracing::warn!(%receiver, %error, "a receiver of a changed attribute failed");
                }
            }
        }
        std::mem::forget(turn);
    }
}

/// The turn to tell, given back when telling is given up.
struct Turn<'a, T>(&'a Attribute<T>);

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.0.lock().is_told = false;
    }
}

impl<T: Default> Default for Attribute<T> {
    fn default() -> Self {
        Attribute::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Attribute<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attribute")
            .field(&self.lock().value)
            .finish()
    }
}
