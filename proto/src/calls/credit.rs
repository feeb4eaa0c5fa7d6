//! Credit: how many calls and bytes may be unfinished at the other side.
//!
//! There is one pool for calls of depth 0, oneways included, and a reserve for each depth above. A call at one depth
//! waits only for calls one deeper, so no two pools wait for each other.
//!
//! A message may begin while its pool has a call and a byte left, and may take more bytes than there are. So one
//! message of any size can pass, and a pool is never exceeded by more than that.

use crate::error::Violation;
use crate::limits::Grants;
use crate::message::CreditEntry;

/// What is left of one pool.
#[derive(Debug, Clone, Copy)]
struct Pool {
    calls: u32,
    /// Below zero once a message took more than there was.
    bytes: i64,
}

/// Makes room for the first pool alone: most calls are not nested.
fn reserve_first<T>(pools: &mut Vec<T>) {
    if pools.is_empty() {
        pools.reserve_exact(1);
    }
}

impl Pool {
    fn new(grants: &Grants, depth: u16) -> Self {
        let (calls, bytes) = grants.pool(depth);
        Self {
            calls,
            bytes: bytes.cast_signed(),
        }
    }

    fn has_room(&self) -> bool {
        self.calls > 0 && self.bytes > 0
    }

    fn spend(&mut self, calls: u32, bytes: u32) {
        self.calls -= calls;
        self.bytes -= i64::from(bytes);
    }

    fn give_back(&mut self, calls: u32, bytes: u64) {
        self.calls += calls;
        self.bytes += bytes.cast_signed();
    }
}

/// The credit that the other side granted this one.
#[derive(Debug)]
pub(crate) struct OwnCredit {
    grants: Grants,
    /// By depth, as far as any was used.
    pools: Vec<OwnPool>,
}

#[derive(Debug)]
struct OwnPool {
    pool: Pool,
    /// Oneways sent whose credit has not come back, and their bytes.
    oneways: u32,
    oneway_bytes: u64,
    /// Somebody was turned away and waits to be told.
    awaited: bool,
}

impl OwnCredit {
    pub(crate) fn new(grants: Grants) -> Self {
        Self {
            grants,
            pools: Vec::new(),
        }
    }

    /// Takes the grants of the other side's hello, which are at least those assumed before it.
    pub(crate) fn raise(&mut self, grants: Grants) {
        for (depth, own) in (0..=u16::MAX).zip(&mut self.pools) {
            let (calls, bytes) = grants.pool(depth);
            let (old_calls, old_bytes) = self.grants.pool(depth);
            own.pool.give_back(calls - old_calls, bytes - old_bytes);
        }
        self.grants = grants;
    }

    #[inline]
    fn pool(&mut self, depth: u16) -> &mut OwnPool {
        let index = usize::from(depth);
        if index >= self.pools.len() {
            self.add_pools(index);
        }
        &mut self.pools[index]
    }

    /// Adds those that are missing as far as this one.
    #[cold]
    fn add_pools(&mut self, index: usize) {
        for missing in self.pools.len()..=index {
            let depth = missing as u16;
            let pool = Pool::new(&self.grants, depth);
            reserve_first(&mut self.pools);
            self.pools.push(OwnPool {
                pool,
                oneways: 0,
                oneway_bytes: 0,
                awaited: false,
            });
        }
    }

    /// Tells whether a message may begin. If not, somebody waits for the event that tells when.
    pub(crate) fn has_room(&mut self, depth: u16) -> bool {
        let own = self.pool(depth);
        let has_room = own.pool.has_room();
        own.awaited |= !has_room;
        has_room
    }

    /// Returns how many calls may begin, the bytes permitting. If none, somebody waits for the event that tells when.
    pub(crate) fn room(&mut self, depth: u16) -> u32 {
        if self.has_room(depth) {
            self.pool(depth).pool.calls
        } else {
            0
        }
    }

    /// Notes that somebody waits for room, although there is some.
    pub(crate) fn await_room(&mut self, depth: u16) {
        self.pool(depth).awaited = true;
    }

    /// Spends credit on a call, for which there was room.
    pub(crate) fn spend_on_call(&mut self, depth: u16, bytes: u32) {
        self.spend_on_run(depth, 1, bytes);
    }

    /// Spends credit on so many calls in one message, for which there was room.
    pub(crate) fn spend_on_run(&mut self, depth: u16, calls: u32, bytes: u32) {
        self.pool(depth).pool.spend(calls, bytes);
    }

