//! What is under way in a network, and what is wrong with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::Instant;

/// How many bytes may be under way on a connection, in each direction. Who writes more waits.
const UNDER_WAY: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct State {
    hosts: Vec<HostState>,
    /// From one host to another.
    ways: HashMap<[usize; 2], Way>,
    /// In the order in which they were made, so that faults strike in an order that does not change.
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

struct HostState {
    address: String,
    crashes: u64,
}

/// One direction between two hosts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    pub(super) is_blocked: bool,
    pub(super) delay: Duration,
    pub(super) cut_after: Option<usize>,
    pub(super) connections: usize,
    pub(super) sent: u64,
}

/// Whether there is a way to an address.
pub(super) enum Route {
    /// To this host, in this time.
    Open(usize, Duration),
    /// Not for the moment.
    Blocked,
    /// The host that wants to go there has crashed.
    Dead,
    /// The address is not of this network.
    Elsewhere,
}

struct Connection {
    /// Who dialled, and who was dialled.
    hosts: [usize; 2],
    /// What the side of the same number sends.
    flows: [Flow; 2],
}

#[derive(Default)]
struct Flow {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// How much of the first piece was read.
    read: usize,
    under_way: usize,
    /// When the last piece arrives: none overtakes another.
    last_due: Option<Instant>,
    /// Nothing is sent any more, and when it is known at the other end.
    ended: Option<(Instant, Ending)>,
    writer: End,
    reader: End,
    is_silent: bool,
    reads: Option<Waker>,
    writes: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Ending {
    Closed,
    Broken,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Broken,
    Gone,
}

/// What is there to be read.
pub(super) enum Read {
    Done(io::Result<()>),
    /// Something arrives then.
    At(Instant),
    /// Nothing as yet; the reader will be woken.
    Nothing,
}

impl State {
    pub(super) fn host(&mut self, address: &str) -> usize {
        if let Some(known) = self.find(address) {
            return known;
        }
        self.hosts.push(HostState {
            address: address.to_owned(),
            crashes: 0,
        });
        self.hosts.len() - 1
    }

    fn find(&self, address: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.address == address)
    }

    pub(super) fn life(&self, host: usize) -> u64 {
        self.hosts[host].crashes
    }

    pub(super) fn way(&mut self, way: [usize; 2]) -> &mut Way {
        self.ways.entry(way).or_default()
    }

    pub(super) fn route(&mut self, (from, life): (usize, u64), address: &str) -> Route {
        let Some(to) = self.find(address) else {
            return Route::Elsewhere;
        };
        if self.life(from) != life {
            return Route::Dead;
        }
        let (there, back) = (*self.way([from, to]), *self.way([to, from]));
        match there.is_blocked || back.is_blocked {
            true => Route::Blocked,
            false => Route::Open(to, there.delay + back.delay),
        }
    }

    pub(super) fn open(&mut self, hosts: [usize; 2]) -> u64 {
        self.way(hosts).connections += 1;
        let number = self.next;
        self.next += 1;
        let flows = Default::default();
        self.connections.insert(number, Connection { hosts, flows });
        number
    }

    fn between(&mut self, ends: [usize; 2]) -> impl Iterator<Item = &mut Connection> {
        let [one, other] = ends;
        let all = self.connections.values_mut();
        all.filter(move |connection| [[one, other], [other, one]].contains(&connection.hosts))
    }

    pub(super) fn cut(&mut self, ends: [usize; 2], woken: &mut Vec<Waker>) {
        for connection in self.between(ends) {
            connection.cut(woken);
        }
    }

    pub(super) fn cut_at(&mut self, ends: [usize; 2], at: usize, woken: &mut Vec<Waker>) {
        for connection in self.between(ends) {
            let side = usize::from(connection.hosts[0] != at);
            let [to, from] = [side, 1 - side];
            connection.flows[to].break_writer(woken);
            connection.flows[from].break_reader(woken);
        }
    }

    pub(super) fn silence(&mut self, ends: [usize; 2]) {
        for connection in self.between(ends) {
            for flow in &mut connection.flows {
                flow.is_silent = true;
            }
        }
    }

    pub(super) fn crash(&mut self, host: usize, woken: &mut Vec<Waker>) {
        self.hosts[host].crashes += 1;
        let all = self.connections.values_mut();
        for connection in all.filter(|connection| connection.hosts.contains(&host)) {
            connection.cut(woken);
        }
    }

    pub(super) fn heal(&mut self, woken: &mut Vec<Waker>) {
        for way in self.ways.values_mut() {
            way.is_blocked = false;
        }
        for connection in self.connections.values_mut() {
            connection.wake(woken);
        }
    }

    pub(super) fn heal_link(&mut self, ends: [usize; 2], woken: &mut Vec<Waker>) {
        let [one, other] = ends;
        self.way([one, other]).is_blocked = false;
        self.way([other, one]).is_blocked = false;
        for connection in self.between(ends) {
            connection.wake(woken);
        }
    }

    /// The flow that this side of a connection sends, and the way that it takes.
    fn flow(&mut self, connection: u64, side: usize) -> Option<(&mut Flow, &mut Way)> {
        let Connection { hosts, flows } = self.connections.get_mut(&connection)?;
        let way = [hosts[side], hosts[1 - side]];
        Some((&mut flows[side], self.ways.entry(way).or_default()))
    }

