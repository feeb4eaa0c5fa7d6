//! The error for values and types that do not fit a shape.

use std::fmt;

/// Where and how a value or a type does not fit a shape.
///
/// As text: ``field `tracks[2].title`: expected a string, found 3``.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The way from the whole to the part that does not fit, as in `tracks[2].title`; empty for the whole.
    pub path: String,
    /// What would fit, in words.
    pub expected: String,
    /// What is there instead, in words or as JSON.
    pub found: String,
}

impl Mismatch {
    pub(super) fn new(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            path: String::new(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// Puts a field's name before the path.
    #[must_use]
    pub fn in_field(self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{name}{dot}{}", self.path),
            ..self
        }
    }

    /// Puts an element's position, from zero, before the path.
    pub(super) fn at_index(self, index: usize) -> Self {
        self.in_field(&format!("[{index}]"))
    }

    /// Puts "every element" before the path.
    pub(super) fn in_elements(self) -> Self {
        self.in_field("[]")
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.starts_with('[') {
            write!(f, "`{}`: ", self.path)?;
        } else if !self.path.is_empty() {
            write!(f, "field `{}`: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for Mismatch {}
