//! Interfaces that extend others, and objects that serve several.

use std::sync::atomic::{AtomicU32, Ordering};

use farref::prelude::*;
use farref::{FaultKind, Outcome, same_object};

use crate::support::{Pair, assert_fault};

#[expose]
trait Jukebox {
    async fn play(&self, n: u32) -> u32;
    #[attribute]
    fn volume(&self) -> u32;
}

#[expose]
trait Printer {
    async fn print(&self, text: &str) -> usize;
}

#[expose]
trait Admin: Jukebox {
    async fn reset(&self);
}

/// Extends two, one of which extends a third.
#[expose]
trait Root: Admin + Printer {
    async fn everything(&self) -> u32;
}

#[expose]
trait User {
    async fn use_jukebox(&self, jukebox: JukeboxProxy) -> u32;
    async fn admin_of(&self, admin: AdminProxy) -> AdminProxy;
    async fn lend_jukebox(&self) -> JukeboxProxy;
    /// Uses an object through both of its interfaces.
    async fn use_both(&self, jukebox: JukeboxProxy, printer: PrinterProxy) -> (u32, usize);
    async fn lend_both(&self) -> (JukeboxProxy, PrinterProxy, AdminProxy);
}

#[derive(Default)]
struct Machine(AtomicU32);

impl Jukebox for Machine {
    async fn play(&self, n: u32) -> u32 {
        self.0.fetch_add(n, Ordering::SeqCst) + n
    }
    fn volume(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
impl Printer for Machine {
    async fn print(&self, text: &str) -> usize {
        text.len()
    }
}
impl Admin for Machine {
    async fn reset(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}
impl Root for Machine {
    async fn everything(&self) -> u32 {
        // A trait that extends others is one in the application, too.
        self.reset().await;
        self.play(5).await + self.volume()
    }
}
impl User for Machine {
    async fn use_jukebox(&self, jukebox: JukeboxProxy) -> u32 {
        jukebox.play(3).await.unwrap()
    }
    async fn admin_of(&self, admin: AdminProxy) -> AdminProxy {
        admin
    }
    async fn lend_jukebox(&self) -> JukeboxProxy {
        AdminProxy::new(Machine::default()).into()
    }
    async fn use_both(&self, jukebox: JukeboxProxy, printer: PrinterProxy) -> (u32, usize) {
        assert!(same_object(&jukebox, &printer));
        (
            jukebox.play(1).await.unwrap(),
            printer.print("four").await.unwrap(),
        )
    }
    async fn lend_both(&self) -> (JukeboxProxy, PrinterProxy, AdminProxy) {
        let object = Object::new(Machine::default());
        (object.proxy(), object.proxy(), object.proxy())
    }
}

#[tokio::test]
async fn a_proxy_of_an_interface_is_one_of_those_that_it_extends() {
    let pair = Pair::tcp().await;
    let far = pair.serve("root", RootProxy::new(Machine::default())).await;
    for root in [far, RootProxy::new(Machine::default())] {
        assert_eq!(root.everything().await.unwrap(), 10);
        // By dereferencing, through two interfaces.
        assert_eq!(root.play(1).await.unwrap(), 6);
        root.reset().await.unwrap();
        assert_eq!(root.volume().await.unwrap(), 0);
        // By conversion.
        let printer = PrinterProxy::from(root.clone());
        assert_eq!(printer.print("four").await.unwrap(), 4);
        let admin: AdminProxy = root.clone().into();
        let jukebox: JukeboxProxy = admin.clone().into();
        assert_eq!(jukebox.play(2).await.unwrap(), 2);
        assert!(same_object(&jukebox, &root) && same_object(&printer, &admin));
    }
    pair.at_baseline().await;
}

#[tokio::test]
async fn an_object_is_found_under_the_interfaces_that_its_own_extends() {
    let pair = Pair::tcp().await;
    let uri = pair
        .daemon
        .register("admin", AdminProxy::new(Machine::default()))
        .unwrap();
    let jukebox: JukeboxProxy = pair.client.connect(&uri).await.unwrap();
    assert_eq!(jukebox.play(1).await.unwrap(), 1);
    let fault = pair.client.connect::<PrinterProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    let fault = pair.client.connect::<RootProxy>(&uri).await.unwrap_err();
    assert_fault(&fault, FaultKind::Incompatible, Outcome::NotStarted);
    drop(jukebox);
    pair.at_baseline().await;
}

#[tokio::test]
async fn a_reference_under_one_interface_gives_no_access_to_another() {
    let pair = Pair::tcp().await;
    let uri = pair
        .daemon
        .register(
            "jukebox",
            Object::new(Machine::default()).proxy::<JukeboxProxy>(),
        )
        .unwrap();
    // Lies about what it wants, with a lazy proxy that binds under its own name.
    let admin: AdminProxy = pair.client.lazy(&uri).unwrap();
    assert_fault(
        &admin.reset().await.unwrap_err(),
        FaultKind::Incompatible,
        Outcome::NotStarted,
    );
}

#[tokio::test]
async fn a_proxy_is_passed_on_as_one_of_an_interface_that_it_extends() {
    let pair = Pair::tcp().await;
    let user = pair.serve("user", UserProxy::new(Machine::default())).await;
    let admin = AdminProxy::new(Machine::default());
    assert_eq!(user.use_jukebox(admin.clone().into()).await.unwrap(), 3);
    let back = user.admin_of(admin.clone()).await.unwrap();
    assert!(back.is_near());
    assert_eq!(back.volume().await.unwrap(), 3, "all of it came home");
    let lent = user.lend_jukebox().await.unwrap();
    assert_eq!(lent.play(1).await.unwrap(), 1);
    drop((user, lent));
    pair.at_baseline().await;
}

#[tokio::test]
async fn one_object_serves_several_interfaces() {
    let pair = Pair::tcp().await;
    let object = Object::new(Machine::default());
    let jukebox = pair.serve("jukebox", object.proxy::<JukeboxProxy>()).await;
    let printer = pair.serve("printer", object.proxy::<PrinterProxy>()).await;
    assert_eq!(
        (
            jukebox.play(4).await.unwrap(),
            printer.print("four").await.unwrap()
        ),
        (4, 4)
    );
    assert!(
        same_object(&jukebox, &printer),
        "one object, and no round trip to know it"
    );
    let near: JukeboxProxy = object.proxy();
    assert_eq!(near.volume().await.unwrap(), 4);
    assert_eq!(near, object.proxy());
    drop((jukebox, printer));
    assert!(pair.daemon.unregister("jukebox") && pair.daemon.unregister("printer"));
    pair.at_baseline().await;
}

#[tokio::test]
async fn serial_access_covers_all_interfaces_of_an_object() {
    let object = Object::serial(Machine::default());
    let (jukebox, admin): (JukeboxProxy, AdminProxy) = (object.proxy(), object.proxy());
    assert_eq!(jukebox.play(1).await.unwrap(), 1);
    admin.reset().await.unwrap();
    assert_eq!(admin.volume().await.unwrap(), 0);
}

#[test]
fn the_descriptor_knows_what_is_extended() {
    let descriptor = RootProxy::DESCRIPTOR;
    assert_eq!(
        descriptor
            .bases
            .iter()
            .map(|base| base.name)
            .collect::<Vec<_>>(),
        ["Admin", "Printer"]
    );
    assert!(descriptor.extends(JukeboxProxy::DESCRIPTOR.hash));
    assert!(!JukeboxProxy::DESCRIPTOR.extends(descriptor.hash));
}

#[tokio::test]
async fn one_object_is_passed_on_under_several_interfaces_at_once() {
    let pair = Pair::tcp().await;
    let user = pair.serve("user", UserProxy::new(Machine::default())).await;
    let object = Object::new(Machine::default());
    assert_eq!(
        user.use_both(object.proxy(), object.proxy()).await.unwrap(),
        (1, 4)
    );
    let (jukebox, printer, admin) = user.lend_both().await.unwrap();
    assert_eq!(
        (
            jukebox.play(1).await.unwrap(),
            printer.print("four").await.unwrap()
        ),
        (1, 4)
    );
    admin.reset().await.unwrap();
    drop(jukebox);
    pair.barrier().await;
    assert_eq!(
        (
            printer.print("four").await.unwrap(),
            admin.play(2).await.unwrap()
        ),
        (4, 2)
    );
    drop((user, printer, admin));
    pair.at_baseline().await;
}
