//! Whether values of one type can be read as another, where fields and variants go by name.

use std::collections::HashSet;
use std::ptr;

use super::scope::Scope;
use super::{Content, Field, Mismatch, Shape};

/// Checks that what `writer` writes, `reader` can read, in a codec with names (MessagePack or JSON).
///
/// The reader may lack fields and variants of the writer; it may have variants of its own, and fields that have a
/// default; where it takes an `Option`, the writer may always have a value. Everything else must agree. Names of
/// structs and enums do not matter.
///
/// A value of a variant that the reader lacks fails when it is read: the types still agree on all others.
///
/// # Errors
///
/// A [`Mismatch`] names the first part that disagrees: `expected` is the reader's, `found` the writer's.
pub fn compatible(writer: &Shape, reader: &Shape) -> Result<(), Mismatch> {
    Comparison::default().shapes((writer, &Scope::ROOT), (reader, &Scope::ROOT))
}

/// A shape and where it stands.
type Placed<'s> = (&'s Shape, &'s Scope<'s>);

/// One comparison; recursive types come to the same pair again, which then counts as agreeing.
#[derive(Default)]
struct Comparison {
    assumed: HashSet<(usize, usize)>,
}

impl Comparison {
    fn shapes(&mut self, writer: Placed<'_>, reader: Placed<'_>) -> Result<(), Mismatch> {
        // What looks like another shape on the wire is that shape.
        match writer.0 {
            Shape::Newtype { shape, .. } => {
                return self.shapes((shape, &writer.1.inside(writer.0)), reader);
            }
            Shape::Readable { binary, .. } => return self.shapes((binary, writer.1), reader),
            Shape::Named(name) => match writer.1.resolve(name) {
                Some(meant) if self.assume(meant.0, reader.0) => return self.shapes(meant, reader),
                Some(_) => return Ok(()),
                None => {
                    return Err(Mismatch::new(
                        reader.0,
                        format_args!("`{name}`, which is not described"),
                    ));
                }
            },
            _ => {}
        }
        match reader.0 {
            Shape::Newtype { shape, .. } => {
                return self.shapes(writer, (shape, &reader.1.inside(reader.0)));
            }
            Shape::Readable { binary, .. } => return self.shapes(writer, (binary, reader.1)),
            Shape::Named(name) => match reader.1.resolve(name) {
                Some(meant) if self.assume(writer.0, meant.0) => return self.shapes(writer, meant),
                Some(_) => return Ok(()),
                None => {
                    return Err(Mismatch::new(
                        format_args!("`{name}`, which is not described"),
                        writer.0,
                    ));
                }
            },
            _ => {}
        }
        self.structure(writer, reader)
    }

    /// Compares shapes that are neither transparent nor references.
    fn structure(&mut self, writer: Placed<'_>, reader: Placed<'_>) -> Result<(), Mismatch> {
        let differ = || Err(Mismatch::new(reader.0, writer.0));
        match (writer.0, reader.0) {
            (_, Shape::Any) => Ok(()),
            (Shape::Option(from), Shape::Option(to)) => {
                self.shapes((from, writer.1), (to, reader.1))
            }
            (_, Shape::Option(to)) => self.shapes(writer, (to, reader.1)),
            (Shape::Seq(from), Shape::Seq(to)) | (Shape::Stream(from), Shape::Stream(to)) => self
                .shapes((from, writer.1), (to, reader.1))
                .map_err(Mismatch::in_elements),
            (Shape::Map(from_key, from), Shape::Map(to_key, to)) => {
                self.shapes((from_key, writer.1), (to_key, reader.1))
                    .map_err(Mismatch::in_elements)?;
                self.shapes((from, writer.1), (to, reader.1))
                    .map_err(Mismatch::in_elements)
            }
            (
                Shape::Tuple(from) | Shape::TupleStruct { fields: from, .. },
                Shape::Tuple(to) | Shape::TupleStruct { fields: to, .. },
            ) => {
                let scopes = (writer.1.inside(writer.0), reader.1.inside(reader.0));
                self.tuples((from, &scopes.0), (to, &scopes.1))
                    .unwrap_or_else(differ)
            }
            (Shape::Struct { fields: from, .. }, Shape::Struct { fields: to, .. }) => {
                let scopes = (writer.1.inside(writer.0), reader.1.inside(reader.0));
                self.fields((from, &scopes.0), (to, &scopes.1))
            }
            (Shape::Enum { .. }, Shape::Enum { .. }) => self.enums(writer, reader),
            (from, to) if from == to => Ok(()),
            _ => differ(),
        }
    }

    /// Compares part by part; `None` if the numbers differ.
    fn tuples(
        &mut self,
        (from, from_scope): (&[Shape], &Scope<'_>),
        (to, to_scope): (&[Shape], &Scope<'_>),
    ) -> Option<Result<(), Mismatch>> {
        (from.len() == to.len()).then(|| {
            from.iter()
                .zip(to)
                .enumerate()
                .try_for_each(|(index, (from, to))| {
                    self.shapes((from, from_scope), (to, to_scope))
                        .map_err(|mismatch| mismatch.at_index(index))
                })
        })
    }

    fn fields(
        &mut self,
        (from, from_scope): (&[Field], &Scope<'_>),
        (to, to_scope): (&[Field], &Scope<'_>),
    ) -> Result<(), Mismatch> {
        for field in to {
            match from.iter().find(|candidate| candidate.name == field.name) {
                Some(written) => self
                    .shapes((&written.shape, from_scope), (&field.shape, to_scope))
                    .map_err(|mismatch| mismatch.in_field(&field.name))?,
                None if field.has_default => {}
                None => {
                    return Err(Mismatch::new(&field.shape, "no such field").in_field(&field.name));
                }
            }
        }
        Ok(())
    }

    fn enums(&mut self, writer: Placed<'_>, reader: Placed<'_>) -> Result<(), Mismatch> {
        let (Shape::Enum { variants: from, .. }, Shape::Enum { variants: to, .. }) =
            (writer.0, reader.0)
        else {
            return Err(Mismatch::new(reader.0, writer.0));
        };
        let (from_scope, to_scope) = (writer.1.inside(writer.0), reader.1.inside(reader.0));
        let mut common = from.is_empty() || to.is_empty();
        for variant in to {
            let Some(written) = from.iter().find(|candidate| candidate.name == variant.name) else {
                continue;
            };
            common = true;
            let agreement = match (&written.content, &variant.content) {
                (Content::Unit, Content::Unit) => Some(Ok(())),
                (Content::Newtype(from), Content::Newtype(to)) => {
                    Some(self.shapes((from, &from_scope), (to, &to_scope)))
                }
                (Content::Tuple(from), Content::Tuple(to)) => {
                    self.tuples((from, &from_scope), (to, &to_scope))
                }
                (Content::Struct(from), Content::Struct(to)) => {
                    Some(self.fields((from, &from_scope), (to, &to_scope)))
                }
                _ => None,
            };
            agreement
                .unwrap_or_else(|| Err(Mismatch::new(&variant.content, &written.content)))
                .map_err(|mismatch| mismatch.in_field(&variant.name))?;
        }
        if common {
            Ok(())
        } else {
            Err(Mismatch::new(reader.0, "an enum without a common variant"))
        }
    }

    /// Takes a pair for granted from now on; false if it was already.
    fn assume(&mut self, writer: &Shape, reader: &Shape) -> bool {
        self.assumed
            .insert((ptr::from_ref(writer).addr(), ptr::from_ref(reader).addr()))
    }
}
