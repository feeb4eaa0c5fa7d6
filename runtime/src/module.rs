//! Groups of objects under one name, which say what they have.

use std::collections::BTreeMap;
use std::fmt;

use farref_macros::expose;
use serde::{Deserialize, Serialize};

use crate::any_proxy::AnyProxy;
use crate::client::misuse;
use crate::daemon::DaemonHandle;
use crate::error::Result;
use crate::node::Published;
use crate::proxy::{self, Proxy};
use crate::uri::Uri;

/// A module, as others see it: the objects that a program has put together under one name, and what is said of them. The
/// functions of a module are the methods of its objects.
#[expose(crate = crate, name = "farref.Module")]
pub trait ModuleObject {
    /// What the module is for.
    #[idempotent]
    fn docs(&self) -> String;

    /// What it has, by name.
    #[idempotent]
    fn members(&self) -> BTreeMap<String, MemberInfo>;

    /// The member of this name.
    #[idempotent]
    fn member(&self, name: &str) -> Option<AnyProxy>;
}

/// What is known of a member of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// The wire name of its interface.
    pub interface: String,
    /// What it is for: the interface's documentation, or the module's own.
    pub docs: String,
}

/// Objects that belong together, to be registered under one name.
///
/// It is the safe form of letting callers import a module: what they reach is what was put in, and nothing else.
///
/// # Examples
///
/// ```
/// use farref::prelude::*;
/// use farref::{Module, ModuleObjectProxy};
///
/// /// Sums and their kin.
/// #[expose]
/// pub trait Sums {
///     fn add(&self, a: i64, b: i64) -> i64;
/// }
///
/// struct Sum;
/// impl Sums for Sum {
///     fn add(&self, a: i64, b: i64) -> i64 {
///         a + b
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> farref::Result<()> {
/// let daemon = Daemon::bind("far://127.0.0.1:0").await?;
/// let math = Module::new("Numbers.").object("sums", &SumsProxy::new(Sum));
/// let uri = daemon.register_module("math", math)?;
///
/// // Who knows nothing looks into it,
/// let math: ModuleObjectProxy = farref::connect(&uri).await?;
/// assert_eq!(math.members().await?["sums"].docs, "Sums and their kin.");
///
/// // and who knows the interface finds the object by its path.
/// let sums: SumsProxy = farref::connect(daemon.uris()[0].with_object("math.sums")).await?;
/// assert_eq!(sums.add(2, 3).await?, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "a module is not found until it is registered"]
pub struct Module {
    docs: String,
    members: BTreeMap<String, Member>,
    /// The first name that cannot be.
    unfit: Option<String>,
}

struct Member {
    object: AnyProxy,
    info: MemberInfo,
    /// What it has in its turn, by dotted names.
    inner: Vec<(String, AnyProxy)>,
}

impl Module {
    /// An empty module, and what it is for.
    pub fn new(docs: impl Into<String>) -> Self {
        Module {
            docs: docs.into(),
            ..Module::default()
        }
    }

    /// Adds an object, under a name without dots that no other member has.
    pub fn object<P: Proxy>(self, name: &str, proxy: &P) -> Self {
        let info = MemberInfo {
            interface: P::DESCRIPTOR.name.to_owned(),
            docs: P::DESCRIPTOR.docs.to_owned(),
        };
        let member = Member {
            object: AnyProxy::of(proxy),
            info,
            inner: Vec::new(),
        };
        self.add(name, member)
    }

    /// Adds a module, under a name without dots that no other member has.
    pub fn module(mut self, name: &str, module: Module) -> Self {
        if let Some(unfit) = &module.unfit {
            self.unfit.get_or_insert_with(|| format!("{name}.{unfit}"));
        }
        let inner = module.inner();
        let info = MemberInfo {
            interface: ModuleObjectProxy::DESCRIPTOR.name.to_owned(),
            docs: module.docs.clone(),
        };
        let member = Member {
            object: AnyProxy::of(&module.serve()),
            info,
            inner,
        };
        self.add(name, member)
    }

    fn add(mut self, name: &str, member: Member) -> Self {
        let is_fit = !name.is_empty() && !name.contains('.') && !self.members.contains_key(name);
        if is_fit {
            self.members.insert(name.to_owned(), member);
        } else {
            self.unfit.get_or_insert_with(|| name.to_owned());
        }
        self
    }

    /// All that can be reached through it, by dotted names.
    fn inner(&self) -> Vec<(String, AnyProxy)> {
        let members = self.members.iter().flat_map(|(name, member)| {
            let inner = member.inner.iter();
            let inner = inner.map(move |(path, object)| (format!("{name}.{path}"), object.clone()));
            std::iter::once((name.clone(), member.object.clone())).chain(inner)
        });
        members.collect()
    }

    /// The module as an object, for those who pass it on or [publish](crate::Client::publish) it.
    pub fn serve(self) -> ModuleObjectProxy {
        ModuleObjectProxy::new(self)
    }
}

impl ModuleObject for Module {
    fn docs(&self) -> String {
        self.docs.clone()
    }

    fn members(&self) -> BTreeMap<String, MemberInfo> {
        let members = self.members.iter();
        members
            .map(|(name, member)| (name.clone(), member.info.clone()))
            .collect()
    }

    fn member(&self, name: &str) -> Option<AnyProxy> {
        self.members.get(name).map(|member| member.object.clone())
    }
}

impl DaemonHandle {
    /// Gives a module a name, and all that it has names of its own: that of the module, a dot, and theirs. Returns the
    /// URI of the module.
    ///
    /// # Errors
    ///
    /// `Misuse`, naming the name, if one is taken or unfit; nothing has a name then.
    pub fn register_module(&self, name: &str, module: Module) -> Result<Uri> {
        if let Some(unfit) = &module.unfit {
            return Err(misuse(format!(
                "a member of `{name}` cannot be named `{unfit}`: names in a module are not empty, have no dots, and are \
                 there once"
            )));
        }
        let inner = module.inner();
        let uri = self.publish(name, Published::Object(proxy::to_export(&module.serve())))?;
        let mut given = vec![name.to_owned()];
        for (path, object) in inner {
            let path = format!("{name}.{path}");
            let published = Published::Object(object.to_export());
            if let Err(fault) = self.publish(&path, published) {
                for name in given {
                    self.unregister(&name);
                }
                return Err(fault);
            }
            given.push(path);
        }
        Ok(uri)
    }

    /// Takes the name of a module away, and all that begin with it and a dot. References live on. Returns whether it was
    /// there.
    pub fn unregister_module(&self, name: &str) -> bool {
        let inner = format!("{name}.");
        for path in self.registered().into_keys() {
            if path.starts_with(&inner) {
                self.unregister(&path);
            }
        }
        self.unregister(name)
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("docs", &self.docs)
            .field("members", &self.members.keys())
            .finish_non_exhaustive()
    }
}
