//! The object-safe twin of the trait, through which near calls are made.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{proxy, signal, signature};
use crate::model::{Interface, Method};
use crate::types::{Output, StreamOutput};

/// The twin.
///
/// Its methods have mangled names, and only runtime types implement it, so that it never answers for a method that the
/// user calls on an object of theirs.
pub(super) fn definition(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let vis = &interface.vis;
    let near = interface.generated("__", "Near");
    let docs = format!(
        " What near calls through [`{}`] reach an object by.",
        interface.generated("", "Proxy")
    );
    let methods = interface.methods().map(|method| {
        let conditions = method.conditions();
        let signature = near_signature(&private, method);
        quote_spanned!(mixed=> #(#conditions)* #signature;)
    });
    quote_spanned! {mixed=>
        #[doc = #docs]
        #[doc(hidden)]
        #vis trait #near: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
            fn __export(self: #private::Arc<Self>) -> #private::Arc<#private::Export>;
        }
    }
}

fn near_signature(private: &TokenStream, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let mangled = method.mangled();
    if let Some((tells, answers)) = method.signal() {
        return quote_spanned! {mixed=>
            fn #mangled<'call>(&'call self) -> #private::NearFuture<'call, #private::Signal<#tells, #answers>>
        };
    }
    let parameters = signature::parameters(method);
    let output = signature::raw_output(&method.output);
    let returned = match &method.output {
        Output::Stream(_) => quote_spanned!(mixed=> NearStream),
        _ => quote_spanned!(mixed=> NearFuture),
    };
    quote_spanned!(mixed=> fn #mangled<'call>(&'call self #parameters) -> #private::#returned<'call, #output>)
}

/// The twin of every object that implements the trait, however it is entered.
pub(super) fn implementation(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let near = interface.generated("__", "Near");
    let bounds = bounds(interface);
    let access = access(interface);
    let methods = interface.methods().map(|method| {
        let conditions = method.conditions();
        let signature = near_signature(&private, method);
        let enter = enter(method, &quote_spanned!(mixed=> self));
        let names = signature::argument_idents(method);
        let names: Vec<_> = names.map(|name| quote_spanned!(mixed=> #name)).collect();
        if let Output::Stream(stream) = &method.output {
            let call = method_call(interface, method, names.into_iter());
            let block = stream_block(stream, &enter, &call);
            return quote_spanned! {mixed=>
                #(#conditions)*
                #signature {
                    #private::near_stream(move |out| #block)
                }
            };
        }
        let call = if method.args.signal.is_some() {
            let returned = method_call(interface, method, std::iter::empty());
            signal::shared(&private, method, &returned)
        } else {
            method_call(interface, method, names.into_iter())
        };
        quote_spanned! {mixed=>
            #(#conditions)*
            #signature {
                #private::Box::pin(async move {
                    #enter
                    #private::Ok(#call)
                })
            }
        }
    });
    let (proxy, table) = (
        interface.generated("", "Proxy"),
        interface.generated("__", "Table"),
    );
    let base_proxies = interface.bases.iter().map(|base| &base.proxy);
    quote_spanned! {mixed=>
        #[automatically_derived]
        impl<__A: #access> #near for #private::Entry<__A> #bounds {
            #(#methods)*

            fn __export(self: #private::Arc<Self>) -> #private::Arc<#private::Export> {
                #private::Export::new(
                    #private::Clone::clone(&self),
                    #private::Clone::clone(&self) as #private::Arc<dyn #near>,
                    #proxy::DESCRIPTOR,
                    #table::<__A>::HANDLERS,
                    #private::vec![#(
                        #private::export(&<#base_proxies as #private::Serve<__A>>::serve(#private::Clone::clone(&self))),
                    )*],
                )
            }
        }
    }
}

/// How objects of this interface may be entered.
pub(super) fn access(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    if interface.exclusive() {
        quote_spanned!(mixed=> #private::AccessMut)
    } else {
        quote_spanned!(mixed=> #private::Access)
    }
}

/// The `where` clause of everything that serves an object: it implements the interface, and those that this one extends.
pub(super) fn bounds(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let ident = &interface.ident;
    let base_proxies = interface.bases.iter().map(|base| &base.proxy);
    quote_spanned!(mixed=> where __A::Target: #ident, #(#base_proxies: #private::Serve<__A>,)*)
}

/// Enters the object.
pub(super) fn enter(method: &Method, entry: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    if method.exclusive {
        quote_spanned!(mixed=> let mut object = #entry.enter_mut().await?;)
    } else {
        quote_spanned!(mixed=> let object = #entry.enter().await?;)
    }
}

/// Calls the method of the object that was entered, and waits for what it returns.
pub(super) fn method_call(
    interface: &Interface,
    method: &Method,
    arguments: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let mixed = Span::mixed_site();
    let (trait_, ident) = (&interface.ident, method.ident());
    let object = object(method);
    let waiting = method
        .source
        .sig
        .asyncness
        .map(|_| quote_spanned!(mixed=> .await));
    quote_spanned!(mixed=> <__A::Target as #trait_>::#ident(#object #(, #arguments)*) #waiting)
}

/// Makes a stream and hands its items to `out`. What it borrows from lives as long as it, and no longer is the object
/// held.
pub(super) fn stream_block(
    stream: &StreamOutput,
    enter: &TokenStream,
    call: &TokenStream,
) -> TokenStream {
    let mixed = Span::mixed_site();
    if stream.borrows {
        return quote_spanned! {mixed=>
            async move {
                #enter
                out.all(#call).await
            }
        };
    }
    quote_spanned! {mixed=>
        async move {
            let stream = {
                #enter
                #call
            };
            out.all(stream).await
        }
    }
}

/// Borrows the object from what entering it gave.
pub(super) fn object(method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    if method.exclusive {
        quote_spanned!(mixed=> &mut *object)
    } else {
        quote_spanned!(mixed=> &*object)
    }
}

/// The near target of a proxy that serves `entry`.
pub(super) fn target(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let near = interface.generated("__", "Near");
    let fields = proxy::base_fields(interface);
    let base_proxies = interface.bases.iter().map(|base| &base.proxy);
    quote_spanned! {mixed=>
        #(#fields: <#base_proxies as #private::Serve<__A>>::serve(#private::Clone::clone(&entry)),)*
        target: #private::Target::near(entry as #private::Arc<dyn #near>),
    }
}
