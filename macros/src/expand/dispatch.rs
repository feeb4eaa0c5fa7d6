//! The static table of handlers: how calls that arrive reach the object.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

use super::{near, signal, signature};
use crate::model::{Argument, Interface, Method};
use crate::types::{Output, Passing, Payload};

/// One handler for each method, in the order of the descriptor.
pub(super) fn table(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let table = interface.generated("__", "Table");
    let docs = format!(
        " How calls that arrive reach an object that implements `{}`.",
        interface.ident
    );
    let access = near::access(interface);
    let bounds = near::bounds(interface);
    let handlers = interface.methods().map(|method| {
        let conditions = method.conditions();
        let handler = handler(interface, method);
        quote_spanned!(mixed=> #(#conditions)* #handler)
    });
    quote_spanned! {mixed=>
        #[doc = #docs]
        struct #table<__A>(#private::PhantomData<__A>);

        impl<__A: #access> #table<__A> #bounds {
            const HANDLERS: &'static [#private::Handler<__A>] = &[#(#handlers,)*];
        }
    }
}

fn handler(interface: &Interface, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    if method.args.signal.is_some() {
        let object = near::method_call(interface, method, std::iter::empty());
        let handler = signal::handler(&private, method, &object);
        return quote_spanned!(mixed=> #private::Handler::Waiting(#handler));
    }
    let decode = decode(&private, method);
    let call = near::method_call(interface, method, passed(&private, method));
    if let Output::Stream(stream) = &method.output {
        let enter = near::enter(method, &quote_spanned!(mixed=> entry));
        let block = near::stream_block(stream, &enter, &call);
        let reply = signature::stream_wire(&private, &stream.item, "reply");
        let own = own_strings(method);
        return quote_spanned! {mixed=>
            #private::Handler::Waiting(|entry, call| #private::Box::pin(async move {
                #decode
                #own
                #reply(&call, #private::stream(move |out| #block))
            }))
        };
    }
    if never_waits(method) && method.args.blocking.is_none() {
        let reply = write_reply(
            &private,
            &method.output,
            &call,
            &quote_spanned!(mixed=> reply),
        );
        return quote_spanned! {mixed=>
            #private::Handler::Plain(|object, call, reply| {
                #decode
                #reply
            })
        };
    }
    let reply = reply(&private, &method.output, &call);
    if method.args.blocking.is_some() {
        let entry = quote_spanned!(mixed=> entry);
        let enter = enter_blocking(&private, method, &entry);
        return quote_spanned! {mixed=>
            #private::Handler::Waiting(|entry, call| #private::blocking(entry, call, |entry, call| {
                #decode
                #enter
                #reply
            }))
        };
    }
    let enter = near::enter(method, &quote_spanned!(mixed=> entry));
    quote_spanned! {mixed=>
        #private::Handler::Waiting(|entry, call| #private::Box::pin(async move {
            #decode
            #enter
            #reply
        }))
    }
}

/// Whether the method can be called without a future. One that changes its object waits for others to leave it.
fn never_waits(method: &Method) -> bool {
    method.source.sig.asyncness.is_none() && !method.exclusive
}

fn enter_blocking(private: &TokenStream, method: &Method, entry: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    if method.exclusive {
        quote_spanned!(mixed=> let mut object = #private::block_on(#entry.enter_mut())?;)
    } else {
        quote_spanned!(mixed=> let object = #private::block_on(#entry.enter())?;)
    }
}

/// Decodes the arguments of `call` into variables of their names.
pub(super) fn decode(private: &TokenStream, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let count = method.arguments.len();
    if count == 0 {
        return quote_spanned!(mixed=> call.arguments(0)?.finish()?;);
    }
    let idents = signature::tuple(signature::argument_idents(method));
    let values = method
        .arguments
        .iter()
        .map(|Argument { name, passing, .. }| match passing {
            Passing::Str => quote_spanned!(mixed=> arguments.str(#name)?),
            Passing::Bytes | Passing::OwnedBytes(_) => {
                quote_spanned!(mixed=> arguments.bytes(#name)?)
            }
            Passing::Borrowed(ty) | Passing::Value(ty) => {
                let take = signature::wire(private, &ty.to_token_stream(), "take");
                quote_spanned!(mixed=> #take(&mut arguments, #name)?)
            }
        });
    let values = signature::tuple(values);
    // In a block of their own, so that the future of the call need not keep the decoder while it waits.
    quote_spanned! {mixed=>
        let #idents = {
            let mut arguments = call.arguments(#count)?;
            let values = #values;
            arguments.finish()?;
            values
        };
    }
}

/// Copies the strings that are borrowed from the frame: a stream outlives it.
pub(super) fn own_strings(method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    method
        .arguments
        .iter()
        .filter(|argument| matches!(argument.passing, Passing::Str))
        .map(|Argument { ident, .. }| quote_spanned!(mixed=> let #ident = #ident.into_owned();))
        .collect()
}

/// The decoded arguments as the method takes them.
pub(super) fn passed(private: &TokenStream, method: &Method) -> impl Iterator<Item = TokenStream> {
    let mixed = Span::mixed_site();
    method
        .arguments
        .iter()
        .map(move |Argument { ident, passing, .. }| match passing {
            Passing::Str | Passing::Bytes | Passing::Borrowed(_) => quote_spanned!(mixed=> &#ident),
            Passing::OwnedBytes(_) => {
                quote_spanned!(mixed=> #private::FromBytes::from_bytes(#ident))
            }
            Passing::Value(_) => quote!(#ident),
        })
}

/// The reply to `call` with what `value` evaluates to.
pub(super) fn reply(private: &TokenStream, output: &Output, value: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    let returned = quote_spanned!(mixed=> returned);
    let write = write_reply(
        private,
        output,
        &returned,
        &quote_spanned!(mixed=> &mut reply),
    );
    // What waits for the value has no memory for the reply yet.
    quote_spanned! {mixed=>
        let returned = #value;
        let mut reply = #private::Reply::new();
        #write?;
        #private::Ok(reply)
    }
}

/// Writes what `value` evaluates to as the reply to `call`.
fn write_reply(
    private: &TokenStream,
    output: &Output,
    value: &TokenStream,
    reply: &TokenStream,
) -> TokenStream {
    let mixed = Span::mixed_site();
    let (ok, error) = match output {
        Output::Plain(Payload::Bytes(_)) => {
            return quote_spanned!(mixed=> call.reply_bytes(#value, #reply));
        }
        Output::Plain(Payload::Value(ty)) => {
            let write = signature::wire(private, &ty.to_token_stream(), "reply");
            return quote_spanned!(mixed=> #write(&call, #value, #reply));
        }
        Output::Fallible(Payload::Bytes(_), error) => {
            let error = signature::wire(private, &error.to_token_stream(), "reply_error");
            return quote_spanned!(mixed=> call.reply_bytes_result(#value, #error, #reply));
        }
        Output::Fallible(..) | Output::Alias(_) | Output::Stream(_) => (
            signature::ok_type(private, output),
            signature::error_type(private, output).unwrap_or_default(),
        ),
    };
    let ok = signature::wire(private, &ok, "reply");
    let error = signature::wire(private, &error, "reply_error");
    quote_spanned!(mixed=> call.reply_result(#value, #ok, #error, #reply))
}
