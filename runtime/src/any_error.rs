//! Errors of any type, which cross to other processes as text and come home as themselves.

use std::any::{Any, type_name};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use farref_proto::FaultKind;
use serde::{Deserialize, Serialize};

use crate::descriptor::Interface;
use crate::dispatch::{HandlerFuture, Incoming, refuse};
use crate::error::{CallError, Cause, Fault};
use crate::methods::ServeMethods;
use crate::object::{Export, Meta};
use crate::references::{self, Reference};
use crate::remote::Remote;

/// How many causes of an error travel with it.
const MOST_CAUSES: usize = 32;

/// An error of any type. To other processes it crosses as text; when it comes home it is itself again.
///
/// It is for errors that pass through others: a callback of mine fails with an error of mine, whoever called it hands the
/// error on as what it is, and I find my own error in the answer to my call. Elsewhere the error is known by its
/// [message](fmt::Display), its causes and the [name of its type](AnyError::type_name).
///
/// Any error becomes one by `?`. The original lives as long as its process, or a session that was told of it, has use
/// for it.
///
/// ```
/// use farref::AnyError;
/// use farref::prelude::*;
///
/// #[derive(Debug, PartialEq)]
/// struct OutOfPaper;
/// # impl std::fmt::Display for OutOfPaper {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("out of paper") }
/// # }
/// impl std::error::Error for OutOfPaper {}
///
/// #[callback]
/// pub trait Printer {
///     async fn print(&self, page: &str) -> Result<(), AnyError>;
/// }
///
/// #[expose]
/// pub trait Writer {
///     async fn write(&self, printer: PrinterProxy) -> Result<(), AnyError>;
/// }
///
/// struct Author;
/// impl Writer for Author {
///     async fn write(&self, printer: PrinterProxy) -> Result<(), AnyError> {
///         // Knows nothing of paper.
///         Ok(printer.print("It was a dark and stormy night.").await?)
///     }
/// }
///
/// struct Desk;
/// impl Printer for Desk {
///     async fn print(&self, _: &str) -> Result<(), AnyError> {
///         Err(OutOfPaper.into())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// # let uri = daemon.register("writer", WriterProxy::new(Author))?;
/// let writer: WriterProxy = farref::connect(&uri).await?;
/// let Err(CallError::App(error)) = writer.write(PrinterProxy::new(Desk)).await else { panic!() };
/// assert_eq!(error.downcast_ref(), Some(&OutOfPaper));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Text", into = "Text")]
pub struct AnyError(Kind);

#[derive(Clone)]
enum Kind {
    Own(Arc<Own>),
    Foreign(Arc<Foreign>),
}

/// An error of this process.
struct Own {
    error: Box<dyn Error + Send + Sync>,
    type_name: &'static str,
}

/// What is known of an error of another process.
#[derive(Debug)]
struct Foreign {
    message: String,
    cause: Option<Cause>,
    type_name: String,
    /// By which it comes home.
    origin: Option<Remote>,
}

impl AnyError {
    /// An error whose type is not known.
    pub(crate) fn from_box(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<CallError<AnyError>>() {
            Ok(error) => (*error).into(),
            Err(error) => AnyError::own(error, ""),
        }
    }

    fn own(error: Box<dyn Error + Send + Sync>, type_name: &'static str) -> Self {
        AnyError(Kind::Own(Arc::new(Own { error, type_name })))
    }

    /// The error itself, if it is of this type and arose in this process.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.0 {
            Kind::Own(own) => own.error.downcast_ref(),
            Kind::Foreign(_) => None,
        }
    }

    /// The name of the error's type, in its own process; empty where that is not known.
    pub fn type_name(&self) -> &str {
        match &self.0 {
            Kind::Own(own) => own.type_name,
            Kind::Foreign(foreign) => &foreign.type_name,
        }
    }

    /// The error, with the chain of its causes. Of one of another process it is their text.
    pub fn as_error(&self) -> &(dyn Error + 'static) {
        match &self.0 {
            Kind::Own(own) => &*own.error,
            Kind::Foreign(foreign) => &**foreign,
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for AnyError {
    fn from(error: E) -> Self {
        // What a call was answered with is handed on as what it is.
        if let Some(CallError::App(inner)) =
            (&error as &dyn Any).downcast_ref::<CallError<AnyError>>()
        {
            return inner.clone();
        }
        AnyError::own(Box::new(error), type_name::<E>())
    }
}

impl fmt::Display for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_error(), f)
    }
}

impl fmt::Debug for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_error(), f)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Foreign {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_ref();
        cause.map(|cause| cause as &(dyn Error + 'static))
    }
}

/// An error as it travels.
#[derive(Serialize, Deserialize)]
#[serde(rename = "AnyError")]
struct Text {
    message: String,
    causes: Vec<String>,
    type_name: String,
    origin: Option<Reference>,
}

impl From<AnyError> for Text {
    fn from(error: AnyError) -> Self {
        let mut causes = Vec::new();
        let mut next = error.as_error().source();
        while let Some(cause) = next.filter(|_| causes.len() < MOST_CAUSES) {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let origin = match &error.0 {
            // As a value in a log it is text and nothing else.
            _ if !references::is_collecting() => None,
            Kind::Own(own) => Some(Remote::Local(export(own))),
            Kind::Foreign(foreign) => foreign.origin.clone(),
        };
        Text {
            message: error.to_string(),
            causes,
            type_name: error.type_name().to_owned(),
            origin: origin.map(Reference),
        }
    }
}

impl From<Text> for AnyError {
    fn from(text: Text) -> Self {
        let origin = text.origin.map(|Reference(origin)| origin);
        if let Some(Remote::Local(export)) = &origin
            && let Some(own) = export.near::<Own>()
        {
            return AnyError(Kind::Own(own));
        }
        AnyError(Kind::Foreign(Arc::new(Foreign {
            message: text.message,
            cause: Cause::chain(text.causes),
            type_name: text.type_name,
            origin,
        })))
    }
}

/// What other processes hold of an error: it has no methods, and is only there to come home.
static INTERFACE: Interface = Interface {
    name: "farref.Error",
    hash: farref_proto::fnv1a32(b"farref.Error"),
    reference_name: "$farref.proxy:farref.Error",
    docs: "An error, which is itself again when it comes home.",
    callback: false,
    bases: &[],
    methods: &[],
};

struct NoMethods;

impl ServeMethods for NoMethods {
    fn serve(&self, _: usize, _: Incoming) -> HandlerFuture {
        refuse(Fault::not_started(
            FaultKind::NoSuchMethod,
            "an error has no methods",
        ))
    }
}

fn export(own: &Arc<Own>) -> Arc<Export> {
    let meta = Arc::new(Meta::new());
    let near = Box::new(Arc::clone(own));
    Export::of_object(meta, Box::new(NoMethods), near, &INTERFACE, Vec::new())
}