    /// Reads what the other side has sent to this one.
    pub(super) fn read(
        &mut self,
        (connection, side): (u64, usize),
        buffer: &mut ReadBuf<'_>,
        cx: &Context<'_>,
        woken: &mut Vec<Waker>,
    ) -> Read {
        let Some((flow, way)) = self.flow(connection, 1 - side) else {
            return Read::Done(Err(io::ErrorKind::ConnectionReset.into()));
        };
        if flow.reader != End::Open {
            return Read::Done(Err(io::ErrorKind::ConnectionReset.into()));
        }
        flow.reads = Some(cx.waker().clone());
        if flow.is_silent || way.is_blocked {
            return Read::Nothing;
        }
        let now = Instant::now();
        let Some((due, piece)) = flow.pieces.front() else {
            return match flow.ended {
                None => Read::Nothing,
                Some((due, _)) if due > now => Read::At(due),
                Some((_, Ending::Closed)) => Read::Done(Ok(())),
                Some((_, Ending::Broken)) => Read::Done(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        if *due > now {
            return Read::At(*due);
        }
        let rest = &piece[flow.read..];
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        flow.read += length;
        flow.under_way -= length;
        if flow.read == piece.len() {
            flow.pieces.pop_front();
            flow.read = 0;
        }
        woken.extend(flow.writes.take());
        Read::Done(Ok(()))
    }

    /// Sends from this side to the other.
    pub(super) fn write(
        &mut self,
        (connection, side): (u64, usize),
        bytes: &[u8],
        cx: &Context<'_>,
        woken: &mut Vec<Waker>,
    ) -> Poll<io::Result<usize>> {
        let broken = || Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        let Some((flow, way)) = self.flow(connection, side) else {
            return broken();
        };
        let is_told = !flow.is_silent && !way.is_blocked;
        if flow.writer != End::Open || is_told && flow.reader == End::Gone {
            return broken();
        }
        let length = bytes.len().min(UNDER_WAY - flow.under_way);
        let length = way.cut_after.map_or(length, |left| length.min(left));
        if length == 0 && way.cut_after != Some(0) {
            flow.writes = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if length > 0 {
            let due = flow.due(way.delay);
            flow.pieces.push_back((due, bytes[..length].to_vec()));
            flow.under_way += length;
            way.sent += length as u64;
            woken.extend(flow.reads.take());
        }
        if let Some(left) = &mut way.cut_after {
            *left -= length;
            if *left == 0 {
                way.cut_after = None;
                let due = flow.due(way.delay);
                flow.ended = Some((due, Ending::Broken));
                flow.writer = End::Broken;
                woken.extend(flow.reads.take());
                if let Some((back, _)) = self.flow(connection, 1 - side) {
                    back.break_both(woken);
                }
            }
        }
        match length {
            0 => broken(),
            length => Poll::Ready(Ok(length)),
        }
    }

    /// Nothing is sent by this side any more.
    pub(super) fn shut_down(&mut self, (connection, side): (u64, usize), woken: &mut Vec<Waker>) {
        if let Some((flow, way)) = self.flow(connection, side)
            && flow.writer == End::Open
            && flow.ended.is_none()
        {
            let due = flow.due(way.delay);
            flow.ended = Some((due, Ending::Closed));
            woken.extend(flow.reads.take());
        }
    }

    /// This side reads no more.
    pub(super) fn drop_reader(&mut self, (connection, side): (u64, usize), woken: &mut Vec<Waker>) {
        if let Some((flow, _)) = self.flow(connection, 1 - side) {
            // Who broke it hears nothing more, and is not heard of.
            if flow.reader == End::Open {
                woken.extend(flow.writes.take());
            }
            flow.reader = End::Gone;
        }
        self.forget(connection);
    }

    /// This side writes no more.
    pub(super) fn drop_writer(&mut self, (connection, side): (u64, usize), woken: &mut Vec<Waker>) {
        self.shut_down((connection, side), woken);
        if let Some((flow, _)) = self.flow(connection, side) {
            flow.writer = End::Gone;
        }
        self.forget(connection);
    }

    fn forget(&mut self, connection: u64) {
        let is_gone = |flow: &Flow| flow.writer == End::Gone && flow.reader == End::Gone;
        if let Some(known) = self.connections.get(&connection)
            && known.flows.iter().all(is_gone)
        {
            self.connections.remove(&connection);
        }
    }
}

impl Connection {
    fn cut(&mut self, woken: &mut Vec<Waker>) {
        for flow in &mut self.flows {
            flow.break_both(woken);
        }
    }

    fn wake(&mut self, woken: &mut Vec<Waker>) {
        for flow in &mut self.flows {
            woken.extend(flow.reads.take());
            woken.extend(flow.writes.take());
        }
    }
}

impl Flow {
    /// When what is sent now arrives.
    fn due(&mut self, delay: Duration) -> Instant {
        let due = Instant::now() + delay;
        let due = self.last_due.map_or(due, |last| due.max(last));
        self.last_due = Some(due);
        due
    }

    fn break_writer(&mut self, woken: &mut Vec<Waker>) {
        if self.writer == End::Open {
            self.writer = End::Broken;
        }
        woken.extend(self.writes.take());
    }

    fn break_reader(&mut self, woken: &mut Vec<Waker>) {
        if self.reader == End::Open {
            self.reader = End::Broken;
        }
        woken.extend(self.reads.take());
    }

    fn break_both(&mut self, woken: &mut Vec<Waker>) {
        self.pieces.clear();
        self.read = 0;
        self.under_way = 0;
        self.break_writer(woken);
        self.break_reader(woken);
    }
}
