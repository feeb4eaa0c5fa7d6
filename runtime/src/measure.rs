//! What is counted of calls, bytes and sessions for the feature [`metrics`](mod@crate::metrics). Without it, these types
//! are empty and what they do is nothing.
//!
//! **Invariant:** a recorder is code of the application, so nothing here is called under a lock.

pub(crate) use self::imp::{
    CallMeter, ServedMeter, TableMeter, read, resumed, session_begun, session_ended, written,
};

/// How a call ended, in a word.
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) fn outcome(
    result: Result<bool, &crate::error::Fault>,
) -> std::borrow::Cow<'static, str> {
    match result {
        Ok(false) => "ok".into(),
        Ok(true) => "error".into(),
        Err(fault) => snake(&format!("{:?}", fault.kind())).into(),
    }
}

/// `NoSuchObject` as `no_such_object`.
#[cfg(any(feature = "metrics", feature = "tracing"))]
fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (place, character) in name.char_indices() {
        if character.is_ascii_uppercase() && place > 0 {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

#[cfg(feature = "metrics")]
mod imp {
    use std::borrow::Cow;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Instant;

    use farref_proto::TableSizes;
    use metrics::{Label, counter, gauge, histogram};

    use crate::error::Fault;
    use crate::metrics as names;

    use super::outcome;

    /// Which way something goes, seen from this process.
    #[derive(Clone, Copy, Debug)]
    enum Way {
        Out,
        In,
    }

    impl Way {
        fn label(self) -> Label {
            Label::from_static_parts(
                names::DIRECTION,
                match self {
                    Way::Out => "out",
                    Way::In => "in",
                },
            )
        }
    }

    /// A call of this process, which is counted when it ends: once, whatever becomes of it.
    #[derive(Debug, Default)]
    pub(crate) struct CallMeter(Option<Box<Running>>);

    #[derive(Debug)]
    struct Running {
        interface: Cow<'static, str>,
        method: Cow<'static, str>,
        begun: Instant,
    }

    impl CallMeter {
        /// Begins to count, unless that has begun.
        pub(crate) fn begin(
            &mut self,
            names: impl FnOnce() -> (Cow<'static, str>, Cow<'static, str>),
        ) {
            if self.0.is_some() {
                return;
            }
            let (interface, method) = names();
            begin(Way::Out);
            self.0 = Some(Box::new(Running {
                interface,
                method,
                begun: Instant::now(),
            }));
        }

        /// Counts a call that was answered: with the method's own error, or well; or that failed.
        pub(crate) fn ended(&mut self, result: Result<bool, &Fault>) {
            self.finish(|| outcome(result));
        }

        fn finish(&mut self, outcome: impl FnOnce() -> Cow<'static, str>) {
            if let Some(running) = self.0.take() {
                let Running {
                    interface,
                    method,
                    begun,
                } = *running;
                end(Way::Out, begun, interface, method, outcome());
            }
        }
    }

    impl Drop for CallMeter {
        fn drop(&mut self) {
            self.finish(|| "dropped".into());
        }
    }

    /// A call of a peer, which is answered once, whatever becomes of it.
    #[derive(Debug, Default)]
    pub(crate) struct ServedMeter(OnceLock<Instant>);

    impl ServedMeter {
        pub(crate) fn begin(&self) {
            if self.0.set(Instant::now()).is_ok() {
                begin(Way::In);
            }
        }

        pub(crate) fn ended(
            &self,
            interface: &'static str,
            method: &'static str,
            result: Result<bool, &Fault>,
        ) {
            if let Some(&begun) = self.0.get() {
                let outcome = outcome(result);
                end(Way::In, begun, interface.into(), method.into(), outcome);
            }
        }
    }

    fn begin(way: Way) {
        gauge!(names::CALLS_IN_FLIGHT, [way.label()].iter()).increment(1.0);
    }

    fn end(
        way: Way,
        begun: Instant,
        interface: Cow<'static, str>,
        method: Cow<'static, str>,
        outcome: Cow<'static, str>,
    ) {
        gauge!(names::CALLS_IN_FLIGHT, [way.label()].iter()).decrement(1.0);
        let mut labels = vec![
            way.label(),
            Label::new(names::INTERFACE, interface),
            Label::new(names::METHOD, method),
        ];
        histogram!(names::CALL_SECONDS, labels.iter()).record(begun.elapsed());
        labels.push(Label::new(names::OUTCOME, outcome));
        counter!(names::CALLS, labels).increment(1);
    }

    /// Bytes came from a transport.
    pub(crate) fn read(bytes: usize) {
        counter!(names::BYTES, [Way::In.label()].iter()).increment(bytes as u64);
    }

    /// A transport took bytes.
    pub(crate) fn written(bytes: u64) {
        if bytes == 0 {
            return;
        }
        counter!(names::BYTES, [Way::Out.label()].iter()).increment(bytes);
    }

    /// What a session holds, as it was last told.
    #[derive(Debug, Default)]
    pub(crate) struct TableMeter(Mutex<Held>);

    /// The references that are given and held, and the streams that are produced and consumed.
    type Held = [usize; 4];

    impl TableMeter {
        /// Tells what has changed since.
        pub(crate) fn tell(&self, sizes: impl FnOnce() -> TableSizes) {
            let sizes = sizes();
            let now = [
                sizes.exports + sizes.aliases,
                sizes.imports,
                sizes.streams_out,
                sizes.streams_in,
            ];
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut *held, now);
            drop(held);
            let gauges = [
                (names::REFERENCES, Way::Out),
                (names::REFERENCES, Way::In),
                (names::STREAMS, Way::Out),
                (names::STREAMS, Way::In),
            ];
            for (((name, way), now), before) in gauges.into_iter().zip(now).zip(before) {
                if now != before {
                    let change = now as f64 - before as f64;
                    gauge!(name, [way.label()].iter()).increment(change);
                }
            }
        }
    }

    /// A session has begun.
    pub(crate) fn session_begun() {
        gauge!(names::SESSIONS).increment(1.0);
    }

    /// A session has ended.
    pub(crate) fn session_ended() {
        gauge!(names::SESSIONS).decrement(1.0);
    }

    /// A session goes on over another connection, and sends so many bytes again.
    pub(crate) fn resumed(again: u64) {
        counter!(names::RESUMES).increment(1);
        counter!(names::RETRANSMITTED_BYTES).increment(again);
    }
}

#[cfg(not(feature = "metrics"))]
mod imp {
    use std::borrow::Cow;

    use farref_proto::TableSizes;

    use crate::error::Fault;

    #[derive(Debug, Default)]
    pub(crate) struct CallMeter(());

    impl CallMeter {
        #[inline(always)]
        pub(crate) fn begin(&mut self, _: impl FnOnce() -> (Cow<'static, str>, Cow<'static, str>)) {
        }

        #[inline(always)]
        pub(crate) fn ended(&mut self, _: Result<bool, &Fault>) {}
    }

    #[derive(Debug, Default)]
    pub(crate) struct ServedMeter(());

    impl ServedMeter {
        #[inline(always)]
        pub(crate) fn begin(&self) {}

        #[inline(always)]
        pub(crate) fn ended(&self, _: &'static str, _: &'static str, _: Result<bool, &Fault>) {}
    }

    #[derive(Debug, Default)]
    pub(crate) struct TableMeter(());

    impl TableMeter {
        #[inline(always)]
        pub(crate) fn tell(&self, _: impl FnOnce() -> TableSizes) {}
    }

    #[inline(always)]
    pub(crate) fn read(_: usize) {}
    #[inline(always)]
    pub(crate) fn written(_: u64) {}
    #[inline(always)]
    pub(crate) fn session_begun() {}
    #[inline(always)]
    pub(crate) fn session_ended() {}
    #[inline(always)]
    pub(crate) fn resumed(_: u64) {}
}
