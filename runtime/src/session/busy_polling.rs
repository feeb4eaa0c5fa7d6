//! Waiting for what the peer sends: for a short while by asking the socket again and again, as long as that has paid off.
//!
//! A thread that waits for a socket sleeps, and to wake it takes longer than many a peer takes to answer: some microseconds
//! on a machine of one's own, fifty and more on many a virtual one, whose processors are taken away while they have nothing
//! to do. Who asks again and again learns at once that something came, and costs less processor time than falling asleep
//! and being woken, if it comes soon. Linux can do so for sockets (`SO_BUSY_POLL`), and Go's scheduler does so for its
//! threads before they sleep.
//!
//! The other tasks of the runtime have their turn between two questions, and one session of a process at a time asks: what
//! comes for the others meanwhile finds a thread that is awake.

use std::future::poll_fn;
use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::input::Input;
use crate::transport::Reads;

/// For how many times that it paid off it may have been in vain once.
const PAYS_FOR_ONE: u32 = 2;
/// It pauses for fewer than two to the power of this, in reads.
const LONGEST_PAUSE: u32 = 10;

/// Whether a session of this process asks just now.
static IS_POLLING: AtomicBool = AtomicBool::new(false);

/// Whether peers can do anything on this machine while a thread asks whether they have.
static HAS_PROCESSORS: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1));

/// How a session waits for what its peer sends.
#[derive(Debug)]
pub(super) struct BusyPolling {
    /// How long it asks.
    limit: Duration,
    worth: Worth,
}

impl BusyPolling {
    /// Asks for this long before it sleeps, or, with zero, sleeps at once.
    pub(super) fn new(limit: Duration) -> Self {
        BusyPolling {
            limit,
            worth: Worth::default(),
        }
    }

    /// Reads some bytes, as [`Input::read`] does.
    pub(super) async fn read(
        &mut self,
        input: &mut Input,
        reader: &mut dyn Reads,
    ) -> io::Result<usize> {
        if self.is_to_poll(input, reader) {
            if let Some(read) = read_if_ready(input, reader).await {
                return read;
            }
            if let Some(read) = self.poll(input, reader, &IS_POLLING).await {
                return read;
            }
        }
        input.read(reader).await
    }

    fn is_to_poll(&mut self, input: &Input, reader: &dyn Reads) -> bool {
        !self.limit.is_zero()
            && *HAS_PROCESSORS
            && reader.socket().is_some()
            && !input.reads_apart()
            && self.worth.is_due()
    }

    /// Asks until something has come. None if nothing has in time, or if it is not to ask.
    async fn poll(
        &mut self,
        input: &mut Input,
        reader: &mut dyn Reads,
        is_polling: &AtomicBool,
    ) -> Option<io::Result<usize>> {
        reader.socket()?;
        let _turn = Turn::take(is_polling)?;
        // Not the runtime's clock: where that stands still while anybody has something to do, it would for ever.
        let begun = Instant::now();
        while begun.elapsed() < self.limit {
            tokio::task::yield_now().await;
            // The runtime learns of it later, if another of its threads is the one to be told.
            let read = reader.socket().and_then(|socket| input.read_now(&socket));
            let read = match read {
                Some(read) => Some(read),
                None => read_if_ready(input, reader).await,
            };
            if read.is_some() {
                self.worth.paid_off();
                return read;
            }
        }
        self.worth.was_in_vain();
        None
    }
}

/// Reads if the runtime knows that there is something.
async fn read_if_ready(input: &mut Input, reader: &mut dyn Reads) -> Option<io::Result<usize>> {
    poll_fn(|cx| {
        Poll::Ready(match input.poll_read(reader, cx) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        })
    })
    .await
}

/// Whether asking again and again is worth it, by what came of it so far.
#[derive(Debug, Default)]
struct Worth {
    /// How much more often it was in vain than others have paid for.
    in_vain: u32,
    paid_off: u32,
    /// How many reads do without it.
    pause: u32,
}

impl Worth {
    /// Whether this read is one to ask for.
    fn is_due(&mut self) -> bool {
        let is_due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        is_due
    }

    fn paid_off(&mut self) {
        self.paid_off += 1;
        if self.paid_off == PAYS_FOR_ONE {
            self.paid_off = 0;
            self.in_vain = self.in_vain.saturating_sub(1);
        }
    }

    fn was_in_vain(&mut self) {
        self.in_vain = (self.in_vain + 1).min(LONGEST_PAUSE);
        self.pause = (1 << self.in_vain) - 1;
    }
}

