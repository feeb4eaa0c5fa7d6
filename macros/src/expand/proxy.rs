//! The proxy: what callers hold.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Attribute;

use super::descriptor::{self, hash_literal};
use super::{signal, signature};
use crate::fallback;
use crate::hash::fnv1a32;
use crate::model::{Argument, Interface, Item, Method};
use crate::text;
use crate::types::{Output, Passing, Payload};

/// The struct, its constructors and its methods.
pub(super) fn definition(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let Interface {
        vis, ident, bases, ..
    } = interface;
    let (proxy, near) = (
        interface.generated("", "Proxy"),
        interface.generated("__", "Near"),
    );
    let docs = interface
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc"));
    let first_line = format!(
        " A proxy of a [`{ident}`], near or far: its calls go to an object in this process or in another."
    );
    let base_fields = base_fields(interface);
    let base_proxies = bases.iter().map(|base| &base.proxy);
    let descriptor = descriptor::constant(interface);
    let constructors = if interface.servable {
        constructors(interface)
    } else {
        fallback::constructors(interface)
    };
    let methods = interface.items.iter().map(|item| match item {
        Item::Method(source) => method(interface, source),
        Item::Broken(source) => fallback::stub(interface, source),
        Item::Local(_) | Item::Other(_) => TokenStream::new(),
    });
    quote_spanned! {mixed=>
        #[doc = #first_line]
        #[doc = ""]
        #(#docs)*
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #proxy {
            target: #private::Target<dyn #near>,
            #(#base_fields: #base_proxies,)*
        }

        impl #proxy {
            #descriptor
            #constructors
            #(#methods)*
        }
    }
}

/// The fields that hold the proxies of the interfaces that this one extends.
pub(super) fn base_fields(interface: &Interface) -> Vec<syn::Ident> {
    (0..interface.bases.len())
        .map(|index| format_ident!("base{index}", span = Span::mixed_site()))
        .collect()
}