    /// Spends credit on a oneway, for which there was room.
    pub(crate) fn spend_on_oneway(&mut self, depth: u16, bytes: u32) {
        let own = self.pool(depth);
        own.pool.spend(1, bytes);
        own.oneways += 1;
        own.oneway_bytes += u64::from(bytes);
    }

    /// Takes back what calls cost that came in one message, with the last of their replies.
    pub(crate) fn calls_answered(&mut self, depth: u16, calls: u32, bytes: u32) {
        self.pool(depth).pool.give_back(calls, u64::from(bytes));
    }

    /// Takes back what oneways cost.
    pub(crate) fn returned(&mut self, entry: CreditEntry) -> Result<(), Violation> {
        let overflow = || Violation::CreditOverflow(entry.depth);
        let own = self
            .pools
            .get_mut(usize::from(entry.depth))
            .ok_or_else(overflow)?;
        let oneways = own.oneways.checked_sub(entry.calls).ok_or_else(overflow)?;
        let oneway_bytes = own
            .oneway_bytes
            .checked_sub(entry.bytes)
            .ok_or_else(overflow)?;
        own.oneways = oneways;
        own.oneway_bytes = oneway_bytes;
        own.pool.give_back(entry.calls, entry.bytes);
        Ok(())
    }

    /// Tells whether there is room again at a depth at which somebody was turned away. Tells it once.
    pub(crate) fn take_awaited(&mut self, depth: u16) -> bool {
        match self.pools.get_mut(usize::from(depth)) {
            Some(own) if own.awaited && own.pool.has_room() => {
                own.awaited = false;
                true
            }
            _ => false,
        }
    }

    /// Returns how many pools are in use; their depths lie below.
    pub(crate) fn depths(&self) -> u16 {
        self.pools.len().min(usize::from(u16::MAX)) as u16
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }
}

/// The credit that this side granted the other, as far as it is spent.
#[derive(Debug)]
pub(crate) struct GivenCredit {
    grants: Grants,
    pools: Vec<GivenPool>,
    /// Depths at which oneways have ended and the other side has not been told.
    owed: Vec<u16>,
}

#[derive(Debug)]
struct GivenPool {
    pool: Pool,
    owed_calls: u32,
    owed_bytes: u64,
}

impl GivenCredit {
    pub(crate) fn new(grants: Grants) -> Self {
        Self {
            grants,
            pools: Vec::new(),
            owed: Vec::new(),
        }
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    #[inline]
    fn pool(&mut self, depth: u16) -> &mut GivenPool {
        let index = usize::from(depth);
        if index >= self.pools.len() {
            self.add_pools(index);
        }
        &mut self.pools[index]
    }

    /// Adds those that are missing as far as this one.
    #[cold]
    fn add_pools(&mut self, index: usize) {
        for missing in self.pools.len()..=index {
            let pool = Pool::new(&self.grants, missing as u16);
            reserve_first(&mut self.pools);
            self.pools.push(GivenPool {
                pool,
                owed_calls: 0,
                owed_bytes: 0,
            });
        }
    }

    /// Charges so many calls that arrived in one message.
    #[inline]
    pub(crate) fn charge(&mut self, depth: u16, calls: u32, bytes: u32) -> Result<(), Violation> {
        let given = self.pool(depth);
        if !given.pool.has_room() || calls > given.pool.calls {
            return Err(Violation::CreditOverspent(depth));
        }
        given.pool.spend(calls, bytes);
        Ok(())
    }

    /// Gives back what calls cost that came in one message, and whose replies are on their way.
    pub(crate) fn calls_answered(&mut self, depth: u16, calls: u32, bytes: u32) {
        self.pool(depth).pool.give_back(calls, u64::from(bytes));
    }

    /// Notes that oneways have ended.
    pub(crate) fn oneways_ended(&mut self, depth: u16, calls: u32, bytes: u64) {
        let given = self.pool(depth);
        let first = given.owed_calls == 0;
        given.owed_calls += calls;
        given.owed_bytes += bytes;
        if first {
            self.owed.push(depth);
        }
    }

    /// Tells whether the other side is owed credit.
    pub(crate) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Returns the credit that is owed, which goes out at once.
    pub(crate) fn take_owed(&mut self) -> Vec<CreditEntry> {
        let owed = std::mem::take(&mut self.owed);
        owed.into_iter()
            .map(|depth| {
                let given = self.pool(depth);
                let calls = std::mem::take(&mut given.owed_calls);
                let bytes = std::mem::take(&mut given.owed_bytes);
                given.pool.give_back(calls, bytes);
                CreditEntry {
                    depth,
                    calls,
                    bytes,
                }
            })
            .collect()
    }
}
