//! How types and names of the user's signatures are written in generated code.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use crate::model::{Argument, Method};
use crate::types::{Output, Passing, Payload};

/// What a caller passes: the arguments of a signal are what its receivers are told.
fn passed(method: &Method) -> &[Argument] {
    match method.signal() {
        Some(_) => &[],
        None => &method.arguments,
    }
}

/// The arguments as parameters whose borrows end with the call.
pub(super) fn parameters(method: &Method) -> TokenStream {
    passed(method)
        .iter()
        .map(|argument| {
            let (ident, ty) = (&argument.ident, argument_type(argument));
            quote!(, #ident: #ty)
        })
        .collect()
}

/// The arguments as parameters whose borrows no result mentions.
pub(super) fn elided_parameters(method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let parameters = passed(method).iter().map(|argument| {
        let ident = &argument.ident;
        let ty = match &argument.passing {
            Passing::Str => quote_spanned!(mixed=> &::core::primitive::str),
            Passing::Bytes => quote_spanned!(mixed=> &[::core::primitive::u8]),
            Passing::Borrowed(ty) => quote_spanned!(mixed=> &#ty),
            _ => argument_type(argument),
        };
        quote!(, #ident: #ty)
    });
    parameters.collect()
}

/// The type of an argument whose borrow ends with the call.
pub(super) fn argument_type(argument: &Argument) -> TokenStream {
    let mixed = Span::mixed_site();
    match &argument.passing {
        Passing::Str => quote_spanned!(mixed=> &'call ::core::primitive::str),
        Passing::Bytes => quote_spanned!(mixed=> &'call [::core::primitive::u8]),
        Passing::Borrowed(ty) => quote_spanned!(mixed=> &'call #ty),
        Passing::OwnedBytes(ty) | Passing::Value(ty) => ty.to_token_stream(),
    }
}

/// The names of the arguments.
pub(super) fn argument_idents(method: &Method) -> impl Iterator<Item = &Ident> {
    passed(method).iter().map(|argument| &argument.ident)
}

/// The arguments as a tuple, of one element too.
pub(super) fn tuple<T: ToTokens>(elements: impl Iterator<Item = T>) -> TokenStream {
    quote!((#(#elements,)*))
}

/// What the method's own function returns, a `Result` or not; of a stream, an item.
pub(super) fn raw_output(output: &Output) -> TokenStream {
    let mixed = Span::mixed_site();
    match output {
        Output::Plain(payload) => payload_type(payload).clone(),
        Output::Fallible(payload, error) => {
            let ok = payload_type(payload);
            quote_spanned!(mixed=> ::core::result::Result<#ok, #error>)
        }
        Output::Alias(ty) => ty.to_token_stream(),
        Output::Stream(stream) => stream.item.to_token_stream(),
    }
}

/// What a call comes to when all is well; of a stream, an item.
pub(super) fn ok_type(private: &TokenStream, output: &Output) -> TokenStream {
    match output {
        Output::Plain(payload) | Output::Fallible(payload, _) => payload_type(payload),
        Output::Alias(ty) => part_of_alias(private, ty, "Ok"),
        Output::Stream(stream) => stream.item.to_token_stream(),
    }
}

/// The method's own error, if it has one.
pub(super) fn error_type(private: &TokenStream, output: &Output) -> Option<TokenStream> {
    match output {
        Output::Plain(_) | Output::Stream(_) => None,
        Output::Fallible(_, error) => Some(error.to_token_stream()),
        Output::Alias(ty) => Some(part_of_alias(private, ty, "Err")),
    }
}

/// What a call fails with.
pub(super) fn failure_type(private: &TokenStream, output: &Output) -> TokenStream {
    let mixed = Span::mixed_site();
    match error_type(private, output) {
        Some(error) => quote_spanned!(mixed=> #private::CallError<#error>),
        None => quote_spanned!(mixed=> #private::Fault),
    }
}

fn part_of_alias(private: &TokenStream, ty: &syn::Type, part: &str) -> TokenStream {
    let span = ty.span().resolved_at(Span::mixed_site());
    let part = Ident::new(part, span);
    quote_spanned!(span=> <#ty as #private::ResultParts>::#part)
}

fn payload_type(payload: &Payload) -> TokenStream {
    match payload {
        Payload::Bytes(ty) | Payload::Value(ty) => ty.to_token_stream(),
    }
}

/// A function of the trait `Wire` for a type.
pub(super) fn wire(private: &TokenStream, ty: &TokenStream, function: &str) -> TokenStream {
    function_of(private, ty, "Wire", function)
}

/// A function of the trait `StreamWire` for the type of a stream's items.
pub(super) fn stream_wire(private: &TokenStream, item: &Type, function: &str) -> TokenStream {
    function_of(private, &item.to_token_stream(), "StreamWire", function)
}

/// The whole path has the type's span, so that what the type lacks is reported at the type.
fn function_of(
    private: &TokenStream,
    ty: &TokenStream,
    trait_: &str,
    function: &str,
) -> TokenStream {
    let span = ty.span().resolved_at(Span::mixed_site());
    let (trait_, function) = (Ident::new(trait_, span), Ident::new(function, span));
    quote_spanned!(span=> <#ty as #private::#trait_>::#function)
}
