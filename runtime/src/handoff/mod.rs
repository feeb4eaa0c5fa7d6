//! Hand-off: a reference to an object of a third process leads there directly, where that is possible and allowed.
//!
//! ```text
//!      A ── provide G for C ──► B          A holds an object of B and passes it on to C
//!      │                        ▲
//!      │ introduced:            │ claim G, promised by A
//!      │ G, B, where B is       │
//!      └──────────► C ──────────┘          C uses A's reference only if it gets none from B
//! ```
//!
//! What A sends is an ordinary reference as well, through A, which C gives back once it has one of B. So A keeps its own
//! until then. C decides before its first call, and stays with what it has chosen.

mod claiming;
pub(crate) mod introduced;
mod policy;
pub(crate) mod provisions;

pub(crate) use self::introduced::Introduced;
pub use self::policy::HandOff;
