//! Faults that a session is told to have: the tests find each of them.

use farref_proto::{Limits, Sabotage};

use crate::cuts::{Plan, cut_everywhere};
use crate::resuming::replay_old_requests;

fn limits(sabotage: Option<Sabotage>) -> Limits {
    let mut limits = Limits::default();
    limits.sabotage = sabotage;
    limits
}

fn cuts_find(sabotage: Sabotage) -> String {
    let plan = Plan {
        limits: limits(Some(sabotage)),
        ..Plan::default()
    };
    cut_everywhere(&plan, 397).unwrap_err()
}

#[test]
fn an_acknowledgement_that_is_off_by_one_is_found() {
    cuts_find(Sabotage::ForgetsTooMuch);
}

#[test]
fn a_side_that_goes_on_reading_the_old_connection_is_found() {
    cuts_find(Sabotage::ReadsTheOldConnection);
}

#[test]
fn what_is_sent_again_although_it_was_received_is_found() {
    cuts_find(Sabotage::ReplaysTooMuch);
}

#[test]
fn an_epoch_that_is_accepted_again_is_found() {
    replay_old_requests(&limits(Some(Sabotage::AcceptsEpochsAgain))).unwrap_err();
    replay_old_requests(&limits(None)).unwrap();
}
