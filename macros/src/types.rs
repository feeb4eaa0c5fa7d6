//! Which types can travel, how, and what to write instead of those that cannot.

use syn::{
    GenericArgument, Ident, Path, PathArguments, ReturnType, Type, TypeImplTrait, TypeParamBound,
    TypeReference,
};

use crate::text;

/// How an argument is handed over.
#[derive(Clone)]
pub(crate) enum Passing {
    /// `&str`
    Str,
    /// `&[u8]`, sent outside the codec.
    Bytes,
    /// `Vec<u8>` or `Bytes`, sent outside the codec.
    OwnedBytes(Type),
    /// `&T`
    Borrowed(Type),
    /// Anything else.
    Value(Type),
}

/// How a result is handed over.
#[derive(Clone)]
pub(crate) enum Payload {
    /// `Vec<u8>` or `Bytes`, sent outside the codec.
    Bytes(Type),
    /// Anything else.
    Value(Type),
}

/// What a method returns.
#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each method, for one expansion"
)]
pub(crate) enum Output {
    /// Nothing, or a type that is no `Result`.
    Plain(Payload),
    /// `Result<T, E>`
    Fallible(Payload, Type),
    /// An alias such as `io::Result<T>`, whose parts only the compiler can see.
    Alias(Type),
    /// `impl Stream<Item = T>`
    Stream(StreamOutput),
}

/// A stream that a method returns.
#[derive(Clone)]
pub(crate) struct StreamOutput {
    /// What its items are.
    pub(crate) item: Type,
    /// As written.
    pub(crate) type_name: String,
    /// Whether it may borrow from the object, so that the object is held until it ends.
    pub(crate) borrows: bool,
}

/// Decides how an argument travels.
pub(crate) fn passing(ty: &Type) -> syn::Result<Passing> {
    match bare(ty) {
        Type::Reference(reference) => borrowed(reference),
        Type::ImplTrait(bounds) => Err(syn::Error::new_spanned(ty, impl_argument(bounds))),
        ty if is_byte_string(ty) => Ok(Passing::OwnedBytes(ty.clone())),
        ty => {
            travels(ty, ty)?;
            Ok(Passing::Value(ty.clone()))
        }
    }
}

fn borrowed(reference: &TypeReference) -> syn::Result<Passing> {
    let refuse = |message: String| Err(syn::Error::new_spanned(reference, message));
    let owned = text::of(&owned(&reference.elem));
    if reference.mutability.is_some() {
        return refuse(format!(
            "changes to a `&mut` argument cannot travel back: take `{owned}` and return the new value"
        ));
    }
    let elem = bare(&reference.elem);
    if reference
        .lifetime
        .as_ref()
        .is_some_and(|lifetime| lifetime.ident == "static")
    {
        let elem = text::of(elem);
        return refuse(format!(
            "an argument is borrowed for the call alone: write `&{elem}` without `'static`"
        ));
    }
    match elem {
        elem if is_named(elem, "str") => Ok(Passing::Str),
        Type::Slice(slice) if is_named(&slice.elem, "u8") => Ok(Passing::Bytes),
        Type::Slice(_) => refuse(format!(
            "a borrowed slice cannot travel unless it is `&[u8]`: take `{owned}`"
        )),
        elem if unsized_counterpart(elem).is_some() => refuse(format!(
            "`{}` cannot travel as a borrow: take `{owned}`",
            text::of(elem)
        )),
        elem => {
            travels(elem, elem)?;
            Ok(Passing::Borrowed(elem.clone()))
        }
    }
}

fn impl_argument(bounds: &TypeImplTrait) -> String {
    if let Some(item) = stream_item(bounds) {
        let item = item.as_ref().map_or_else(|| "..".to_owned(), text::of);
        return format!("the wire needs one type: take a `RemoteStream<{item}>`");
    }
    if bound_names(bounds).any(|name| name.starts_with("Fn") || name.starts_with("AsyncFn")) {
        return FUNCTION.to_owned();
    }
    "calls cannot be generic, the wire needs one type: use a concrete type or an enum".to_owned()
}

