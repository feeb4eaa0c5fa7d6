//! What the log says where something happened: each event is at home, where somebody can mend it.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farref::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::Pair;

/// Keeps warnings and errors as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Keeps what is logged on this thread until the guard is dropped.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// How many events of this level say this.
    pub(crate) fn count(&self, level: &str, text: &str) -> usize {
        let events = self.0.lock().unwrap();
        let said = events
            .iter()
            .filter(|event| event.starts_with(level) && event.contains(text));
        said.count()
    }

    #[track_caller]
    pub(crate) fn assert_has(&self, level: &str, parts: &[&str]) {
        let events = self.0.lock().unwrap();
        let found = events
            .iter()
            .any(|event| event.starts_with(level) && parts.iter().all(|part| event.contains(part)));
        assert!(found, "no {level} with {parts:?} in {events:#?}");
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("farref")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[expose]
trait Noisy {
    async fn panic(&self);
    #[callback]
    async fn refuse(&self, what: &str) -> Result<(), String>;
    async fn refuse_silently(&self) -> Result<(), String>;
    #[oneway]
    async fn fail(&self);
    fn block(&self);
}

struct Object;

impl Noisy for Object {
    async fn panic(&self) {
        panic!("the password is swordfish");
    }
    async fn refuse(&self, what: &str) -> Result<(), String> {
        assert_ne!(what, "panic", "the password is swordfish");
        Err("as the test wants it".into())
    }
    async fn refuse_silently(&self) -> Result<(), String> {
        Err("as the test wants it".into())
    }
    async fn fail(&self) {
        panic!("as the test wants it");
    }
    fn block(&self) {
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[tokio::test]
async fn a_panic_is_logged_in_full_where_it_happened() {
    let (log, _guard) = Log::start();
    let pair = Pair::tcp().await;
    let noisy = pair.serve("noisy", NoisyProxy::new(Object)).await;
    noisy.panic().await.unwrap_err();
    log.assert_has("ERROR", &["Noisy.panic", "swordfish"]);
}

#[tokio::test]
async fn a_callbacks_failure_is_logged_at_home_and_other_errors_are_not() {
    let (log, _guard) = Log::start();
    let pair = Pair::tcp().await;
    let noisy = pair.serve("noisy", NoisyProxy::new(Object)).await;
    noisy.refuse_silently().await.unwrap_err();
    let logged = log.0.lock().unwrap().clone();
    assert!(
        // On a busy machine a handler may have taken long, which is a warning and no error.
        !logged.iter().any(|event| event.starts_with("ERROR")),
        "an error of the method's own is its caller's affair: {logged:#?}"
    );
    noisy.refuse("politely").await.unwrap_err();
    log.assert_has("ERROR", &["Noisy.refuse", "callback"]);
    log.0.lock().unwrap().clear();
    noisy.refuse("panic").await.unwrap_err();
    log.assert_has("ERROR", &["Noisy.refuse", "swordfish"]);
    log.0.lock().unwrap().clear();
    // Near, too.
    NoisyProxy::new(Object).refuse("panic").await.unwrap_err();
    log.assert_has("ERROR", &["Noisy.refuse", "swordfish"]);
}

#[tokio::test]
async fn a_oneway_that_fails_is_logged_where_it_failed() {
    let (log, _guard) = Log::start();
    let pair = Pair::tcp().await;
    let noisy = pair.serve("noisy", NoisyProxy::new(Object)).await;
    noisy.fail().await.unwrap();
    noisy.refuse_silently().oneway().await.unwrap();
    pair.barrier().await;
    log.assert_has("WARN", &["Noisy.fail", "oneway"]);
    log.assert_has("WARN", &["Noisy.refuse_silently", "oneway"]);
}

#[tokio::test]
async fn a_handler_that_holds_its_connection_is_named() {
    let (log, _guard) = Log::start();
    let pair = Pair::tcp().await;
    let noisy = pair.serve("noisy", NoisyProxy::new(Object)).await;
    noisy.block().await.unwrap();
    log.assert_has("WARN", &["Noisy.block", "#[blocking]"]);
}
