//! What makes a proxy a reference: it is made of an object or of what a frame brought, travels, and compares.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{near, proxy};
use crate::model::Interface;

/// `Proxy`, serde's traits, comparison, and the way to the proxies of extended interfaces.
pub(super) fn implementations(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let name = interface.generated("", "Proxy");
    let mut tokens = proxy_implementation(interface);
    tokens.extend(quote_spanned! {mixed=>
        #[automatically_derived]
        impl #private::serde::Serialize for #name {
            fn serialize<S: #private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                #private::serialize_proxy(self, serializer)
            }
        }

        #[automatically_derived]
        impl<'de> #private::serde::Deserialize<'de> for #name {
            fn deserialize<D: #private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                #private::deserialize_proxy(deserializer)
            }
        }

        #[automatically_derived]
        impl ::core::cmp::PartialEq for #name {
            fn eq(&self, other: &Self) -> ::core::primitive::bool {
                #private::equal(self, other)
            }
        }

        #[automatically_derived]
        impl ::core::cmp::Eq for #name {}

        #[automatically_derived]
        impl ::core::hash::Hash for #name {
            fn hash<H: ::core::hash::Hasher>(&self, state: &mut H) {
                #private::hash_proxy(self, state);
            }
        }
    });
    tokens.extend(conversions(interface));
    tokens
}

fn proxy_implementation(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let (name, near) = (
        interface.generated("", "Proxy"),
        interface.generated("__", "Near"),
    );
    let blocking = interface.generated("", "Blocking");
    let fields = proxy::base_fields(interface);
    let base_proxies: Vec<_> = interface.bases.iter().map(|base| &base.proxy).collect();
    quote_spanned! {mixed=>
        #[automatically_derived]
        impl #private::Proxy for #name {
            type Near = dyn #near;
            type Blocking = #blocking;
            const DESCRIPTOR: &'static #private::Interface = Self::DESCRIPTOR;

            fn target(&self) -> &#private::Target<dyn #near> {
                &self.target
            }

            fn export_near(near: &#private::Arc<dyn #near>) -> #private::Arc<#private::Export> {
                #near::__export(#private::Clone::clone(near))
            }

            fn from_remote(remote: #private::Remote) -> Self {
                Self {
                    #(#fields: <#base_proxies as #private::Proxy>::from_remote(#private::Clone::clone(&remote)),)*
                    target: #private::Target::remote(remote),
                }
            }

            fn from_export(export: &#private::Arc<#private::Export>) -> #private::Option<Self> {
                #private::Some(Self {
                    #(#fields: <#base_proxies as #private::Proxy>::from_export(export)?,)*
                    target: #private::Target::near(export.near::<dyn #near>()?),
                })
            }

            fn set_options(&mut self, options: &#private::Arc<#private::ProxyOptions>) {
                #(#private::Proxy::set_options(&mut self.#fields, options);)*
                self.target.set_options(options);
            }
        }
    }
}

/// A proxy is used as the proxy of what its interface extends: by dereferencing for the first, by conversion for all.
fn conversions(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let name = interface.generated("", "Proxy");
    let fields = proxy::base_fields(interface);
    let mut tokens = TokenStream::new();
    for (index, (field, base)) in fields.iter().zip(&interface.bases).enumerate() {
        let base_proxy = &base.proxy;
        if index == 0 {
            tokens.extend(quote_spanned! {mixed=>
                #[automatically_derived]
                impl ::core::ops::Deref for #name {
                    type Target = #base_proxy;

                    fn deref(&self) -> &#base_proxy {
                        &self.#field
                    }
                }
            });
        }
        tokens.extend(quote_spanned! {mixed=>
            #[automatically_derived]
            impl ::core::convert::From<#name> for #base_proxy {
                fn from(proxy: #name) -> Self {
                    proxy.#field
                }
            }
        });
    }
    tokens
}

/// `Serve`: a proxy is made of any object that implements the interface.
pub(super) fn serving(interface: &Interface) -> TokenStream {
    let mixed = Span::mixed_site();
    let private = interface.private();
    let name = interface.generated("", "Proxy");
    let (access, bounds) = (near::access(interface), near::bounds(interface));
    let target = near::target(interface);
    quote_spanned! {mixed=>
        #[automatically_derived]
        impl<__A: #access> #private::Serve<__A> for #name #bounds {
            fn serve(entry: #private::Arc<#private::Entry<__A>>) -> Self {
                Self { #target }
            }
        }
    }
}
