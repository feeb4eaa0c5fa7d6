//! How an object is entered: by any number of calls at once, or by one at a time.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::error::Result;
use crate::serial::{SerialGuard, SerialLock};

/// How calls enter an object of type [`Target`](Access::Target).
///
/// Generated code is written once over this trait and so serves objects however they are entered.
pub trait Access: Send + Sync + 'static {
    /// The object's type.
    type Target: 'static;
    /// What a call holds while it is inside.
    type Guard<'a>: Deref<Target = Self::Target> + Send
    where
        Self: 'a;

    /// Waits until the call that is being served may enter.
    ///
    /// # Errors
    ///
    /// `WouldDeadlock`, if the object is held by a call that waits for this one.
    fn enter(&self) -> impl Future<Output = Result<Self::Guard<'_>>> + Send;

    /// Enters, if no call ever waits for another one here.
    fn enter_at_once(&self) -> Option<&Self::Target> {
        None
    }
}

/// Access that lends the object mutably, as methods with `&mut self` need it.
pub trait AccessMut: Access {
    /// What a call holds while it is inside.
    type GuardMut<'a>: DerefMut<Target = Self::Target> + Send
    where
        Self: 'a;

    /// Waits until the call that is being served may enter; see [`Access::enter`].
    fn enter_mut(&self) -> impl Future<Output = Result<Self::GuardMut<'_>>> + Send;
}

/// An object that any number of calls enter at once.
pub struct Shared<T>(pub(crate) T);

impl<T: Send + Sync + 'static> Access for Shared<T> {
    type Target = T;
    type Guard<'a> = &'a T;

    fn enter(&self) -> impl Future<Output = Result<&T>> + Send {
        std::future::ready(Ok(&self.0))
    }

    #[inline]
    fn enter_at_once(&self) -> Option<&T> {
        Some(&self.0)
    }
}

/// An object that any number of calls enter at once, and that the application shares.
pub struct SharedArc<T>(pub(crate) Arc<T>);

impl<T: Send + Sync + 'static> Access for SharedArc<T> {
    type Target = T;
    type Guard<'a> = &'a T;

    fn enter(&self) -> impl Future<Output = Result<&T>> + Send {
        std::future::ready(Ok(&*self.0))
    }

    #[inline]
    fn enter_at_once(&self) -> Option<&T> {
        Some(&self.0)
    }
}

/// An object that calls enter one at a time, in the order in which they came.
pub struct Serial<T>(pub(crate) SerialLock<T>);

impl<T: Send + 'static> Access for Serial<T> {
    type Target = T;
    type Guard<'a> = SerialGuard<'a, T>;

    fn enter(&self) -> impl Future<Output = Result<SerialGuard<'_, T>>> + Send {
        self.0.lock()
    }
}

impl<T: Send + 'static> AccessMut for Serial<T> {
    type GuardMut<'a> = SerialGuard<'a, T>;

    fn enter_mut(&self) -> impl Future<Output = Result<SerialGuard<'_, T>>> + Send {
        self.0.lock()
    }
}

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque_debug!(Shared, SharedArc, Serial);
