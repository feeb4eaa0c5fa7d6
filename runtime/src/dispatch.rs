//! A call as its handler sees it: decoding arguments, encoding the reply.
//!
//! Generated code uses nothing else of the runtime while it serves a call, so what is here decides what a handler
//! costs. Nothing here knows of sockets or sessions.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use farref_proto::{Body, FaultKind, Seldom};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Outcome;
use crate::codec::{self, ArgumentsDecoder, ArgumentsEncoder, Budget, Codec, CodecError};
use crate::context::Scope;
use crate::error::{Fault, Result};
use crate::held::Held;
use crate::object::Entry;
use crate::references;
use crate::transferred::Transferred;
use crate::wire::{FromBytes, IntoBytes, ToBytes};

/// What serving a call comes to.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

/// The handler of a call that is not served: it says why.
pub(crate) fn refuse(fault: Fault) -> HandlerFuture {
    Box::pin(std::future::ready(Err(fault)))
}

/// A call that arrived, before its arguments are decoded.
pub struct Incoming {
    pub(crate) scope: Arc<Scope>,
    pub(crate) codec: Codec,
    pub(crate) budget: Budget,
    pub(crate) body: Body,
    /// Taken by the first who decodes the arguments.
    pub(crate) attachments: Held<Bytes>,
    pub(crate) transferred: Held<Transferred>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("call", &self.scope.call_name())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A result that is encoded and ready to be sent.
#[derive(Debug, Default)]
pub struct Reply {
    /// Whether this is the method's own error.
    pub(crate) is_error: bool,
    pub(crate) codec: Option<Codec>,
    pub(crate) body: Vec<u8>,
    pub(crate) attachments: Seldom<Bytes>,
    pub(crate) transferred: Seldom<Transferred>,
}

impl Incoming {
    /// Begins to decode the arguments, of which there must be `count`.
    pub fn arguments(&self, count: usize) -> Result<Arguments<'_>> {
        let decoder = ArgumentsDecoder::new(
            self.codec,
            &self.body,
            self.attachments.take(),
            &self.budget,
            count,
        )
        .map_err(|error| self.bad_arguments("", &error))?;
        Ok(Arguments {
            call: self,
            decoder,
        })
    }

    fn bad_arguments(&self, argument: &str, error: &CodecError) -> Fault {
        let call = self.scope.call_name();
        let message = if argument.is_empty() {
            format!("the arguments of `{call}` cannot be decoded: {error}")
        } else {
            format!("argument `{argument}` of `{call}` cannot be decoded: {error}")
        };
        Fault::not_started(FaultKind::BadArguments, message).blaming_caller()
    }

    /// Answers with a value or the method's own error, each encoded by the function for its type.
    #[inline]
    pub fn reply_result<T, E>(
        &self,
        result: std::result::Result<T, E>,
        reply: fn(&Self, T) -> Result<Reply>,
        reply_error: fn(&Self, E) -> Result<Reply>,
    ) -> Result<Reply> {
        match result {
            Ok(value) => reply(self, value),
            Err(error) => reply_error(self, error),
        }
    }

    /// Answers with a byte string or the method's own error.
    pub fn reply_bytes_result<B: IntoBytes, E>(
        &self,
        result: std::result::Result<B, E>,
        reply_error: fn(&Self, E) -> Result<Reply>,
    ) -> Result<Reply> {
        self.reply_result(result, Self::reply_bytes, reply_error)
    }

    /// Answers with a byte string, which is not copied if it is large.
    pub fn reply_bytes<B: IntoBytes>(&self, bytes: B) -> Result<Reply> {
        Ok(Reply {
            codec: Some(self.codec),
            attachments: vec![bytes.into_bytes()].into(),
            ..Reply::default()
        })
    }

    /// Answers with a value, or with an error that travels as one.
    pub(crate) fn encode<T: Serialize>(&self, is_error: bool, value: &T) -> Result<Reply> {
        let mut body = buffer::take();
        let (encoded, transferred) =
            references::collect(|| codec::encode(self.codec, value, &mut body));
        match encoded {
            Ok(()) => Ok(Reply {
                is_error,
                codec: Some(self.codec),
                body,
                attachments: Seldom::new(),
                transferred,
            }),
            Err(error) => Err(Fault::new(
                FaultKind::Unencodable,
                Outcome::Ran,
                format!(
                    "`{}` ran, but its result cannot be encoded: {error}",
                    self.scope.call_name()
                ),
            )),
        }
    }
}

