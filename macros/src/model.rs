//! What a trait says, read from its syntax: an [`Interface`] of [`Method`]s and their [`Argument`]s.

mod method;
mod seen;
mod signal;

use proc_macro2::{Ident, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt;
use syn::{
    Attribute, Generics, ItemTrait, Path, Token, TraitItem, TraitItemFn, Type, TypeParamBound,
    Visibility,
};

use crate::args::{self, MethodArgs, TraitArgs};
use crate::ctxt::Ctxt;
use crate::types::{Output, Passing, Payload};
use crate::{symbol, text};
use seen::SeenTypes;

/// An exposed trait.
pub(crate) struct Interface {
    /// The attributes of the trait, without ours and without `deprecated`.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) unsafety: Option<Token![unsafe]>,
    pub(crate) ident: Ident,
    /// Not empty only where an error is reported.
    pub(crate) generics: Generics,
    /// All bounds of the trait, as written.
    pub(crate) supertraits: Vec<TypeParamBound>,
    /// The supertraits that are interfaces.
    pub(crate) bases: Vec<Base>,
    pub(crate) items: Vec<Item>,
    /// The name on the wire.
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) deprecated: Option<Attribute>,
    /// The path of the runtime crate.
    pub(crate) root: Path,
    pub(crate) local: bool,
    pub(crate) callback: bool,
    /// False where the head of the trait is wrong in such a way that no object can be served through it.
    pub(crate) servable: bool,
}

/// An interface that another one extends.
pub(crate) struct Base {
    /// Its trait.
    pub(crate) path: Path,
    /// Its proxy.
    pub(crate) proxy: Path,
}

/// What stands in an exposed trait.
#[expect(
    clippy::large_enum_variant,
    reason = "there are few, and they live for one expansion"
)]
pub(crate) enum Item {
    /// A method that can be called from elsewhere.
    Method(Method),
    /// A method that stays off the wire: `#[local]`.
    Local(TraitItemFn),
    /// A method that an error is reported for.
    Broken(TraitItemFn),
    /// Anything else; an error is reported for it.
    Other(TraitItem),
}

/// A method that can be called from elsewhere.
pub(crate) struct Method {
    /// The method as written, without the helper attributes.
    pub(crate) source: TraitItemFn,
    pub(crate) args: MethodArgs,
    /// The name on the wire.
    pub(crate) name: String,
    /// Whether it takes `&mut self`.
    pub(crate) exclusive: bool,
    /// Of a signal: what its receivers answer, if anything.
    pub(crate) arguments: Vec<Argument>,
    /// Of a signal: what it tells.
    pub(crate) output: Output,
    pub(crate) deprecated: Option<Attribute>,
}

/// An argument of a method.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    /// The name on the wire.
    pub(crate) name: String,
    /// The type as text, as written.
    pub(crate) type_name: String,
    pub(crate) passing: Passing,
}

impl Interface {
    /// Reads a trait, reporting what cannot be part of an interface.
    pub(crate) fn read(ctxt: &Ctxt, mut args: TraitArgs, mut source: ItemTrait) -> Self {
        take_trait_attributes(ctxt, &mut args, &mut source.attrs);
        let deprecated = take_deprecated(&mut source.attrs);
        let servable = head_is_servable(ctxt, &source);
        let bases = source
            .supertraits
            .iter()
            .filter_map(|bound| base(ctxt, bound))
            .collect();
        let items = read_items(ctxt, source.items);
        Interface {
            docs: text::docs(&source.attrs),
            attrs: source.attrs,
            vis: source.vis,
            unsafety: source.unsafety,
            name: args
                .name
                .map_or_else(|| source.ident.unraw().to_string(), |name| name.value()),
            ident: source.ident,
            generics: source.generics,
            supertraits: source
                .supertraits
                .into_iter()
                .filter(is_definable)
                .collect(),
            bases,
            items,
            deprecated,
            root: args.root.unwrap_or_else(|| syn::parse_quote!(::farref)),
            local: args.local.is_some(),
            callback: args.callback.is_some(),
            servable,
        }
    }

    /// What callers of a method are warned of: its own deprecation, or that of the interface.
    pub(crate) fn deprecation<'a>(&'a self, method: &'a Method) -> Option<&'a Attribute> {
        method.deprecated.as_ref().or(self.deprecated.as_ref())
    }

