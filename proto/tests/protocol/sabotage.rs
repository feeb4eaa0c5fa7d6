//! Faults that a session is told to have: the tests find each of them.

use farref_proto::{Limits, Sabotage};

use crate::cuts::{Plan, cut_everywhere};
use crate::resuming::{answer_for_the_server, guess_the_proof, replay_old_requests};

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

#[test]
fn a_byte_that_is_claimed_and_was_not_received_is_found() {
    cuts_find(Sabotage::ClaimsTooMuch);
}

#[test]
fn a_release_that_overtakes_its_call_is_found() {
    cuts_find(Sabotage::ReleasesBeforeCalls);
}

#[test]
fn an_object_that_is_let_go_too_early_is_found() {
    cuts_find(Sabotage::FreesTooEarly);
}

#[test]
fn credit_that_is_lost_is_found() {
    cuts_find(Sabotage::LosesCredit);
}

#[test]
fn credit_of_a_stream_that_is_lost_is_found() {
    cuts_find(Sabotage::LosesStreamCredit);
}

#[test]
fn a_cancel_that_is_lost_is_found() {
    cuts_find(Sabotage::LosesCancels);
}

#[test]
fn a_release_that_is_lost_is_found() {
    cuts_find(Sabotage::LosesReleases);
}

#[test]
fn a_proof_that_is_not_checked_is_found() {
    guess_the_proof(&limits(Some(Sabotage::AcceptsAnyProof))).unwrap_err();
}

#[test]
fn a_server_that_proves_nothing_is_found() {
    answer_for_the_server(&limits(Some(Sabotage::TrustsAnyServer))).unwrap_err();
}
