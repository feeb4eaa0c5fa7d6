//! Reading the words, strings and numbers of a text.

use std::borrow::Cow;

use serde::de::{Error as _, Expected, Unexpected};

use crate::codec::Meter;
use crate::codec::failure::Failure;

/// How much of the text an error shows, in characters.
const EXCERPT: usize = 20;

/// How many digits any `u64` can have.
const MOST_DIGITS: usize = 19;

/// What is left of a text.
pub(super) struct Reader<'de, 'm> {
    pub(super) rest: &'de [u8],
    pub(super) meter: &'m Meter,
}

/// A number, and what Rust makes of it.
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// A number as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct Digits<'de> {
    pub(super) text: &'de str,
    pub(super) is_integer: bool,
}

/// Drops the white space at the beginning.
pub(in crate::codec) fn skip_space(bytes: &[u8]) -> &[u8] {
    let space = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .count();
    &bytes[space..]
}

impl<'de> Reader<'de, '_> {
    /// Looks at the byte with which the next word begins.
    pub(super) fn peek(&mut self) -> Result<u8, Failure> {
        self.rest = skip_space(self.rest);
        match self.rest {
            [byte, ..] => Ok(*byte),
            [] => Err(self.expected("")),
        }
    }

    /// Passes over one byte.
    pub(super) fn pass(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Passes over a mark, after white space.
    pub(super) fn mark(&mut self, mark: u8) -> Result<(), Failure> {
        if self.peek()? == mark {
            self.pass();
            return Ok(());
        }
        Err(self.expected(match mark {
            b':' => "expected `:`",
            b']' => "expected `]`",
            b'}' => "expected `}`",
            b'"' => "expected a string",
            _ => "expected a value",
        }))
    }

    /// Steps to the next part of an array or an object that ends with `end`; tells whether there is one.
    pub(super) fn step(&mut self, first: &mut bool, end: u8) -> Result<bool, Failure> {
        let first = std::mem::take(first);
        match self.peek()? {
            byte if byte == end => Ok(false),
            _ if first => Ok(true),
            b',' => {
                self.pass();
                Ok(true)
            }
            _ if end == b']' => Err(self.expected("expected `,` or `]`")),
            _ => Err(self.expected("expected `,` or `}`")),
        }
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), Failure> {
        match self.rest.strip_prefix(word.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None if word.as_bytes().starts_with(self.rest) => Err(self.end()),
            None => Err(self.expected("expected a value")),
        }
    }

    /// Reads a string, which is borrowed unless there are escapes in it.
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, Failure> {
        self.mark(b'"')?;
        let plain = self.plain()?;
        if self.rest.first() == Some(&b'"') {
            self.pass();
            return match std::str::from_utf8(plain) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(Failure::not_utf8()),
            };
        }
        let mut text = plain.to_vec();
        while self.rest.first() == Some(&b'\\') {
            self.pass();
            let letter = self.escape()?;
            text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            text.extend_from_slice(self.plain()?);
        }
        self.pass();
        match String::from_utf8(text) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(_) => Err(Failure::not_utf8()),
        }
    }

    /// Reads up to the next quote or backslash.
    fn plain(&mut self) -> Result<&'de [u8], Failure> {
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let Some(length) = self.rest.iter().position(special) else {
            return Err(self.end());
        };
        let (plain, rest) = self.rest.split_at(length);
        self.rest = rest;
        match rest {
            [b'"' | b'\\', ..] => Ok(plain),
            _ => Err(self.expected("expected no control character in a string")),
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, Failure> {
        let letter = match self.rest.first() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.escaped_unit(),
            Some(_) => return Err(self.expected("expected an escape")),
            None => return Err(self.end()),
        };
        self.pass();
        Ok(letter)
    }

    /// Reads `uXXXX`, or two of them for a character beyond the first plane.
    fn escaped_unit(&mut self) -> Result<char, Failure> {
        let first = self.unit()?;
        let units = match first {
            0xd800..0xdc00 => {
                if self.rest.first() == Some(&b'\\') {
                    self.pass();
                }
                [first, self.unit()?]
            }
            _ => [first, 0],
        };
        match char::decode_utf16(units).next() {
            Some(Ok(letter)) => Ok(letter),
            _ => Err(Failure::new(
                "a string has half of a surrogate pair without the other",
            )),
        }
    }

    fn unit(&mut self) -> Result<u16, Failure> {
        let digits = match self.rest.split_at_checked(5) {
            Some(([b'u', digits @ ..], rest)) if digits.iter().all(u8::is_ascii_hexdigit) => {
                self.rest = rest;
                digits
            }
            Some(_) => return Err(self.expected("expected `u` and four hexadecimal digits")),
            None => return Err(self.end()),
        };
        Ok(digits.iter().fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16).unwrap_or_default();
            unit << 4 | digit as u16
        }))
    }

    /// Reads a number without looking at its value.
    pub(super) fn digits(&mut self) -> Result<Digits<'de>, Failure> {
        let sign = self.peek()?;
        let start = self.rest;
        let mut is_integer = true;
        if sign == b'-' {
            self.pass();
        }
        match self.rest.first() {
            Some(b'0') => self.pass(),
            _ => self.some_digits()?,
        }
        if self.rest.first() == Some(&b'.') {
            is_integer = false;
            self.pass();
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            is_integer = false;
            self.pass();
            if let Some(b'+' | b'-') = self.rest.first() {
                self.pass();
            }
            self.some_digits()?;
        }
        let length = start.len() - self.rest.len();
        match std::str::from_utf8(&start[..length]) {
            Ok(text) => Ok(Digits { text, is_integer }),
            Err(_) => Err(Failure::not_utf8()),
        }
    }

    fn some_digits(&mut self) -> Result<(), Failure> {
        let count = self.count_digits();
        if count == 0 {
            return Err(self.expected("expected a digit"));
        }
        self.rest = &self.rest[count..];
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<Number, Failure> {
        if let Some(number) = self.small() {
            return Ok(Number::Unsigned(number));
        }
        let digits = self.digits()?;
        if digits.is_integer {
            if let Ok(number) = digits.text.parse() {
                return Ok(Number::Unsigned(number));
            }
            // Among the integers there is no negative zero.
            if let Ok(number @ ..0) = digits.text.parse() {
                return Ok(Number::Signed(number));
            }
        }
        match digits.text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Number::Float(number)),
            _ => Err(Failure::new("a number is too large")),
        }
    }

    /// Reads an integer without a sign, of so few digits that none is lost; most numbers are such.
    fn small(&mut self) -> Option<u64> {
        let count = self.count_digits();
        match (self.rest.get(..count)?, self.rest.get(count)) {
            ([] | [b'0', _, ..], _) | (_, Some(b'.' | b'e' | b'E')) => None,
            (digits, _) if count <= MOST_DIGITS => {
                self.rest = &self.rest[count..];
                let add = |number, digit: &u8| 10 * number + u64::from(digit - b'0');
                Some(digits.iter().fold(0, add))
            }
            _ => None,
        }
    }

    fn count_digits(&self) -> usize {
        let others = |byte: &u8| !byte.is_ascii_digit();
        self.rest.iter().position(others).unwrap_or(self.rest.len())
    }

    /// Passes over a whole value.
    pub(super) fn skip(&mut self) -> Result<(), Failure> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'-' | b'0'..=b'9' => self.digits().map(drop),
            byte @ (b'[' | b'{') => {
                self.meter.enter()?;
                let result = self.skip_parts(if byte == b'[' { b']' } else { b'}' });
                self.meter.leave();
                result
            }
            _ => Err(self.expected("expected a value")),
        }
    }

    fn skip_parts(&mut self, end: u8) -> Result<(), Failure> {
        self.pass();
        let mut first = true;
        while self.step(&mut first, end)? {
            if end == b'}' {
                self.string()?;
                self.mark(b':')?;
            }
            self.skip()?;
        }
        self.mark(end)
    }

    /// Makes the failure for a value of another kind than a type expects.
    #[cold]
    pub(super) fn unexpected(&mut self, expected: &dyn Expected) -> Failure {
        match self.unexpected_value(expected) {
            Ok(failure) | Err(failure) => failure,
        }
    }

    fn unexpected_value(&mut self, expected: &dyn Expected) -> Result<Failure, Failure> {
        let invalid = |found: Unexpected<'_>| Ok(Failure::invalid_type(found, expected));
        match self.peek()? {
            b'n' => {
                self.word("null")?;
                invalid(Unexpected::Other("null"))
            }
            b't' => {
                self.word("true")?;
                invalid(Unexpected::Bool(true))
            }
            b'f' => {
                self.word("false")?;
                invalid(Unexpected::Bool(false))
            }
            b'"' => invalid(Unexpected::Str(&self.string()?)),
            b'[' => invalid(Unexpected::Seq),
            b'{' => invalid(Unexpected::Map),
            b'-' | b'0'..=b'9' => invalid(match self.number()? {
                Number::Unsigned(number) => Unexpected::Unsigned(number),
                Number::Signed(number) => Unexpected::Signed(number),
                Number::Float(number) => Unexpected::Float(number),
            }),
            _ => Err(self.expected("expected a value")),
        }
    }

    #[cold]
    fn end(&self) -> Failure {
        Failure::new("the text ends in the middle of a value")
    }

    /// Makes the failure for something else than may stand here.
    #[cold]
    fn expected(&self, what: &str) -> Failure {
        if self.rest.is_empty() {
            return self.end();
        }
        let window = &self.rest[..self.rest.len().min(4 * EXCERPT)];
        let text = String::from_utf8_lossy(window);
        let excerpt: String = text.chars().take(EXCERPT).collect();
        Failure::custom(format_args!("{what}, found {excerpt:?}"))
    }
}
