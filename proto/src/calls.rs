//! The tables of calls: questions that this side asked, answers that it owes, and the credit that bounds both.

mod answers;
mod credit;
mod questions;

pub(crate) use self::answers::Answers;
pub(crate) use self::credit::{GivenCredit, OwnCredit};
pub(crate) use self::questions::{Question, Questions};