    /// The methods that can be called.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.items.iter().filter_map(|item| match item {
            Item::Method(method) => Some(method),
            _ => None,
        })
    }

    /// Whether any method takes `&mut self`, so that the object must be served one call at a time.
    pub(crate) fn exclusive(&self) -> bool {
        self.methods().any(|method| method.exclusive)
    }

    /// The name of a generated item: `JukeboxProxy`. It is found where the trait's name is, but lints and
    /// diagnostics know that nobody wrote it.
    pub(crate) fn generated(&self, before: &str, after: &str) -> Ident {
        let span = self
            .ident
            .span()
            .resolved_at(proc_macro2::Span::mixed_site());
        format_ident!("{before}{}{after}", self.ident, span = span)
    }

    /// The private module of the runtime crate.
    pub(crate) fn private(&self) -> TokenStream {
        let root = &self.root;
        let mixed = proc_macro2::Span::mixed_site();
        quote::quote_spanned!(mixed=> #root::__private)
    }
}

impl Item {
    /// Turns a method into one that an error is reported for.
    pub(crate) fn break_method(&mut self) {
        if let Item::Method(method) = self {
            *self = Item::Broken(method.source.clone());
        }
    }
}

/// Takes our attributes off the trait: a second `#[expose]`, `#[callback]`, and helpers that are misplaced.
fn take_trait_attributes(ctxt: &Ctxt, args: &mut TraitArgs, attrs: &mut Vec<Attribute>) {
    attrs.retain(|attr| {
        let Some(name) = args::helper_name(attr.path()) else {
            return true;
        };
        match name.as_str() {
            "callback" if args.callback.is_none() => args.callback = Some(attr.path().clone()),
            "callback" | "expose" => {
                ctxt.error(attr, format!("`{name}` is given twice: remove one"))
            }
            other if symbol::METHOD_ATTRIBUTES.contains(&other) => {
                let help = match other {
                    "name" | "local" => format!(
                        "on a trait this is an option: write `#[expose({})]`",
                        text::of(&attr.meta)
                    ),
                    _ => {
                        format!("`#[{other}]` is said of a method, not of the trait: move it there")
                    }
                };
                ctxt.error(attr.path(), help);
            }
            _ => return true,
        }
        false
    });
}

/// Reports what the head of an interface cannot have, and says whether objects can be served all the same.
fn head_is_servable(ctxt: &Ctxt, source: &ItemTrait) -> bool {
    if let Some(unsafety) = &source.unsafety {
        ctxt.error(
            unsafety,
            "a caller elsewhere cannot vouch for safety: remove `unsafe`",
        );
    }
    if let Some(auto) = &source.modifiers.auto_token {
        ctxt.error(
            auto,
            "an interface is implemented by its objects, one by one: remove `auto`",
        );
    }
    let generics = &source.generics;
    for param in &generics.params {
        let help = match param {
            syn::GenericParam::Lifetime(_) => {
                "an interface has no lifetimes, because its objects outlive every call: remove this, \
                 and name lifetimes on methods"
            }
            _ => {
                "an interface cannot be generic, the wire needs one type: use a concrete type, or one trait for each type"
            }
        };
        ctxt.error(param, help);
    }
    if let Some(clause) = &generics.where_clause {
        ctxt.error(clause, "an interface has no `where` clause: write bounds after its name, `trait Jukebox: Debug`");
    }
    generics.params.is_empty() && generics.where_clause.is_none()
}

/// The interface that a bound names, unless the bound is something else or wrong.
fn base(ctxt: &Ctxt, bound: &TypeParamBound) -> Option<Base> {
    let bound = match bound {
        TypeParamBound::Trait(bound) => bound,
        TypeParamBound::Lifetime(lifetime) => {
            if lifetime.ident != "static" {
                ctxt.error(lifetime, "objects outlive every call: remove this lifetime");
            }
            return None;
        }
        other => {
            ctxt.error(
                other,
                "this bound is not understood by `#[expose]`: remove it",
            );
            return None;
        }
    };
    if let Some(maybe) = &bound.maybe {
        ctxt.error(maybe, "objects have a size: remove this bound");
        return None;
    }
    if let Some(lifetimes) = &bound.lifetimes {
        ctxt.error(
            lifetimes,
            "an interface has no lifetimes: name the interface alone",
        );
        return None;
    }
    let last = bound.path.segments.last()?;
    if symbol::is_standard_trait(&last.ident.to_string()) {
        return None;
    }
    if !last.arguments.is_none() {
        ctxt.error(
            &last.arguments,
            "interfaces are not generic: name the interface alone",
        );
        return None;
    }
    let mut proxy = bound.path.clone();
    if let Some(last) = proxy.segments.last_mut() {
        last.ident = format_ident!("{}Proxy", last.ident, span = last.ident.span());
    }
    Some(Base {
        path: bound.path.clone(),
        proxy,
    })
}

