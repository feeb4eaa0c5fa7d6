//! A call as its handler sees it: decoding arguments, encoding the reply.
//!
//! Generated code uses nothing else of the runtime while it serves a call, so what is here decides what a handler
//! costs. Nothing here knows of sockets or sessions.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::ops::Range;
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
    /// The arguments, maybe among those of other calls.
    pub(crate) body: Body,
    /// Where they are in it.
    pub(crate) range: Range<usize>,
    /// Taken by the first who decodes the arguments.
    pub(crate) attachments: Held<Bytes>,
    pub(crate) transferred: Held<Transferred>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("call", &self.scope.call_name())
            .field("bytes", &self.range.len())
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// The arguments, as they are encoded.
    #[inline]
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.body[self.range.clone()]
    }

    /// Keeps nothing of the calls that came with this one, for as long as it takes.
    pub(crate) fn stand_alone(&mut self) {
        if self.range != (0..self.body.len()) {
            self.body = self.body.slice(self.range.clone());
            self.range = 0..self.body.len();
        }
    }

    /// Begins to decode the arguments, of which there must be `count`.
    #[inline]
    pub fn arguments(&self, count: usize) -> Result<Arguments<'_>> {
        let decoder = ArgumentsDecoder::new(
            self.codec,
            self.encoded(),
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

    #[cold]
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
        reply_value: fn(&Self, T, &mut Reply) -> Result<()>,
        reply_error: fn(&Self, E, &mut Reply) -> Result<()>,
        reply: &mut Reply,
    ) -> Result<()> {
        match result {
            Ok(value) => reply_value(self, value, reply),
            Err(error) => reply_error(self, error, reply),
        }
    }

    /// Answers with a byte string or the method's own error.
    pub fn reply_bytes_result<B: IntoBytes, E>(
        &self,
        result: std::result::Result<B, E>,
        reply_error: fn(&Self, E, &mut Reply) -> Result<()>,
        reply: &mut Reply,
    ) -> Result<()> {
        self.reply_result(result, Self::reply_bytes, reply_error, reply)
    }

    /// Answers with a byte string, which is not copied if it is large.
    pub fn reply_bytes<B: IntoBytes>(&self, bytes: B, reply: &mut Reply) -> Result<()> {
        reply.codec = Some(self.codec);
        reply.attachments = vec![bytes.into_bytes()].into();
        Ok(())
    }

    /// Writes the answer with a value, or with an error that travels as one.
    #[inline]
    pub(crate) fn encode<T: Serialize>(
        &self,
        is_error: bool,
        value: &T,
        reply: &mut Reply,
    ) -> Result<()> {
        let (encoded, transferred) =
            references::collect(|| codec::encode(self.codec, value, &mut reply.body));
        encoded.map_err(|error| self.unencodable(&error))?;
        reply.is_error = is_error;
        reply.codec = Some(self.codec);
        if !transferred.is_empty() {
            reply.transferred = transferred;
        }
        Ok(())
    }

    /// The answer with a value, or with an error that travels as one.
    pub(crate) fn answer<T: Serialize>(&self, is_error: bool, value: &T) -> Result<Reply> {
        Reply::written(|reply| self.encode(is_error, value, reply))
    }

    #[cold]
    fn unencodable(&self, error: &CodecError) -> Fault {
        Fault::new(
            FaultKind::Unencodable,
            Outcome::Ran,
            format!(
                "`{}` ran, but its result cannot be encoded: {error}",
                self.scope.call_name()
            ),
        )
    }
}

/// A result that is encoded and ready to be sent.
#[derive(Debug, Default)]
pub struct Reply {
    /// Whether this is the method's own error.
    pub(crate) is_error: bool,
    pub(crate) codec: Option<Codec>,
    /// The value. What is answered is appended, so that the results of many calls can follow each other.
    pub(crate) body: Vec<u8>,
    pub(crate) attachments: Seldom<Bytes>,
    pub(crate) transferred: Seldom<Transferred>,
}

impl Reply {
    /// An empty one, which has memory for its value from others that were sent.
    pub fn new() -> Self {
        Reply {
            body: buffer::take(),
            ..Reply::default()
        }
    }

    /// The answer that `write` writes.
    #[inline]
    pub(crate) fn written(write: impl FnOnce(&mut Reply) -> Result<()>) -> Result<Reply> {
        let mut reply = Reply::new();
        write(&mut reply)?;
        Ok(reply)
    }

    /// Gives its memory to others.
    pub(crate) fn recycle(self) {
        buffer::give(self.body);
    }

    /// Whether it is nothing but a value.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_error && self.attachments.is_empty() && self.transferred.is_empty()
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
    #[inline(always)]
    pub(crate) fn value<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let decoded = match self.call.transferred.is_nothing() {
            true => self.decoder.next(),
            false => self.resolved(),
        };
        decoded.map_err(|error| self.call.bad_arguments(name, &error))
    }

    /// The next argument, which may have references in it.
    #[inline(never)]
    fn resolved<T: DeserializeOwned>(&mut self) -> std::result::Result<T, CodecError> {
        let decoder = &mut self.decoder;
        self.call.transferred.resolve(|| decoder.next())
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
    #[inline]
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
    #[inline(always)]
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

#[cold]
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
    /// The value, maybe among those of other calls.
    body: Body,
    /// Where it is.
    range: Range<usize>,
    pub(crate) attachments: Seldom<Bytes>,
    pub(crate) transferred: Seldom<Transferred>,
}

