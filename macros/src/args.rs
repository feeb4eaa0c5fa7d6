//! The grammar of the attributes: what may be written, and nothing else.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, Expr, ExprLit, LitStr, Meta, Path, Token, token};

use crate::ctxt::Ctxt;
use crate::symbol;

/// The longest name that may cross the wire, in bytes.
const LONGEST_NAME: usize = 128;

/// What `#[expose(..)]` and `#[callback]` say about an interface.
#[derive(Default)]
pub(crate) struct TraitArgs {
    /// `name = ".."`: the name on the wire.
    pub(crate) name: Option<LitStr>,
    /// `crate = ..`: where the runtime crate is found.
    pub(crate) root: Option<Path>,
    /// `local`: emit a trait for objects that are not `Send`, too.
    pub(crate) local: Option<Path>,
    /// `callback`: all methods are callbacks.
    pub(crate) callback: Option<Path>,
}

impl TraitArgs {
    /// Reads the tokens between the brackets of `#[expose(..)]`.
    pub(crate) fn parse(&mut self, ctxt: &Ctxt, tokens: TokenStream) {
        let parser = syn::meta::parser(|option| self.option(ctxt, &option));
        if let Err(error) = parser.parse2(tokens) {
            ctxt.syn_error(error);
        }
    }

    fn option(&mut self, ctxt: &Ctxt, option: &ParseNestedMeta<'_>) -> syn::Result<()> {
        match option_name(&option.path).as_str() {
            "name" => {
                let name = string(option, "name = \"media.Jukebox\"")?;
                once(ctxt, &option.path, &mut self.name, valid_name(ctxt, name));
            }
            "crate" => {
                let root = crate_path(option)?;
                once(ctxt, &option.path, &mut self.root, Some(root));
            }
            "local" => once(ctxt, &option.path, &mut self.local, flag(option)?),
            "callback" => once(ctxt, &option.path, &mut self.callback, flag(option)?),
            other => {
                let help = if symbol::METHOD_OPTIONS.contains(&other)
                    || symbol::METHOD_ATTRIBUTES.contains(&other)
                {
                    format!("`{other}` is said of a method, not of the trait: move it there")
                } else {
                    unknown("option", other, symbol::TRAIT_OPTIONS)
                };
                ctxt.error(&option.path, help);
                skip_value(option)?;
            }
        }
        Ok(())
    }
}

/// An attribute that was given, for messages to point at.
pub(crate) type Given = Option<Path>;

/// What the helper attributes of a method say.
#[derive(Default)]
pub(crate) struct MethodArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) oneway: Given,
    /// `#[oneway(ordered)]`
    pub(crate) ordered: bool,
    pub(crate) callback: Given,
    pub(crate) attribute: Given,
    pub(crate) signal: Given,
    pub(crate) local: Given,
    pub(crate) idempotent: Given,
    pub(crate) no_cancel: Given,
    pub(crate) blocking: Given,
    pub(crate) spawn: Given,
}

impl MethodArgs {
    /// Takes the helper attributes out of `attrs`; what is not ours stays.
    pub(crate) fn take(ctxt: &Ctxt, attrs: &mut Vec<Attribute>) -> Self {
        let mut args = MethodArgs::default();
        attrs.retain(|attr| !args.read(ctxt, attr));
        args
    }

