//! The proxy that is written for programs without async: its methods return when their calls have ended.

use std::collections::BTreeSet;
use std::sync::Mutex;

use farref::blocking::{self, BlockingProxy};
use farref::prelude::*;
use farref::{FaultKind, Outcome, Signal, Stream};

use crate::support::{assert_fault, memory_uri};

#[expose]
trait Shelf {
    fn count(&self) -> u32;
    async fn find(&self, title: &str, parts: &[u8], like: &BTreeSet<u32>) -> Result<u32, String>;
    #[oneway]
    fn add(&self, title: String);
    #[attribute]
    fn open(&self) -> bool;
    async fn bytes(&self, bytes: Vec<u8>) -> Vec<u8>;
    fn titles(&self, word: &str) -> impl Stream<Item = String>;
    #[signal]
    fn added(&self) -> &Signal<String>;
    async fn other(&self) -> ShelfProxy;
    async fn twice(&self, n: u32) -> u32 {
        n * 2
    }
}

#[expose]
trait Archive: Shelf {
    async fn seal(&self) -> u32;
}

#[derive(Default)]
struct Oak {
    titles: Mutex<Vec<String>>,
    added: Signal<String>,
}

impl Shelf for Oak {
    fn count(&self) -> u32 {
        self.titles.lock().unwrap().len() as u32
    }
    async fn find(&self, title: &str, parts: &[u8], like: &BTreeSet<u32>) -> Result<u32, String> {
        let titles = self.titles.lock().unwrap();
        let place = titles.iter().position(|known| known == title);
        let place = place.ok_or_else(|| format!("no {title}"))?;
        Ok((place + parts.len() + like.len()) as u32)
    }
    fn add(&self, title: String) {
        self.titles.lock().unwrap().push(title.clone());
        self.added.send_now(title).unwrap();
    }
    fn open(&self) -> bool {
        true
    }
    async fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
    fn titles(&self, word: &str) -> impl Stream<Item = String> {
        let titles = self.titles.lock().unwrap().clone();
        let word = word.to_owned();
        crate::streams::items(
            titles
                .into_iter()
                .filter(move |title| title.contains(&word)),
        )
    }
    fn added(&self) -> &Signal<String> {
        &self.added
    }
    async fn other(&self) -> ShelfProxy {
        ShelfProxy::new(Oak::default())
    }
}

impl Archive for Oak {
    async fn seal(&self) -> u32 {
        7
    }
}

/// Every form of method, near or far.
fn drive(shelf: &ShelfBlocking) {
    let mut added = blocking::wait(shelf.added().subscribe()).unwrap().unwrap();
    shelf.add("Emma".to_owned()).unwrap();
    assert_eq!(*added.wait_next().unwrap(), "Emma");
    shelf.add("Middlemarch".to_owned()).unwrap();
    assert_eq!(*added.wait_next().unwrap(), "Middlemarch");
    assert_eq!(shelf.count().unwrap(), 2);
    assert_eq!(
        shelf
            .find("Middlemarch", b"ab", &BTreeSet::from([1]))
            .unwrap(),
        4
    );
    let error = shelf.find("Ulysses", b"", &BTreeSet::new()).unwrap_err();
    assert_eq!(error.app().unwrap(), "no Ulysses");
    assert!(shelf.open().unwrap());
    assert_eq!(shelf.bytes(vec![1, 2]).unwrap(), [1, 2]);
    assert_eq!(shelf.twice(4).unwrap(), 8);
    let titles: Result<Vec<String>, Fault> = shelf.titles("mm").collect();
    assert_eq!(titles.unwrap(), ["Emma"]);
    let other = shelf.other().unwrap().blocking();
    assert_eq!(other.count().unwrap(), 0);
}

#[test]
fn every_form_of_method_is_waited_for_near_and_far() {
    drive(&ShelfProxy::new(Oak::default()).blocking());
    let daemon = blocking::bind(memory_uri()).unwrap();
    let uri = daemon
        .register("shelf", ShelfProxy::new(Oak::default()))
        .unwrap();
    let shelf: ShelfBlocking = blocking::connect(&uri).unwrap();
    assert!(!shelf.proxy().is_near());
    drive(&shelf);
    // What is said of one call is said of the proxy's.
    let limit = std::time::Duration::from_secs(60);
    assert_eq!(shelf.proxy().count().timeout(limit).wait().unwrap(), 2);
}

#[test]
fn an_extended_interface_has_the_methods_of_both() {
    let daemon = blocking::bind(memory_uri()).unwrap();
    let uri = daemon
        .register("archive", ArchiveProxy::new(Oak::default()))
        .unwrap();
    let archive: ArchiveBlocking = blocking::connect(&uri).unwrap();
    assert_eq!(archive.seal().unwrap(), 7);
    drive(&archive);
}

#[test]
fn nobody_to_connect_to_is_an_error() {
    let fault = blocking::connect::<ShelfBlocking>(memory_uri()).unwrap_err();
    assert_fault(&fault, FaultKind::ConnectFailed, Outcome::NotStarted);
}

#[tokio::test]
async fn on_a_thread_that_drives_a_runtime_it_is_an_error_at_once() {
    let shelf = ShelfProxy::new(Oak::default()).blocking();
    assert_fault(
        &shelf.count().unwrap_err(),
        FaultKind::Misuse,
        Outcome::NotStarted,
    );
    let error = shelf.find("Emma", b"", &BTreeSet::new()).unwrap_err();
    assert_fault(
        error.fault().unwrap(),
        FaultKind::Misuse,
        Outcome::NotStarted,
    );
    let item = shelf.titles("").next().unwrap();
    assert_fault(&item.unwrap_err(), FaultKind::Misuse, Outcome::NotStarted);
}
