//! What a handler knows of the call that it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use farref::prelude::*;
use farref::{FaultKind, Identity, Outcome, PeerAddress};

use crate::support::{Pair, assert_fault, memory_uri};

#[expose]
trait Inspector {
    async fn names(&self) -> (String, String);
    async fn peer(&self) -> Option<(String, String, bool, String)>;
    async fn session(&self) -> u64;
    /// Sends each note back beside the reply, with `re: ` before its key.
    async fn notes(&self) -> usize;
    async fn notes_or_error(&self) -> Result<(), String>;
    /// Counts the calls of this session.
    async fn count(&self) -> u32;
    async fn forget_count(&self) -> Option<u32>;
    async fn close_me(&self);
    async fn spawned_context(&self, along: bool) -> bool;
    #[blocking]
    fn blocking_context(&self) -> bool;
}

struct Count(AtomicU32);

struct Object;

impl Inspector for Object {
    async fn names(&self) -> (String, String) {
        tokio::task::yield_now().await;
        let context = CallContext::current().unwrap();
        (context.interface().to_owned(), context.method().to_owned())
    }
    async fn peer(&self) -> Option<(String, String, bool, String)> {
        let peer = CallContext::current().unwrap().peer()?;
        let identity = format!("{:?}", peer.identity());
        Some((
            peer.address().to_string(),
            identity,
            peer.address().is_local(),
            peer.name(),
        ))
    }
    async fn session(&self) -> u64 {
        CallContext::current()
            .unwrap()
            .peer()
            .unwrap()
            .session_number()
    }
    async fn notes(&self) -> usize {
        let context = CallContext::current().unwrap();
        for (key, value) in context.annotations() {
            context.set_reply_annotation(format!("re: {key}"), value.clone());
        }
        context.set_reply_annotation("again", "first");
        context.set_reply_annotation("again", "second");
        context.annotation("one").map_or(0, Bytes::len)
    }
    async fn notes_or_error(&self) -> Result<(), String> {
        CallContext::current()
            .unwrap()
            .set_reply_annotation("beside", "an error");
        Err("as the test wants it".into())
    }
    async fn count(&self) -> u32 {
        let context = CallContext::current().unwrap();
        let count = context
            .storage()
            .unwrap()
            .get_or_insert_with(|| Count(AtomicU32::new(0)));
        count.0.fetch_add(1, Ordering::Relaxed) + 1
    }
    async fn forget_count(&self) -> Option<u32> {
        let context = CallContext::current().unwrap();
        let count = context.storage().unwrap().remove::<Count>();
        count.map(|count| count.0.load(Ordering::Relaxed))
    }
    async fn close_me(&self) {
        CallContext::current().unwrap().close_caller();
    }
    async fn spawned_context(&self, along: bool) -> bool {
        let context = async { CallContext::current().is_some() };
        match along {
            true => tokio::spawn(farref::chain::scope(context)).await.unwrap(),
            false => tokio::spawn(context).await.unwrap(),
        }
    }
    fn blocking_context(&self) -> bool {
        CallContext::current().is_some()
    }
}

#[tokio::test]
async fn a_handler_knows_who_calls_what() {
    assert!(
        CallContext::current().is_none(),
        "no call is being served here"
    );
    let pair = Pair::of(Daemon::builder(), Client::builder().name("the caller")).await;
    let inspector = pair.serve("inspector", InspectorProxy::new(Object)).await;
    assert_eq!(
        inspector.names().await.unwrap(),
        ("Inspector".to_owned(), "names".to_owned())
    );
    let (address, identity, is_local, name) = inspector.peer().await.unwrap().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_eq!(
        (identity.as_str(), is_local, name.as_str()),
        ("Anonymous", true, "the caller")
    );
    assert!(matches!(
        pair.client.peers()[0].address(),
        PeerAddress::Tcp(_)
    ));
    let near = InspectorProxy::new(Object);
    assert_eq!(
        near.names().await.unwrap(),
        ("Inspector".to_owned(), "names".to_owned())
    );
    assert_eq!(near.peer().await.unwrap(), None);
}

#[tokio::test]
async fn a_peer_that_proved_the_token_has_that_identity() {
    let pair = Pair::of(
        Daemon::builder().token("swordfish"),
        Client::builder().token("swordfish"),
    )
    .await;
    let inspector = pair.serve("inspector", InspectorProxy::new(Object)).await;
    assert_eq!(inspector.peer().await.unwrap().unwrap().1, "Token");
    assert_eq!(
        pair.client.peers()[0].identity(),
        Identity::Token,
        "and so does the daemon, which proved it, too"
    );
}

