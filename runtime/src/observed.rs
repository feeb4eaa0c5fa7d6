//! A call of this process as it is seen from outside: counted, and a span, each behind a feature.

use std::borrow::Cow;

use crate::error::Fault;
use crate::measure::CallMeter;
use crate::session::Session;
use crate::spans::{CallSpan, SentTrace, ServedSpan};

/// What sees a call of this process begin and end: once, whatever becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    meter: CallMeter,
    span: CallSpan,
}

impl Observed {
    /// Of a call that may begin elsewhere, and is made on behalf of what runs here.
    #[inline(always)]
    pub(crate) fn here() -> Self {
        Observed {
            meter: CallMeter::default(),
            span: CallSpan::here(),
        }
    }

    /// The call begins, unless it has. Returns what is sent of it.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        names: impl Fn() -> (Cow<'static, str>, Cow<'static, str>),
    ) -> SentTrace {
        self.meter.begin(&names);
        self.span.begin(&names);
        self.span.sent()
    }

    /// The span that the call is made in, if it is none of its own.
    #[inline(always)]
    pub(crate) fn around(&self) -> ServedSpan {
        self.span.around()
    }

    /// The call goes out on this session.
    #[inline(always)]
    pub(crate) fn is_for(&self, session: &Session) {
        self.span.is_for(session.peer_address());
    }

    /// The call was answered: with the method's own error, or well; or it failed.
    #[inline(always)]
    pub(crate) fn ended(&mut self, result: Result<bool, &Fault>) {
        self.meter.ended(result);
        self.span.ended(result);
    }
}
