//! Signals against a list that is kept by hand: whatever is connected, disconnected and dropped in whichever order, the
//! same receivers answer the same.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

use std::sync::Arc;

use farref::Signal;
use farref::signal::{Connection, ReceiverId, Sender};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["one", "two", "three"];
const SENDERS: usize = 2;
const OBJECTS: usize = 2;

/// What is done to the signal. Senders and objects are indices.
#[derive(Clone, Debug)]
enum Step {
    Connect {
        name: usize,
        sender: Option<usize>,
        /// What the receiver is a method of.
        object: Option<usize>,
    },
    Disconnect {
        name: usize,
        sender: Option<usize>,
    },
    /// Disconnects by a connection that was made before, counted from the last one.
    DisconnectBy(usize),
    /// The object goes, and another one takes its index.
    DropObject(usize),
    Send(Option<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let sender = || proptest::option::of(0..SENDERS);
    let object = || proptest::option::of(0..OBJECTS);
    let step = prop_oneof![
        4 => (name(), sender(), object())
            .prop_map(|(name, sender, object)| Step::Connect { name, sender, object }),
        2 => (name(), sender()).prop_map(|(name, sender)| Step::Disconnect { name, sender }),
        2 => (0..4usize).prop_map(Step::DisconnectBy),
        1 => (0..OBJECTS).prop_map(Step::DropObject),
        4 => sender().prop_map(Step::Send),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A receiver, as the list knows it. It answers with its number.
struct Known {
    number: usize,
    name: usize,
    sender: Option<usize>,
    object: Option<usize>,
}

/// The signal and the list.
struct Model {
    signal: Signal<(), usize>,
    senders: Vec<Sender>,
    objects: Vec<Arc<()>>,
    known: Vec<Known>,
    /// With the number of the receiver that each one is of.
    connections: Vec<(usize, Connection)>,
    next: usize,
}

impl Model {
    fn new() -> Self {
        Model {
            signal: Signal::new(),
            senders: (0..SENDERS).map(|_| Sender::unique()).collect(),
            objects: (0..OBJECTS).map(|_| Arc::new(())).collect(),
            known: Vec::new(),
            connections: Vec::new(),
            next: 0,
        }
    }

    fn take(&mut self, is_it: impl Fn(&Known) -> bool) -> bool {
        let index = self.known.iter().position(is_it);
        index.map(|index| self.known.remove(index)).is_some()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Connect {
                name,
                sender,
                object,
            } => {
                let number = self.next;
                self.next += 1;
                let mut connecting = self.signal.with_id(NAMES[name]);
                if let Some(sender) = sender {
                    connecting = connecting.from_sender(&self.senders[sender]);
                }
                let connection = match object {
                    Some(object) => {
                        connecting.connect_weak(&self.objects[object], move |(), _| number)
                    }
                    None => connecting.connect(move |_| number),
                };
                let same = |known: &&Known| (known.name, known.sender) == (name, sender);
                let number = match self.known.iter().find(same) {
                    Some(known) => known.number,
                    None => {
                        self.known.push(Known {
                            number,
                            name,
                            sender,
                            object,
                        });
                        number
                    }
                };
                assert!(connection.is_connected());
                self.connections.push((number, connection));
            }
            Step::Disconnect { name, sender } => {
                let disconnected = match sender {
                    Some(sender) => self
                        .signal
                        .from_sender(&self.senders[sender])
                        .disconnect(NAMES[name]),
                    None => self.signal.disconnect(NAMES[name]),
                };
                let expected = self.take(|known| (known.name, known.sender) == (name, sender));
                assert_eq!(disconnected, expected);
            }
            Step::DisconnectBy(back) => {
                let Some(index) = self.connections.len().checked_sub(back + 1) else {
                    return;
                };
                let number = self.connections[index].0;
                let expected = self.take(|known| known.number == number);
                let connection = &self.connections[index].1;
                assert_eq!(connection.is_connected(), expected);
                assert_eq!(connection.disconnect(), expected);
            }
            Step::DropObject(object) => {
                self.objects[object] = Arc::new(());
                self.known.retain(|known| known.object != Some(object));
            }
            Step::Send(sender) => {
                let responses = match sender {
                    Some(sender) => self.signal.send_now_from(&self.senders[sender], ()),
                    None => self.signal.send_now(()),
                };
                let heard = self
                    .known
                    .iter()
                    .filter(|known| known.sender.is_none() || known.sender == sender);
                let expected: Vec<(ReceiverId, usize)> = heard
                    .map(|known| (NAMES[known.name].into(), known.number))
                    .collect();
                assert_eq!(responses.unwrap(), expected);
            }
        }
        let names: Vec<ReceiverId> = self
            .known
            .iter()
            .map(|known| NAMES[known.name].into())
            .collect();
        assert_eq!(self.signal.receivers(), names);
        assert_eq!(self.signal.has_receivers(), !names.is_empty());
    }
}

proptest! {
    #[test]
    fn a_signal_does_what_a_list_does(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
        }
    }
}
