//! The constant that says what the interface looks like.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;

use super::{signal, signature};
use crate::hash::fnv1a32;
use crate::model::{Argument, Interface, Method};
use crate::text;
use crate::types::{Output, Passing, Payload};

/// `JukeboxProxy::DESCRIPTOR`.
pub(super) fn constant(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let Interface {
        vis,
        name,
        docs,
        callback,
        bases,
        ident,
        ..
    } = interface;
    let hash = hash_literal(fnv1a32(name));
    let reference_name = format!("$farref.proxy:{name}");
    let base_proxies = bases.iter().map(|base| &base.proxy);
    let methods = interface.methods().map(|method| {
        let conditions = method.conditions();
        let entry = entry(interface, method);
        quote_spanned!(mixed=> #(#conditions)* #entry)
    });
    let constant_docs =
        format!(" What [`{ident}`] looks like: its methods, their arguments and results.");
    quote_spanned! {mixed=>
        #[doc = #constant_docs]
        #vis const DESCRIPTOR: &'static #private::Interface = &#private::Interface {
            name: #name,
            hash: #hash,
            reference_name: #reference_name,
            docs: #docs,
            callback: #callback,
            bases: &[#(<#base_proxies as #private::Proxy>::DESCRIPTOR,)*],
            methods: &[#(#methods,)*],
        };
    }
}

/// A hash as people look at it.
pub(super) fn hash_literal(hash: u32) -> Literal {
    // Only the parser of literals knows hexadecimal; what is written here always parses.
    format!("{hash:#010x}")
        .parse()
        .unwrap_or_else(|_| Literal::u32_unsuffixed(hash))
}

fn entry(interface: &Interface, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let Method { name, args, .. } = method;
    let rust_name = text::of(&method.source.sig.ident);
    let hash = hash_literal(fnv1a32(&format!("{}.{name}", interface.name)));
    let docs = text::docs(&method.source.attrs);
    let deprecated = method.deprecated.is_some() || interface.deprecated.is_some();
    let kind = kind(method);
    let callback = interface.callback || args.callback.is_some();
    // Connecting a receiver twice is connecting it once.
    let idempotent = args.idempotent.is_some() || args.signal.is_some();
    let no_cancel = args.no_cancel.is_some();
    let blocking = args.blocking.is_some();
    let spawn = args.spawn.is_some();
    let arguments = method
        .arguments
        .iter()
        .map(|entry| argument(&private, entry));
    let (result, error) = match method.signal() {
        Some((tells, _)) => (signal_entry(&private, &tells), none(&private)),
        None => returns(&private, &method.output),
    };
    quote_spanned! {mixed=>
        #private::Method {
            name: #name,
            rust_name: #rust_name,
            hash: #hash,
            docs: #docs,
            deprecated: #deprecated,
            kind: #private::MethodKind::#kind,
            flags: #private::MethodFlags {
                callback: #callback,
                idempotent: #idempotent,
                no_cancel: #no_cancel,
                blocking: #blocking,
                spawn: #spawn,
            },
            arguments: &[#(#arguments,)*],
            returns: #result,
            error: #error,
            shape_cache: || {
                static CACHE: #private::ShapeCache = #private::ShapeCache::new();
                &CACHE
            },
        }
    }
}

fn kind(method: &Method) -> TokenStream {
    let args = &method.args;
    let mixed = Span::mixed_site();
    if args.attribute.is_some() {
        if method.arguments.is_empty() {
            quote_spanned!(mixed=> AttributeRead)
        } else {
            quote_spanned!(mixed=> AttributeWrite)
        }
    } else if args.signal.is_some() {
        quote_spanned!(mixed=> Signal)
    } else if args.ordered {
        quote_spanned!(mixed=> OrderedOneway)
    } else if args.oneway.is_some() {
        quote_spanned!(mixed=> Oneway)
    } else if matches!(method.output, Output::Stream(_)) {
        quote_spanned!(mixed=> Stream)
    } else {
        quote_spanned!(mixed=> Call)
    }
}

fn argument(private: &TokenStream, argument: &Argument) -> TokenStream {
    let mixed = Span::mixed_site();
    let Argument {
        name,
        type_name,
        passing,
        ..
    } = argument;
    let string = quote_spanned!(mixed=> ::core::primitive::str);
    let (shape, schema) = match passing {
        Passing::Str => (
            quote_spanned!(mixed=> #private::shape_of_str),
            schema(private, &quote!(&'static #string)),
        ),
        Passing::Bytes => (
            quote_spanned!(mixed=> #private::shape_of_bytes),
            no_schema(private),
        ),
        Passing::OwnedBytes(_) => (
            quote_spanned!(mixed=> #private::shape_of_bytes),
            no_schema(private),
        ),
        Passing::Borrowed(ty) | Passing::Value(ty) => {
            let ty = ty.to_token_stream();
            (signature::wire(private, &ty, "shape"), schema(private, &ty))
        }
    };
    quote_spanned! {mixed=>
        #private::Argument { name: #name, type_name: #type_name, shape: #shape, schema: #schema }
    }
}

/// What a signal tells.
fn signal_entry(private: &TokenStream, tells: &Type) -> TokenStream {
    let mixed = Span::mixed_site();
    let type_name = text::of(tells);
    let shape = signal::tellable(private, tells, "shape");
    let schema = schema(private, &tells.to_token_stream());
    quote_spanned! {mixed=>
        #private::Returns { type_name: #type_name, shape: #shape, schema: #schema }
    }
}

fn none(private: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> #private::None)
}

fn returns(private: &TokenStream, output: &Output) -> (TokenStream, TokenStream) {
    let mixed = Span::mixed_site();
    let ok = match output {
        Output::Plain(payload) | Output::Fallible(payload, _) => payload_entry(private, payload),
        Output::Stream(stream) => {
            let type_name = &stream.type_name;
            let shape = signature::stream_wire(private, &stream.item, "shape");
            let schema = no_schema(private);
            quote_spanned! {mixed=>
                #private::Returns { type_name: #type_name, shape: #shape, schema: #schema }
            }
        }
        Output::Alias(ty) => {
            let ok = signature::ok_type(private, output);
            value_entry(private, &text::of(ty), &ok)
        }
    };
    let error = match (output, signature::error_type(private, output)) {
        (Output::Alias(ty), Some(error)) => Some(value_entry(private, &text::of(ty), &error)),
        (_, error) => error.map(|error| value_entry(private, &text::of(&error), &error)),
    };
    let error = match error {
        Some(error) => quote_spanned!(mixed=> #private::Some(#error)),
        None => quote_spanned!(mixed=> #private::None),
    };
    (ok, error)
}

fn payload_entry(private: &TokenStream, payload: &Payload) -> TokenStream {
    let mixed = Span::mixed_site();
    match payload {
        Payload::Value(ty) => value_entry(private, &text::of(ty), &ty.to_token_stream()),
        Payload::Bytes(ty) => {
            let type_name = text::of(ty);
            let schema = no_schema(private);
            quote_spanned! {mixed=>
                #private::Returns { type_name: #type_name, shape: #private::shape_of_bytes, schema: #schema }
            }
        }
    }
}

fn value_entry(private: &TokenStream, type_name: &str, ty: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    let shape = signature::wire(private, ty, "shape");
    let schema = schema(private, ty);
    quote_spanned! {mixed=>
        #private::Returns { type_name: #type_name, shape: #shape, schema: #schema }
    }
}

/// The JSON Schema of a type, if it has one: the method that `Probe` has for types with a schema wins over that of the
/// type to which it dereferences.
fn schema(private: &TokenStream, ty: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    quote_spanned!(mixed=> || #private::Probe::<#ty>::new().schema())
}

fn no_schema(private: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    quote_spanned!(mixed=> #private::no_schema)
}