/// Decides how what a method returns travels.
pub(crate) fn output(output: &ReturnType) -> syn::Result<Output> {
    let ReturnType::Type(_, ty) = output else {
        return Ok(Output::Plain(Payload::Value(unit())));
    };
    let ty = bare(ty);
    if let Type::ImplTrait(bounds) = ty
        && let Some(item) = stream_item(bounds)
    {
        return stream_output(bounds, item).map(Output::Stream);
    }
    let Type::Path(path) = ty else {
        return Ok(Output::Plain(payload(ty)?));
    };
    match path.path.segments.last() {
        Some(last) if path.qself.is_none() && last.ident == "Result" => {
            match type_arguments(&path.path).as_slice() {
                [ok, error] => Ok(Output::Fallible(payload(ok)?, error_type(error)?)),
                _ => {
                    travels(ty, ty)?;
                    Ok(Output::Alias(ty.clone()))
                }
            }
        }
        _ => Ok(Output::Plain(payload(ty)?)),
    }
}

/// What a signal tells, and what its receivers answer, if anything.
pub(crate) fn signal(name: &Ident, output: &ReturnType) -> syn::Result<(Type, Option<Type>)> {
    let expected = format!("write `fn {name}(&self) -> &Signal<..>`");
    let ReturnType::Type(_, ty) = output else {
        return Err(syn::Error::new_spanned(
            name,
            format!("a signal is what the method returns: {expected}"),
        ));
    };
    let Type::Reference(reference) = bare(ty) else {
        let help = match is_named(ty, "Signal") {
            true => format!("a signal stays with its object, and the method lends it: {expected}"),
            false => format!("a `#[signal]` method returns a signal: {expected}"),
        };
        return Err(syn::Error::new_spanned(ty, help));
    };
    if let Some(mutability) = &reference.mutability {
        return Err(syn::Error::new_spanned(
            mutability,
            format!("nobody changes a signal by connecting to it: {expected}"),
        ));
    }
    let Some((tells, answers)) = signal_types(ty) else {
        let help = format!("a `#[signal]` method returns a signal: {expected}");
        return Err(syn::Error::new_spanned(ty, help));
    };
    travels(&tells, &tells)?;
    let answers = answers.filter(|answers| text::of(answers) != "()");
    if let Some(answers) = &answers {
        travels(answers, answers)?;
    }
    Ok((tells, answers))
}

/// The parts of `&Signal<T>` and of `&Signal<T, R>`.
pub(crate) fn signal_types(ty: &Type) -> Option<(Type, Option<Type>)> {
    let Type::Reference(reference) = bare(ty) else {
        return None;
    };
    let Type::Path(path) = bare(&reference.elem) else {
        return None;
    };
    if last_name(&path.path) != "Signal" {
        return None;
    }
    // How many there must be is for the compiler to say.
    let mut types = type_arguments(&path.path).into_iter().cloned();
    Some((types.next().unwrap_or_else(unit), types.next()))
}

fn payload(ty: &Type) -> syn::Result<Payload> {
    let refuse = |message: String| Err(syn::Error::new_spanned(ty, message));
    match bare(ty) {
        Type::Reference(_) if signal_types(ty).is_some() => refuse(
            "a signal is no result: mark the method `#[signal]`, and callers connect to it"
                .to_owned(),
        ),
        Type::Reference(_) => {
            let owned = text::of(&owned(ty));
            refuse(format!(
                "a result travels to the caller and cannot be borrowed from the object: return `{owned}`"
            ))
        }
        Type::ImplTrait(bounds) => refuse(match stream_item(bounds) {
            Some(item) => {
                let item = item.as_ref().map_or_else(|| "..".to_owned(), text::of);
                format!("a stream inside a result needs one type: write `RemoteStream<{item}>`")
            }
            None if bound_names(bounds).any(|name| name == "Future") => {
                "write `async fn` and the type of the result: `#[expose]` makes the future"
                    .to_owned()
            }
            None => "a result needs one type: write the concrete type, or an enum".to_owned(),
        }),
        Type::Never(_) => refuse(
            "a call returns, or there is nothing to answer it with: write the type".to_owned(),
        ),
        ty if is_byte_string(ty) => Ok(Payload::Bytes(ty.clone())),
        ty => {
            travels(ty, ty)?;
            Ok(Payload::Value(ty.clone()))
        }
    }
}

fn error_type(ty: &Type) -> syn::Result<Type> {
    if is_named(ty, "Box") && text::of(ty).contains("dyn ") {
        return Err(syn::Error::new_spanned(
            ty,
            "a `dyn` error has no wire form: use `String`, or an enum with `#[derive(Serialize, Deserialize)]`",
        ));
    }
    match bare(ty) {
        Type::Never(_) => Err(syn::Error::new_spanned(
            ty,
            "a call that cannot fail returns the plain type: write that",
        )),
        ty => travels(ty, ty).map(|()| ty.clone()),
    }
}

