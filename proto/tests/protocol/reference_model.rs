//! Counted references beside a simple model: whatever is given, called, sent home and released, and however it crosses
//! or is cut, an object lives exactly as long as it is held or on its way.

use std::collections::HashMap;

use farref_proto::{Event, ExportId, ImportId, IncomingRef, OutgoingCall, TableEntry};
use proptest::prelude::*;

use crate::pair::{CLIENT, End, Pair, SERVER, call, reply};

const OBJECTS: u64 = 4;

/// Which side does it.
type AtServer = bool;

#[derive(Debug, Clone)]
enum Step {
    /// Passes an object in a call.
    Give(AtServer, u64),
    /// Begins to, and does not send it.
    FailToGive(AtServer, u64),
    /// Passes an object of the other side back in a call.
    SendHome(AtServer, u64),
    /// Calls an object of the other side.
    Call(AtServer, u64),
    /// Gives back so many grants of an object of the other side.
    Release(AtServer, u64, u32),
    ToServer,
    ToClient,
    CutAndResume,
}

fn step() -> impl Strategy<Value = Step> {
    let (side, object) = (any::<bool>(), 0..OBJECTS);
    let at = (side, object);
    prop_oneof![
        4 => at.clone().prop_map(|(side, object)| Step::Give(side, object)),
        1 => at.clone().prop_map(|(side, object)| Step::FailToGive(side, object)),
        3 => at.clone().prop_map(|(side, object)| Step::SendHome(side, object)),
        3 => at.clone().prop_map(|(side, object)| Step::Call(side, object)),
        4 => (at, 1u32..3).prop_map(|((side, object), count)| Step::Release(side, object, count)),
        4 => Just(Step::ToServer),
        4 => Just(Step::ToClient),
        1 => Just(Step::CutAndResume),
    ]
}

/// What one side holds of the other's objects, and what the other knows of that.
#[derive(Default)]
struct Held {
    /// Grants that arrived and were not released, with the number of each object.
    grants: HashMap<u64, (ImportId, u32)>,
    /// Grants that the owner has given and not got back, with its own number of each object.
    given: HashMap<u64, (ExportId, u32)>,
    /// Grants whose release is on its way.
    returning: HashMap<u64, u32>,
    /// Calls and objects that were sent home and have not arrived, in their order.
    travelling: Vec<u64>,
}

/// Both sides beside the model.
struct World {
    pair: Pair,
    at_client: Held,
    at_server: Held,
    resumed: u8,
}

impl World {
    fn new() -> Self {
        World {
            pair: Pair::established(),
            at_client: Held::default(),
            at_server: Held::default(),
            resumed: 0,
        }
    }

    /// A side, what it holds, and what the other side holds of it.
    fn side(&mut self, server: bool) -> (&mut End, &mut Held, &mut Held) {
        match server {
            true => (
                &mut self.pair.server,
                &mut self.at_server,
                &mut self.at_client,
            ),
            false => (
                &mut self.pair.client,
                &mut self.at_client,
                &mut self.at_server,
            ),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Give(server, object) => self.give(server, object),
            Step::FailToGive(server, object) => {
                let (end, _, other) = self.side(server);
                let owner = if server { SERVER } else { CLIENT };
                let (export, _) = end.connection.export(object, 1, owner).unwrap();
                let was_last = end.connection.unexport(export);
                assert_eq!(was_last, !other.given.contains_key(&object));
            }
            Step::SendHome(server, object) => {
                let (end, held, _) = self.side(server);
                if let Some((import, _)) = held.grants.get(&object) {
                    let home = end.connection.home_entry(*import);
                    let outgoing = OutgoingCall {
                        table: &[home],
                        ..call(b"home")
                    };
                    end.connection.call(&outgoing).unwrap();
                    held.travelling.push(object);
                }
            }
            Step::Call(server, object) => {
                let (end, held, _) = self.side(server);
                if let Some((import, _)) = held.grants.get(&object) {
                    let outgoing = OutgoingCall {
                        target: import.index(),
                        ..call(b"call")
                    };
                    end.connection.call(&outgoing).unwrap();
                    held.travelling.push(object);
                }
            }
            Step::Release(server, object, count) => self.release(server, object, count),
            Step::ToServer => {
                self.pair.carry_to_server();
                self.arrived(true);
            }
            Step::ToClient => {
                self.pair.carry_to_client();
                self.arrived(false);
            }
            Step::CutAndResume => {
                self.resumed += 1;
                self.pair.cut();
                self.pair.resume(self.resumed);
                self.settle();
            }
        }
    }

