//! The proxy for programs without async, whose calls are waited for.
//!
//! Its methods are `#[inline]`: what nobody calls costs a program nothing but its signature.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::proxy::{base_fields, carried_attributes, kept_types};
use super::signature;
use crate::fallback;
use crate::model::{Interface, Item, Method};
use crate::text;
use crate::types::Output;

/// The struct, its methods, and the way from and to the proxy.
pub(super) fn definition(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let vis = &interface.vis;
    let (blocking, proxy) = (
        interface.generated("", "Blocking"),
        interface.generated("", "Proxy"),
    );
    let docs = format!(" A [`{proxy}`] whose calls are waited for, for programs without async.");
    let fields = base_fields(interface);
    let bases: Vec<_> = interface.bases.iter().map(|base| &base.proxy).collect();
    let methods = interface.items.iter().map(|item| match item {
        Item::Method(method) => call(interface, method),
        Item::Broken(source) => fallback::blocking_stub(interface, source),
        Item::Local(_) | Item::Other(_) => TokenStream::new(),
    });
    let deref = fields.first().zip(bases.first()).map(|(field, base)| {
        quote_spanned! {mixed=>
            #[automatically_derived]
            impl ::core::ops::Deref for #blocking {
                type Target = <#base as #private::Proxy>::Blocking;

                fn deref(&self) -> &Self::Target {
                    &self.#field
                }
            }
        }
    });
    quote_spanned! {mixed=>
        #[doc = #docs]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #blocking {
            proxy: #proxy,
            #(#fields: <#bases as #private::Proxy>::Blocking,)*
        }

        impl #blocking {
            #(#methods)*
        }

        #[automatically_derived]
        impl #private::BlockingProxy for #blocking {
            type Proxy = #proxy;

            fn from_proxy(proxy: #proxy) -> Self {
                Self {
                    #(#fields: #private::BlockingProxy::from_proxy(#private::Clone::clone(&proxy.#fields)),)*
                    proxy,
                }
            }

            fn proxy(&self) -> &#proxy {
                &self.proxy
            }
        }

        #[automatically_derived]
        impl #private::Connect for #blocking {
            type Proxy = #proxy;

            fn connected(proxy: #proxy) -> Self {
                #private::BlockingProxy::from_proxy(proxy)
            }
        }

        #deref
    }
}

/// The method that makes a call and waits for it.
fn call(interface: &Interface, method: &Method) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let vis = &interface.vis;
    let proxy = interface.generated("", "Proxy");
    let ident = method.ident();
    let attrs = carried_attributes(&method.source.attrs, &text::of(&ident));
    let deprecated = interface.deprecation(method);
    let asynchronous = match deprecated {
        Some(_) => method.mangled(),
        None => ident.clone(),
    };
    let names = signature::argument_idents(method);
    let call = quote_spanned!(mixed=> self.proxy.#asynchronous(#(#names),*));
    let parameters = signature::parameters(method);
    let held = quote_spanned!(mixed=> <'call>(&'call self #parameters));
    let (parameters, output, body) = match (method.signal(), &method.output) {
        (Some((tells, answers)), _) => (
            held,
            quote_spanned!(mixed=> #private::SignalRef<'call, #proxy, #tells, #answers>),
            call,
        ),
        (None, Output::Stream(stream)) => {
            let item = &stream.item;
            let types = kept_types(&private, method);
            (
                held,
                quote_spanned!(mixed=> #private::Items<'call, #proxy, #types, #item>),
                quote_spanned!(mixed=> #private::Items::new(#call)),
            )
        }
        (None, output) => {
            let ok = signature::ok_type(&private, output);
            let failure = signature::failure_type(&private, output);
            let parameters = signature::elided_parameters(method);
            (
                quote_spanned!(mixed=> (&self #parameters)),
                quote_spanned!(mixed=> #private::Result<#ok, #failure>),
                quote_spanned!(mixed=> #call.wait()),
            )
        }
    };
    quote_spanned! {mixed=>
        #attrs
        #deprecated
        #[inline]
        #vis fn #ident #parameters -> #output {
            #body
        }
    }
}
