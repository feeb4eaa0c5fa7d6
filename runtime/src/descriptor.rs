//! What an interface looks like: the const descriptor behind proxies, tools and gateways.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Budget, CodecError};
use crate::shape::{self, Shape};

/// An interface: its wire name, its methods, and the interfaces that it extends.
///
/// `#[expose]` writes one as a constant, `JukeboxProxy::DESCRIPTOR`.
#[derive(Debug)]
pub struct Interface {
    /// The name on the wire.
    pub name: &'static str,
    /// FNV-1a of the wire name, by which references name their interface.
    pub hash: u32,
    /// How a proxy of this interface is marked in serde's data model.
    #[doc(hidden)]
    pub reference_name: &'static str,
    /// The trait's doc comment.
    pub docs: &'static str,
    /// Whether all its methods are callbacks: an error in one is reported where it happened, too.
    pub callback: bool,
    /// The interfaces that this one extends.
    pub bases: &'static [&'static Interface],
    /// The methods, in the order of the trait; a call names one by its index here and its hash.
    pub methods: &'static [Method],
}

/// A method of an interface.
#[derive(Debug)]
pub struct Method {
    /// The name on the wire.
    pub name: &'static str,
    /// The name in the trait.
    pub rust_name: &'static str,
    /// FNV-1a of `Interface.method`, in wire names.
    pub hash: u32,
    /// The method's doc comment.
    pub docs: &'static str,
    /// Whether the trait calls it deprecated.
    pub deprecated: bool,
    /// How it is called.
    pub kind: MethodKind,
    /// How it is served.
    pub flags: MethodFlags,
    /// The arguments, in order.
    pub arguments: &'static [Argument],
    /// What it returns when all is well.
    pub returns: Returns,
    /// Its own error, if it has one.
    pub error: Option<Returns>,
    /// Where the shape hash is kept once it is traced; see [`Method::shape_hash`]. A function, because a constant may
    /// not refer to a cell.
    #[doc(hidden)]
    pub shape_cache: fn() -> &'static ShapeCache,
}

/// Where the shape hash of a method is kept.
#[doc(hidden)]
pub type ShapeCache = std::sync::OnceLock<u32>;

/// How a method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MethodKind {
    /// A call that is answered.
    Call,
    /// A call without an answer.
    Oneway,
    /// A oneway that ends before the next ordered oneway to the same object starts.
    OrderedOneway,
    /// Reads an attribute.
    AttributeRead,
    /// Writes an attribute.
    AttributeWrite,
    /// A call that is answered with a stream of what the method returns.
    Stream,
    /// Something that happens and that others are told of. What it tells is in the place of the result; what receivers
    /// answer, if anything, is in the place of the only argument.
    Signal,
}

impl MethodKind {
    /// Whether the caller gets no answer.
    pub fn is_oneway(self) -> bool {
        matches!(self, MethodKind::Oneway | MethodKind::OrderedOneway)
    }
}

/// How a method is served; each is said by an attribute in the trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of its own, none excludes another"
)]
pub struct MethodFlags {
    /// `#[callback]`: its failures are reported where they happened, too.
    pub callback: bool,
    /// `#[idempotent]`: safe to send again after a lost connection.
    pub idempotent: bool,
    /// `#[no_cancel]`: runs to its end even if its caller gave up.
    pub no_cancel: bool,
    /// `#[blocking]`: runs on a thread where blocking is allowed.
    pub blocking: bool,
    /// `#[expose(spawn)]`: runs in a task of its own from the start.
    pub spawn: bool,
}

impl MethodFlags {
    /// Whether a call runs on when its caller gives up: because it must, or because a thread cannot be stopped.
    pub(crate) fn runs_to_its_end(self) -> bool {
        self.no_cancel || self.blocking
    }
}

/// An argument of a method.
#[derive(Debug)]
pub struct Argument {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its type, as written in the trait.
    pub type_name: &'static str,
    /// Traces the shape of its type.
    pub shape: fn() -> Shape,
    /// The JSON Schema of its type, where the type has one.
    pub schema: fn() -> Option<String>,
}

/// A result of a method: its value or its error.
#[derive(Debug)]
pub struct Returns {
    /// The type, as written in the trait.
    pub type_name: &'static str,
    /// Traces the shape of the type.
    pub shape: fn() -> Shape,
    /// The JSON Schema of the type, where it has one.
    pub schema: fn() -> Option<String>,
}

impl Interface {
    /// The method of this wire name, in this interface alone.
    pub fn method(&self, name: &str) -> Option<&'static Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// Whether this interface is that one or extends it.
    pub fn extends(&self, hash: u32) -> bool {
        self.hash == hash || self.bases.iter().any(|base| base.extends(hash))
    }
}

impl Method {
    /// How many arguments a call of it has on the wire.
    pub(crate) fn argument_count(&self) -> usize {
        match self.kind {
            // What is asked of the signal.
            MethodKind::Signal => 1,
            _ => self.arguments.len(),
        }
    }

    /// A hash of the names and shapes of the arguments and of the shapes of the results, by which peers notice that
    /// their types differ. Never 0, which means "not checked" on the wire.
    pub fn shape_hash(&self) -> u32 {
        *(self.shape_cache)().get_or_init(|| {
            let mut text = Vec::new();
            for argument in self.arguments {
                text.extend_from_slice(argument.name.as_bytes());
                text.push(b':');
                text.extend_from_slice(&(argument.shape)().hash().to_le_bytes());
            }
            for returns in std::iter::once(&self.returns).chain(&self.error) {
                text.push(b'>');
                text.extend_from_slice(&(returns.shape)().hash().to_le_bytes());
            }
            farref_proto::fnv1a32(&text).max(1)
        })
    }
}