const FUNCTION: &str =
    "functions stay in their process: expose a trait with `#[callback]` and take its proxy";

/// Refuses a type, part of `whole`, that cannot cross to another process, whatever it implements.
fn travels(ty: &Type, whole: &Type) -> syn::Result<()> {
    let refuse = |message: String| Err(syn::Error::new_spanned(ty, message));
    match ty {
        Type::Reference(_) => {
            let owned = text::of(&owned(whole));
            refuse(format!("a reference inside another type cannot travel: write `{owned}`"))
        }
        Type::Path(path) if path.path.segments.first().is_some_and(|first| first.ident == "Self") => refuse(
            "`Self` is the object, which stays in its process: name a type, or the proxy of an interface".to_owned(),
        ),
        Type::Path(path) if path.qself.is_none() && path.path.is_ident("str") => {
            refuse("`str` has no size: write `&str` for an argument, `String` elsewhere".to_owned())
        }
        Type::Path(path) => path.path.segments.iter().try_for_each(|segment| arguments_travel(&segment.arguments, whole)),
        Type::Tuple(tuple) => tuple.elems.iter().try_for_each(|elem| travels(elem, whole)),
        Type::Array(array) => travels(&array.elem, whole),
        Type::Paren(paren) => travels(&paren.elem, whole),
        Type::Group(group) => travels(&group.elem, whole),
        Type::Slice(_) => refuse(format!("a slice has no size: write `{}`", text::of(&owned(ty)))),
        Type::TraitObject(object) => {
            let name = object.bounds.iter().find_map(bound_name).unwrap_or_default();
            refuse(format!("a trait object stays in its process: expose the trait `{name}` and write `{name}Proxy`"))
        }
        Type::FnPtr(_) => refuse(FUNCTION.to_owned()),
        Type::Ptr(_) => refuse("a pointer means nothing in another process: send the value".to_owned()),
        Type::ImplTrait(_) => refuse("the wire needs one type: use a concrete type or an enum".to_owned()),
        Type::Never(_) => refuse("`!` has no values to send: write the type".to_owned()),
        Type::Infer(_) => refuse("the wire needs a type: write it out".to_owned()),
        Type::Macro(_) => Ok(()),
        _ => refuse("this type is not understood by `#[expose]`: give it a name with `type`".to_owned()),
    }
}

fn arguments_travel(arguments: &PathArguments, whole: &Type) -> syn::Result<()> {
    match arguments {
        PathArguments::None => Ok(()),
        PathArguments::AngleBracketed(arguments) => {
            arguments
                .args
                .iter()
                .try_for_each(|argument| match argument {
                    GenericArgument::Lifetime(lifetime) => {
                        let owned = text::of(&owned(whole));
                        Err(syn::Error::new_spanned(
                            lifetime,
                            format!("borrowed data inside a type cannot travel: write `{owned}`"),
                        ))
                    }
                    GenericArgument::Type(ty) => travels(ty, whole),
                    _ => Ok(()),
                })
        }
        PathArguments::Parenthesized(_) => Err(syn::Error::new_spanned(arguments, FUNCTION)),
    }
}

/// The type that owns what `ty` borrows: `Option<String>` for `Option<&str>`.
fn owned(ty: &Type) -> Type {
    match ty {
        Type::Reference(reference) => owned(&reference.elem),
        Type::Paren(paren) => owned(&paren.elem),
        Type::Group(group) => owned(&group.elem),
        Type::Slice(slice) => {
            let elem = owned(&slice.elem);
            syn::parse_quote!(Vec<#elem>)
        }
        Type::Tuple(tuple) => {
            let mut tuple = tuple.clone();
            tuple.elems.iter_mut().for_each(|elem| *elem = owned(elem));
            Type::Tuple(tuple)
        }
        Type::Path(path) => {
            if let Some(counterpart) = unsized_counterpart(ty) {
                return counterpart;
            }
            if let ("Cow", [borrowed]) = (
                last_name(&path.path).as_str(),
                type_arguments(&path.path).as_slice(),
            ) {
                return owned(borrowed);
            }
            let mut path = path.clone();
            path.path
                .segments
                .iter_mut()
                .for_each(|segment| own_arguments(&mut segment.arguments));
            Type::Path(path)
        }
        other => other.clone(),
    }
}

fn own_arguments(arguments: &mut PathArguments) {
    let PathArguments::AngleBracketed(list) = arguments else {
        return;
    };
    list.args = std::mem::take(&mut list.args)
        .into_iter()
        .filter(|argument| !matches!(argument, GenericArgument::Lifetime(_)))
        .map(|argument| match argument {
            GenericArgument::Type(ty) => GenericArgument::Type(owned(&ty)),
            other => other,
        })
        .collect();
    if list.args.is_empty() {
        *arguments = PathArguments::None;
    }
}

/// The owned type beside a well-known one without a size.
fn unsized_counterpart(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    match last_name(&path.path).as_str() {
        "str" => Some(syn::parse_quote!(String)),
        "Path" => Some(syn::parse_quote!(PathBuf)),
        "OsStr" => Some(syn::parse_quote!(OsString)),
        "CStr" => Some(syn::parse_quote!(CString)),
        _ => None,
    }
}

/// Whether values of the type are bytes and nothing else, which are sent as they are.
fn is_byte_string(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    match (
        last_name(&path.path).as_str(),
        type_arguments(&path.path).as_slice(),
    ) {
        ("Vec", [elem]) => is_named(elem, "u8"),
        ("Bytes", []) => true,
        _ => false,
    }
}

/// The type without the brackets that mean nothing.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => bare(&paren.elem),
        Type::Group(group) => bare(&group.elem),
        ty => ty,
    }
}

