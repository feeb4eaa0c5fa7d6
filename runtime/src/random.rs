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
            // Nothing else is safe if the system cannot give random bytes: ids must not be guessable.
            getrandom::fill(&mut pool.bytes).expect("the operating system gives random bytes");
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
    static INSTANCE: std::sync::LazyLock<InstanceId> =
        std::sync::LazyLock::new(|| InstanceId::from_bytes(bytes()));
    *INSTANCE
}