    /// Reads one attribute, and says whether it is dealt with.
    fn read(&mut self, ctxt: &Ctxt, attr: &Attribute) -> bool {
        let path = attr.path();
        let Some(name) = helper_name(path) else {
            return false;
        };
        match name.as_str() {
            "oneway" => {
                self.ordered |= ordered(ctxt, attr);
                once(ctxt, path, &mut self.oneway, Some(path.clone()));
            }
            "callback" => once(ctxt, path, &mut self.callback, bare(ctxt, attr)),
            "attribute" => once(ctxt, path, &mut self.attribute, bare(ctxt, attr)),
            "signal" => once(ctxt, path, &mut self.signal, bare(ctxt, attr)),
            "local" => once(ctxt, path, &mut self.local, bare(ctxt, attr)),
            "idempotent" => once(ctxt, path, &mut self.idempotent, bare(ctxt, attr)),
            "no_cancel" => once(ctxt, path, &mut self.no_cancel, bare(ctxt, attr)),
            "blocking" => once(ctxt, path, &mut self.blocking, bare(ctxt, attr)),
            "name" => once(ctxt, path, &mut self.name, name_value(ctxt, attr)),
            "expose" => self.expose(ctxt, attr),
            "cfg_attr" => return conditional_helper(ctxt, attr),
            other => {
                if symbol::similar(other, symbol::METHOD_ATTRIBUTES).is_none() {
                    return false;
                }
                ctxt.error(path, unknown("attribute", other, symbol::METHOD_ATTRIBUTES));
            }
        }
        true
    }

    /// Reads `#[expose(name = "..", spawn)]` on a method.
    fn expose(&mut self, ctxt: &Ctxt, attr: &Attribute) {
        if let Meta::Path(path) = &attr.meta {
            let help = "every method is exposed already: remove this, or write `#[local]` for one that is not";
            ctxt.error(path, help);
            return;
        }
        let read = attr.parse_nested_meta(|option| {
            match option_name(&option.path).as_str() {
                "name" => {
                    let name = string(&option, "name = \"play\"")?;
                    once(ctxt, &option.path, &mut self.name, valid_name(ctxt, name));
                }
                "spawn" => once(ctxt, &option.path, &mut self.spawn, flag(&option)?),
                other => {
                    let help = if symbol::METHOD_ATTRIBUTES.contains(&other) {
                        format!("`{other}` is an attribute of its own: write `#[{other}]`")
                    } else if symbol::TRAIT_OPTIONS.contains(&other) {
                        format!("`{other}` is said of the trait, not of a method: move it there")
                    } else {
                        unknown("option", other, symbol::METHOD_OPTIONS)
                    };
                    ctxt.error(&option.path, help);
                    skip_value(&option)?;
                }
            }
            Ok(())
        });
        if let Err(error) = read {
            ctxt.syn_error(error);
        }
    }
}

/// The name of an attribute that may be one of ours: `oneway`, or `farref::oneway`.
pub(crate) fn helper_name(path: &Path) -> Option<String> {
    let last = path.segments.last()?.ident.unraw().to_string();
    match path.segments.len() {
        1 => Some(last),
        2 if path.segments[0].ident == "farref" => Some(last),
        _ => None,
    }
}

/// Stores what an attribute or option says, unless it was said before.
fn once<T>(ctxt: &Ctxt, path: &Path, slot: &mut Option<T>, value: Option<T>) {
    if slot.is_some() {
        ctxt.error(
            path,
            format!("`{}` is given twice: remove one", option_name(path)),
        );
    } else {
        *slot = value;
    }
}

fn option_name(path: &Path) -> String {
    path.segments
        .last()
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}

/// An option that takes no value.
fn flag(option: &ParseNestedMeta<'_>) -> syn::Result<Option<Path>> {
    if option.input.is_empty() || option.input.peek(Token![,]) {
        return Ok(Some(option.path.clone()));
    }
    let name = option_name(&option.path);
    Err(option.error(format!("`{name}` takes no value: write `{name}` alone")))
}

/// The string after `name =`.
fn string(option: &ParseNestedMeta<'_>, example: &str) -> syn::Result<LitStr> {
    if !option.input.peek(Token![=]) {
        return Err(option.error(format!("a name is missing: write `{example}`")));
    }
    let value: Expr = option.value()?.parse()?;
    string_literal(&value, example)
}

fn string_literal(value: &Expr, example: &str) -> syn::Result<LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: syn::Lit::Str(name),
            ..
        }) => Ok(name.clone()),
        other => Err(syn::Error::new_spanned(
            other,
            format!("a name is a string: write `{example}`"),
        )),
    }
}