impl RawReply {
    /// One that is nothing but a value.
    pub(crate) fn value(codec: Codec, budget: Budget, body: Body) -> Self {
        RawReply {
            is_error: false,
            codec,
            budget,
            range: 0..body.len(),
            body,
            attachments: Seldom::new(),
            transferred: Seldom::new(),
        }
    }

    /// What stands for the answer of a call that has none: a unit, which is no byte in this codec alone.
    pub(crate) fn empty() -> Self {
        RawReply::value(Codec::Postcard, Budget::default(), Body::default())
    }

    /// The reply of an object of this process.
    pub(crate) fn of(reply: Reply) -> Self {
        RawReply {
            is_error: reply.is_error,
            attachments: reply.attachments,
            transferred: reply.transferred,
            ..RawReply::value(
                reply.codec.unwrap_or(Codec::Postcard),
                Budget::default(),
                Bytes::from(reply.body).into(),
            )
        }
    }

    /// The same, to be passed on as it is.
    pub(crate) fn into_reply(self) -> Reply {
        Reply {
            is_error: self.is_error,
            codec: Some(self.codec),
            body: self.encoded().to_vec(),
            attachments: self.attachments,
            transferred: self.transferred,
        }
    }

    /// The value, as it is encoded.
    #[inline]
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.body[self.range.clone()]
    }

    /// Makes this the reply whose value is there in the body, which lies within it.
    #[inline]
    pub(crate) fn turn_to(&mut self, range: Range<usize>) {
        self.range = range;
    }

    #[inline]
    fn decode<T: DeserializeOwned>(&mut self) -> Result<T> {
        let decoded = match self.transferred.is_empty() {
            true => codec::decode(self.codec, self.encoded(), &self.budget),
            false => self.resolved(),
        };
        decoded.map_err(|error| bad_reply(&error))
    }

    /// The value, with references in it.
    #[inline(never)]
    fn resolved<T: DeserializeOwned>(&mut self) -> std::result::Result<T, CodecError> {
        let (codec, body, budget) = (self.codec, &self.body[self.range.clone()], &self.budget);
        references::resolve(&mut self.transferred, || codec::decode(codec, body, budget))
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

    #[inline]
    fn not_an_error(&self) -> Result<()> {
        if self.is_error {
            let message = "the method ran and failed with an error of its own, which this interface does not know";
            return Err(Fault::new(FaultKind::BadReply, Outcome::Ran, message));
        }
        Ok(())
    }
}

#[cold]
fn bad_reply(error: &CodecError) -> Fault {
    Fault::new(
        FaultKind::BadReply,
        Outcome::Ran,
        format!("the method ran, but its result cannot be decoded: {error}"),
    )
}

/// Decodes the reply of a method that returns a plain value.
#[inline]
pub(crate) fn decode_value<T: DeserializeOwned>(reply: &mut RawReply) -> Result<T> {
    reply.not_an_error()?;
    reply.decode()
}

/// Decodes the error that a method answered with.
pub(crate) fn decode_error<E: DeserializeOwned>(reply: &mut RawReply) -> Result<E> {
    reply.decode()
}

/// Decodes the reply of a method that returns a byte string.
pub fn decode_bytes<B: FromBytes>(reply: &mut RawReply) -> Result<B> {
    reply.not_an_error()?;
    reply.bytes()
}

/// Decodes the reply of a method that returns `Result`, each side by the function for its type.
#[inline]
pub fn decode_result<T, E>(
    reply: &mut RawReply,
    decode: fn(&mut RawReply) -> Result<T>,
    decode_error: fn(&mut RawReply) -> Result<E>,
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
    use std::cell::{Cell, RefCell};

    /// How many are kept for each thread: about as many as the replies that one read brings about.
    const KEPT: usize = 128;
    /// Of these, how many may be large.
    const KEPT_LARGE: usize = 8;
    /// A buffer that grew beyond this, in bytes, is large.
    const LARGE: usize = 1024;
    /// A buffer that grew beyond this, in bytes, is given back to the allocator.
    const KEPT_CAPACITY: usize = 64 * 1024;

    thread_local! {
        /// The one that is taken next: most are given back before another is taken.
        static NEXT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        static OTHERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    /// An empty buffer.
    #[inline]
    pub(crate) fn take() -> Vec<u8> {
        let next = NEXT.take();
        match next.capacity() {
            0 => take_other(),
            _ => next,
        }
    }

    fn take_other() -> Vec<u8> {
        OTHERS.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Keeps a buffer for the next one who needs one on this thread.
    #[inline]
    pub(crate) fn give(mut buffer: Vec<u8>) {
        if !(1..=KEPT_CAPACITY).contains(&buffer.capacity()) {
            return;
        }
        buffer.clear();
        let other = NEXT.replace(buffer);
        if other.capacity() > 0 {
            give_other(other);
        }
    }

    fn give_other(buffer: Vec<u8>) {
        let kept = match buffer.capacity() > LARGE {
            true => KEPT_LARGE,
            false => KEPT,
        };
        OTHERS.with_borrow_mut(|buffers| {
            if buffers.len() < kept {
                buffers.push(buffer);
            }
        });
    }
}
