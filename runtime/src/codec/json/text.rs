//! Writing what has no parts: strings and numbers.

use std::fmt;
use std::io::Write as _;

/// Writes a string in quotes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Writes what stands between the quotes.
fn escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let letter = match byte {
            b'"' | b'\\' => *byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        out.extend_from_slice(&[b'\\', letter]);
        if letter == b'u' {
            let digit = |number: u8| HEX[usize::from(number)];
            out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 0x0f)]);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Writes, in quotes, what something displays.
pub(super) fn displayed(value: &dyn fmt::Display, out: &mut Vec<u8>) -> fmt::Result {
    struct Escaping<'a>(&'a mut Vec<u8>);

    impl fmt::Write for Escaping<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            escaped(text, self.0);
            Ok(())
        }
    }

    out.push(b'"');
    fmt::write(&mut Escaping(out), format_args!("{value}"))?;
    out.push(b'"');
    Ok(())
}

pub(super) fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

pub(super) fn signed(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    unsigned(number.unsigned_abs(), out);
}

/// Writes a number of any other type, whose `Debug` form is a JSON number.
pub(super) fn number(number: &dyn fmt::Debug, out: &mut Vec<u8>) {
    // A vector takes whatever is written.
    let _ = write!(out, "{number:?}");
}