/// The path after `crate =`.
fn crate_path(option: &ParseNestedMeta<'_>) -> syn::Result<Path> {
    let example = "write `crate = my_farref`, a path without quotes";
    if !option.input.peek(Token![=]) {
        return Err(option.error(format!("the path of the crate is missing: {example}")));
    }
    let value = option.value()?;
    if value.peek(LitStr) {
        let quoted: LitStr = value.parse()?;
        return Err(syn::Error::new_spanned(
            quoted,
            format!("this is a string: {example}"),
        ));
    }
    value.call(Path::parse_mod_style)
}

/// Passes over the value of an unknown option, so that the options after it are read.
fn skip_value(option: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if option.input.peek(Token![=]) {
        option.value()?.parse::<Expr>()?;
    } else if option.input.peek(token::Paren) {
        option.input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// An attribute that is a word and nothing else.
fn bare(ctxt: &Ctxt, attr: &Attribute) -> Option<Path> {
    let path = attr.path().clone();
    if !matches!(attr.meta, Meta::Path(_)) {
        let name = option_name(&path);
        ctxt.error(
            &attr.meta,
            format!("`#[{name}]` takes nothing: write `#[{name}]` alone"),
        );
    }
    Some(path)
}

/// Whether `#[oneway]` says `(ordered)`.
fn ordered(ctxt: &Ctxt, attr: &Attribute) -> bool {
    match &attr.meta {
        Meta::Path(_) => false,
        Meta::List(list)
            if list
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "ordered") =>
        {
            true
        }
        other => {
            ctxt.error(other, "write `#[oneway]`, or `#[oneway(ordered)]` if each must end before the next starts");
            false
        }
    }
}

/// The string of `#[name = ".."]`.
fn name_value(ctxt: &Ctxt, attr: &Attribute) -> Option<LitStr> {
    let example = "#[name = \"play\"]";
    let read = match &attr.meta {
        Meta::NameValue(pair) => string_literal(&pair.value, example),
        other => Err(syn::Error::new_spanned(
            other,
            format!("a name is missing: write `{example}`"),
        )),
    };
    match read {
        Ok(name) => valid_name(ctxt, name),
        Err(error) => {
            ctxt.syn_error(error);
            None
        }
    }
}

/// Refuses names that tools could not show or that command lines could not say.
fn valid_name(ctxt: &Ctxt, name: LitStr) -> Option<LitStr> {
    let value = name.value();
    let wrong = if value.is_empty() {
        "a wire name cannot be empty".to_owned()
    } else if value.len() > LONGEST_NAME {
        format!(
            "a wire name has at most {LONGEST_NAME} bytes, this one has {}",
            value.len()
        )
    } else if let Some(letter) = value
        .chars()
        .find(|letter| !letter.is_alphanumeric() && !"_-.:".contains(*letter))
    {
        format!("a wire name consists of letters, digits and `_ - . :`, without {letter:?}")
    } else {
        return Some(name);
    };
    ctxt.error(&name, wrong);
    None
}

/// Reports a helper attribute inside `cfg_attr`: it would be expanded only after us.
fn conditional_helper(ctxt: &Ctxt, attr: &Attribute) -> bool {
    let Meta::List(list) = &attr.meta else {
        return false;
    };
    // The condition comes before the first comma, and may well contain `name = ".."`.
    let attributes = list
        .tokens
        .clone()
        .into_iter()
        .skip_while(|token| !is_comma(token));
    let mut starts = true;
    for token in attributes {
        if let TokenTree::Ident(word) = &token
            && starts
            && symbol::METHOD_ATTRIBUTES.contains(&word.to_string().as_str())
        {
            let help = format!(
                "`{word}` cannot depend on a condition, or the two ends of a call would disagree about it: \
                 write two methods with `#[cfg(..)]`"
            );
            ctxt.error(word, help);
            return true;
        }
        starts = is_comma(&token);
    }
    false
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

fn unknown(what: &str, name: &str, known: &[&'static str]) -> String {
    let valid = symbol::list(known);
    match symbol::similar(name, known) {
        Some(meant) => {
            format!("unknown {what} `{name}`, did you mean `{meant}`? valid here: {valid}")
        }
        None => format!("unknown {what} `{name}`; valid here: {valid}"),
    }
}
