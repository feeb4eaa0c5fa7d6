//! Why a pass ended early.

use std::fmt;

use serde::de;

/// Why a value could not be made in this pass.
#[derive(Debug)]
pub(super) enum TraceError {
    /// Something was learnt that makes this pass useless; the next one will know it.
    Again,
    /// No value can be made, whatever the sample, but the shape is known as far as it can be.
    Resists,
    /// A struct misses this field.
    MissingField(&'static str),
    /// A struct was shown this field twice, by two of its names.
    DuplicateField(&'static str),
    /// The type refused a sample, or something else that it was shown.
    Refused,
}

impl de::Error for TraceError {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self::Refused
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::DuplicateField(field)
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again => f.write_str("another pass is needed"),
            Self::Resists => f.write_str("the type resists tracing"),
            Self::MissingField(field) => write!(f, "missing field `{field}`"),
            Self::DuplicateField(field) => write!(f, "duplicate field `{field}`"),
            Self::Refused => f.write_str("the type refused a sample value"),
        }
    }
}

impl std::error::Error for TraceError {}