    fn give(&mut self, server: bool, object: u64) {
        let (end, _, other) = self.side(server);
        let owner = if server { SERVER } else { CLIENT };
        let (export, entry): (ExportId, TableEntry) =
            end.connection.export(object, 1, owner).unwrap();
        let outgoing = OutgoingCall {
            table: &[entry],
            ..call(b"give")
        };
        end.connection.call(&outgoing).unwrap();
        let (known, count) = other.given.entry(object).or_insert((export, 0));
        assert_eq!(*known, export, "one object has one number while it lives");
        *count += 1;
    }

    fn release(&mut self, server: bool, object: u64, count: u32) {
        let (end, held, _) = self.side(server);
        let Some((import, grants)) = held.grants.get_mut(&object) else {
            return;
        };
        let count = count.min(*grants);
        end.connection.release(*import, count);
        *grants -= count;
        if *grants == 0 {
            held.grants.remove(&object);
        }
        *held.returning.entry(object).or_default() += count;
    }

    /// Everything that was sent has arrived at a side.
    fn arrived(&mut self, server: bool) {
        let (end, held, other) = self.side(server);
        let mut released = Vec::new();
        for event in end.events() {
            match event {
                Event::Call(arrived) => {
                    match (&arrived.body[..], &arrived.table[..]) {
                        (b"give", [IncomingRef::Import { import, object, .. }]) => {
                            let (known, grants) =
                                held.grants.entry(*object).or_insert((*import, 0));
                            assert_eq!(known, import, "one object has one number while it is held");
                            *grants += 1;
                        }
                        (b"home", [IncomingRef::Home(export)]) => {
                            assert_eq!(*export, other.given[&other.travelling.remove(0)].0);
                        }
                        (b"call", []) => {
                            let object = other.travelling.remove(0);
                            assert_eq!(arrived.target, other.given[&object].0);
                        }
                        unexpected => panic!("{unexpected:?}"),
                    }
                    end.connection.reply(arrived.id, &reply(b"")).unwrap();
                }
                Event::Released(export) => released.push(export),
                _ => {}
            }
        }
        assert_eq!(end.error, None);
        // What the other side released before this has arrived, too.
        let mut expected = Vec::new();
        for (object, count) in other.returning.drain() {
            let (export, given) = other.given.get_mut(&object).expect("it was given");
            *given -= count;
            if *given == 0 {
                expected.push(*export);
                other.given.remove(&object);
            }
        }
        released.sort_by_key(|export| export.index());
        expected.sort_by_key(|export| export.index());
        assert_eq!(released, expected);
        assert_eq!(end.connection.tables().exports, other.given.len());
    }

    /// Carries bytes until none move.
    fn settle(&mut self) {
        while self.pair.carry_to_server() + self.pair.carry_to_client() > 0 {
            self.arrived(true);
            self.arrived(false);
        }
        self.arrived(true);
        self.arrived(false);
    }

    fn end(mut self) {
        self.settle();
        for server in [true, false] {
            for object in 0..OBJECTS {
                self.release(server, object, u32::MAX);
            }
        }
        self.settle();
        self.pair.assert_idle();
    }
}

proptest! {
    #[test]
    fn an_object_lives_as_long_as_it_is_held_or_on_its_way(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.end();
    }
}
