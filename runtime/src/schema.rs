//! JSON Schema for the types that have one.
//!
//! Whether a type has one is decided where the macro writes `Probe::<T>::new().schema()`: the inherent method wins if
//! its bound holds, and otherwise the method of the type that `Probe` dereferences to. No bound is put on `T`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// Asks whether `T` has a schema.
pub struct Probe<T: ?Sized> {
    otherwise: NoSchema,
    type_: PhantomData<fn() -> Box<T>>,
}

/// Says that a type has no schema.
#[derive(Debug)]
pub struct NoSchema;

impl<T: ?Sized> Probe<T> {
    /// Asks.
    #[expect(clippy::new_without_default, reason = "only generated code asks")]
    pub fn new() -> Self {
        Probe {
            otherwise: NoSchema,
            type_: PhantomData,
        }
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> Probe<T> {
    /// The schema as JSON text.
    pub fn schema(&self) -> Option<String> {
        serde_json::to_string(&schemars::schema_for!(T)).ok()
    }
}

impl NoSchema {
    /// Nothing.
    pub fn schema(&self) -> Option<String> {
        None
    }
}

impl<T: ?Sized> Deref for Probe<T> {
    type Target = NoSchema;

    fn deref(&self) -> &NoSchema {
        &self.otherwise
    }
}

impl<T: ?Sized> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
