//! Finding the struct or enum that a [`Shape::Named`] means.

use super::Shape;

/// The structs and enums around a shape, innermost first; it lives on the stack of whoever walks the shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'s> {
    enclosing: Option<(&'s Shape, &'s Scope<'s>)>,
}

impl<'s> Scope<'s> {
    /// The scope of a whole shape.
    pub(super) const ROOT: Scope<'static> = Scope { enclosing: None };

    /// The scope inside `container`, which stands in this scope.
    pub(super) const fn inside(&'s self, container: &'s Shape) -> Self {
        Self {
            enclosing: Some((container, self)),
        }
    }

    /// Finds the innermost container of this name, and the scope in which it stands.
    pub(super) fn resolve(&'s self, name: &str) -> Option<(&'s Shape, &'s Scope<'s>)> {
        let mut scope = self;
        while let Some((container, outer)) = scope.enclosing {
            if container.container_name() == Some(name) {
                return Some((container, outer));
            }
            scope = outer;
        }
        None
    }

    /// Tells how many containers up the innermost of this name stands; 0 is the innermost of all.
    pub(super) fn distance(&self, name: &str) -> Option<u32> {
        let mut distance = 0;
        let mut scope = self;
        while let Some((container, outer)) = scope.enclosing {
            if container.container_name() == Some(name) {
                return Some(distance);
            }
            distance += 1;
            scope = outer;
        }
        None
    }
}

impl Shape {
    /// Returns the name by which a [`Shape::Named`] inside may mean this shape.
    pub(super) fn container_name(&self) -> Option<&str> {
        match self {
            Self::Newtype { name, .. }
            | Self::TupleStruct { name, .. }
            | Self::Struct { name, .. }
            | Self::Enum { name, .. } => Some(name),
            _ => None,
        }
    }
}