/// Whether the compiler takes a bound of a trait; what it rejects, we have reported.
fn is_definable(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => bound.maybe.is_none(),
        TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
        _ => false,
    }
}

fn read_items(ctxt: &Ctxt, items: Vec<TraitItem>) -> Vec<Item> {
    // What mentions an associated type is wrong because of that type, which is reported where it is declared.
    let has_types = items.iter().any(|item| matches!(item, TraitItem::Type(_)));
    let mut types = SeenTypes::default();
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            ctxt.at(index + 1);
            let item = read_item(ctxt, item, has_types);
            match item {
                Item::Method(mut method) => {
                    types.unify(&mut method);
                    Item::Method(method)
                }
                other => other,
            }
        })
        .collect()
}

fn read_item(ctxt: &Ctxt, item: TraitItem, has_types: bool) -> Item {
    match item {
        TraitItem::Fn(source) => {
            if has_types && text::of(&source.sig).contains("Self::") {
                return Item::Broken(source);
            }
            method::read(ctxt, source)
        }
        TraitItem::Const(item) => {
            ctxt.error(
                &item.ident,
                format!(
                    "only methods can be exposed, move `{}` out of the trait",
                    item.ident
                ),
            );
            Item::Other(TraitItem::Const(item))
        }
        TraitItem::Type(item) => {
            let help = format!(
                "only methods can be exposed, move `{}` out of the trait and name a concrete type",
                item.ident
            );
            ctxt.error(&item.ident, help);
            Item::Other(TraitItem::Type(item))
        }
        TraitItem::Macro(item) => {
            let help = "a macro call hides methods from `#[expose]`: write the methods out";
            ctxt.error(&item.mac, help);
            Item::Other(TraitItem::Macro(item))
        }
        other => read_unusual(ctxt, other),
    }
}

/// Reads an item that syn leaves as tokens: one with a visibility, or with syntax that it does not know.
fn read_unusual(ctxt: &Ctxt, item: TraitItem) -> Item {
    let TraitItem::Verbatim(tokens) = item else {
        ctxt.error(
            &item,
            "only methods can be exposed, move this out of the trait",
        );
        return Item::Other(item);
    };
    let with_visibility = |input: syn::parse::ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let mut source: TraitItemFn = input.parse()?;
        source.attrs = attrs;
        Ok((vis, source))
    };
    match syn::parse::Parser::parse2(with_visibility, tokens.clone()) {
        Ok((vis, source)) if !matches!(vis, Visibility::Inherited) => {
            ctxt.error(vis, "methods are as visible as their trait: remove this");
            Item::Broken(source)
        }
        _ => {
            ctxt.error(
                &tokens,
                "only methods can be exposed, move this out of the trait",
            );
            Item::Other(TraitItem::Verbatim(TokenStream::new()))
        }
    }
}

fn take_deprecated(attrs: &mut Vec<Attribute>) -> Option<Attribute> {
    let index = attrs
        .iter()
        .position(|attr| attr.path().is_ident("deprecated"))?;
    Some(attrs.remove(index))
}

impl Method {
    /// What the method's signal tells, and what its receivers answer, if it is a signal.
    pub(crate) fn signal(&self) -> Option<(Type, Type)> {
        self.args.signal.as_ref()?;
        let Output::Plain(Payload::Value(tells)) = &self.output else {
            return None;
        };
        let answers = match self.arguments.first().map(|argument| &argument.passing) {
            Some(Passing::Value(answers)) => answers.clone(),
            _ => syn::parse_quote!(()),
        };
        Some((tells.clone(), answers))
    }

    /// The `#[cfg(..)]` attributes, which everything generated for the method repeats.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        conditions(&self.source.attrs)
    }

    /// The name of the method in generated traits, where it must not be in the user's way.
    pub(crate) fn mangled(&self) -> Ident {
        let ident = self.source.sig.ident.unraw();
        format_ident!("__{ident}", span = self.ident().span())
    }

    /// The method's name. It is found where the user's is, but lints and diagnostics know that nobody wrote it.
    pub(crate) fn ident(&self) -> Ident {
        let mut ident = self.source.sig.ident.clone();
        ident.set_span(ident.span().resolved_at(proc_macro2::Span::mixed_site()));
        ident
    }
}

/// The `#[cfg(..)]` attributes among these.
pub(crate) fn conditions(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
}