#[tokio::test]
async fn notes_travel_both_ways_beside_a_call() {
    let pair = Pair::tcp().await;
    let far = pair.serve("inspector", InspectorProxy::new(Object)).await;
    for inspector in [far, InspectorProxy::new(Object)] {
        let call = inspector
            .notes()
            .annotate("one", "1234")
            .annotate("two", vec![0, 255]);
        let (result, notes) = call.with_annotations().await;
        assert_eq!(result.unwrap(), 4);
        let expected = [
            ("re: one", &b"1234"[..]),
            ("re: two", &[0, 255]),
            ("again", b"second"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), Bytes::copy_from_slice(value)));
        assert_eq!(notes, expected);
        let (result, notes) = inspector.notes_or_error().with_annotations().await;
        assert!(matches!(result, Err(CallError::App(_))));
        assert_eq!(
            notes,
            [("beside".to_owned(), Bytes::from_static(b"an error"))]
        );
    }
}

#[tokio::test]
async fn each_session_has_its_storage() {
    let pair = Pair::tcp().await;
    let inspector = pair.serve("inspector", InspectorProxy::new(Object)).await;
    assert_eq!(
        (
            inspector.count().await.unwrap(),
            inspector.count().await.unwrap()
        ),
        (1, 2)
    );
    let other = inspector.dedicated().unwrap();
    assert_eq!(other.count().await.unwrap(), 1, "another session");
    assert_eq!(inspector.count().await.unwrap(), 3);
    assert_eq!(inspector.forget_count().await.unwrap(), Some(3));
    assert_eq!(inspector.forget_count().await.unwrap(), None);
    // The application may put things there from outside, too.
    let storage = pair.daemon.peers();
    let peer = storage
        .iter()
        .find(|peer| peer.storage().get::<Count>().is_some())
        .unwrap();
    assert_eq!(
        peer.storage()
            .get::<Count>()
            .unwrap()
            .0
            .load(Ordering::Relaxed),
        1
    );
}

#[tokio::test]
async fn a_session_ends_with_all_that_its_storage_holds() {
    struct OnDrop(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let pair = Pair::tcp().await;
    let (sender, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    assert!(
        pair.daemon.peers()[0]
            .storage()
            .insert(OnDrop(sender))
            .is_none()
    );
    pair.client.close().await;
    dropped.recv().await.unwrap();
}

#[tokio::test]
async fn a_handler_may_close_its_callers_session() {
    let pair = Pair::tcp().await;
    let inspector = pair.serve("inspector", InspectorProxy::new(Object)).await;
    let before = inspector.session().await.unwrap();
    let fault = inspector.close_me().await.unwrap_err();
    assert_fault(&fault, FaultKind::SessionLost, Outcome::Unknown);
    assert_ne!(
        inspector.session().await.unwrap(),
        before,
        "the next call has a new session"
    );
}

#[tokio::test]
async fn a_spawned_task_has_the_context_only_if_it_takes_it_along() {
    let pair = Pair::tcp().await;
    let inspector = pair.serve("inspector", InspectorProxy::new(Object)).await;
    assert!(inspector.spawned_context(true).await.unwrap());
    assert!(!inspector.spawned_context(false).await.unwrap());
    assert!(inspector.blocking_context().await.unwrap());
}

#[tokio::test]
async fn peers_in_memory_and_on_unix_sockets_say_where_they_are() {
    let directory = crate::support::Directory::new();
    let unix: Uri = format!("far+unix:{}", directory.path("socket").display())
        .parse()
        .unwrap();
    let daemon = Daemon::builder()
        .listen(unix)
        .listen(memory_uri())
        .bind()
        .await
        .unwrap();
    daemon
        .register("inspector", InspectorProxy::new(Object))
        .unwrap();
    let mut addresses = Vec::new();
    for uri in daemon.uris() {
        let inspector: InspectorProxy = Client::new()
            .connect(&uri.with_object("inspector"))
            .await
            .unwrap();
        let (address, _, is_local, _) = inspector.peer().await.unwrap().unwrap();
        assert!(is_local);
        addresses.push(address);
    }
    assert!(
        addresses[0].starts_with("unix") && addresses[1].starts_with("memory:"),
        "{addresses:?}"
    );
}

#[test]
fn storage_keeps_one_value_of_each_type() {
    let storage = farref::Storage::default();
    assert!(storage.insert(1_u32).is_none());
    assert_eq!(storage.insert(2_u32).as_deref(), Some(&1));
    storage.insert("text");
    assert_eq!(storage.get::<u32>().as_deref(), Some(&2));
    assert_eq!(storage.get_or_insert_with(|| 9_u32), Arc::new(2));
    assert_eq!(storage.remove::<&str>().as_deref(), Some(&"text"));
    assert!(storage.get::<&str>().is_none());
}
