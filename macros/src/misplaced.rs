//! Attributes where they mean nothing.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Item;

/// What to say about `#[expose]` or `#[callback]` on something that is no trait.
pub(crate) fn not_a_trait(attribute: &str, item: &Item) -> syn::Error {
    let help = match item {
        Item::Impl(_) => format!(
            "`#[{attribute}]` goes on the trait; an `impl` needs no attribute: remove it here"
        ),
        Item::Struct(syn::ItemStruct { ident, .. })
        | Item::Enum(syn::ItemEnum { ident, .. })
        | Item::Union(syn::ItemUnion { ident, .. }) => {
            format!(
                "`#[{attribute}]` goes on a trait: write a trait with the methods, and implement it for `{ident}`"
            )
        }
        Item::Fn(function) => {
            let name = &function.sig.ident;
            format!("`#[{attribute}]` goes on a trait: make `{name}` a method of one")
        }
        Item::TraitAlias(alias) => {
            let name = &alias.ident;
            format!("`#[{attribute}]` goes on a trait with methods: write `trait {name}: .. {{ }}`")
        }
        _ => format!("`#[{attribute}]` goes on a trait"),
    };
    syn::Error::new(Span::call_site(), help)
}

/// The answer to a helper attribute that no `#[expose]` has consumed, with the item as it is.
pub(crate) fn helper(name: &str, item: &TokenStream) -> TokenStream {
    let help = format!("`#[{name}]` belongs on a method of a trait with `#[expose]`");
    let mut tokens = syn::Error::new(Span::call_site(), help).to_compile_error();
    item.to_tokens(&mut tokens);
    tokens
}
