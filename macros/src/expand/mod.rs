//! What an interface becomes. Nothing here can fail: what could is found by `model` and `check`.
//!
//! Generated code names only the runtime's `__private` module and `::core`, so that nothing in the user's scope can get
//! in its way, and repeats the user's types with their spans, so that what is wrong with a type is reported where the
//! type is written. Local names have mixed-site hygiene: an argument may well be called `out`.

mod blocking;
mod descriptor;
mod dispatch;
mod interface;
mod local;
mod near;
pub(crate) mod proxy;
mod reference;
mod signal;
mod signature;

use proc_macro2::TokenStream;

use crate::model::Interface;

/// Writes everything that `#[expose]` makes of a trait.
pub(crate) fn interface(interface: &Interface) -> TokenStream {
    let mut tokens = interface::definition(interface);
    tokens.extend(proxy::definition(interface));
    tokens.extend(blocking::definition(interface));
    tokens.extend(near::definition(interface));
    tokens.extend(reference::implementations(interface));
    if interface.servable {
        tokens.extend(near::implementation(interface));
        tokens.extend(dispatch::table(interface));
        tokens.extend(reference::serving(interface));
    }
    if interface.local {
        tokens.extend(local::definition(interface));
    }
    tokens
}
