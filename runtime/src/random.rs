//! Random bytes from the operating system, fetched in bulk.

use std::cell::RefCell;

use farref_proto::{ChainId, InstanceId};

const BULK: usize = 1024;

struct Pool {
    bytes: [u8; BULK],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; BULK], used: BULK }) };
}

/// `N` random bytes that nobody can guess; `N` is at most 1024.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    POOL.with_borrow_mut(|pool| {
        if pool.used + N > BULK {
            #[cfg(feature = "testing")]
            if seeded::refill(&mut pool.bytes) {
                pool.used = 0;
            }
        }
        if pool.used + N > BULK {
            fill(&mut pool.bytes);
            pool.used = 0;
        }
        let mut bytes = [0; N];
        let taken = &mut pool.bytes[pool.used..pool.used + N];
        bytes.copy_from_slice(taken);
        taken.fill(0);
        pool.used += N;
        bytes
    })
}

/// An id for a new chain of calls.
pub(crate) fn chain_id() -> ChainId {
    ChainId::from_bytes(bytes())
}

/// The id of this process, the same for as long as it lives.
pub(crate) fn instance_id() -> InstanceId {
    // Not out of a pool: whichever thread asks first would have one draw less from its seed than the next.
    static INSTANCE: std::sync::LazyLock<InstanceId> = std::sync::LazyLock::new(|| {
        let mut id = [0; 16];
        fill(&mut id);
        InstanceId::from_bytes(id)
    });
    *INSTANCE
}

fn fill(bytes: &mut [u8]) {
    // Nothing else is safe if the system cannot give random bytes: ids must not be guessable.
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// Makes what is drawn on this thread the same whenever it begins with this seed.
#[cfg(feature = "testing")]
pub(crate) fn seed(seed: u64) {
    seeded::begin(seed);
    POOL.with_borrow_mut(|pool| pool.used = BULK);
}

/// Bytes that only look random.
#[cfg(feature = "testing")]
mod seeded {
    use std::cell::Cell;

    use super::BULK;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(super) fn begin(seed: u64) {
        STATE.set(Some(seed));
    }

    /// Fills the pool, if this thread has a seed. By Sebastiano Vigna's splitmix64.
    pub(super) fn refill(bytes: &mut [u8; BULK]) -> bool {
        let Some(mut state) = STATE.get() else {
            return false;
        };
        for piece in bytes.chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            piece.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        STATE.set(Some(state));
        true
    }
}
