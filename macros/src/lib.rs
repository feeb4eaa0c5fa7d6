//! The attribute macros of farref: [`macro@expose`] and its kin.
//!
//! Applications use them through the crate `farref`, which re-exports them. What they generate names only that crate's
//! private module, and `::core`; the two crates belong together, version by version.

mod args;
mod check;
mod ctxt;
mod expand;
mod expose;
mod fallback;
mod hash;
mod misplaced;
mod model;
#[cfg(test)]
mod snapshots;
mod symbol;
mod text;
mod types;

use proc_macro::TokenStream;

/// Exposes a trait as an interface, whose objects can be called from other processes.
///
/// The trait stays what it is: objects implement it with plain `async fn`s and `fn`s, and no attribute. Beside it
/// appears a proxy, `JukeboxProxy` for a trait `Jukebox`, with the same methods, which is what callers hold, wherever
/// the object lives.
///
/// # What methods look like
///
/// - They take `&self`, or `&mut self` if the object is served one call at a time, and up to 12 arguments.
/// - `async fn` becomes a function that returns a future which can be spawned; implementors still write `async fn`.
/// - Arguments may be borrowed, `&str`, `&[u8]` or `&T`; what is inside other types must be owned.
/// - Arguments and results implement serde's `Serialize` and `Deserialize`. `Vec<u8>`, `Bytes` and `&[u8]` are sent as
///   they are, outside the codec.
/// - A method that returns `Result<T, E>` has an error of its own, which callers get as `CallError::App`. Any other
///   method fails only if the call does.
///
/// # Options
///
/// `#[expose(name = "media.Jukebox")]` is the name on the wire, which is otherwise the trait's. `crate = path` says where
/// the crate `farref` is found. `local` emits a trait `LocalJukebox`, too, for objects that are not `Send`.
/// `callback` makes every method a [`macro@callback`].
///
/// # Attributes of methods
///
/// | attribute | meaning |
/// |---|---|
/// | `#[oneway]` | the caller does not wait, and learns nothing of failures; `#[oneway(ordered)]` ends before the next one starts |
/// | `#[attribute]` | reads (`fn volume(&self) -> f32`) or writes (`fn set_volume(&self, level: f32)`) a remote attribute |
/// | `#[signal]` | `fn song_changed(&self) -> &Signal<Track>`: callers connect receivers to the signal |
/// | `#[callback]` | a failure is also reported where the method runs |
/// | `#[idempotent]` | may be called again by itself after its connection was lost |
/// | `#[no_cancel]` | runs to its end even if its caller gives up |
/// | `#[blocking]` | a plain `fn` that runs on a thread where blocking is allowed, when the call came from another process |
/// | `#[local]` | stays off the wire |
/// | `#[name = ".."]`, `#[expose(name = "..")]` | the name on the wire, which is otherwise the method's |
/// | `#[expose(spawn)]` | runs in a task of its own from the start |
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
///
/// /// A jukebox that several clients drive at once.
/// #[expose]
/// pub trait Jukebox {
///     /// Loads a playlist and returns its number of tracks.
///     async fn load_playlist(&self, name: &str) -> Result<u32, String>;
///
///     /// Starts playing. The caller does not wait for it.
///     #[oneway]
///     async fn play(&self);
/// }
///
/// struct Machine;
///
/// impl Jukebox for Machine {
///     async fn load_playlist(&self, name: &str) -> Result<u32, String> {
///         if name == "90s rock" { Ok(42) } else { Err(format!("no list {name}")) }
///     }
///
///     async fn play(&self) {}
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let jukebox = JukeboxProxy::new(Machine);
/// let tracks = jukebox.load_playlist("90s rock").await?;
/// assert_eq!(tracks, 42);
/// # Ok::<_, CallError<String>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[proc_macro_attribute]
pub fn expose(args: TokenStream, item: TokenStream) -> TokenStream {
    expose::expose(args.into(), &item.into()).into()
}

/// Exposes a trait whose methods are callbacks: implemented by a client, called by a server.
///
/// Short for `#[expose(callback)]`, with the same options. A failure of a callback, or a panic in it, goes back to its
/// caller and is also reported where the callback runs, because that is where somebody can mend it.
///
/// On a method of an exposed trait it says the same of that method.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
///
/// #[callback]
/// pub trait Listener {
///     #[oneway]
///     async fn song_changed(&self, title: String);
/// }
///
/// #[expose]
/// pub trait Jukebox {
///     /// Tells `listener` about every change.
///     async fn watch(&self, listener: ListenerProxy);
/// }
///
/// assert!(ListenerProxy::DESCRIPTOR.methods[0].flags.callback);
/// ```
#[proc_macro_attribute]
pub fn callback(args: TokenStream, item: TokenStream) -> TokenStream {
    expose::callback(args.into(), &item.into()).into()
}

/// Defines what a helper attribute says where `#[expose]` did not consume it.
macro_rules! helper_attributes {
    ($($(#[$docs:meta])* $name:ident)*) => {$(
        $(#[$docs])*
        ///
        /// An attribute of methods of a trait with [`macro@expose`].
        #[proc_macro_attribute]
        pub fn $name(_args: TokenStream, item: TokenStream) -> TokenStream {
            misplaced::helper(stringify!($name), &item.into()).into()
        }
    )*};
}

helper_attributes! {
    /// Calls of the method are sent and not answered.
    oneway
    /// The method reads or writes a remote attribute.
    attribute
    /// The method returns a signal, to which callers connect receivers.
    signal
    /// The method stays off the wire.
    local
    /// The method may be called again by itself after its connection was lost.
    idempotent
    /// The method runs to its end even if its caller gives up.
    no_cancel
    /// The method runs on a thread where blocking is allowed.
    blocking
}