fn is_named(ty: &Type, name: &str) -> bool {
    matches!(bare(ty), Type::Path(path) if last_name(&path.path) == name)
}

fn last_name(path: &Path) -> String {
    path.segments
        .last()
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}

fn type_arguments(path: &Path) -> Vec<&Type> {
    let Some(PathArguments::AngleBracketed(list)) =
        path.segments.last().map(|segment| &segment.arguments)
    else {
        return Vec::new();
    };
    list.args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
        .collect()
}

fn bound_names(bounds: &TypeImplTrait) -> impl Iterator<Item = String> {
    bounds.bounds.iter().filter_map(bound_name)
}

fn bound_name(bound: &TypeParamBound) -> Option<String> {
    match bound {
        TypeParamBound::Trait(bound) => Some(last_name(&bound.path)),
        _ => None,
    }
}

/// The type of the items, if the bounds are those of a stream; `None` inside if it is not said.
fn stream_item(bounds: &TypeImplTrait) -> Option<Option<Type>> {
    let stream = bounds.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) if last_name(&bound.path) == "Stream" => {
            bound.path.segments.last()
        }
        _ => None,
    })?;
    let PathArguments::AngleBracketed(list) = &stream.arguments else {
        return Some(None);
    };
    Some(list.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
        _ => None,
    }))
}

/// Whether a method that returns this returns a stream.
pub(crate) fn is_stream(ty: &Type) -> bool {
    matches!(bare(ty), Type::ImplTrait(bounds) if stream_item(bounds).is_some())
}

fn stream_output(bounds: &TypeImplTrait, item: Option<Type>) -> syn::Result<StreamOutput> {
    let Some(item) = item else {
        return Err(syn::Error::new_spanned(
            bounds,
            "the items of a stream need a type: write `impl Stream<Item = ..>`",
        ));
    };
    match bare(&item) {
        Type::ImplTrait(_) => {
            return Err(syn::Error::new_spanned(
                &item,
                "items need one type: write the concrete type, or an enum",
            ));
        }
        item => travels(item, item)?,
    }
    // `use<..>` says what is captured; a stream that captures no lifetime borrows nothing.
    let borrows = bounds.bounds.iter().all(|bound| match bound {
        TypeParamBound::PreciseCapture(capture) => capture
            .params
            .iter()
            .any(|param| matches!(param, syn::CapturedParam::Lifetime(_))),
        _ => true,
    });
    Ok(StreamOutput {
        item,
        type_name: text::of(bounds),
        borrows,
    })
}

fn unit() -> Type {
    syn::parse_quote!(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owned_form_of_a_type_is_named() {
        for (borrowed, expected) in [
            ("Option<&str>", "Option<String>"),
            ("Vec<&'a Track>", "Vec<Track>"),
            ("Cow<'a, str>", "String"),
            ("Option<Cow<'_, [u8]>>", "Option<Vec<u8>>"),
            ("(&Path, u32)", "(PathBuf, u32)"),
            ("Cursor<'a>", "Cursor"),
        ] {
            let ty: Type = syn::parse_str(borrowed).expect("a type");
            assert_eq!(text::of(&owned(&ty)), expected);
        }
    }
}