/// A description of an interface that travels: what `DynProxy`, command lines and gateways work with.
///
/// In every codec it is one byte string, which holds its fields in postcard. So a program that never asks for one has
/// little of it to compile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct InterfaceInfo {
    /// The name on the wire.
    pub name: String,
    /// The trait's doc comment.
    pub docs: String,
    /// The wire names of the interfaces that it extends.
    pub bases: Vec<String>,
    /// The methods, those of extended interfaces after its own.
    pub methods: Vec<MethodInfo>,
}

/// A description of a method that travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodInfo {
    /// The name on the wire.
    pub name: String,
    /// The wire name of the interface that declares it.
    pub interface: String,
    /// Its index in that interface.
    pub index: u16,
    /// Its hash; see [`Method::hash`].
    pub hash: u32,
    /// The method's doc comment.
    pub docs: String,
    /// Whether the trait calls it deprecated.
    pub deprecated: bool,
    /// How it is called.
    pub kind: MethodKind,
    /// How it is served.
    pub flags: MethodFlags,
    /// The arguments, in order.
    pub arguments: Vec<ValueInfo>,
    /// What it returns when all is well.
    pub returns: ValueInfo,
    /// Its own error, if it has one.
    pub error: Option<ValueInfo>,
}

/// A description of an argument or result that travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueInfo {
    /// The argument's name; empty for results.
    pub name: String,
    /// The type, as written in the trait.
    pub type_name: String,
    /// The type's shape.
    pub shape: Shape,
    /// The type's JSON Schema as text, where it has one.
    pub schema: Option<String>,
}

/// The fields of an [`InterfaceInfo`] as they stand in its byte string.
#[derive(Serialize, Deserialize)]
struct InterfaceFields {
    name: String,
    docs: String,
    bases: Vec<String>,
    methods: Vec<MethodInfo>,
}

impl TryFrom<Bytes> for InterfaceInfo {
    type Error = CodecError;

    fn try_from(bytes: Bytes) -> Result<Self, CodecError> {
        if shape::is_tracing() {
            return Ok(InterfaceInfo::default());
        }
        let fields: InterfaceFields = codec::decode_postcard(&bytes, &Budget::default())?;
        Ok(InterfaceInfo {
            name: fields.name,
            docs: fields.docs,
            bases: fields.bases,
            methods: fields.methods,
        })
    }
}

impl From<InterfaceInfo> for Bytes {
    fn from(info: InterfaceInfo) -> Self {
        let fields = InterfaceFields {
            name: info.name,
            docs: info.docs,
            bases: info.bases,
            methods: info.methods,
        };
        let mut bytes = Vec::new();
        // Nothing in a description can fail to be encoded; if it did, the bytes would be refused by who reads them.
        let _ = codec::encode_postcard(&fields, &mut bytes);
        Bytes::from(bytes)
    }
}

impl InterfaceInfo {
    /// Describes an interface with all that it extends, tracing the shapes of its types.
    pub fn of(interface: &Interface) -> Self {
        let mut info = InterfaceInfo {
            name: interface.name.to_owned(),
            docs: interface.docs.to_owned(),
            bases: Vec::new(),
            methods: Vec::new(),
        };
        info.add_methods(interface);
        info
    }

    fn add_methods(&mut self, interface: &Interface) {
        for (index, method) in interface.methods.iter().enumerate() {
            // An interface that is extended along two paths is described once.
            if self.methods.iter().all(|known| known.hash != method.hash) {
                self.methods.push(MethodInfo::of(interface, index, method));
            }
        }
        for base in interface.bases {
            if self.bases.iter().all(|known| known != base.name) {
                self.bases.push(base.name.to_owned());
            }
            self.add_methods(base);
        }
    }

    /// The method of this name; `Interface.method` picks one where two interfaces use the same name.
    pub fn method(&self, name: &str) -> Option<&MethodInfo> {
        self.methods
            .iter()
            .find(|method| method.name == name)
            .or_else(|| {
                let (interface, name) = name.rsplit_once('.')?;
                self.methods
                    .iter()
                    .find(|method| method.interface == interface && method.name == name)
            })
    }
}

impl MethodInfo {
    fn of(interface: &Interface, index: usize, method: &Method) -> Self {
        MethodInfo {
            name: method.name.to_owned(),
            interface: interface.name.to_owned(),
            index: u16::try_from(index).unwrap_or(u16::MAX),
            hash: method.hash,
            docs: method.docs.to_owned(),
            deprecated: method.deprecated,
            kind: method.kind,
            flags: method.flags,
            arguments: method
                .arguments
                .iter()
                .map(|argument| ValueInfo {
                    name: argument.name.to_owned(),
                    type_name: argument.type_name.to_owned(),
                    shape: (argument.shape)(),
                    schema: (argument.schema)(),
                })
                .collect(),
            returns: ValueInfo::of(&method.returns),
            error: method.error.as_ref().map(ValueInfo::of),
        }
    }
}

impl ValueInfo {
    fn of(returns: &Returns) -> Self {
        ValueInfo {
            name: String::new(),
            type_name: returns.type_name.to_owned(),
            shape: (returns.shape)(),
            schema: (returns.schema)(),
        }
    }
}
