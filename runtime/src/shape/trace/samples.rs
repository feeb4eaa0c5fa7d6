//! The sample values that types are offered, one after the other until they accept one.

/// How many samples there are of each kind; a kind with fewer repeats its last.
pub(super) const COUNT: usize = 20;

/// Numbers: types like `NonZero` refuse the first.
const NUMBERS: &[u8] = &[0, 1, 2, 10, 100];

/// Texts in forms that well-known types accept.
const TEXTS: &[&str] = &[
    "",
    "a",
    "1",
    "127.0.0.1",
    "127.0.0.1:80",
    "::1",
    "[::1]:80",
    "00000000-0000-0000-0000-000000000000",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01",
    "00:00:00",
    "1.0.0",
    "http://localhost/",
    "far://localhost:1",
    "a@example.org",
    "en",
    "UTC",
    "00",
    "PT1S",
];

/// Byte strings in lengths that well-known types accept, such as digests and keys.
const LENGTHS: &[usize] = &[0, 1, 16, 32, 4, 8, 12, 20, 24, 48, 64];

static ZEROES: [u8; 64] = [0; 64];

pub(super) fn number(sample: usize) -> u8 {
    NUMBERS[sample.min(NUMBERS.len() - 1)]
}

pub(super) fn text(sample: usize) -> &'static str {
    TEXTS[sample.min(TEXTS.len() - 1)]
}

pub(super) fn bytes(sample: usize) -> &'static [u8] {
    &ZEROES[..LENGTHS[sample.min(LENGTHS.len() - 1)]]
}

pub(super) const fn character(sample: usize) -> char {
    if sample == 0 { 'a' } else { '0' }
}
