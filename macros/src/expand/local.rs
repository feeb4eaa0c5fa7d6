//! The trait for objects that stay on one thread, and how they are served: `#[expose(local)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::interface::{self, Flavour};
use super::{dispatch, near, signal, signature};
use crate::model::{Interface, Method};
use crate::types::Output;

/// `LocalJukebox`: the trait without `Send`.
pub(super) fn definition(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let Interface {
        attrs,
        vis,
        ident,
        supertraits,
        ..
    } = interface;
    let local = interface.generated("Local", "");
    let items = interface::items(interface, Flavour::Local);
    let docs = format!(
        " A [`{ident}`] of one thread: objects that implement it, and their futures, need not be `Send`."
    );
    quote_spanned! {mixed=>
        #[doc = #docs]
        #[doc = ""]
        #(#attrs)*
        #vis trait #local: #(#supertraits +)* 'static {
            #items
        }
    }
}

/// `JukeboxProxy::pinned`.
pub(super) fn constructor(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let vis = &interface.vis;
    let deprecated = &interface.deprecated;
    let local = interface.generated("Local", "");
    let pin = if interface.exclusive() {
        quote_spanned!(mixed=> pinned_serial)
    } else {
        quote_spanned!(mixed=> pinned)
    };
    let handlers = interface.methods().map(|method| {
        let conditions = method.conditions();
        let handler = handler(interface, method);
        quote_spanned!(mixed=> #(#conditions)* #handler)
    });
    quote_spanned! {mixed=>
        /// A proxy of `object`, which stays on the thread that calls this; calls reach it there.
        ///
        /// # Panics
        ///
        /// Panics within a runtime of tokio but outside a `LocalSet`, on which the calls run there.
        #deprecated
        #vis fn pinned<T: #local>(object: T) -> Self {
            let handlers: &'static [#private::LocalHandler<T>] = const { &[#(#handlers,)*] };
            #private::#pin(object, handlers)
        }
    }
}

fn handler(interface: &Interface, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let (local, ident) = (interface.generated("Local", ""), method.ident());
    if method.args.signal.is_some() {
        let object = near::object(method);
        let returned = quote_spanned!(mixed=> <T as #local>::#ident(#object));
        return signal::handler(&private, method, &returned);
    }
    let decode = dispatch::decode(&private, method);
    let arguments = dispatch::passed(&private, method);
    let object = near::object(method);
    let enter = near::enter(method, &quote_spanned!(mixed=> entry));
    let waiting = method
        .source
        .sig
        .asyncness
        .map(|_| quote_spanned!(mixed=> .await));
    let value = quote_spanned!(mixed=> <T as #local>::#ident(#object #(, #arguments)*) #waiting);
    if let Output::Stream(stream) = &method.output {
        let block = near::stream_block(stream, &enter, &value);
        let reply = signature::stream_wire(&private, &stream.item, "reply");
        let own = dispatch::own_strings(method);
        return quote_spanned! {mixed=>
            |entry, call| #private::Box::pin(async move {
                #decode
                #own
                #reply(&call, #private::local_stream(move |out| #block))
            })
        };
    }
    let reply = dispatch::reply(&private, &method.output, &value);
    quote_spanned! {mixed=>
        |entry, call| #private::Box::pin(async move {
            #decode
            #enter
            #reply
        })
    }
}
