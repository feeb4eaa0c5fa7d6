//! Objects that travel as copies of their values or as references, as whoever asks for them wishes.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::context::CallContext;
use crate::error::Failure;
use crate::proxy::Proxy;

/// The note beside a call's arguments that says how its caller would have the result.
const NOTE: &str = "farref.wish";

/// How a caller would have an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// As a copy of its value, which costs the caller no further call.
    Value,
    /// As a reference, which shows every change.
    Reference,
}

impl Wish {
    /// What the caller of the method that is being served wishes, if it said so by [`Call::by_value`] or
    /// [`Call::by_reference`].
    pub fn of_caller() -> Option<Self> {
        match &**CallContext::current()?.annotation(NOTE)? {
            b"value" => Some(Wish::Value),
            b"reference" => Some(Wish::Reference),
            _ => None,
        }
    }

    /// The note that says so.
    pub(crate) fn note(self) -> (String, Bytes) {
        let text = match self {
            Wish::Value => "value",
            Wish::Reference => "reference",
        };
        (NOTE.to_owned(), Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wish::Value => "by value",
            Wish::Reference => "by reference",
        })
    }
}

/// An object that is passed: a copy of its value `V`, or a proxy `P` to it.
///
/// A method that returns one lets its callers fetch an object as they wish. One that takes one takes objects in: the value
/// of an object that is to live there from now on, or a reference to one that stays where it is.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
/// use farref::{Passed, Wish};
/// use serde::{Deserialize, Serialize};
///
/// /// A track's data, which are also an object that serves itself.
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// pub struct Data {
///     title: String,
/// }
///
/// #[expose]
/// pub trait Track {
///     fn title(&self) -> String;
/// }
///
/// impl Track for Data {
///     fn title(&self) -> String {
///         self.title.clone()
///     }
/// }
///
/// #[expose]
/// pub trait Library {
///     /// Fetches the track: its data, unless the caller wishes a reference.
///     fn track(&self) -> Passed<Data, TrackProxy>;
///
///     /// Takes a track in, and returns where it is now.
///     fn keep(&self, track: Passed<Data, TrackProxy>) -> TrackProxy;
/// }
///
/// struct Shelf(Data);
///
/// impl Library for Shelf {
///     fn track(&self) -> Passed<Data, TrackProxy> {
///         Passed::as_wished(Wish::Value, || self.0.clone(), || TrackProxy::new(self.0.clone()))
///     }
///
///     fn keep(&self, track: Passed<Data, TrackProxy>) -> TrackProxy {
///         track.into_proxy(TrackProxy::new)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// # let creep = || Data { title: "Creep".to_owned() };
/// # let uri = daemon.register("library", LibraryProxy::new(Shelf(creep())))?;
/// let library: LibraryProxy = farref::connect(&uri).await?;
///
/// // Fetched, by value or by reference:
/// assert_eq!(library.track().await?, Passed::Value(creep()));
/// let track = library.track().by_reference().await?.proxy().expect("as wished");
/// assert!(!track.is_near());
/// assert_eq!(track.title().await?, "Creep");
///
/// // Transferred: it lives over there from now on.
/// let moved = library.keep(Passed::Value(creep())).await?;
/// assert!(!moved.is_near());
/// // Offered: it stays here, and comes home as itself.
/// let mine = TrackProxy::new(creep());
/// let kept = library.keep(Passed::Reference(mine.clone())).await?;
/// assert!(kept.is_near() && kept == mine);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Passed<V, P> {
    /// A copy of its value.
    Value(V),
    /// A proxy to it.
    Reference(P),
}

impl<V, P: Proxy> Passed<V, P> {
    /// What the caller of the method that is being served wishes, or else what `otherwise` says: `value` copies the object,
    /// `proxy` refers to it. Only the one that is needed is called.
    ///
    /// A wish is not an order: a method that cannot copy its object answers with [`Passed::Reference`], whatever is wished.
    pub fn as_wished(
        otherwise: Wish,
        value: impl FnOnce() -> V,
        proxy: impl FnOnce() -> P,
    ) -> Self {
        match Wish::of_caller().unwrap_or(otherwise) {
            Wish::Value => Passed::Value(value()),
            Wish::Reference => Passed::Reference(proxy()),
        }
    }

    /// The copy, if it is one.
    pub fn value(self) -> Option<V> {
        match self {
            Passed::Value(value) => Some(value),
            Passed::Reference(_) => None,
        }
    }

    /// The proxy, if it is one.
    pub fn proxy(self) -> Option<P> {
        match self {
            Passed::Value(_) => None,
            Passed::Reference(proxy) => Some(proxy),
        }
    }

    /// A proxy in any case: `serve` makes one of a value, whose object lives in this process from now on.
    pub fn into_proxy(self, serve: impl FnOnce(V) -> P) -> P {
        match self {
            Passed::Value(value) => serve(value),
            Passed::Reference(proxy) => proxy,
        }
    }
}

impl<'a, P: Proxy, A, T, X: Failure<T>> Call<'a, P, A, T, X> {
    /// Tells the method that its caller would rather have a copy of the object that it returns; see [`Passed`].
    pub fn by_value(self) -> Self {
        self.wish(Wish::Value)
    }

    /// Tells the method that its caller would rather have a reference to the object that it returns; see [`Passed`].
    pub fn by_reference(self) -> Self {
        self.wish(Wish::Reference)
    }

    fn wish(self, wish: Wish) -> Self {
        let (key, value) = wish.note();
        self.annotate(key, value)
    }
}