fn constructors(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let Interface {
        vis, ident, bases, ..
    } = interface;
    let deprecated = &interface.deprecated;
    let base_proxies: Vec<_> = bases.iter().map(|base| &base.proxy).collect();
    // Whether a base wants its objects served one call at a time is for its own proxy to say.
    let served_by = |access: TokenStream| {
        (!bases.is_empty())
            .then(|| quote_spanned!(mixed=> where #(#base_proxies: #private::Serve<#access>),*))
    };
    let (by_shared, by_shared_arc, by_serial) = (
        served_by(quote_spanned!(mixed=> #private::Shared<T>)),
        served_by(quote_spanned!(mixed=> #private::SharedArc<T>)),
        served_by(quote_spanned!(mixed=> #private::Serial<T>)),
    );
    let shared = (!interface.exclusive()).then(|| {
        quote_spanned! {mixed=>
            /// A near proxy of `object`, which any number of calls enter at once.
            #deprecated
            #vis fn new<T: #ident>(object: T) -> Self #by_shared {
                #private::Serve::serve(#private::Entry::shared(object))
            }

            /// A near proxy of an object that is shared already; any number of calls enter it at once. All that are made of
            /// one `Arc` are equal.
            #deprecated
            #vis fn shared<T: #ident>(object: #private::Arc<T>) -> Self #by_shared_arc {
                #private::Serve::serve(#private::Entry::shared_arc(object))
            }
        }
    });
    let pinned = interface
        .local
        .then(|| super::local::constructor(interface));
    quote_spanned! {mixed=>
        #shared

        /// A near proxy of `object`, which calls enter one at a time, in the order in which they came.
        #deprecated
        #vis fn serial<T: #ident>(object: T) -> Self #by_serial {
            #private::Serve::serve(#private::Entry::serial(object))
        }
        #pinned
    }
}

/// The method that makes a call, opens a stream or gives a signal.
fn method(interface: &Interface, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let vis = &interface.vis;
    let ident = method.ident();
    let attrs = carried_attributes(&method.source.attrs, &text::of(&ident));
    let parameters = signature::parameters(method);
    let Made { output, body } = made(interface, method);
    let Some(deprecated) = interface.deprecation(method) else {
        return quote_spanned! {mixed=>
            #attrs
            #vis fn #ident<'call>(&'call self #parameters) -> #output {
                #body
            }
        };
    };
    // The blocking proxy calls the method that nobody is warned of.
    let (mangled, names) = (method.mangled(), signature::argument_idents(method));
    quote_spanned! {mixed=>
        #attrs
        fn #mangled<'call>(&'call self #parameters) -> #output {
            #body
        }

        #attrs
        #deprecated
        #vis fn #ident<'call>(&'call self #parameters) -> #output {
            self.#mangled(#(#names),*)
        }
    }
}

/// What a method of the proxy returns, and how it is made.
pub(super) struct Made {
    pub(super) output: TokenStream,
    pub(super) body: TokenStream,
}

fn made(interface: &Interface, method: &Method) -> Made {
    if let Some(signal) = signal::made(interface, method) {
        return signal;
    }
    let mixed = Span::mixed_site();
    let private = interface.private();
    let arguments = signature::tuple(signature::argument_idents(method));
    let kept = signature::tuple(
        method
            .arguments
            .iter()
            .map(|argument| kept(&private, argument)),
    );
    let types = kept_types(&private, method);
    let passed = method
        .arguments
        .iter()
        .map(|argument| passed(&private, argument));
    let ok = signature::ok_type(&private, &method.output);
    let (kind, results, decode) = match &method.output {
        Output::Stream(stream) => (
            quote_spanned!(mixed=> StreamCall),
            quote_spanned!(mixed=> #ok),
            signature::stream_wire(&private, &stream.item, "decode"),
        ),
        output => {
            let failure = signature::failure_type(&private, output);
            (
                quote_spanned!(mixed=> Call),
                quote_spanned!(mixed=> #ok, #failure),
                decode(&private, output),
            )
        }
    };
    let hash = hash_literal(fnv1a32(&format!("{}.{}", interface.name, method.name)));
    let mangled = method.mangled();
    let encode = method
        .arguments
        .iter()
        .map(|argument| encode(&private, argument));
    let out = if method.arguments.is_empty() {
        quote_spanned!(mixed=> _)
    } else {
        quote_spanned!(mixed=> out)
    };
    Made {
        output: quote_spanned!(mixed=> #private::#kind<'call, Self, #types, #results>),
        body: quote_spanned! {mixed=>
            #private::#kind::new(
                self,
                const { #private::method_index(Self::DESCRIPTOR, #hash) },
                #kept,
                |near, #arguments| near.#mangled(#(#passed),*),
                |#arguments, #out| {
                    #(#encode)*
                    #private::Ok(())
                },
                #decode,
            )
        },
    }
}

/// The attributes of a trait's method that its counterpart on the proxy has, too: documentation, conditions, and lints
/// that are allowed there.
pub(crate) fn carried_attributes(attrs: &[Attribute], name: &str) -> TokenStream {
    let carried = attrs.iter().filter(|attr| {
        ["doc", "cfg", "allow"]
            .iter()
            .any(|name| attr.path().is_ident(name))
    });
    let mut tokens: TokenStream = carried.map(ToTokens::to_token_stream).collect();
    if text::docs(attrs).is_empty() {
        let docs = format!(" Calls `{name}`.");
        let mixed = Span::mixed_site();
        tokens.extend(quote_spanned!(mixed=> #[doc = #docs]));
    }
    tokens
}

/// What a call keeps of an argument until it is made: byte strings in a form that is sent without being copied.
fn kept(private: &TokenStream, Argument { ident, passing, .. }: &Argument) -> TokenStream {
    match passing {
        Passing::OwnedBytes(_) => {
            quote_spanned!(Span::mixed_site()=> #private::IntoBytes::into_bytes(#ident))
        }
        _ => quote!(#ident),
    }
}

/// The types of what a call keeps of its arguments, as a tuple.
pub(super) fn kept_types(private: &TokenStream, method: &Method) -> TokenStream {
    let kept = |argument: &Argument| match argument.passing {
        Passing::OwnedBytes(_) => quote_spanned!(Span::mixed_site()=> #private::Bytes),
        _ => signature::argument_type(argument),
    };
    signature::tuple(method.arguments.iter().map(kept))
}

/// What is kept of an argument, as a near object takes it.
fn passed(private: &TokenStream, Argument { ident, passing, .. }: &Argument) -> TokenStream {
    match passing {
        Passing::OwnedBytes(_) => {
            quote_spanned!(Span::mixed_site()=> #private::FromBytes::from_bytes(#ident))
        }
        _ => quote!(#ident),
    }
}

/// Writes an argument into a frame.
fn encode(private: &TokenStream, argument: &Argument) -> TokenStream {
    let Argument {
        ident,
        name,
        passing,
        ..
    } = argument;
    let mixed = Span::mixed_site();
    match passing {
        Passing::Str => quote_spanned!(mixed=> out.str(#name, #ident)?;),
        Passing::Bytes | Passing::OwnedBytes(_) => {
            quote_spanned!(mixed=> out.bytes(#name, #ident)?;)
        }
        Passing::Borrowed(ty) | Passing::Value(ty) => {
            let put = signature::wire(private, &ty.to_token_stream(), "put");
            quote_spanned!(mixed=> #put(out, #name, #ident)?;)
        }
    }
}

/// Reads a reply.
fn decode(private: &TokenStream, output: &Output) -> TokenStream {
    let mixed = Span::mixed_site();
    let decode_payload = |payload: &Payload| match payload {
        Payload::Bytes(ty) => quote_spanned!(mixed=> #private::decode_bytes::<#ty>),
        Payload::Value(ty) => signature::wire(private, &quote!(#ty), "decode"),
    };
    let (ok, error) = match output {
        Output::Plain(payload) => return decode_payload(payload),
        Output::Fallible(payload, error) => (decode_payload(payload), error.to_token_stream()),
        Output::Alias(_) | Output::Stream(_) => {
            let ok = signature::ok_type(private, output);
            let error = signature::error_type(private, output).unwrap_or_default();
            (signature::wire(private, &ok, "decode"), error)
        }
    };
    let error = signature::wire(private, &error, "decode_error");
    quote_spanned!(mixed=> |reply| #private::decode_result(reply, #ok, #error))
}
