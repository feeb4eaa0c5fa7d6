//! Types and doc comments as text, as people write them.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// Tokens as rustfmt would show them, for the tokens of which types consist.
pub(crate) fn of(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    write(&mut text, tokens.to_token_stream());
    text.trim_end().to_owned()
}

fn write(text: &mut String, tokens: TokenStream) {
    let mut after_lifetime_tick = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{ ", " }"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(text, group.stream());
                text.truncate(text.trim_end().len());
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                match (punct.as_char(), punct.spacing()) {
                    (',' | ';', _) => text.extend([punct.as_char(), ' ']),
                    ('+' | '=', Spacing::Alone) | ('-', Spacing::Joint) => {
                        text.extend([' ', punct.as_char(), ' '])
                    }
                    ('>', _) if text.ends_with("- ") => {
                        text.pop();
                        text.push_str("> ");
                    }
                    (':', Spacing::Alone) if !text.ends_with(':') => text.push_str(": "),
                    (letter, _) => text.push(letter),
                }
                after_lifetime_tick = punct.as_char() == '\'';
                continue;
            }
            word => {
                let word_before =
                    |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '>');
                if text.ends_with(word_before) && !after_lifetime_tick {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
        after_lifetime_tick = false;
    }
}

/// The text of the doc comments among the attributes.
pub(crate) fn docs(attrs: &[Attribute]) -> String {
    let lines: Vec<String> = attrs.iter().filter_map(doc_line).collect();
    let lines = lines.iter().flat_map(|line| line.split('\n'));
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n").trim().to_owned()
}

fn doc_line(attr: &Attribute) -> Option<String> {
    match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(line),
                ..
            }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_they_are_written() {
        for written in [
            "&str",
            "&'a mut Vec<(u32, Option<&str>)>",
            "[u8; 16]",
            "Box<dyn Fn(u32) -> bool + Send>",
            "<Vec<u8> as Trait>::Item",
            "impl Stream<Item = Track>",
            "std::collections::HashMap<String, ()>",
            "impl Iterator<Item: Clone>",
        ] {
            let ty: syn::Type = syn::parse_str(written).expect("a type");
            assert_eq!(of(&ty), written);
        }
    }

    #[test]
    fn docs_lose_the_space_that_begins_each_line() {
        let item: syn::ItemStruct = syn::parse_quote! {
            /// First.
            ///
            ///  - indented
            struct S;
        };
        assert_eq!(docs(&item.attrs), "First.\n\n - indented");
    }
}
