//! References whose interface is not known where they are kept.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Result;
use crate::object::{Export, ExportKind};
use crate::proxy::{self, Proxy};
use crate::references::Reference;
use crate::remote::Remote;

/// A reference to an object of any interface: what a directory of objects, or whoever else only passes them on, takes and
/// gives. It crosses to other processes as proxies do.
///
/// Two are equal if they refer to one object, or were made from one URI; that takes no round trip.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Mutex, PoisonError};
///
/// use farref::AnyProxy;
/// use farref::prelude::*;
///
/// /// Keeps objects of whatever interface by their names.
/// #[expose]
/// pub trait Shelf {
///     fn put(&self, name: String, object: AnyProxy);
///     fn take(&self, name: &str) -> Option<AnyProxy>;
/// }
///
/// #[derive(Default)]
/// struct Board(Mutex<HashMap<String, AnyProxy>>);
/// impl Shelf for Board {
///     fn put(&self, name: String, object: AnyProxy) {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, object);
///     }
///     fn take(&self, name: &str) -> Option<AnyProxy> {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
///     }
/// }
///
/// #[expose]
/// pub trait Bell {
///     fn ring(&self) -> String;
/// }
///
/// struct Brass;
/// impl Bell for Brass {
///     fn ring(&self) -> String {
///         "ding".to_owned()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// # let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// # let uri = daemon.register("shelf", ShelfProxy::new(Board::default()))?;
/// let shelf: ShelfProxy = farref::connect(&uri).await?;
/// shelf.put("bell".to_owned(), AnyProxy::of(&BellProxy::new(Brass))).await?;
///
/// let bell = shelf.take("bell").await?.expect("it was put there");
/// assert!(bell.downcast::<ShelfProxy>().is_err());
/// let bell: BellProxy = bell.downcast()?;
/// assert_eq!(bell.ring().await?, "ding");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AnyProxy(Reference);

impl AnyProxy {
    /// The same reference without its interface.
    pub fn of<P: Proxy>(proxy: &P) -> Self {
        AnyProxy(Reference(proxy::to_remote(proxy)))
    }

    /// A proxy to the object: near, if it lives in this process.
    ///
    /// # Errors
    ///
    /// `Incompatible`, if the object lives in this process and does not serve the interface. Of one that lives elsewhere its
    /// calls will say so.
    pub fn downcast<P: Proxy>(&self) -> Result<P> {
        proxy::from_remote(self.0.0.clone())
    }

    /// Whether the object lives in this process.
    pub fn is_near(&self) -> bool {
        matches!(self.0.0, Remote::Local(_))
    }

    /// What others reach by this export.
    pub(crate) fn of_export(export: Arc<Export>) -> Self {
        AnyProxy(Reference(match &export.kind {
            ExportKind::Forward(remote) => remote.clone(),
            ExportKind::Object(_) | ExportKind::Lent(_) => Remote::Local(export),
        }))
    }

    pub(crate) fn to_export(&self) -> Arc<Export> {
        proxy::export_of(self.0.0.clone(), self.0.0.interface())
    }
}

impl PartialEq for AnyProxy {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&self.0.0, &other.0.0);
        match (one.uri(), other.uri()) {
            (Some(one), Some(other)) => one == other,
            (None, None) => one.identity().is_some() && one.identity() == other.identity(),
            _ => false,
        }
    }
}

impl Serialize for AnyProxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reference::deserialize(deserializer).map(AnyProxy)
    }
}

impl fmt::Debug for AnyProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyProxy").field(&self.0.0).finish()
    }
}