/// The arguments of a call, decoded one after the other.
#[derive(Debug)]
pub struct Arguments<'call> {
    call: &'call Incoming,
    decoder: ArgumentsDecoder<'call>,
}

impl<'call> Arguments<'call> {
    /// The next argument, which is owned.
    pub(crate) fn value<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let decoder = &mut self.decoder;
        self.call
            .transferred
            .resolve(|| decoder.next())
            .map_err(|error| self.call.bad_arguments(name, &error))
    }

    /// The next argument, a string that is borrowed from the frame where the codec allows it.
    pub fn str(&mut self, name: &str) -> Result<Cow<'call, str>> {
        self.decoder
            .next_str()
            .map_err(|error| self.call.bad_arguments(name, &error))
    }

    /// The next argument, a byte string that shares the frame's memory.
    pub fn bytes(&mut self, name: &str) -> Result<Bytes> {
        self.decoder
            .next_bytes()
            .map_err(|error| self.call.bad_arguments(name, &error))
    }

    /// Ends decoding: the frame must hold nothing more. References that no argument took are given back now, not when the
    /// handler ends: they take more room than they took in the frame.
    pub fn finish(self) -> Result<()> {
        drop(self.call.transferred.take());
        self.decoder
            .finish()
            .map_err(|error| self.call.bad_arguments("", &error))
    }
}

/// The arguments of a call while they are encoded.
#[derive(Debug)]
pub struct ArgumentsOut<'a> {
    pub(crate) encoder: ArgumentsEncoder<'a>,
}

impl ArgumentsOut<'_> {
    /// Writes the next argument.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        self.encoder
            .value(value)
            .map_err(|error| cannot_encode(name, &error))
    }

    /// Writes the next argument, a string.
    pub fn str(&mut self, name: &str, value: &str) -> Result<()> {
        self.value(name, value)
    }

    /// Writes the next argument, a byte string, which travels outside the codec.
    pub fn bytes<B: ToBytes + ?Sized>(&mut self, name: &str, bytes: &B) -> Result<()> {
        self.encoder
            .bytes(bytes.to_bytes())
            .map_err(|error| cannot_encode(name, &error))
    }
}

fn cannot_encode(name: &str, error: &CodecError) -> Fault {
    Fault::not_started(
        FaultKind::Unencodable,
        format!("argument `{name}` cannot be encoded: {error}"),
    )
}

/// The answer to a call, as it arrived.
#[derive(Debug)]
pub struct RawReply {
    /// Whether this is the method's own error.
    pub(crate) is_error: bool,
    pub(crate) codec: Codec,
    pub(crate) budget: Budget,
    pub(crate) body: Body,
    pub(crate) attachments: Seldom<Bytes>,
    pub(crate) transferred: Seldom<Transferred>,
}

impl RawReply {
    /// What stands for the answer of a call that has none: a unit, which is no byte in this codec alone.
    pub(crate) fn empty() -> Self {
        RawReply {
            is_error: false,
            codec: Codec::Postcard,
            budget: Budget::default(),
            body: Body::default(),
            attachments: Seldom::new(),
            transferred: Seldom::new(),
        }
    }

    /// What a call of a run has returned, which is a value and nothing else.
    pub(crate) fn result(codec: Codec, budget: Budget, body: Body) -> Self {
        RawReply {
            is_error: false,
            codec,
            budget,
            body,
            attachments: Seldom::new(),
            transferred: Seldom::new(),
        }
    }

    /// The reply of an object of this process.
    pub(crate) fn of(reply: Reply) -> Self {
        RawReply {
            is_error: reply.is_error,
            codec: reply.codec.unwrap_or(Codec::Postcard),
            budget: Budget::default(),
            body: Bytes::from(reply.body).into(),
            attachments: reply.attachments,
            transferred: reply.transferred,
        }
    }

    /// The same, to be passed on as it is.
    pub(crate) fn into_reply(self) -> Reply {
        Reply {
            is_error: self.is_error,
            codec: Some(self.codec),
            body: self.body.to_vec(),
            attachments: self.attachments,
            transferred: self.transferred,
        }
    }

    fn decode<T: DeserializeOwned>(&mut self) -> Result<T> {
        let (codec, body, budget) = (self.codec, &self.body, &self.budget);
        references::resolve(&mut self.transferred, || codec::decode(codec, body, budget))
            .map_err(|error| bad_reply(&error))
    }