/// The turn of the one that asks.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(is_taken: &'a AtomicBool) -> Option<Self> {
        let was_taken = is_taken.swap(true, Ordering::Relaxed);
        (!was_taken).then(|| Turn(is_taken))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    /// Far more than a test takes.
    const LONG: Duration = Duration::from_secs(3600);

    async fn pair() -> (impl Reads, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (reader, writer) = near.expect("it listens").into_split();
        writer.forget();
        (reader, far.expect("it came").0)
    }

    #[test]
    fn a_wait_in_vain_is_followed_by_ever_longer_pauses() {
        let mut worth = Worth::default();
        let mut pauses = Vec::new();
        for _ in 0..=LONGEST_PAUSE {
            assert!(worth.is_due());
            worth.was_in_vain();
            let mut pause = 0;
            while !worth.is_due() {
                pause += 1;
            }
            worth.pause = 0;
            pauses.push(pause);
        }
        let expected = [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023];
        assert_eq!(pauses, expected);
    }

    #[test]
    fn what_pays_off_often_enough_goes_on() {
        let mut worth = Worth::default();
        for _ in 0..1000 {
            worth.was_in_vain();
            while !worth.is_due() {}
            worth.paid_off();
            worth.paid_off();
        }
        assert_eq!(worth.in_vain, 0, "{worth:?}");
    }

    #[test]
    fn what_seldom_pays_off_is_given_up() {
        let mut worth = Worth::default();
        for _ in 0..100 {
            while !worth.is_due() {}
            worth.was_in_vain();
            while !worth.is_due() {}
            worth.paid_off();
        }
        assert!(worth.in_vain >= LONGEST_PAUSE - 1, "{worth:?}");
    }

    #[test]
    fn one_asks_at_a_time() {
        let is_taken = AtomicBool::new(false);
        let turn = Turn::take(&is_taken);
        assert!(turn.is_some());
        assert!(Turn::take(&is_taken).is_none());
        assert!(Turn::take(&is_taken).is_none());
        drop(turn);
        assert!(Turn::take(&is_taken).is_some());
    }

    #[tokio::test]
    async fn what_comes_while_it_asks_is_read() {
        let (mut reader, mut peer) = pair().await;
        let (mut input, mut polling) = (Input::default(), BusyPolling::new(LONG));
        assert!(read_if_ready(&mut input, &mut reader).await.is_none());
        let is_taken = AtomicBool::new(false);
        for _ in 0..3 {
            let asks = polling.poll(&mut input, &mut reader, &is_taken);
            let writes = async {
                tokio::task::yield_now().await;
                peer.write_all(b"now").await
            };
            let (read, written) = tokio::join!(asks, writes);
            written.expect("it listens");
            let read = read.expect("it asks for long enough");
            assert_eq!(read.expect("it is whole"), 3);
        }
        assert_eq!(&input.bytes[..], b"nownownow");
        assert_eq!(polling.worth.in_vain, 0);
        drop(peer);
        let read = polling.poll(&mut input, &mut reader, &is_taken).await;
        assert_eq!(read.expect("it asks").expect("it is closed"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_also_where_the_time_of_the_runtime_stands_still() {
        let (mut reader, _peer) = pair().await;
        let limit = Duration::from_micros(100);
        let (mut input, mut polling) = (Input::default(), BusyPolling::new(limit));
        let is_taken = AtomicBool::new(false);
        let read = polling.poll(&mut input, &mut reader, &is_taken).await;
        assert!(read.is_none());
        assert_eq!(polling.worth.in_vain, 1);
    }

    #[tokio::test]
    async fn what_comes_later_wakes_it() {
        let (mut reader, mut peer) = pair().await;
        let (mut input, mut polling) = (Input::default(), BusyPolling::new(Duration::ZERO));
        let (read, written) = tokio::join!(
            polling.read(&mut input, &mut reader),
            peer.write_all(b"late")
        );
        written.expect("it listens");
        assert_eq!(read.expect("it is whole"), 4);
        assert_eq!(&input.bytes[..], b"late");
    }

    #[tokio::test]
    async fn who_has_not_the_turn_or_no_socket_does_not_ask() {
        let (mut reader, _peer) = pair().await;
        let (mut input, mut polling) = (Input::default(), BusyPolling::new(LONG));
        let taken = AtomicBool::new(true);
        let read = polling.poll(&mut input, &mut reader, &taken).await;
        assert!(read.is_none());
        let (mut reader, _writer) = tokio::io::split(tokio::io::duplex(16).0);
        let is_taken = AtomicBool::new(false);
        let read = polling.poll(&mut input, &mut reader, &is_taken).await;
        assert!(read.is_none());
        assert_eq!(polling.worth.in_vain, 0);
    }
}
