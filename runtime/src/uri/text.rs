//! How names, paths and tags are written in a URI.

use std::fmt::{self, Write as _};

use super::error::UriError;

/// Tells whether a byte stands for itself in a path or a name.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
        )
}

/// Writes bytes so that they can be read back from a URI.
pub(super) fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write_escaped_but(f, bytes, &[])
}

/// The same, where these bytes mean something else and must not stand for themselves.
pub(super) fn write_escaped_but(
    f: &mut fmt::Formatter<'_>,
    bytes: &[u8],
    special: &[u8],
) -> fmt::Result {
    for &byte in bytes {
        if is_plain(byte) && !special.contains(&byte) {
            f.write_char(char::from(byte))?
        } else {
            write!(f, "%{byte:02X}")?
        }
    }
    Ok(())
}

pub(super) fn unescaped_text(text: &str) -> Result<String, UriError> {
    String::from_utf8(unescaped(text)?).map_err(|_| UriError::NotUtf8(excerpt(text)))
}

pub(super) fn unescaped(text: &str) -> Result<Vec<u8>, UriError> {
    let mut out = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match u8::try_from(character) {
            Ok(b'%') => {
                let mut digit = || characters.next().and_then(|digit| digit.to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(UriError::InvalidEscape(excerpt(text)));
                };
                out.extend(u8::try_from(high << 4 | low));
            }
            Ok(byte) if is_plain(byte) => out.push(byte),
            _ => {
                return Err(UriError::InvalidCharacter {
                    character,
                    text: excerpt(text),
                });
            }
        }
    }
    Ok(out)
}

/// Shortens a text for an error message, since a stranger may have written it.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