    fn bytes<B: FromBytes>(&mut self) -> Result<B> {
        match self.attachments.pop() {
            Some(bytes) if self.attachments.is_empty() => Ok(B::from_bytes(bytes)),
            _ => Err(Fault::new(
                FaultKind::BadReply,
                Outcome::Ran,
                "the method ran, but its reply holds no byte string",
            )),
        }
    }

    fn not_an_error(&self) -> Result<()> {
        if self.is_error {
            let message = "the method ran and failed with an error of its own, which this interface does not know";
            return Err(Fault::new(FaultKind::BadReply, Outcome::Ran, message));
        }
        Ok(())
    }
}

fn bad_reply(error: &CodecError) -> Fault {
    Fault::new(
        FaultKind::BadReply,
        Outcome::Ran,
        format!("the method ran, but its result cannot be decoded: {error}"),
    )
}

/// Decodes the reply of a method that returns a plain value.
pub(crate) fn decode_value<T: DeserializeOwned>(mut reply: RawReply) -> Result<T> {
    reply.not_an_error()?;
    reply.decode()
}

/// Decodes the error that a method answered with.
pub(crate) fn decode_error<E: DeserializeOwned>(mut reply: RawReply) -> Result<E> {
    reply.decode()
}

/// Decodes the reply of a method that returns a byte string.
pub fn decode_bytes<B: FromBytes>(mut reply: RawReply) -> Result<B> {
    reply.not_an_error()?;
    reply.bytes()
}

/// Decodes the reply of a method that returns `Result`, each side by the function for its type.
#[inline]
pub fn decode_result<T, E>(
    reply: RawReply,
    decode: fn(RawReply) -> Result<T>,
    decode_error: fn(RawReply) -> Result<E>,
) -> Result<T, crate::CallError<E>> {
    if reply.is_error {
        return Err(crate::CallError::App(decode_error(reply)?));
    }
    Ok(decode(reply)?)
}

/// Serves a `#[blocking]` method on a thread where blocking is allowed: on this one, if it waits, else on another.
pub fn blocking<A: crate::access::Access>(
    entry: Arc<Entry<A>>,
    call: Incoming,
    serve: fn(&Entry<A>, &Incoming) -> Result<Reply>,
) -> HandlerFuture {
    Box::pin(async move {
        if crate::blocking::is_running() {
            return serve(&entry, &call);
        }
        let scope = Arc::clone(&call.scope);
        let thread = tokio::task::spawn_blocking(move || {
            let _entered = scope.enter();
            crate::blocking::allow(|| serve(&entry, &call))
        });
        match thread.await {
            Ok(reply) => reply,
            Err(error) => match error.try_into_panic() {
                // The dispatcher reports panics of handlers; this one happened on another thread.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Fault::new(
                    FaultKind::Cancelled,
                    Outcome::NotStarted,
                    "the runtime is shutting down",
                )),
            },
        }
    })
}

/// Waits for a future on a thread where blocking is allowed.
pub fn block_on<F: Future>(future: F) -> F::Output {
    match crate::blocking::is_running() {
        true => crate::blocking::drive_within(future),
        false => tokio::runtime::Handle::current().block_on(future),
    }
}

/// Buffers for encoding, used again and again.
pub(crate) mod buffer {
    use std::cell::RefCell;

    /// How many are kept for each thread: about as many as the replies that one read brings about.
    const KEPT: usize = 128;
    /// Of these, how many may be large.
    const KEPT_LARGE: usize = 8;
    /// A buffer that grew beyond this, in bytes, is large.
    const LARGE: usize = 1024;
    /// A buffer that grew beyond this, in bytes, is given back to the allocator.
    const KEPT_CAPACITY: usize = 64 * 1024;

    thread_local! {
        static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    /// An empty buffer.
    pub(crate) fn take() -> Vec<u8> {
        BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Keeps a buffer for the next one who needs one on this thread.
    pub(crate) fn give(mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > KEPT_CAPACITY {
            return;
        }
        let kept = if buffer.capacity() > LARGE {
            KEPT_LARGE
        } else {
            KEPT
        };
        buffer.clear();
        BUFFERS.with_borrow_mut(|buffers| {
            if buffers.len() < kept {
                buffers.push(buffer);
            }
        });
    }
}
